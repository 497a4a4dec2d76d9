"""Every command that reads a study's folder, called on folders that somebody tampered with, in this process."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

from results.report.writing import write_report
from tests.hostile import CELLS, EDITS, Watch, tampered_manifest, tampered_part
from tests.integration.studies import write_study
from tests.unit.results.factories import features, pictures, study_records

SECRET = "kept-outside-4711"
STUDY = "small"
LONGEST_SECONDS = 120
"""Of one command: a hang is a fault, too."""
COMMANDS = ("status", "report", "compare", "plan", "run", "sync", "check", "dashboard", "names")
ODD_PLACES = (
    *("study.json", "ledger/part-1.parquet", "images.npz", "decisions.json", "warm-start.json", "log/mirror.json"),
    *("calibration.json", "gpu-memory.json", "open/1.json", "report/table.md", "log/trials/1.log", "models/1.pt"),
)
ODD_KINDS = ("pipe", "folder", "link", "device", "deep", "garbage", "number")
ODD = st.lists(st.tuples(st.sampled_from(ODD_PLACES), st.sampled_from(ODD_KINDS)), max_size=2)
"""Files of a study's folder that are something else."""
EXAMPLES = (st.sampled_from(COMMANDS), EDITS.map(lambda e: e[:2]), CELLS.map(lambda c: c[:3]), ODD)
"""What `Commands.judge` takes."""


class Hung(AssertionError):
    """A command did not end."""


class Commands:
    """Calls commands on made-up folders.

    Args:
        folder: For what all calls share: the study's file, an empty MLflow store.
        watch: Over what a call does to the machine.
    """

    def __init__(self, folder: Path, watch: Watch) -> None:
        from orchestrator.check.loading import load_study
        from orchestrator.design.plan import make_plan
        from orchestrator.mirror import MLflowStore
        from orchestrator.running.runner import manifest

        self.watch = watch
        self.file = write_study(folder, search={"early_stopping": {"rule": "none"}})
        loaded = load_study(self.file)
        self.study = manifest(make_plan(loaded.spec), loaded)
        errors = {arm.name: 10.0 + place for place, arm in enumerate(self.study.arms)}
        cells = {cell.cell: cell for cell in self.study.cells}
        self.records = [
            replace(
                record,
                study=STUDY,
                log="log/trials/1.log",
                seed=cells[record.cell].tuning_seed if record.phase == "tune" else record.seed,
                config={**cells[record.cell].defaults, **record.suggested},
                code={"source": cells[record.cell].origin.source, "environment": cells[record.cell].origin.environment},
                data={"dataset": "digits", "fingerprint": cells[record.cell].origin.fingerprint},
            )
            for record in study_records(self.study, errors)
        ]
        self.store = folder / "template" / "mlflow.db"
        self.store.parent.mkdir()
        MLflowStore(f"sqlite:///{self.store}").stored_runs("none")
        with tempfile.TemporaryDirectory() as name:
            write_report(self.folder_of_runs(Path(name)) / STUDY)  # which makes fonts that all share
        for command in COMMANDS:  # what they import late, and keep in files, is there before anything is watched
            with tempfile.TemporaryDirectory() as name:
                status, said = self._call(command, self.folder_of_runs(Path(name)))
                assert status == (2 if command == "names" else 0 if command != "check" else 1), (command, status, said)

    def judge(self, command: str, edits: list[Any], cells: list[Any], odd: list[tuple[str, str]]) -> None:
        """Call a command on a folder in which values are replaced and files are something else; see `judge_folder`."""

        def change(study: Path) -> None:
            (study / "study.json").write_text(tampered_manifest(edits, self.study))
            (study / "ledger" / "part-0.parquet").write_bytes(tampered_part(cells, self.records))
            for name, kind in odd:
                _make_odd(study / name, kind, study.parents[1] / "secret.txt")

        self.judge_folder(command, change)

    def judge_folder(self, command: str, change: Callable[[Path], None]) -> tuple[int, str]:
        """Raise where a command does anything else than what it is for, or to say a sentence; returns status and output.

        Args:
            command: One of `COMMANDS`.
            change: Makes something else of the folder of a study that went well. Beside the folder of runs lies `secret.txt`.
        """
        with tempfile.TemporaryDirectory() as name:
            runs = self.folder_of_runs(Path(name))
            change(runs / STUDY)
            around = _content(Path(name), without=runs)
            with self.watch.over(runs):
                status, said = self._call(command, runs)
            assert status in (0, 1, 2), f"{command}: status {status}: {said[-2000:]}"
            assert "Traceback" not in said, f"{command}: {said[-2000:]}"
            assert "Warning:" not in said, f"{command}: {said[-2000:]}"
            assert _content(Path(name), without=runs) == around
            kept = [
                str(p)
                for p in runs.rglob("*")
                if p.is_file() and not p.is_symlink() and p.read_bytes() == SECRET.encode()
            ]
            assert not kept, f"{command}: {kept}"
            if command == "run" and status != 2:  # what was damaged is set aside then, unless a folder is in the way
                with self.watch.over(runs):
                    again, text = self._call("report", runs)
                done = again == 0 or (status == 1 and "move it away" in said) or (again == 1 and "move it away" in text)
                assert done, f"report after run: status {again}: {text[-2000:]}\nrun: status {status}: {said[-2000:]}"
            return status, said

    def part(self, **changes: Any) -> bytes:
        """A part with all records, the first of them with other values."""
        return tampered_part([], [replace(self.records[0], **changes), *self.records[1:]])

    def folder_of_runs(self, place: Path) -> Path:
        (place / "secret.txt").write_text(SECRET)
        runs = place / "runs"
        study = runs / STUDY
        for name in ("ledger", "log/trials", "report", "features", "open", "models"):
            (study / name).mkdir(parents=True)
        shutil.copy(self.store, runs / "mlflow.db")
        self.study.save(study)
        (study / "ledger" / "part-0.parquet").write_bytes(tampered_part([], self.records))
        (study / "log" / "trials" / "1.log").write_text("a log")
        pictures(study, classes=2, images=1, size=4)
        features(study / "features", next(r.trial_id for r in self.records if r.phase == "evaluate"))
        return runs

    def _call(self, command: str, runs: Path) -> tuple[int, str]:
        """Exit status of a command and all that it said."""
        with patch("tempfile.tempdir", str(runs)):  # so that what is written anywhere else is seen
            return self._call_inside(command, runs)

    def _call_inside(self, command: str, runs: Path) -> tuple[int, str]:
        if command == "sync":
            return _mirror(runs)
        where = ["--runs", str(runs)]
        arguments = {
            "status": ["status", STUDY, *where],
            "report": ["report", STUDY, *where],
            "compare": ["compare", STUDY, STUDY, *where],
            "plan": ["plan", str(self.file), *where],
            "run": ["run", str(self.file), *where, "--no-mlflow", "--max-trials", "0", "--accept-mixed"],
            "check": ["sync", STUDY, "--check", *where],
            "dashboard": ["dashboard", STUDY, *where, "--port", "0"],
            "names": ["status", "no-such-study", *where],
        }[command]
        with (
            patch(
                "orchestrator.running.runner._train", lambda *_: None
            ),  # which starts Ray; nothing of it reads the folder
            patch("orchestrator.browse.dashboard._Server.serve_forever", lambda *_: None),
            patch.dict(os.environ, {"MLFLOW_TRACKING_URI": f"sqlite:///{runs}/mlflow.db"}),
        ):
            return _ended(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    from orchestrator.cli.app import main

    with patch.object(sys, "argv", ["ablate", *arguments]):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def _mirror(runs: Path) -> tuple[int, str]:
    """What `ablate sync` has done in a process of its own."""
    from orchestrator.mirror import MLflowStore
    from orchestrator.mirror.__main__ import Follower

    follower = Follower(runs / STUDY, MLflowStore(f"sqlite:///{runs}/mlflow.db"))
    status, said = _ended(lambda: 0 if follower.sync() else 1)
    return status, f"{said}{follower.status.error or ''}"


def _ended(doing: Callable[[], int]) -> tuple[int, str]:
    said = io.StringIO()
    with _alarm(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        return doing(), said.getvalue()


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def late(*_: Any) -> None:
        raise Hung(f"no end within {LONGEST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _make_odd(path: Path, kind: str, secret: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    content = {"deep": "[" * 200_000, "garbage": '{"a": "\\ud800", ', "number": "1" + "0" * 300}
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind in ("link", "device"):
        path.symlink_to(secret if kind == "link" else "/dev/zero")
    else:
        path.write_text(content[kind])


def _content(folder: Path, *, without: Path) -> dict[str, str]:
    """Names and texts of what is beside the folder of runs."""
    return {p.name: p.read_text() for p in folder.iterdir() if p != without}
