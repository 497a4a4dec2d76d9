import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.plan_summary import plan_table, summarise_plan
from orchestrator.state import StudyState
from orchestrator.study import load_study
from tests.unit.orchestrator.planning import make_plan, run_made_up_trials, small_study

ROOT = Path(__file__).parents[3]


def shown(table, width=200):
    output = io.StringIO()
    Console(file=output, width=width).print(table)
    return output.getvalue()


def test_before_the_first_trial_the_time_is_unknown_and_the_remedy_is_named(tmp_path):
    summary = summarise_plan(small_study(tmp_path), tmp_path / "runs")
    assert summary["hours"] is None
    assert summary["trials"] == summary["to_run"] == 21
    assert summary["phases"] == {"tune": 15, "evaluate": 6}
    assert summary["pools_to_make"] == 3
    assert "--calibrate" in summary["sentences"][0]
    json.dumps(summary)


def test_half_way_the_ledger_tells_the_time(tmp_path):
    loaded = small_study(tmp_path)
    records = run_made_up_trials(make_plan(loaded.spec), tmp_path / "runs", limit=12)
    summary = summarise_plan(loaded, tmp_path / "runs")
    assert summary["recorded"] == 12
    assert summary["to_run"] == StudyState(make_plan(loaded.spec), records).remaining > 0
    assert summary["hours"]["low"] <= summary["hours"]["expected"] <= summary["hours"]["high"]
    one = sum(r.wall_seconds for r in records) / sum(r.steps for r in records) * 24
    assert summary["hours"]["trial_hours"] * 3600 == pytest.approx(summary["to_run"] * one, rel=0.5)
    assert "by the ledger's times" in summary["sentences"][0]


def test_of_a_finished_study_nothing_is_to_do(tmp_path):
    loaded = small_study(tmp_path)
    run_made_up_trials(make_plan(loaded.spec), tmp_path / "runs")
    summary = summarise_plan(loaded, tmp_path / "runs")
    assert summary["to_run"] == 0
    assert summary["sentences"][0].endswith("nothing to do")
    more = summarise_plan(small_study(tmp_path, "evaluate.seeds=4"), tmp_path / "runs")
    assert more["to_run"] == 6
    assert more["phases"] == {"evaluate": 6}


def test_records_of_other_settings_are_counted_apart(tmp_path):
    records = run_made_up_trials(make_plan(small_study(tmp_path).spec), tmp_path / "runs")
    other = summarise_plan(small_study(tmp_path, "training.steps=48"), tmp_path / "runs")
    assert other["recorded"] == 0
    assert other["other_records"] == len(records)
    assert other["hours"] is not None, "the time of a step is known from them"


def test_the_table_has_a_row_for_each_cell(tmp_path):
    loaded = small_study(tmp_path)
    summary = summarise_plan(loaded, tmp_path / "runs")
    before = shown(plan_table(summary))
    assert len(plan_table(summary).rows) == len(summary["cells"]) == 3
    assert before.count("condition: digits, 2 labels per class, 30% synthetic") == before.count("digits") == 1
    assert "trial time" not in before
    run_made_up_trials(make_plan(loaded.spec), tmp_path / "runs", limit=12)
    assert "trial time" in shown(plan_table(summarise_plan(loaded, tmp_path / "runs")))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_names_stand_whole_however_narrow_the_terminal(width):
    summary = summarise_plan(load_study(ROOT / "studies" / "digits.yaml"), ROOT / "never-written")
    text = shown(plan_table(summary), width)
    assert "…" not in text
    words = text.replace(",", " ").split()
    assert {name for cell in summary["cells"] for name in cell["searched"]} <= set(words)


def test_further_seeds_in_the_ledger_are_named_with_what_counts_them(tmp_path):
    more = small_study(tmp_path, "evaluate.seeds=4")
    run_made_up_trials(make_plan(more.spec), tmp_path / "runs")
    sentences = summarise_plan(small_study(tmp_path), tmp_path / "runs")["sentences"]
    assert sentences[-1] == (
        "the ledger has 6 more records, of other settings or training code; they are kept and not used "
        "(6 are of further seeds: --set evaluate.seeds=4 counts them)"
    )
    apart = summarise_plan(small_study(tmp_path, "training.steps=48"), tmp_path / "runs")["sentences"]
    assert apart[-1].endswith("they are kept and not used")
    assert not any("kept" in s for s in summarise_plan(more, tmp_path / "runs")["sentences"])
