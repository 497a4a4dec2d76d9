"""What Ray Tune's controller must be told about processes and trials, and has no public setting for.

Everything private to Tune that the orchestrator touches is here, and `tests/integration/test_tune_adapters.py` holds it against the
Ray that is installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MOST_AT_ONCE = 200
"""Processes that are asked for side by side, as Tune's own searchers do."""
_KEPT_FOR_A_RESTORE = ("_stopped_trials", "_failed_trials", "_trials_to_cache")
"""Sets of trials in Tune's controller."""


@contextmanager
def session_folder(folder: Path) -> Iterator[None]:
    """Give Tune a folder for its own files where this process is connected by Ray Client, and so has no node to ask for one."""
    from ray._private import worker

    if worker._global_node is not None:
        yield
        return
    worker._global_node = SimpleNamespace(get_session_dir_path=lambda: str(folder))
    try:
        yield
    finally:
        worker._global_node = None


@contextmanager
def no_secrets() -> Iterator[None]:
    """Keep Tune from copying AWS_* from this environment into its trials' runtime environment, which Ray writes to its logs.

    Trials have them from where they run: a local cluster's processes inherit this environment, those of another one have their own.
    """
    from ray.tune.execution import class_cache

    names = {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(names)
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE.update(names)


class Controller:
    """A hold on Tune's controller, which it hands to its scheduler.

    By itself, Tune with a searcher

    - starts one process after another, each only when the one before it is up;
    - gives a trial whose process is starting to one that becomes free, and kills the one that starts: trials that are shorter than
      the start of a process are all run by a single one, and each pays for a start that is given up;
    - ends all but one of the processes that wait while a generation comes to its end, and starts them again after it.

    Here the processes that fit are started side by side, a start is seen through, and processes are kept until the study ends, or
    for `idle_seconds` where nodes cost something while they wait.

    Args:
        controller: What Tune hands to its scheduler.
        processes: How many there shall be, now.
        idle_seconds: For how long a process may wait for its next trial; None for as long as the study goes on.
    """

    def __init__(self, controller: Any, processes: Callable[[], int], idle_seconds: float | None = None) -> None:
        self._tune = getattr(controller, "_tune_controller", controller)
        self._processes = processes
        self._idle_seconds = idle_seconds
        self._idle_since: dict[Any, float] = {}
        self._kept: dict[Any, int] = {}
        self._reuse = self._tune._maybe_reuse_cached_actor
        self._tune._maybe_reuse_cached_actor = self._reuse_unless_starting

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its controller for a restore of its own, and this hold with it."""
        return {}

    def ask_for_processes(self) -> None:
        """Let Tune ask for as many trials as processes are still to be started, and for one at least."""
        missing = self._processes() - len(self._tune._started_actors)
        self._tune.update_max_pending_trials(min(max(missing, 1), MOST_AT_ONCE))

    def keep_processes(self, resources: Any) -> None:
        """Keep as many idle processes with these resources as fit."""
        kept, wanted = self._kept.get(resources, 0), self._processes()
        if wanted > kept:
            self._kept[resources] = wanted
            self._tune._actor_cache.increase_max(resources, wanted - kept)

    def give_way(self) -> None:
        """End idle processes whose resources trials of another kind wait for: Tune would let them stand in the way for good."""
        cache = self._tune._actor_cache
        waiting = {kind for kind, trials in self._tune._resources_to_pending_trials.items() if trials}
        blocked = [kind for kind in waiting if not cache.has_cached_object(kind)]
        for kind in [k for k in list(cache._cached_objects) if blocked and k not in waiting]:
            self._end_idle(kind)

    def let_idle_nodes_go(self) -> None:
        """End processes that have waited for long, where an autoscaler may then take their nodes away."""
        if self._idle_seconds is None:
            return
        for kind, idle in self._tune._actor_cache._cached_objects.items():
            if not idle:
                self._idle_since.pop(kind, None)
            elif time.monotonic() - self._idle_since.setdefault(kind, time.monotonic()) >= self._idle_seconds:
                self._end_idle(kind)

    def _end_idle(self, kind: Any) -> None:
        while (process := self._tune._actor_cache.pop_cached_object(kind)) is not None:
            process.set_on_stop(None)
            process.set_on_error(None)
            self._tune._remove_actor(tracked_actor=process)

    def drop_idle_processes(self) -> None:
        """End those that wait for a trial: where one died, others of its node may have, and only a trial would find out."""
        self._tune._cleanup_cached_actors(force_all=True)

    def forget_ended_trials(self) -> None:
        """Let go of trials that ended. Tune keeps each, with its last result, for a restore that studies never make."""
        trials = self._tune.get_trials()
        ended = {t for t in trials if t.is_finished()}
        trials[:] = [t for t in trials if t not in ended]
        for name in _KEPT_FOR_A_RESTORE:
            getattr(self._tune, name).difference_update(ended)

    def kept_for_a_restore(self) -> int:
        """The most trials in any of Tune's own lists."""
        return max(len(self._tune.get_trials()), *(len(getattr(self._tune, name)) for name in _KEPT_FOR_A_RESTORE))

    def _reuse_unless_starting(self, trial: Any) -> bool:
        own = self._tune._trial_to_actor.get(trial)
        starting = own in self._tune._actor_manager.live_actors and own not in self._tune._started_actors
        return False if starting else bool(self._reuse(trial))
