"""Suggestions of an asynchronous search that were handed out and have no record yet, kept so that a killed run goes on with them.

A search in generations needs no such notes: it makes the same suggestions again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.engine.slots import Slot
from results.records.documents import read_document
from trainables.files import write_atomically

Open = tuple[int, Mapping[str, Any]]
"""A suggestion's number and values."""


class OpenTrials:
    """Notes in one folder, a file for each trial in motion.

    Args:
        folder: `runs/STUDY/open`; made at the first note.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def note(self, slot: Slot) -> None:
        """Keep a slot that is about to run, if its search is asynchronous."""
        if slot.phase == "tune" and slot.spec.search == slot.cell.search_id and not slot.cell.generation:
            note = {"search": slot.cell.search_id, "number": slot.number, "suggested": dict(slot.suggested)}
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path(slot.spec.trial_id), json.dumps(note).encode())

    def forget(self, trial_id: str) -> None:
        """Drop the note of a trial that has its record."""
        self._path(trial_id).unlink(missing_ok=True)

    def by_search(self) -> Mapping[str, Sequence[Open]]:
        """What was open when the last run ended, by search, in the order of numbers; damaged notes are dropped."""
        found: dict[str, list[Open]] = defaultdict(list)
        for path in sorted(self.folder.glob("*.json")):
            if path.is_dir() and not path.is_symlink():
                continue  # nobody's note
            try:
                note = read_document(path)
                found[str(note["search"])].append((int(note["number"]), dict(note["suggested"])))
            except (ValueError, KeyError, TypeError, OverflowError):
                path.unlink(missing_ok=True)
        return {search: sorted(notes, key=lambda n: n[0]) for search, notes in found.items()}

    def _path(self, trial_id: str) -> Path:
        return self.folder / f"{trial_id}.json"
