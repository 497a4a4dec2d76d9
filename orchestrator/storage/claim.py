"""One driver per study, also where drivers on several machines have nothing but an object store in common.

A driver writes a claim below `claims/`, looks at the others, and goes only when it is alone. Both of two drivers that
come at once write before they look, so each sees the other; the smaller name goes first. A claim is rewritten while its
driver lives, and the store's own clock tells one that stands still: drivers' clocks may differ. It wants a store whose
listings show what was written before, as those of S3, Google and Azure do.
"""

from __future__ import annotations

import _thread
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

from orchestrator.storage.lock import Holder, busy, this_process
from orchestrator.storage.object_store import RemoteError, RemoteFolder
from orchestrator.storage.working_copy import CLAIMS

BEAT_SECONDS = 15.0
DEAD_SECONDS = 60.0
"""A claim that was not rewritten for so long is a dead driver's."""
LOOK_SECONDS = 2.0


@contextmanager
def claimed(study: RemoteFolder, notify: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Be the only driver of a study.

    Args:
        study: Its folder in the store.
        notify: Called with a sentence before a wait for a claim that may be a dead driver's.

    Raises StudyBusy where another driver holds it, and RemoteError. Where another driver took over because this process had stood
    still for too long, the main thread is interrupted as by Ctrl-C, and StudyBusy is raised at the end.
    """
    claim = _Claim(study)
    try:
        claim.wait_alone(notify)
        claim.start()
        yield
    finally:
        claim.end()
    if claim.lost:
        raise busy(str(study), None)


class _Claim:
    def __init__(self, study: RemoteFolder) -> None:
        self._study = study
        self._name = f"{CLAIMS}{secrets.token_hex(8)}.json"
        self._me = this_process()
        self._beats = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = False

    def _write(self, *, held: bool) -> None:
        self._beats += 1
        about = {**asdict(self._me), "beat": self._beats, "held": held}
        self._study.write(self._name, json.dumps(about).encode())

    def wait_alone(self, notify: Callable[[str], None]) -> None:
        """Return when no other driver has a living claim. Raises StudyBusy."""
        seen: dict[str, int] = {}
        while True:
            self._write(held=False)
            there = self._study.files(CLAIMS)
            now = there.get(self._name, (0, 0))[1]
            others = {name: changed for name, (_, changed) in there.items() if name != self._name}
            for name, changed in list(others.items()):
                holder, held = self._read(name)
                if (holder is not None and holder.gone) or now - changed > DEAD_SECONDS * 1e9:
                    self._study.delete(name)
                    del others[name]
                    continue
                alive = (holder is not None and holder.here) or seen.get(name, changed) != changed
                if alive if held else name < self._name:  # of two that came at once the smaller name goes first
                    raise busy(str(self._study), holder)
            if not others:
                self._write(held=True)
                return
            if not seen:
                notify(
                    f"another driver has started {self._study} and may be dead: watching its claim for up to "
                    f"{DEAD_SECONDS:.0f} seconds …"
                )
            seen = {**others, **seen}
            time.sleep(LOOK_SECONDS)

    def _read(self, name: str) -> tuple[Holder | None, bool]:
        try:
            about = json.loads(self._study.read(name))
            held = bool(about.pop("held"))
            return Holder.read(about), held
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None, True

    def start(self) -> None:
        """Keep the claim alive from now on."""
        self._thread = threading.Thread(target=self._beat, name="study-claim", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(RemoteError):  # a store that is away for a moment: the next beat comes soon
                if self._name not in self._study.files(CLAIMS):
                    self.lost = True
                    _thread.interrupt_main()
                    return
                self._write(held=True)

    def end(self) -> None:
        """Let the next driver have the study."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        with suppress(RemoteError):  # then the next driver sees that it stands still
            self._study.delete(self._name)
