"""Who may open an MLflow UI that others can reach: a user and a password that MLflow asks for."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import AblateError

KEPT_NAME = "mlflow-auth.json"
USER = "admin"
_PASSWORD = "MLFLOW_AUTH_ADMIN_PASSWORD"
_SECRET = "MLFLOW_FLASK_SERVER_SECRET_KEY"


class AccessError(AblateError):
    """The file with the password cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a server needs to ask for a password, and a client to know it."""

    password: str = field(repr=False)
    kept: Path
    """The file that holds the password; for its owner's eyes only."""
    env: Mapping[str, str] = field(repr=False)
    """Environment variables of the server."""

    @property
    def header(self) -> str:
        """For a request's `Authorization`."""
        return "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def access(folder: Path) -> Access:
    """User and password of the servers of one folder of runs: made once, and the same from then on.

    Args:
        folder: Gets `mlflow-auth.json` with the password, `mlflow-auth.ini` and MLflow's own database of users, all for their owner
            alone. MLFLOW_AUTH_ADMIN_PASSWORD, where it is set at the first call, is the password.

    Raises AccessError.
    """
    folder = folder.absolute()
    kept = folder / KEPT_NAME
    try:
        known = json.loads(kept.read_text(encoding="utf-8"))
        password, secret = str(known["password"]), str(known["secret_key"])
    except FileNotFoundError:
        password, secret = os.environ.get(_PASSWORD) or secrets.token_urlsafe(18), secrets.token_hex(32)
        folder.mkdir(parents=True, exist_ok=True)
        _write(kept, json.dumps({"user": USER, "password": password, "secret_key": secret}, indent=1) + "\n")
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise AccessError(
            f"{kept}: it does not hold a password ({problem}); delete it with mlflow-auth.db, and a new one is made"
        ) from problem
    settings, users = folder / "mlflow-auth.ini", folder / "mlflow-auth.db"
    if not users.exists():
        _write(users, "")  # MLflow would let everybody on the machine read it
    address = f"sqlite:///{users}".replace("%", "%%")
    _write(
        settings,
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {address}\nadmin_username = {USER}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
    )
    env = {"MLFLOW_AUTH_CONFIG_PATH": str(settings), _PASSWORD: password, _SECRET: secret}
    return Access(password=password, kept=kept, env=env)


def _write(path: Path, text: str) -> None:
    """A file that its owner alone reads, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
