from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from orchestrator.cluster.connection import CLIENT_ATTEMPTS, ClusterUnreachable, _joined, cluster, endpoint_of
from orchestrator.cluster.watch import Endpoint, Endpoints, answers


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def free_endpoint() -> Endpoint:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return "127.0.0.1", listening.getsockname()[1]


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("auto", None),
        ("10.0.0.1:6379", ("10.0.0.1", 6379)),
        ("head.cluster:6379", ("head.cluster", 6379)),
        ("[fd00::1]:6379", ("fd00::1", 6379)),
        ("ray://head:10001", ("head", 10001)),
        ("ray://head", ("head", 10001)),
        ("ray://127.0.0.1:10001", ("127.0.0.1", 10001)),
        ("10.0.0.1", None),
    ],
)
def test_host_and_port_of_an_address(address: str, endpoint: Endpoint | None) -> None:
    assert endpoint_of(address) == endpoint


def test_an_address_where_nothing_answers_is_said_at_once() -> None:
    host, port = free_endpoint()
    with (
        pytest.raises(
            ClusterUnreachable, match=rf"^--address: nothing answers on ray://{host}:{port}; .*ray start --head"
        ),
        cluster(f"ray://{host}:{port}"),
    ):
        pass


def test_loopback_is_explained() -> None:
    host, port = free_endpoint()
    explained = pytest.raises(ClusterUnreachable, match=r"Ray takes 127\.0\.0\.1 for .*reached as `auto`")
    with explained, cluster(f"{host}:{port}"):
        pass


def test_an_endpoint_is_lost_after_a_while_and_not_before(server: socket.socket) -> None:
    watch = Endpoints(None, "head:6379", patience=0.2)
    watch.knock_at("its head", server.getsockname())
    watch.look()
    assert watch.lost() is None
    server.close()
    watch.look()
    assert watch.lost() is None, "it may come back"
    time.sleep(0.25)
    assert "head:6379 is lost: its head" in str(watch.lost())


def test_an_endpoint_that_comes_back_is_not_lost(server: socket.socket) -> None:
    endpoint = server.getsockname()
    watch = Endpoints(None, "head:6379", patience=0.2)
    watch.knock_at("its head", endpoint)
    server.close()
    watch.look()
    with socket.create_server(endpoint):
        watch.look()
        time.sleep(0.25)
        assert watch.lost() is None
    assert not answers(endpoint)


def test_patience_is_shorter_than_rays_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "10")
    assert _until_the_end(Endpoints(None, "head:1")) == pytest.approx(8)
    monkeypatch.delenv("RAY_gcs_rpc_server_reconnect_timeout_s")
    assert _until_the_end(Endpoints(None, "head:1")) == pytest.approx(48)


def _until_the_end(watch: Endpoints) -> float:
    return watch.patience + watch.farewell


def test_a_driver_that_does_not_leave_a_lost_cluster_is_ended() -> None:
    code = (
        "import time; from rich.console import Console; from orchestrator.cluster import watch as w;"
        "w._SECONDS_BETWEEN_LOOKS = 0.05; watch = w.Endpoints(Console(), 'head:1', patience=0.1); watch.farewell = 0.1;"
        f"watch.knock_at('its head', {free_endpoint()!r}); watch.began(); time.sleep(60)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), timeout=60
    )
    assert done.returncode == 1
    assert "head:1 is lost" in done.stdout


class SlowHead:
    """A ray module whose head is slow to start what a client needs."""

    class exceptions:
        RayError = OSError

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls: list[str] = []

    def init(self, **options: object) -> None:
        self.calls.append("init")
        if self.calls.count("init") <= self.failures:
            raise ConnectionAbortedError("Initialization failure from server: Starting Ray client server failed.")

    def shutdown(self) -> None:
        self.calls.append("shutdown")


@pytest.mark.parametrize("failures", [0, CLIENT_ATTEMPTS - 1, CLIENT_ATTEMPTS])
def test_a_head_that_is_slow_for_a_client_is_asked_again(server: socket.socket, failures: int) -> None:
    ray = SlowHead(failures)
    host, port = server.getsockname()
    joined = _joined(ray, f"ray://{host}:{port}", None, {})
    if failures < CLIENT_ATTEMPTS:
        with joined:
            assert ray.calls == [*["init", "shutdown"] * failures, "init"]
    else:
        with pytest.raises(ClusterUnreachable, match="Starting Ray client server failed"), joined:
            pass
        assert ray.calls.count("init") == CLIENT_ATTEMPTS
    assert ray.calls[-1] == "shutdown"
