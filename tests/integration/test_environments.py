"""Commands on machines that are set up unusually; `benchmarks/environments.py` tries all pairs."""

from __future__ import annotations

import pytest

from tests.environments import CASES, COMMANDS, Environments
from tests.hostile_commands import Commands
from tests.unit.test_hostile_folders import watch


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    shared = tmp_path_factory.mktemp("shared")
    return Environments(tmp_path_factory.mktemp("cases"), Commands(shared, watch))


QUICK = [name for name in COMMANDS if name not in ("sync", "run", "doctor")]


@pytest.mark.parametrize(
    ("case", "command"),
    [(case, QUICK[place % len(QUICK)]) for place, case in enumerate(CASES) if case != "as usual"]
    + [("files that shadow modules", name) for name in ("run", "sync", "doctor")],
)
def test_a_command_answers_as_usual_or_says_what_it_cannot_do(
    case: str, command: str, environments: Environments
) -> None:
    environments.judge(case, command)
