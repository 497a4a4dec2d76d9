"""Where a run keeps its study: a folder that all nodes share, or an object store of which this machine has a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.common.folders import StudyFolders
from orchestrator.storage.claim import claimed
from orchestrator.storage.lock import study_lock
from orchestrator.storage.object_store import RemoteFolder
from orchestrator.storage.pool_cache import PoolCache
from orchestrator.storage.uploads import CHECKPOINTS, Sender, Sending
from orchestrator.storage.working_copy import STAYS_THERE, bring, origin_of
from trainables.data.pools import pool_path
from trainables.data.seed_block import block_pools
from trainables.files import checkpoint_path
from trainables.specs import DataSpec, TrialSpec

LAST_SECONDS = 300.0
"""For what is left to be sent when a run ends."""
INTERRUPTED_SECONDS = 10.0


class Storage:
    """A folder on a file system.

    Args:
        folders: The study's.
    """

    def __init__(self, folders: StudyFolders) -> None:
        self.folders = folders
        self.pools = PoolCache.of(folders)

    @property
    def place(self) -> str:
        """Where nodes find the study: an absolute path, or an address."""
        return str(self.folders.study.resolve())

    def places(self, spec: TrialSpec) -> Mapping[str, Any]:
        """What a trial's configuration says of where its files are."""
        return {
            "cache": str(self.folders.pools.resolve()),
            "checkpoints": str(self.folders.checkpoints.resolve()),
        }

    def has_checkpoint(self, trial_id: str, *, reported: bool) -> bool:
        """Whether a trial in motion has one; that it has `reported` says as much where looking takes long."""
        return checkpoint_path(self.folders.checkpoints, trial_id).exists()

    def forget_checkpoint(self, trial_id: str) -> None:
        """Delete the checkpoint of a trial that has its record."""
        checkpoint_path(self.folders.checkpoints, trial_id).unlink(missing_ok=True)

    def clear_checkpoints(self) -> None:
        """Delete what trials of a study that is done left for each other."""
        for path in self.folders.checkpoints.glob("*.pt"):
            path.unlink(missing_ok=True)

    def bring_pools(self, names: list[str]) -> None:
        """Have those synthetic pools here that were made before."""
        self.pools.bring(names)

    def status(self) -> Sending:
        """What is still on its way to where the study is kept."""
        return Sending(pending=0)

    def finish(self, *, interrupted: bool) -> Sending:
        """Wait for that, not for long where the user is waiting."""
        return Sending(pending=0)


class RemoteStorage(Storage):
    """An object store; the driver's own files are in this machine's copy and are sent in the background.

    Args:
        folders: The study's, in the copy.
        origin: The folder of all studies in the store.
    """

    def __init__(self, folders: StudyFolders, origin: RemoteFolder) -> None:
        super().__init__(folders)
        self._origin = origin
        self._study = origin / folders.name
        there = {n: about for n, about in self._study.files().items() if not n.startswith(f"{CHECKPOINTS}/")}
        bring(self._study, folders.study, there, without=STAYS_THERE)
        self._sender = Sender(self._study, folders.study, there)
        self._sender.start()

    @property
    def place(self) -> str:
        """Where nodes find the study."""
        return self._study.uri

    def places(self, spec: TrialSpec) -> Mapping[str, Any]:
        """What a trial's configuration says of where its files are."""
        return {
            "origin": self._origin.uri,
            "checkpoints": (self._study / CHECKPOINTS).uri,
            "pools": pool_names(spec.data, spec.seed),
        }

    def has_checkpoint(self, trial_id: str, *, reported: bool) -> bool:
        """Whether a trial in motion has one, as far as is known here: nodes write them to the store."""
        return reported

    def forget_checkpoint(self, trial_id: str) -> None:
        """Delete the checkpoint of a trial, once its record is in the store."""
        self._sender.forget_checkpoint(trial_id)

    def clear_checkpoints(self) -> None:
        """Delete what trials of a study that is done left for each other."""
        for name in self._study.files(CHECKPOINTS):
            self._study.delete(name)

    def status(self) -> Sending:
        """What is still on its way to the store."""
        return self._sender.status()

    def finish(self, *, interrupted: bool = True) -> Sending:
        """Send what is left; also called where the run failed."""
        return self._sender.finish(INTERRUPTED_SECONDS if interrupted else LAST_SECONDS)


@contextmanager
def open_storage(folders: StudyFolders, notify: Callable[[str], None]) -> Iterator[Storage]:
    """The storage of a study, for its one driver; in an object store, what is there was brought here.

    Args:
        folders: The study's.
        notify: Told of waits and of what could not be sent.

    Raises StudyBusy and RemoteError.
    """
    origin = origin_of(folders.runs)
    with study_lock(folders.lock, notify):
        if origin is None:
            yield Storage(folders)
            return
        origin.check()
        with claimed(origin / folders.name, notify):
            storage = RemoteStorage(folders, origin)
            try:
                yield storage
            finally:
                storage.finish()


@lru_cache(maxsize=4096)
def pool_names(data: DataSpec, seed: int) -> list[str]:
    """The files that a seed block's synthetic images are in."""
    return [pool_path(Path(), pool).name for pool in block_pools(data, seed)]
