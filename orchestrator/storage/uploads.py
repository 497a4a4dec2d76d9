"""Sends what a driver writes into its copy, in the background: a trial never waits for an object store."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.storage.object_store import RemoteError, RemoteFolder
from orchestrator.storage.working_copy import AT_ONCE, LEDGER, files_in
from trainables.files import checkpoint_path

LOOK_SECONDS = 0.5
"""Between two looks at the copy: a record is in the store about so long after it is on the disk."""
QUIET_SECONDS = 10.0
"""Files that are written again and again are sent so often at most; records at once."""
LONGEST_WAIT = 30.0
"""Between two attempts while the store does not answer."""
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, kw_only=True)
class Sending:
    """Where sending stands."""

    pending: int
    """Files that the store lacks."""
    error: str | None = None
    """Why."""


class Sender:
    """Keeps a study in the store as it is in the copy; for the one driver.

    A file of the ledger that was merged into another is deleted there once the other is there. Nothing is deleted that the
    copy never had.

    Args:
        remote: The study's folder in the store.
        folder: The study's folder here, brought up to date.
        there: Size and time of what the store has.
    """

    def __init__(self, remote: RemoteFolder, folder: Path, there: dict[str, tuple[int, int]]) -> None:
        self._remote, self._folder = remote, folder
        local = files_in(folder)
        self._sent = {
            name: about
            for name, about in local.items()
            if name in there and (name.startswith(LEDGER) or there[name] == about) and there[name][0] == about[0]
        }
        self._sent_at: dict[str, float] = {}
        self._over: list[str] = []
        self._state = Sending(pending=0)
        self._stop, self._last = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def status(self) -> Sending:
        """Where it stands, as of the last look."""
        return self._state

    def forget_checkpoint(self, trial_id: str) -> None:
        """Delete a trial's checkpoint in the store, once all is sent that is here now."""
        with self._lock:
            self._over.append(trial_id)

    def finish(self, timeout: float) -> Sending:
        """Send all that is left, for so many seconds at most, and end."""
        self._last.set()
        self._thread.join(timeout)
        self._stop.set()
        self._thread.join()
        return self._state

    def _run(self) -> None:
        wait = LOOK_SECONDS
        while not self._stop.is_set():
            final = self._last.is_set()
            try:
                pending = self._look(everything=final)
                self._state = Sending(pending=pending)
                wait = LOOK_SECONDS
                if final and not pending:
                    return
            except RemoteError as problem:
                self._state = Sending(pending=self._count(), error=str(problem))
                wait = min(2 * wait, LONGEST_WAIT)
            (self._stop if final else self._last).wait(wait)

    def _count(self) -> int:
        return sum(self._sent.get(name) != about for name, about in files_in(self._folder).items())

    def _look(self, *, everything: bool) -> int:
        """One round; returns how many files are still to be sent."""
        with self._lock:
            over, self._over = self._over, []
        try:
            local = files_in(self._folder)
            new = [name for name, about in local.items() if self._sent.get(name) != about]
            now = time.monotonic()
            due = [
                name
                for name in new
                if everything
                or name.startswith(LEDGER)
                or now - self._sent_at.get(name, -QUIET_SECONDS) >= QUIET_SECONDS
            ]
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="send") as pool:  # makes threads as they are wanted
                list(pool.map(lambda name: self._send(name, local[name]), due))
                list(pool.map(self._delete, [name for name in self._sent if name not in local]))
                list(pool.map(self._delete_checkpoint, over))
        except RemoteError:
            with self._lock:
                self._over = over + self._over
            raise
        return len(new) - len(due)

    def _send(self, name: str, about: tuple[int, int]) -> None:
        with suppress(FileNotFoundError):  # merged, or written anew, meanwhile: the next look sees it
            self._remote.send(self._folder / name, name)
            self._sent[name] = about
            self._sent_at[name] = time.monotonic()

    def _delete(self, name: str) -> None:
        self._remote.delete(name)
        del self._sent[name]

    def _delete_checkpoint(self, trial_id: str) -> None:
        self._remote.delete(checkpoint_path(Path(CHECKPOINTS), trial_id).as_posix())
