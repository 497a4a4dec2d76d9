"""What a person sees while a study runs, in a terminal and elsewhere, and where everybody else's output goes."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from orchestrator.check.loading import load_study
from orchestrator.common.folders import StudyFolders
from orchestrator.design.plan import make_plan
from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.state import StudyState
from orchestrator.running import live_view as views
from orchestrator.running.live_view import StudyView, running_text
from results.ledger.ledger import Ledger
from results.records.trial_record import TrialRecord
from tests.waiting import eventually

ROOT = Path(__file__).parents[4]
STUDY = {
    "study": "seen",
    "question": "What is seen?",
    "method": "rsmatch",
    "ablation": {"components": ["queue"]},
    "data": {"dataset": "digits", "labels_per_class": 2},
    "training": {"steps": 10, "reports": 2},
    "search": {"trials": 2},
    "evaluate": {"seeds": 1, "allow_underpowered": True},
}


def driver_in(folder: Path) -> StudyDriver:
    folder.mkdir(exist_ok=True)
    (folder / "seen.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    folders = StudyFolders(folder / "runs", "seen")
    ledger = Ledger(folders.ledger)
    state = StudyState(make_plan(load_study(folder / "seen.yaml").spec), ledger.records())
    return StudyDriver(state, folders, ledger, code={})


def finish_one(driver: StudyDriver, error: str | None = None) -> TrialRecord:
    slot = driver.hand_out("a")
    assert slot is not None
    rows = [(5, {"val_error": 40.0, "val_loss": 1.0}), (10, {"val_error": 30.0, "val_loss": 1.0})]
    driver.receive("a", {"rows": rows, "started_at": datetime.now(UTC).isoformat(), "failed": error, "traceback": "t"})
    record = driver.close("a")
    assert record is not None
    return record


def shown(driver: StudyDriver, *, terminal: bool, quiet: bool = False, verbose: bool = False) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=120, color_system=None, quiet=quiet)
    view = StudyView(console, driver, pending=lambda: "MLflow has 1", verbose=verbose)
    with view.showing():
        view.record(finish_one(driver))
        view.record(finish_one(driver, error="diverged"))
    return output.getvalue()


def test_a_terminal_sees_every_arm_and_how_far_it_is(tmp_path):
    text = shown(driver_in(tmp_path), terminal=True)
    for part in ("2/6 trials", "1 failed", "about", "MLflow has 1", "RSMatch without queue", "2/2", "30.0", "diverged"):
        assert part in text


def test_elsewhere_it_is_plain_lines(tmp_path):
    text = shown(driver_in(tmp_path), terminal=False)
    assert "\x1b" not in text
    assert "2/6 trials" in text
    assert "diverged" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_says_nothing_and_verbose_has_a_line_for_every_trial(tmp_path, terminal):
    assert shown(driver_in(tmp_path / "quiet"), terminal=terminal, quiet=True) == ""
    text = shown(driver_in(tmp_path / "verbose"), terminal=terminal, verbose=True)
    assert "rsmatch, digits-2l-50s, tune 0, seed 1000000: completed, val error 30.00%, 10 steps, " in text
    assert "failed: rsmatch, tune 1: diverged" in text


def test_a_later_run_counts_what_earlier_ones_recorded(tmp_path):
    finish_one(driver_in(tmp_path))
    assert "3/6 trials" in shown(driver_in(tmp_path), terminal=False)


def test_running_trials_are_counted_with_the_steps_that_they_reported(tmp_path):
    driver = driver_in(tmp_path)

    def text():
        return running_text(list(driver.running.values()))

    assert text() == ""
    driver.hand_out("a")
    assert text() == "1 running, first reports to come"
    driver.receive("a", {"rows": [(5, {"val_error": 40.0})]})
    assert text() == "1 running, step 5 of 10"
    driver.hand_out("b")
    assert text() == "2 running, steps 5 and 0 of 10"
    (one, two) = driver.running.values()
    assert running_text([one, two, one, two]) == "4 running, steps 0 to 5 of 10"


def test_the_summary_says_what_runs(tmp_path):
    driver, output = driver_in(tmp_path), io.StringIO()
    view = StudyView(Console(file=output, force_terminal=True, width=120), driver, pending=str)
    with view.showing():
        driver.hand_out("a")
        driver.receive("a", {"rows": [(5, {"val_error": 40.0})]})
    assert "0/6 trials, 1 running, step 5 of 10, 0:00 passed" in output.getvalue()


@pytest.mark.timeout(60)
def test_elsewhere_lines_come_also_while_no_trial_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(views, "PLAIN_SECONDS", 0.01)
    driver, output = driver_in(tmp_path), io.StringIO()
    view = StudyView(Console(file=output, width=120), driver, pending=str)
    with view.showing():
        driver.hand_out("a")
        assert eventually(lambda: output.getvalue().count("1 running, first reports to come") >= 2)
    assert not [t for t in threading.enumerate() if t.name == "progress"]


def test_lines_come_more_rarely_the_longer_a_run_takes(tmp_path):
    view = StudyView(Console(file=io.StringIO()), driver_in(tmp_path), pending=str)
    waits = []
    for passed in (0.0, 100.0, 600.0, 1e6):
        view._printed = view._started + passed
        waits.append(round(view._next_line() - view._printed, 3))
    assert waits == [10.0, 10.0, 30.0, 60.0]


def test_chatter_goes_to_the_log_and_the_view_to_the_terminal(tmp_path):
    code = (
        "import os, subprocess, sys\nfrom pathlib import Path\nfrom rich.console import Console\n"
        "from orchestrator.common.library_output import quiet_output\n"
        "with quiet_output(Path(sys.argv[1]), Console()) as console:\n"
        "    print('python chatter'); os.write(2, b'native chatter\\n'); subprocess.run(['echo', 'child chatter'])\n"
        "    console.print('view', console.is_terminal)\n"
        "print('after')"
    )
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    log = tmp_path / "chatter.log"
    subprocess.run([sys.executable, "-c", code, str(log)], stdout=theirs, stderr=theirs, env=environment, check=True)
    os.close(theirs)
    seen = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "view" in seen
    assert "True" in seen
    assert "after" in seen
    assert "chatter" not in seen
    assert {"python chatter", "native chatter", "child chatter"} <= set(log.read_text().splitlines())
