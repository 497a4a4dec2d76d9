"""Keeps secrets out of studies: what a study says goes to the ledger, to MLflow and into the report."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from orchestrator.common.errors import Problem

SHORTEST = 8
"""Shorter values of variables are too likely to stand in a text by chance."""
_SECRET_NAMES = re.compile(r"SECRET|TOKEN|PASSW|ACCESS_KEY|API_KEY|CREDENTIAL", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"://[^\s/:@'\"]*:[^\s/@'\"]+@")


def secrets_in(texts: Iterable[tuple[str, str]], environment: Mapping[str, str] = os.environ) -> list[Problem]:
    """A problem for each line that has a secret of the environment in it, or an address with a password; none shows it.

    Args:
        texts: What to search, each after the name that the user knows it by.
        environment: Variables; those whose names speak of secrets are looked for.
    """
    secrets = {v: name for name, v in environment.items() if _SECRET_NAMES.search(name) and len(v.strip()) >= SHORTEST}
    found = []
    for name, text in texts:
        lines = text.splitlines()
        for number, line in enumerate(lines, start=1):
            what = [f"the value of {variable}" for value, variable in secrets.items() if value.strip() in line]
            what += ["an address with a password"] if _IN_ADDRESS.search(line) else []
            place = number if len(lines) > 1 else None
            found += [
                Problem(
                    name,
                    place,
                    "",
                    f"{w} stands here, and all that a study says goes into records and reports; remove it",
                )
                for w in what
            ]
    return found
