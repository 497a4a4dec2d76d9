"""MLflow's writer in a process of its own. This side of it never imports mlflow, so the driver stays light.

The driver only holds a pipe: nothing is ever sent through it, and its end, also by the driver's death, tells the writer
to finish. The way back is a small file, `runs/STUDY/log/mirror.json`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.common.addresses import TRACKING, sqlite_path, sqlite_uri
from orchestrator.common.child_process import child_environment, module_command
from orchestrator.common.mirror_status import PROGRESS_NAME, MirrorStatus

PATIENCE_AFTER_INTERRUPT = 2.0


def tracking_uri(runs: Path) -> str:
    """The store that a study below `runs` is mirrored to: MLFLOW_TRACKING_URI, else `runs/mlflow.db`. Raises MirrorError."""
    return os.environ.get(TRACKING) or sqlite_uri((runs / "mlflow.db").absolute())


def has_everything(study_dir: Path, uri: str, records: int) -> bool:
    """Whether the last mirror of a study left nothing to do, and its store, where that is a file, is still there."""
    last, file = MirrorStatus.load(study_dir / PROGRESS_NAME), sqlite_path(uri)
    return (file is None or file.exists()) and last.error is None and last.written >= last.total == records


class MirrorProcess:
    """Keeps MLflow up to date with a study while the study runs; a context manager.

    Args:
        study_dir: `runs/STUDY`.
        uri: MLflow's tracking store, see `tracking_uri`.
        log_path: where the process's output goes, MLflow's own included.

    Leaving the context waits at most `patience` seconds for the last sync, after Ctrl-C two; what is not written by then,
    `ablate sync` or the next run writes.
    """

    def __init__(self, study_dir: Path, uri: str, log_path: Path, *, patience: float = 60.0) -> None:
        self.study_dir = study_dir
        self.uri = uri
        self.log_path = log_path
        self.patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; returns at once. RuntimeError where it was started before."""
        if self._process is not None:
            raise RuntimeError("MirrorProcess: was started before; make a new one")
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        (self.study_dir / PROGRESS_NAME).unlink(missing_ok=True)
        command = module_command("orchestrator.mirror", "--study-dir", str(self.study_dir.absolute()))
        with self.log_path.open("ab") as log:
            # A session of its own: Ctrl-C at the terminal is for the driver, and the mirror still makes its last sync.
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # the address may hold a password, and everybody on the machine can read a command line
                env={**child_environment(), "OMP_NUM_THREADS": "1", TRACKING: self.uri},
            )

    def status(self) -> MirrorStatus:
        """Where the mirror stands; reads one small file."""
        found = MirrorStatus.load(self.study_dir / PROGRESS_NAME)
        code = self._process.poll() if self._process is not None else None
        error = found.error
        if code not in (None, 0) and error is None:
            error = f"the mirror ended with status {code}; see {self.log_path}"
        return MirrorStatus(found.written, found.total, error, code)

    def finish(self, timeout: float) -> MirrorStatus:
        """Ask for the last sync, wait at most `timeout` seconds for it, and end a process that is not done by then.

        A process that was killed, or could not even start, is replaced for the last sync.
        """
        if self._process is None:
            return self.status()
        ended_unasked = self._process.poll() not in (None, 0) and not self._was_asked(self._process)
        self._ask_to_finish(self._process)
        if ended_unasked and MirrorStatus.load(self.study_dir / PROGRESS_NAME).error is None:
            self._process = self._started()
            self._ask_to_finish(self._process)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()  # safe at any point: the next sync goes on from here
            self._process.wait()
            found = self.status()
            error = f"not done after {timeout:.0f} s; `ablate sync` writes the rest"
            return MirrorStatus(found.written, found.total, error, found.exit_status)
        return self.status()

    @staticmethod
    def _was_asked(process: subprocess.Popen[bytes]) -> bool:
        return process.stdin is None or process.stdin.closed

    def _ask_to_finish(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None and not self._was_asked(process):
            process.stdin.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(PATIENCE_AFTER_INTERRUPT if kind is KeyboardInterrupt else self.patience)
