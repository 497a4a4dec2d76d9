"""Settings of every test: Hypothesis judges results, never how long a busy machine took; no test leaves algorithms behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from trainables.algorithms import ALGORITHMS, registry

settings.register_profile("ablate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ablate")


@pytest.fixture(autouse=True)
def algorithms_of_users_end_with_the_test() -> Iterator[None]:
    """A study file's own algorithm is known to this process from then on; the next test must not meet it."""
    path, algorithms, modules = list(sys.path), dict(ALGORITHMS), set(registry._files)
    yield
    sys.path[:] = path
    for name in set(registry._files) - modules:
        registry._drop(name)
    ALGORITHMS.clear()
    ALGORITHMS.update(algorithms)
