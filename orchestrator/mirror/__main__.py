"""`python -m orchestrator.mirror`: follow a study's ledger until standard input closes.

The store's address is in MLFLOW_TRACKING_URI. The driver holds the other end of standard input and never writes to it.
When that closes, because the driver is done or was killed, one last sync follows. Exit status: 0 the store has
everything, 3 it could not be reached or refused a run (one line on standard error says why).
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.common.mirror_status import PROGRESS_NAME, MirrorStatus
from orchestrator.mirror.messages import keep_secrets_out_of_output
from results.records.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from orchestrator.mirror.store import MLflowStore

EXIT_UNREACHABLE = 3
INTERVAL = 2.0
LONGEST_WAIT = 30.0
SHARE_OF_TIME = 0.25
"""A sync reads the whole ledger, so in a long study the next one waits until this share of the time went to syncs."""
PROGRESS_EVERY = 0.5
NICENESS = 19


class Follower:
    """Syncs one study whenever its ledger changed.

    Args:
        study_dir: `runs/STUDY`.
        store: where runs go.
    """

    def __init__(self, study_dir: Path, store: MLflowStore) -> None:
        self.study_dir = study_dir
        self.store = store
        self.status = MirrorStatus()
        self._synced: tuple[int, ...] = ()
        self._told = 0.0

    def pending(self) -> bool:
        """Whether the ledger or the manifest changed since the last sync that went well."""
        return self._signature() != self._synced

    def sync(self) -> bool:
        """One sync; whether all went well. Never raises for what a store or a file does."""
        from orchestrator.common.errors import MirrorError
        from orchestrator.mirror.syncing import sync

        before = self._signature()
        try:
            result = sync(self.study_dir, self.store, progress=self._progress)
        except (MirrorError, OSError) as problem:
            self._tell(MirrorStatus(self.status.written, self.status.total, str(problem)))
            return False
        in_store = result.present + result.written
        self._tell(MirrorStatus(in_store, result.total, result.refused[0] if result.refused else None))
        self._synced = before
        return not result.refused

    def _progress(self, done: int, total: int) -> None:
        self.status = MirrorStatus(done, total)
        if time.monotonic() - self._told > PROGRESS_EVERY:
            self._tell(self.status)

    def _tell(self, status: MirrorStatus) -> None:
        if status.error and status.error != self.status.error:
            print(f"mirror: {status.error}", file=sys.stderr, flush=True)
        self.status = status
        self._told = time.monotonic()
        with suppress(OSError):  # a full disk is the ledger's trouble to report
            status.save(self.study_dir / PROGRESS_NAME)

    def _signature(self) -> tuple[int, ...]:
        """Changes when a part appears or goes, and when the manifest is written: two `stat` calls."""
        times = []
        for path in (self.study_dir / "ledger", self.study_dir / MANIFEST_NAME):
            try:
                times.append(path.stat().st_mtime_ns)
            except OSError:
                times.append(0)
        return tuple(times)


def follow(follower: Follower, closed: int, parent: int) -> bool:
    """Sync until the pipe `closed` ends or the process `parent` is gone, then once more; whether that went well."""
    wait = 0.0
    failed_wait = INTERVAL
    while not _ended(closed, wait) and os.getppid() == parent:
        wait = INTERVAL
        if not follower.pending():
            continue
        began = time.monotonic()
        if follower.sync():
            failed_wait = INTERVAL
            wait = max(INTERVAL, (time.monotonic() - began) / SHARE_OF_TIME)
        else:
            wait = failed_wait = min(failed_wait * 2, LONGEST_WAIT)
    return follower.sync()


def _ended(descriptor: int, seconds: float) -> bool:
    """Wait at most `seconds` for the end of a pipe; what is written into it is dropped."""
    deadline = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        if not os.read(descriptor, 4096):
            return True


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.mirror", description=__doc__.split("\n\n")[0] if __doc__ else ""
    )
    parser.add_argument("--study-dir", type=Path, required=True, help="runs/STUDY")
    options = parser.parse_args(arguments)
    parent = os.getppid()
    os.nice(NICENESS)

    from orchestrator.common.errors import MirrorError
    from orchestrator.mirror.store import MLflowStore

    try:
        store = MLflowStore(os.environ["MLFLOW_TRACKING_URI"])
    except MirrorError as problem:
        print(f"mirror: {problem}", file=sys.stderr)
        MirrorStatus(error=str(problem)).save(options.study_dir / PROGRESS_NAME)
        return EXIT_UNREACHABLE
    follower = Follower(options.study_dir, store)
    if follow(follower, sys.stdin.fileno(), parent):
        return 0
    print(
        f"mirror: {follower.status.total - follower.status.written} trials are not in MLflow yet; "
        f"`ablate sync` writes them ({follower.status.error})",
        file=sys.stderr,
    )
    return EXIT_UNREACHABLE


if __name__ == "__main__":
    keep_secrets_out_of_output()
    sys.exit(main())
