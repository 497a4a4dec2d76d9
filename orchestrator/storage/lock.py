"""One driver per study: a lock that goes with its process, however that ends, also where hosts share a file system.

On one host `flock` decides, and the kernel lets go of it with the process. Network file systems may keep a `flock` to
the host that took it, so each driver also takes a *turn*: it creates `run.lock.N`, one more than the newest there is,
which only one can. The file says who holds the turn, and a thread counts a heartbeat in it. A turn is over when it says
so, when its process is gone from this host, or when its heartbeat stands still. What is watched is whether the count
moves: clocks differ between hosts and can be set back. The newest turn's file is never deleted, so that no number comes twice.
"""

from __future__ import annotations

import _thread
import errno
import fcntl
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.common.errors import StudyBusy
from trainables.files import NotOrdinary, file_system_age, open_ordinary, read_ordinary
from trainables.processes import lives, machine, process_start

BEAT_SECONDS = 5.0
DEAD_SECONDS = 60.0
"""A heartbeat that stood still for so long is a dead driver's."""
_WATCHED_BEATS = 3
"""So many beats are awaited in any case, also where the file's age says that the driver died long ago."""
_CONTENT_BYTES = 1024  # fixed, so that one write replaces all of it


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a turn."""

    host: str
    machine: str
    """Where process numbers mean the same: one boot of one kernel, and one container there."""
    process: int
    process_start: str
    """In clock ticks after the boot; tells a process from a later one with the same number."""
    since: str
    beat: int = 0
    released: bool = False

    def encoded(self) -> bytes:
        """As it stands in the file, always of the same length."""
        return json.dumps(asdict(self)).encode().ljust(_CONTENT_BYTES)

    @classmethod
    def read(cls, about: dict[str, Any]) -> Holder:
        """From what a file or an object store says. Raises TypeError or ValueError where it does not fit."""
        holder = cls(**about)
        kinds = {"process": int, "beat": int, "released": bool}
        wrong = [name for name, value in asdict(holder).items() if type(value) is not kinds.get(name, str)]
        if wrong or not 0 < holder.process < 2**31:
            raise ValueError(f"{', '.join(wrong) or 'process'}: not what a driver writes")
        return holder

    @property
    def gone(self) -> bool:
        """Whether it surely ended: it said so, or its process is not on this machine any more."""
        return self.released or (self.machine == machine() and not lives(self.process, self.process_start))

    @property
    def here(self) -> bool:
        """Whether its process is alive on this machine."""
        return self.machine == machine() and not self.gone


@contextmanager
def study_lock(path: Path, notify: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the lock `path`.

    Args:
        path: `runs/STUDY/run.lock`; turns stand beside it.
        notify: Called with a sentence before a wait of up to a minute for another host's heartbeat.

    Raises StudyBusy, naming host, process and since when, where another driver holds it. Where another driver took over
    because this process had stood still for too long (a suspended machine), the main thread is interrupted as by Ctrl-C, and
    StudyBusy is raised at the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as handle:
        if not _flock(handle):
            raise _busy(path, _read(_newest(path)[1]))
        turn = _Turn(_take_turn(path, notify), path)
        try:
            yield
        finally:
            turn.end()
        if turn.lost:
            raise _busy(path, _read(_newest(path)[1]))


def is_held(path: Path) -> bool:
    """Whether a driver on this host holds the lock `path`."""
    try:
        with open_ordinary(path) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except NotOrdinary:
        return False
    except OSError as problem:
        return problem.errno in (errno.EWOULDBLOCK, errno.EACCES)
    return False


def this_process() -> Holder:
    """As which this process holds a turn."""
    return Holder(
        host=platform.node(),
        machine=machine(),
        process=os.getpid(),
        process_start=process_start(os.getpid()),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _flock(handle: Any) -> bool:
    """Whether this is the host's only driver; True where the file system has no such locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        return problem.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
    return True


def _take_turn(path: Path, notify: Callable[[str], None]) -> Path:
    while True:
        number, newest = _newest(path)
        if number:
            holder = _read(newest)
            if holder is not None and holder.here:
                raise _busy(path, holder)
            if (holder is None or not holder.gone) and not _stands_still(newest, holder, notify):
                raise _busy(path, _read(newest))
        mine = path.with_name(f"{path.name}.{number + 1}")
        me = this_process()
        try:
            with mine.open("xb") as file:
                file.write(me.encoded())
        except FileExistsError:
            continue  # another driver was quicker
        turns = _turns(path)
        if max(turns) != number + 1:  # this process stood still between looking and taking, and the number is long over
            mine.unlink(missing_ok=True)
            continue
        for other, file_of_other in turns.items():
            if other < number:  # not the last one, which another driver may be looking at
                file_of_other.unlink(missing_ok=True)
        return mine


class _Turn:
    """A turn that is held: beats until it ends."""

    def __init__(self, file: Path, path: Path) -> None:
        holder = _read(file)
        if holder is None:
            raise OSError(errno.EIO, "the lock was not read back as it was written", str(file))
        self.lost = False
        self._holder = holder
        self._path = path
        self._number = int(file.suffix[1:])
        self._handle = os.open(file, os.O_WRONLY)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="study-lock", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        beat = 0
        while not self._ended.wait(BEAT_SECONDS):
            beat += 1
            with suppress(OSError):  # a server that is away for a moment: the next beat comes soon
                self._write(beat=beat)
                if max(_turns(self._path), default=0) > self._number:
                    self.lost = True
                    _thread.interrupt_main()
                    return

    def _write(self, **changes: Any) -> None:
        os.pwrite(self._handle, Holder(**{**asdict(self._holder), **changes}).encoded(), 0)
        os.fsync(self._handle)

    def end(self) -> None:
        """Let the next driver have its turn."""
        self._ended.set()
        self._thread.join()
        with suppress(OSError):  # then the next driver sees that the process is gone, or that the heart stopped
            self._write(released=True)
        os.close(self._handle)


def _stands_still(file: Path, holder: Holder | None, notify: Callable[[str], None]) -> bool:
    """Whether a turn of another host is over: its file did not change while it was watched."""
    first = _content(file)
    long_dead = _age(file) > DEAD_SECONDS
    patience = min(DEAD_SECONDS, _WATCHED_BEATS * BEAT_SECONDS) if long_dead else DEAD_SECONDS
    notify(
        f"{_name(holder)} had started this study and may be dead: watching its heartbeat for up to {patience:.0f} seconds …"
    )
    began = time.monotonic()
    while time.monotonic() - began < patience:
        time.sleep(BEAT_SECONDS / 10)
        now = _content(file)
        if now != first:
            changed = _read(file)
            return changed is not None and changed.gone
    return True


def _age(file: Path) -> float:
    """Seconds since the file changed, by the clock of its file system."""
    try:
        return file_system_age(file)
    except FileNotFoundError:
        return 0.0


def _turns(path: Path) -> dict[int, Path]:
    found = path.parent.glob(f"{path.name}.*")
    return {int(p.suffix[1:]): p for p in found if p.suffix[1:].isdigit()}


def _newest(path: Path) -> tuple[int, Path]:
    turns = _turns(path)
    number = max(turns, default=0)
    return number, turns.get(number, path)


def _content(file: Path) -> bytes:
    with suppress(FileNotFoundError, NotOrdinary):
        return read_ordinary(file)
    return b""


def _read(file: Path) -> Holder | None:
    """The holder; None where the file does not say, because it is being written or is damaged."""
    try:
        return Holder.read(json.loads(_content(file)))
    except (ValueError, TypeError, RecursionError):
        return None


def busy(place: str, holder: Holder | None) -> StudyBusy:
    """What to raise where `holder` runs the study in `place`."""
    since = "" if holder is None else f" since {holder.since}"
    return StudyBusy(f"{place}: {_name(holder)} is running this study{since}; wait for it, or stop it and run again")


def _busy(path: Path, holder: Holder | None) -> StudyBusy:
    return busy(str(path.parent), holder)


def _name(holder: Holder | None) -> str:
    return "another process" if holder is None else f"process {holder.process} on {holder.host}"
