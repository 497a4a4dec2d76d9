from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.common.errors import AblateError
from orchestrator.design.plan import Plan
from orchestrator.engine.changes import DECISIONS_NAME, ChangedSinceRecorded, Decisions, remember_sources
from orchestrator.running.runner import decide
from results.analysis.main_table import main_table, select_records
from results.records.origins import Origin
from tests.unit.orchestrator.worlds import Run, facts, manifest_of, plan_of, run


class Machine:
    """Where plans are made, with code, libraries and data that can change."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def plan(self, code: str = "c0de", libraries: str = "torch 2.9", **changes: Any) -> Plan:
        self._patch.setattr("orchestrator.design.plan.source_of", lambda name: code + name)
        self._patch.setattr("orchestrator.design.plan.environment", lambda: libraries)
        return plan_of(**changes)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def go_on(plan: Plan, records: list[Any], folder: Path, decision: Any = None) -> Run:
    decisions = decide(plan, records, folder, decision)
    return run(plan, records, accepted=sorted(decisions.accepted))


def test_nothing_changed_nothing_is_asked(machine: Machine, tmp_path: Path) -> None:
    plan = machine.plan()
    done = go_on(plan, [], tmp_path)
    assert not go_on(plan, done.records, tmp_path).started
    assert not (tmp_path / DECISIONS_NAME).exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"code": "beef"}, "the training source of rsmatch (c0dersmatch → beefrsmatch)"),
        ({"libraries": "torch 3.0"}, "library versions (torch 2.9 → torch 3.0)"),
    ],
)
def test_a_change_is_refused_with_what_changed_and_what_it_touches(
    machine: Machine, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    before = go_on(machine.plan(), [], tmp_path)
    with pytest.raises(ChangedSinceRecorded) as caught:
        go_on(machine.plan(**change), before.records, tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}: changed since its records were made:\n")
    assert words in text
    counts = {
        arm: sum(r.arm == arm for r in before.records) for arm in ("rsmatch", "rsmatch-without-queue", "fixmatch")
    }
    for arm, count in counts.items():
        assert f"{arm} {count}" in text
    assert "--accept-mixed" in text
    assert "--rerun" in text
    assert not (tmp_path / DECISIONS_NAME).exists()


def test_a_changed_dataset_is_noticed(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = go_on(machine.plan(), [], tmp_path)
    monkeypatch.setattr("orchestrator.design.plan.data_fingerprint", lambda data: "other-images")
    with pytest.raises(ChangedSinceRecorded, match=r"the dataset \(\w+ → other-images\)"):
        go_on(machine.plan(), before.records, tmp_path)


def test_accepted_records_count_and_mark_the_rows_that_mix(machine: Machine, tmp_path: Path) -> None:
    before = go_on(machine.plan(), [], tmp_path)
    new = machine.plan(code="beef")
    same = go_on(new, before.records, tmp_path, "accept")
    assert not same.started
    wider = machine.plan(code="beef", evaluate={"seeds": 3})
    done = go_on(wider, before.records, tmp_path)  # the decision holds for later runs
    assert {s.phase for s in done.started} == {"evaluate"}
    accepted = sorted(Decisions.load(tmp_path).accepted)
    table = main_table(manifest_of(wider, accepted), done.records)
    assert all("mixed code" in row.marks for row in table.conditions[0].rows)
    clean = main_table(manifest_of(machine.plan()), before.records)
    assert not any("mixed code" in row.marks for row in clean.conditions[0].rows)


def test_superseded_records_stay_and_their_trials_run_again(machine: Machine, tmp_path: Path) -> None:
    old, new = machine.plan(), machine.plan(code="beef")
    before = go_on(old, [], tmp_path)
    done = go_on(new, before.records, tmp_path, "rerun")
    assert len(done.new) == len(before.records)
    assert done.records[: len(before.records)] == before.records
    again = go_on(new, done.records, tmp_path)
    assert not again.started
    assert facts(again.state.records().values()) == facts(run(new).state.records().values())


def test_the_old_code_counts_its_own_records_again(machine: Machine, tmp_path: Path) -> None:
    old = machine.plan()
    before = go_on(old, [], tmp_path)
    done = go_on(machine.plan(code="beef"), before.records, tmp_path, "rerun")
    with pytest.raises(ChangedSinceRecorded):  # what the other code made in between is another origin for this one
        go_on(old, done.records, tmp_path)
    back = go_on(old, done.records, tmp_path, "rerun")
    assert not back.started
    assert facts(back.state.records().values()) == facts(before.state.records().values())
    selected = select_records(manifest_of(old), done.records)
    assert {r.trial_id for c in selected.values() for r in c.evaluation} <= {r.trial_id for r in before.records}


def test_one_may_decide_otherwise_later(machine: Machine, tmp_path: Path) -> None:
    before = go_on(machine.plan(), [], tmp_path)
    new = machine.plan(code="beef")
    decide(new, before.records, tmp_path, "rerun")
    assert Decisions.load(tmp_path).superseded
    decide(new, before.records, tmp_path, "accept")
    found = Decisions.load(tmp_path)
    assert found.accepted
    assert not found.superseded
    decide(new, before.records, tmp_path, "rerun")
    assert not Decisions.load(tmp_path).accepted


def test_only_the_algorithm_that_changed_is_touched(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = go_on(machine.plan(), [], tmp_path)
    monkeypatch.setattr("orchestrator.design.plan.source_of", lambda name: "c0de" + ("!" * (name == "fixmatch")) + name)
    with pytest.raises(ChangedSinceRecorded) as caught:
        go_on(plan_of(), before.records, tmp_path)
    count = sum(r.arm == "fixmatch" for r in before.records)
    assert f"{count} records (fixmatch {count})" in str(caught.value)
    assert "rsmatch" not in str(caught.value).replace(str(tmp_path), "")


def test_the_message_names_the_files_that_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of()
    before = run(plan)
    remember_sources(tmp_path, plan)
    sources = {p: json.loads(p.read_text()) for p in (tmp_path / "sources").glob("*.json")}
    assert len(sources) == 2
    for path, files in sources.items():
        path.write_text(json.dumps({**files, "trainables/networks.py": "other"}))
    monkeypatch.setattr("orchestrator.design.plan.source_of", lambda name: "beef")
    with pytest.raises(ChangedSinceRecorded, match=r": trainables/networks\.py"):
        decide(plan_of(), before.records, tmp_path, None)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"accepted": 3, "superseded": []}', '{"accepted": [["a"]], "superseded": []}']
)
def test_damaged_decisions_are_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / DECISIONS_NAME).write_text(content)
    with pytest.raises(AblateError, match=r"remove it, and decide again with --accept-mixed or --rerun"):
        Decisions.load(tmp_path)


def test_decisions_come_back_as_they_were_kept(tmp_path: Path) -> None:
    kept = Decisions(frozenset({Origin("a", "b", "c")}), frozenset({Origin("d", "e", "f"), Origin("g", "", "i")}))
    kept.save(tmp_path)
    assert Decisions.load(tmp_path) == kept
    assert Decisions.load(tmp_path / "nowhere") == Decisions()
