import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.check.loading import load_study
from orchestrator.engine.state import StudyState
from orchestrator.forecast.forecast import ForecastOptions
from orchestrator.running.plan_summary import plan_table, summarise_plan
from tests.unit.orchestrator.planning import make_plan, run_made_up_trials, small_study

ROOT = Path(__file__).parents[4]


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


def test_what_does_not_fit_on_this_machine_is_a_note_unless_it_need_not(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    runs = tmp_path / "runs"
    fits = summarise_plan(small_study(tmp_path), runs)
    assert fits["fits_here"] is True
    for change in ("resources.gpus=512", "resources.cpus=99999", "resources.custom={a100: 1}"):
        refused = summarise_plan(small_study(tmp_path, change), runs)
        assert refused["fits_here"] is False
        (note,) = set(refused["warnings"]) - set(fits["warnings"])
        assert note.endswith(
            "`ablate run` refuses that here; ask for less, or name a cluster that has it with --address"
        )
        assert note.startswith("resources: a trial wants ")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert summarise_plan(small_study(tmp_path, change), runs)["fits_here"] is None
    monkeypatch.delenv("RAY_ADDRESS")
    loaded = small_study(tmp_path, change)
    run_made_up_trials(make_plan(loaded.spec), runs, limit=12)
    forecast = summarise_plan(loaded, runs, cluster=ForecastOptions(nodes=2, cpus_per_node=4))
    assert forecast["fits_here"] is None, "it is a cluster's plan"
    assert note not in forecast["warnings"]
    run_made_up_trials(make_plan(loaded.spec), tmp_path / "done")
    done = summarise_plan(loaded, tmp_path / "done")
    assert (done["to_run"], done["fits_here"]) == (0, None), "nothing is to run, and so nothing is refused"
