from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.browse.ui_access import (
    KEPT_NAME,
    AccessError,
    access,
    allowed_hosts,
    authorization,
    is_loopback,
    own_addresses,
)


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        *((h, True) for h in ("127.0.0.1", "127.8.9.1", "::1", "localhost")),
        *((h, False) for h in ("0.0.0.0", "::", "10.0.0.1", "192.168.1.2", "gpu7", "127.0.0.1.evil.example", "")),
    ],
)
def test_what_only_this_machine_reaches(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_the_password_is_made_once_and_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_AUTH_ADMIN_PASSWORD", raising=False)
    first, other = access(tmp_path / "a"), access(tmp_path / "b")
    assert len(first.password) >= 20
    assert first.password != other.password
    assert access(tmp_path / "a").env == first.env
    assert {p.name for p in (tmp_path / "a").iterdir()} == {KEPT_NAME, "mlflow-auth.ini", "mlflow-auth.db"}
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "a").iterdir()} == {0o600}
    assert first.password not in (tmp_path / "a" / "mlflow-auth.ini").read_text(encoding="utf-8")
    assert first.password not in repr(first)


def test_a_password_of_the_users_own_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_PASSWORD", "correct horse battery staple")
    assert access(tmp_path).password == "correct horse battery staple"
    assert access(tmp_path).header == "Basic YWRtaW46Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ=="


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"password": "x"}', "null"])
def test_a_file_without_a_password_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / KEPT_NAME).write_text(content, encoding="utf-8")
    with pytest.raises(AccessError, match=r"mlflow-auth\.json: it does not hold a password"):
        access(tmp_path)


def test_a_server_is_called_by_names_never_by_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SERVER_ALLOWED_HOSTS", "lab.example")
    alone = allowed_hosts("127.0.0.1", 5000, asks=False)
    assert set(alone) == {n + p for n in ("localhost", "127.0.0.1", "[::1]") for p in ("", ":5000")}
    shared = allowed_hosts("0.0.0.0", 5000, asks=True)
    assert {*alone, "lab.example", "127.0.0.1"} <= {*shared}
    assert not [name for name in shared if "*" in name or name.startswith(("0.0.0.0", "[::]"))]
    assert "[fd00::7]:80" in allowed_hosts("fd00::7", 80, asks=True)


def test_the_addresses_of_this_machine_are_found() -> None:
    assert "127.0.0.1" in own_addresses()


def test_somebodys_server_is_asked_as_its_address_or_mlflows_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    assert authorization("http://me:p%40ss@host") == "Basic bWU6cEBzcw=="
    assert authorization("http://host") is None
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc")
    assert authorization("http://host") == "Bearer abc"
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "p@ss")
    assert authorization("http://host") == "Basic bWU6cEBzcw=="
