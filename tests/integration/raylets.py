"""A Ray cluster of several nodes on this machine, each at a loopback address of its own, that can be damaged on purpose.

The nodes are kept by a process of their own, which this module is the program of: Ray keeps what belongs to a cluster in globals.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HEAD = "127.0.0.10"
"""Not 127.0.0.1, which Ray takes for the machine's own address."""


class Raylets:
    """A head without CPUs. `add` brings nodes.

    Args:
        env: Further environment variables of all nodes.
        dashboard: Whether the head has one, which takes jobs.
        client: Whether the head takes drivers by Ray Client.
    """

    def __init__(self, env: dict[str, str] | None = None, *, dashboard: bool = False, client: bool = False) -> None:
        self._options = {"dashboard": dashboard, "client": client}
        clean = {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "PYTEST_CURRENT_TEST")}
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.raylets"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**clean, "RAY_AUTH_MODE": "disabled", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", **(env or {})},
            cwd=Path(__file__).parents[2],
        )
        self._begin()

    def _begin(self) -> None:
        found = self._ask("head", **self._options)
        self.address: str = found["address"]
        self.dashboard: str = f"http://{found['dashboard']}"
        self.client: str = f"ray://{found['client']}"
        self.session = Path(found["session"])
        """Where Ray's processes keep their logs and what they were sent."""

    def add(self, cpus: int = 1, gpus: int = 0, env: dict[str, str] | None = None, **resources: float) -> str:
        """Start a node, with further environment variables; returns its address."""
        return str(self._ask("add", cpus=cpus, gpus=gpus, env=env or {}, resources=resources)["node"])

    def add_hiding(self, folder: Path) -> str | None:
        """Start a node that has nothing in `folder`, as if that were another machine's disk; None where that cannot be done."""
        return self._ask("add_hiding", folder=str(folder))["node"]

    def kill(self, node: str) -> None:
        """Let a node vanish, with all that runs on it."""
        self._ask("kill", node=node)

    def workers(self, node: str) -> set[int]:
        """Processes that the node's raylet has started."""
        return set(self._ask("workers", node=node)["workers"])

    def kill_head(self) -> None:
        """End the head as a power failure would."""
        self._ask("kill_head")

    def restart_head(self) -> None:
        """A new head at the old address; nodes must be added again."""
        self._begin()

    def _ask(self, command: str, **values: Any) -> dict[str, Any]:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(json.dumps({"command": command, **values}) + "\n")
        self._keeper.stdin.flush()
        answer = self._keeper.stdout.readline()
        assert answer, f"the cluster's keeper ended at {command}"
        found: dict[str, Any] = json.loads(answer)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.close()
        self._keeper.wait(timeout=60)
        self._keeper.stdout.close()


class _Keeper:
    def __init__(self) -> None:
        self.cluster: Any = None
        self.nodes: dict[str, Any] = {}
        self.hiding: list[subprocess.Popen[bytes]] = []
        self.number = 0
        self.port = 0

    def head(self, dashboard: bool, client: bool) -> dict[str, Any]:
        from ray.cluster_utils import Cluster

        self.port = self.port or _free_port()
        dashboard_port, client_port = _free_port(), _free_port()
        self.nodes = {}
        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "node_ip_address": HEAD,
                "gcs_server_port": self.port,
                "include_dashboard": dashboard,
                "dashboard_host": "127.0.0.1",
                "dashboard_port": dashboard_port,
                "dashboard_agent_listen_port": _free_port(),  # the usual one belongs to whoever came first
                **({"ray_client_server_port": client_port} if client else {}),
            },
        )
        return {
            "address": self.cluster.address,
            "dashboard": f"127.0.0.1:{dashboard_port}",
            "client": f"127.0.0.1:{client_port}",
            "session": self.cluster.head_node.get_session_dir_path(),
        }

    def add(self, cpus: int, gpus: int, env: dict[str, str], resources: dict[str, float]) -> dict[str, Any]:
        self.number += 1
        os.environ.update(env)  # of this node, and of the next unless it says otherwise
        name = f"127.0.0.{10 + self.number}"
        self.nodes[name] = self.cluster.add_node(
            num_cpus=cpus, num_gpus=gpus, resources=resources, node_ip_address=name
        )
        return {"node": name}

    def add_hiding(self, folder: str) -> dict[str, Any]:
        Path(folder).mkdir(parents=True, exist_ok=True)
        if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
            return {"node": None}
        self.number += 1
        name = f"127.0.0.{10 + self.number}"
        ray = f"exec {Path(sys.executable).with_name('ray')} start --block --disable-usage-stats --num-cpus=1"
        script = f'mount -t tmpfs none "$1" && {ray} --address={self.cluster.address} --node-ip-address={name}'
        self.hiding.append(
            subprocess.Popen(
                ["unshare", "-m", "sh", "-c", script, "sh", folder],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        deadline = time.monotonic() + 60
        while name not in {n["NodeManagerAddress"] for n in self.cluster.global_state.node_table() if n["Alive"]}:
            assert time.monotonic() < deadline, "the node did not come up"
            time.sleep(0.2)
        return {"node": name}

    def kill(self, node: str) -> dict[str, Any]:
        self.cluster.remove_node(self.nodes.pop(node), allow_graceful=False)
        return {}

    def kill_head(self) -> dict[str, Any]:
        """Its nodes lose it then, and end by themselves; here they are ended at once."""
        self.cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
        for node in self.nodes.values():
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
        return {}

    def workers(self, node: str) -> dict[str, Any]:
        raylet = self.nodes[node].all_processes["raylet"][0].process.pid
        children = [p.read_text(encoding="ascii").split() for p in Path(f"/proc/{raylet}/task").glob("*/children")]
        return {"workers": [int(pid) for some in children for pid in some]}

    def end(self) -> None:
        for process in self.hiding:
            process.terminate()
            process.wait(30)
        for node in [*self.nodes.values(), self.cluster.head_node]:
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((HEAD, 0))
        return int(probe.getsockname()[1])


def _main() -> None:
    keeper = _Keeper()
    out, sys.stdout = sys.stdout, sys.stderr  # Ray prints too
    try:
        for line in sys.stdin:
            values = json.loads(line)
            answer = getattr(keeper, values.pop("command"))(**values)
            print(json.dumps(answer), file=out, flush=True)
    finally:
        keeper.end()


if __name__ == "__main__":
    _main()
