"""The folder of synthetic pools as tasks on any node see it: shared by the file system, or through the object store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from orchestrator.common.folders import StudyFolders
from orchestrator.storage.object_store import RemoteError, RemoteFolder
from orchestrator.storage.working_copy import bring_files, files_in, origin_of, runs_folder

POOLS = "cache/synthetic"
"""Below the folder of all studies, here and in the store."""


@dataclass(frozen=True)
class PoolCache:
    """Where pools are, for a task that is sent to another node.

    Args:
        folder: On this machine, and on every node where there is no origin.
        origin: Address of the folder of all studies in an object store; None where nodes share the file system.
    """

    folder: Path
    origin: str | None = None

    @classmethod
    def of(cls, folders: StudyFolders) -> Self:
        """That of a study."""
        origin = origin_of(folders.runs)
        return cls(folders.pools.resolve(), None if origin is None else origin.uri)

    @property
    def remote(self) -> RemoteFolder | None:
        """Where it is in the store."""
        return None if self.origin is None else RemoteFolder(self.origin) / POOLS

    def bring(self, names: Iterable[str]) -> None:
        """Have those files here that the store has. Raises RemoteError."""
        if self.remote is not None:
            bring_files(self.remote, self.folder, names)

    @contextmanager
    def opened(self, names: Iterable[str] = ()) -> Iterator[Path]:
        """In a task: the folder on this node, with those files in it that the store has; what is new in it is sent at the end.

        Where the store does not answer the files are made anew, to the same bits. Raises RemoteError where what was made
        could not be sent.
        """
        if self.origin is None or self.remote is None:
            yield self.folder
            return
        folder = runs_folder(self.origin) / POOLS
        here = PoolCache(folder, self.origin)
        with suppress(RemoteError):
            here.bring(names)
        before = files_in(folder)
        yield folder
        there = self.remote.files()
        for name, about in files_in(folder).items():
            if before.get(name) != about and there.get(name, (None, 0))[0] != about[0]:
                self.remote.send(folder / name, name)
