"""A Ray cluster to run on: one that is there, or a local one that ends with the driver."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.errors import AblateError
from orchestrator.sections import ResourcesSpec

_ENVIRONMENT = {
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
}

_DAEMONS = ("raylet", "gcs_server")
_SECONDS_BETWEEN_LOOKS = 1.0
_PATIENCE = 10.0
"""Seconds for workers to end by themselves once their raylet is gone."""
_LONGEST_FAREWELL = 20.0
"""Seconds for the driver to leave a cluster that is gone, before it is ended where it stands."""


class ClusterLost(AblateError):
    """Ray ended under a study that was running on it."""


class _LocalProcesses:
    """The processes of the cluster that this process started; knows none where there is no /proc.

    Where its raylet dies, Ray leaves the driver waiting for good and the workers alive. So the driver looks after them. Without a
    gcs_server, calls into Ray do not even return: then a thread says why, and ends the process.
    """

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._ended = threading.Event()
        self._before = _children(os.getpid())
        self._started: dict[int, str] = {}
        """When each process of the cluster started; a number that another process has taken since is not ours to end."""
        self._daemons: dict[int, str] = {}

    def began(self) -> None:
        """Look at what Ray has started, and watch it from now on."""
        mine = _children(os.getpid()) - self._before
        self._daemons = {pid: found.name for pid in mine if (found := _process(pid)) and found.name in _DAEMONS}
        self._started = {pid: found.started for pid in mine if (found := _process(pid))}
        threading.Thread(target=self._watch, name="cluster-watch", daemon=True).start()

    def lost(self) -> ClusterLost | None:
        """The loss of a daemon; None while all is well."""
        name = next((name for pid, name in self._daemons.items() if not self._lives(pid)), None)
        if name is None:
            return None
        return ClusterLost(
            f"Ray's {name} process ended (killed, or out of memory?); what was recorded is safe: run the study again, "
            "and it goes on"
        )

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):
            for daemon in self._daemons:
                for pid in _children(daemon):
                    if pid not in self._started and (found := _process(pid)):
                        self._started[pid] = found.started
            lost = self.lost()
            if lost is not None and not self._ended.wait(_LONGEST_FAREWELL):
                if self._console is not None:
                    self._console.print(Text(str(lost), style="red"), soft_wrap=True)
                self.end(patience=0.0)
                os._exit(1)

    def end(self, patience: float = _PATIENCE) -> None:
        """Wait for what is left, then kill it."""
        self._ended.set()
        deadline = time.monotonic() + patience
        while (left := [pid for pid in self._started if self._lives(pid)]) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _lives(self, pid: int) -> bool:
        found = _process(pid)
        return found is not None and found.started == self._started.get(pid)


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


_local: _LocalProcesses | None = None


def lost_cluster() -> ClusterLost | None:
    """Why the cluster that this process started cannot go on; None while it can, and for a cluster that was there before."""
    return None if _local is None else _local.lost()


@contextmanager
def cluster(
    address: str | None = None,
    *,
    console: Console | None = None,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
) -> Iterator[Any]:
    """Connect to `address`, or start a cluster of this machine on loopback; yields the ray module.

    `console` hears of a loss of the cluster that ends this process.

    A cluster that this call started is shut down at the end; one that was there (also one that this process is already
    connected to) is left alone.
    """
    os.environ.update({k: os.environ.get(k, v) for k, v in _ENVIRONMENT.items()})
    import ray

    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "configure_logging": False}
    if address is None:
        options |= {"num_cpus": num_cpus, "num_gpus": num_gpus, "include_dashboard": False}
        options["_node_ip_address"] = "127.0.0.1"
        os.environ.pop("RAY_ADDRESS", None)
    if address is not None:
        ray.init(address=address, **options)
        try:
            yield ray
        finally:
            ray.shutdown()
        return
    global _local
    _local = processes = _LocalProcesses(console)
    try:
        ray.init(address="local", **options)
        processes.began()
        yield ray
    finally:
        ray.shutdown()
        _local = None
        processes.end()


def gpus_per_trial(resources: ResourcesSpec, available: float) -> float:
    """GPUs of one trial: what the study says, or one where the cluster has any."""
    if resources.gpus == "auto":
        return 1.0 if available >= 1 else 0.0
    return float(resources.gpus)


def concurrent_trials(resources: ResourcesSpec, total: dict[str, float]) -> int:
    """How many trials the cluster runs at once, at least 0 where one does not fit."""
    fits = int(total.get("CPU", 0) // resources.cpus)
    gpus = gpus_per_trial(resources, total.get("GPU", 0))
    if gpus:
        fits = min(fits, int(total.get("GPU", 0) / gpus + 1e-9))
    return fits if resources.actors is None else min(fits, resources.actors)
