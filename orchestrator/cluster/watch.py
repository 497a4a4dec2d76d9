"""What becomes of a study whose cluster ends under it: Ray leaves its driver waiting then, or ends it without a word."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from orchestrator.common.errors import MachineFailed

Endpoint = tuple[str, int]
"""Host and port."""

_DAEMONS = ("raylet", "gcs_server")
_SECONDS_BETWEEN_LOOKS = 1.0
_PATIENCE = 10.0
"""Seconds for workers to end by themselves once their raylet is gone."""
_CONNECT_SECONDS = 5.0
_RAYS_OWN_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""After so many seconds without the head, 60 unless set, Ray ends every process that is connected to it."""


class ClusterLost(MachineFailed):
    """Ray ended under a study that was running on it."""


class ClusterWatch(ABC):
    """Looks after a cluster while a study runs on it. Where the cluster ends and the driver does not leave, it ends the driver.

    Calls into a Ray that has lost its head do not even return: so a thread says why, and ends the process.

    Args:
        console: Hears of a loss that ends this process.
    """

    farewell = 20.0
    """Seconds for the driver to leave a cluster that is gone, before it is ended where it stands."""

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._ended = threading.Event()

    def begins(self) -> None:  # noqa: B027
        """The connection is about to be made; nothing to do by default."""

    def began(self) -> None:
        """Watch from now on."""
        threading.Thread(target=self._watch, name="cluster-watch", daemon=True).start()

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()

    @abstractmethod
    def lost(self) -> ClusterLost | None:
        """The loss of the cluster; None while all is well."""

    @abstractmethod
    def look(self) -> None:
        """Find out how the cluster is; called by the watching thread alone."""

    @abstractmethod
    def abandon(self) -> None:
        """End what this process would leave behind; it is about to end itself."""

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):
            self.look()
            lost = self.lost()
            if lost is not None and not self._ended.wait(self.farewell):
                if self._console is not None:
                    self._console.print(Text(str(lost), style="red"), soft_wrap=True)
                self.abandon()
                os._exit(1)


class LocalProcesses(ClusterWatch):
    """The processes of the cluster that this process started; knows none where there is no /proc.

    Where its raylet dies, Ray leaves the driver waiting for good and the workers alive. So the driver looks after them.

    Args:
        console: As above.
        folder: The cluster's own; the processes that Ray starts from here have it in their command lines.
    """

    start_seconds = 240.0
    """For a start, all tries together: where a daemon dies on the way, Ray may wait for good."""

    def __init__(self, console: Console | None, folder: Path) -> None:
        super().__init__(console)
        self._folder = os.fsencode(folder)
        self._up = threading.Event()
        self._began: float | None = None
        self._started: dict[int, str] = {}
        """When each process of the cluster started; a number that another process has taken since is not ours to end."""
        self._daemons: dict[int, str] = {}

    def begins(self) -> None:
        """Watch the start, too."""
        self._began = time.monotonic()
        super().began()

    def began(self) -> None:
        """Look at what Ray has started."""
        self._note_own()
        self._daemons = {
            pid: found.name for pid in self._started if (found := _process(pid)) and found.name in _DAEMONS
        }
        self._up.set()

    def _note_own(self) -> None:
        for pid in _children(os.getpid()) - set(self._started):
            with suppress(OSError):
                if self._folder in Path(f"/proc/{pid}/cmdline").read_bytes() and (found := _process(pid)):
                    self._started[pid] = found.started

    def lost(self) -> ClusterLost | None:
        """The loss of a daemon, or a start without end."""
        if not self._up.is_set():
            if self._began is None or time.monotonic() - self._began < self.start_seconds:
                return None
            return ClusterLost(
                f"Ray did not start on this machine within {self.start_seconds:.0f} s: it is too busy, or something ended Ray's "
                "processes; run again when less is going on"
            )
        name = next((name for pid, name in self._daemons.items() if not self._lives(pid)), None)
        if name is None:
            return None
        return ClusterLost(
            f"Ray's {name} process ended (killed, or out of memory?); what was recorded is safe: run the study again, "
            "and it goes on"
        )

    def look(self) -> None:
        """Note the workers."""
        for daemon in list(self._daemons):
            for pid in _children(daemon):
                if pid not in self._started and (found := _process(pid)):
                    self._started[pid] = found.started

    def abandon(self) -> None:
        """Kill what is left."""
        self._note_own()
        self.look()
        self._kill(0.0)

    def end(self, patience: float = _PATIENCE) -> None:
        """Wait for what is left, then kill it."""
        super().end()
        self._kill(patience)

    def _kill(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while (left := [pid for pid in self._started if self._lives(pid)]) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _lives(self, pid: int) -> bool:
        found = _process(pid)
        return found is not None and found.started == self._started.get(pid)


class Endpoints(ClusterWatch):
    """The ports of somebody's cluster that this process cannot do without: the head's, and those of its own node.

    Args:
        console: As above.
        address: What the user calls the cluster.
        patience: Seconds without an answer after which the cluster counts as lost. A head may come back before that (Ray can
            restart one that keeps its state elsewhere); unless given, most of the time that Ray itself waits. With the driver's
            farewell it is all less than that, for Ray's own end says nothing to the user.
    """

    def __init__(self, console: Console | None, address: str, *, patience: float | None = None) -> None:
        super().__init__(console)
        self._address = address
        self._endpoints: list[tuple[str, Endpoint]] = []
        own = float(os.environ.get(_RAYS_OWN_PATIENCE, "") or 60)
        self.patience = 0.6 * own if patience is None else patience
        self.farewell = 0.2 * own
        self._silent: dict[str, float] = {}

    def knock_at(self, name: str, endpoint: Endpoint) -> None:
        """Watch this endpoint too; `name` is what it is, such as `its head`."""
        self._endpoints.append((name, endpoint))

    def look(self) -> None:
        """Knock at each."""
        for name, endpoint in self._endpoints:
            if answers(endpoint):
                self._silent.pop(name, None)
            else:
                self._silent.setdefault(name, time.monotonic())

    def abandon(self) -> None:
        """Nothing: the cluster is somebody else's."""

    def lost(self) -> ClusterLost | None:
        """The first that has not answered for so long."""
        now = time.monotonic()
        for name, endpoint in self._endpoints:
            if now - self._silent.get(name, now) >= self.patience:
                return ClusterLost(
                    f"the Ray cluster {self._address} is lost: {name} ({endpoint[0]}:{endpoint[1]}) has not answered for "
                    f"{self.patience:.0f} s; what was recorded is safe: run the study again once the cluster is back, and it "
                    "goes on"
                )
        return None


def answers(endpoint: Endpoint, seconds: float = _CONNECT_SECONDS) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection(endpoint, timeout=seconds).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Process:
    name: str
    started: str


def _process(pid: int) -> _Process | None:
    """A process that is alive, and no zombie."""
    try:
        name, rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split("(", 1)[1].rsplit(")", 1)
    except (OSError, IndexError):
        return None
    fields = rest.split()
    return None if fields[0] in "ZX" else _Process(name, fields[19])


def _children(pid: int) -> set[int]:
    """Its direct children, of all its threads."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            found.update(map(int, path.read_text(encoding="ascii").split()))
    return found


_watched: ClusterWatch | None = None


def lost_cluster() -> ClusterLost | None:
    """Why the cluster that this process connected to cannot go on; None while it can, and where none is watched."""
    return None if _watched is None else _watched.lost()


@contextmanager
def watched(watch: ClusterWatch, connect: Callable[[], None], disconnect: Callable[[], None]) -> Iterator[None]:
    """Connect, and watch the cluster for the length of the block."""
    global _watched
    _watched = watch
    try:
        watch.begins()
        connect()
        watch.began()
        yield
    finally:
        disconnect()
        _watched = None
        watch.end()
