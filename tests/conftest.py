"""Settings of every test: Hypothesis judges results, never how long a busy machine took; no test leaves algorithms behind."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from orchestrator.storage.object_store import RemoteFolder
from tests.object_store import BUCKET, S3
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


_number = itertools.count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """An object store for all tests of this process."""
    server = S3()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3]:
    """The store, as this process finds it; this machine's copies are in the test's own folder."""
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))
    yield s3_server
    s3_server.start()


@pytest.fixture
def remote(s3: S3) -> RemoteFolder:
    """An empty folder in the store."""
    return RemoteFolder(f"s3://{BUCKET}/test-{next(_number)}")
