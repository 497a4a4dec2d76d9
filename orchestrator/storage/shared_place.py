"""Whether other machines share a study's place with this one: a question is left there, and each answers beside it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.common.errors import AblateError
from orchestrator.storage.object_store import RemoteFolder, is_remote
from orchestrator.storage.working_copy import copies_folder
from trainables.files import TEMPORARY_PREFIX


@dataclass(frozen=True)
class Meeting:
    """One question and its answers; travels to other machines.

    Args:
        place: A folder's absolute path, or its address in an object store.
        token: Tells this meeting's files from others'.
    """

    place: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def _start(self) -> str:
        """Of all its files' names; in a store they lie in a folder of their own, which is quickly listed."""
        return f"{TEMPORARY_PREFIX}meeting-{self.token}{'/' if is_remote(self.place) else '-'}"

    @property
    def _question(self) -> str:
        return f"{self._start}asked"

    def _answer(self, who: str) -> str:
        return f"{self._start}answered-{who[:12]}"

    def ask(self) -> None:
        """Leave the question."""
        if is_remote(self.place):
            RemoteFolder(self.place).write(self._question, b"who is there?")
            return
        Path(self.place).mkdir(parents=True, exist_ok=True)
        (Path(self.place) / self._question).touch()

    def answer(self, who: str) -> tuple[bool, str]:
        """Elsewhere: whether the question is seen, and why no answer can be left, or nothing."""
        try:
            if is_remote(self.place):
                RemoteFolder(self.place).read(self._question)
                RemoteFolder(self.place).write(self._answer(who), b"here")
                copies_folder().mkdir(parents=True, exist_ok=True)
                return True, ""
            if not (Path(self.place) / self._question).is_file():
                return False, ""
            (Path(self.place) / self._answer(who)).touch()
        except FileNotFoundError:
            return False, ""
        except (OSError, AblateError) as problem:
            return True, getattr(problem, "strerror", None) or str(problem)
        return True, ""

    def heard(self, who: str) -> bool:
        """Whether that answer is here."""
        if is_remote(self.place):
            return self._answer(who) in RemoteFolder(self.place).files(self._start)
        return (Path(self.place) / self._answer(who)).exists()

    def end(self) -> None:
        """Take question and answers away."""
        if is_remote(self.place):
            remote = RemoteFolder(self.place)
            for name in remote.files(self._start):
                remote.delete(name)
            return
        for path in Path(self.place).glob(f"{self._start}*"):
            path.unlink(missing_ok=True)
