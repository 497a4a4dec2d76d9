"""Where the writer of MLflow stands, as it says to the driver in a small file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from results.records.documents import read_document
from trainables.files import write_atomically

PROGRESS_NAME = "log/mirror.json"
VIEW_NAME = "ablate"
"""The view of the runs table that the mirror keeps with each experiment, as a link to it names it."""


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """How far the mirror is."""

    written: int = 0
    """Trials that are in the store."""
    total: int = 0
    """Trials that the ledger had at the last look."""
    error: str | None = None
    """Why the store is behind, in one line; None while all is well."""
    exit_status: int | None = None
    """The process's exit status once it ended: 0 the store has everything, 3 it does not, negative a signal."""

    def save(self, path: Path) -> None:
        """Write the status where `load` finds it; atomic."""
        fields = asdict(self)
        del fields["exit_status"]
        write_atomically(path, json.dumps(fields).encode())

    @classmethod
    def load(cls, path: Path) -> MirrorStatus:
        """Read a status; an empty one where the mirror has not written any."""
        try:
            raw = read_document(path)
            error = raw["error"]
            return cls(int(raw["written"]), int(raw["total"]), None if error is None else str(error))
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return cls()
