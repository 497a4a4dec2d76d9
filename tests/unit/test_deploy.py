"""The files in `deploy/`, as far as a machine without cloud, Kubernetes and Docker can judge them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from orchestrator.cli.app import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TEXTS = {p.name: p.read_text(encoding="utf-8") for p in DEPLOY.iterdir() if p.is_file()}
PINNED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split() if "==" in line
)


def loaded(name: str) -> Any:
    return yaml.safe_load(TEXTS[name])


def containers(value: Any) -> list[dict[str, Any]]:
    """Every container anywhere in a Kubernetes object."""
    if isinstance(value, dict):
        return [*value.get("containers", []), *(c for v in value.values() for c in containers(v))]
    return [c for v in value for c in containers(v)] if isinstance(value, list) else []


def check_ablate(words: list[str]) -> None:
    """A command line of `ablate` parses."""
    name, *arguments = words
    command: Any = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, arguments, resilient_parsing=False)


def test_ray_takes_the_clusters_description() -> None:
    pytest.importorskip("jsonschema")
    from ray.autoscaler._private.util import validate_config

    config = loaded("ray-up.yaml")
    validate_config({**config, "cluster_synced_files": []})  # which Ray fills in first
    assert config["head_node_type"] in config["available_node_types"]
    assert config["available_node_types"]["gpu"]["min_workers"] == 0


@pytest.mark.parametrize("name", TEXTS)
def test_versions_are_those_that_are_tested(name: str) -> None:
    for version in re.findall(r"(?:rayproject/ray|rs-ablate|rayVersion): ?(\d+\.\d+\.\d+)", TEXTS[name]):
        assert version == PINNED["ray"]
    for version in re.findall(r"mlflow(?:\[auth\])?(?:==|:)(\d+\.\d+\.\d+)", TEXTS[name]):
        assert version == PINNED["mlflow"]


def test_some_version_is_looked_at() -> None:
    assert PINNED["ray"] in TEXTS["Dockerfile"]
    assert PINNED["ray"] in TEXTS["rayjob.yaml"]
    assert PINNED["mlflow"] in TEXTS["compose.yaml"]


def test_every_ray_process_asks_for_the_token() -> None:
    up = loaded("ray-up.yaml")
    starts = [
        c for key in ("head_start_ray_commands", "worker_start_ray_commands") for c in up[key] if "ray start" in c
    ]
    assert len(starts) == 2
    assert all(c.startswith("RAY_AUTH_MODE=token ") for c in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    pods = containers(loaded("rayjob.yaml"))
    assert len(pods) == 2
    for pod in pods:
        env = {e["name"]: e for e in pod["env"]}
        assert env["RAY_AUTH_MODE"]["value"] == "token"
        assert "secretKeyRef" in env["RAY_AUTH_TOKEN"]["valueFrom"]


def test_the_jobs_parts_fit_together() -> None:
    job = loaded("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    program, *words = shlex.split(job["spec"]["entrypoint"])
    assert program == "ablate"
    check_ablate(words)
    for group in [
        job["spec"]["rayClusterSpec"]["headGroupSpec"],
        *job["spec"]["rayClusterSpec"]["workerGroupSpecs"],
    ]:
        pod = group["template"]["spec"]
        volumes = {v["name"] for v in pod["volumes"]}
        mounts = {m["name"]: m["mountPath"] for c in pod["containers"] for m in c["volumeMounts"]}
        assert set(mounts) == volumes
        assert any(word.startswith(mounts["runs"]) for word in words)
        assert any(word.startswith(mounts["study"]) for word in words)
        for container in pod["containers"]:
            assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_server_is_reached_on_loopback_with_a_password_alone() -> None:
    compose = loaded("compose.yaml")
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(str(port).startswith("127.0.0.1:") for port in published)
    server = compose["services"]["mlflow"]
    assert "--app-name basic-auth" in server["command"]
    used = {v.partition(":")[0] for s in compose["services"].values() for v in s.get("volumes", [])}
    assert {v for v in used if not v.startswith("./")} == set(compose["volumes"])
    assert all((DEPLOY / v).is_file() for v in used if v.startswith("./"))
    assert (DEPLOY / server["build"]["dockerfile"]).is_file()
    needed = set(re.findall(r"\$\{(\w+)", TEXTS["compose.yaml"]))
    assert needed == set(re.findall(r"^(\w+)=", TEXTS["compose.env.example"], flags=re.MULTILINE))


@pytest.mark.parametrize("name", TEXTS)
def test_no_secret_stands_in_a_file(name: str) -> None:
    for line in TEXTS[name].splitlines():
        found = re.search(r"(?:PASSWORD|SECRET_KEY|AUTH_TOKEN)\w*\s*[:=]\s*(\S+)", line)
        assert found is None or found[1].startswith(("${", "...")), line


def test_commands_in_comments_are_commands() -> None:
    lines = [line.lstrip("# ").strip() for text in TEXTS.values() for line in text.splitlines() if line.startswith("#")]
    found = [line.partition(" #")[0].split() for line in lines if line.startswith("ablate ")]
    assert found
    for words in found:
        check_ablate(["studies/digits.yaml" if w == "STUDY" else w for w in words[1:]])
