"""Who may open an MLflow UI that others can reach: a user and a password that MLflow asks for."""

from __future__ import annotations

import base64
import fcntl
import ipaddress
import json
import os
import secrets
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.common.addresses import sqlite_uri, user_of
from orchestrator.common.errors import AblateError

OPENERS = (
    "MLFLOW_SERVER_ALLOWED_HOSTS",
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS",
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE",
)
"""Variables that let pages of other sites use MLflow's server."""
KEPT_NAME = "mlflow-auth.json"
USER = "admin"
_GET_ADDRESS = 0x8915  # SIOCGIFADDR of Linux; elsewhere the resolver's answer has to do
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

    users: Path
    """MLflow's database of users."""

    @property
    def header(self) -> str:
        """For a request's `Authorization`."""
        return _basic(USER, self.password)


def authorization(uri: str) -> str | None:
    """A request's `Authorization` at somebody's server: what its address says, or MLflow's variables; None where nothing does."""
    found = user_of(uri)
    if found is not None:
        return _basic(*found)
    name, password, token = (os.environ.get(f"MLFLOW_TRACKING_{part}") for part in ("USERNAME", "PASSWORD", "TOKEN"))
    if name and password:
        return _basic(name, password)
    return f"Bearer {token}" if token else None


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allowed_hosts(host: str, port: int, *, asks: bool) -> list[str]:
    """What a request may call a server by; without patterns, for `10.*` is also the name `10.attacker.example`.

    Args:
        host: The interface that it listens on.
        port: The one that it listens on.
        asks: For a password. Then it may be called by any name and address of this machine, and by what
            MLFLOW_SERVER_ALLOWED_HOSTS says; else by those of loopback alone.
    """
    names = ["localhost", "127.0.0.1", "::1"]
    if host not in ("0.0.0.0", "::"):
        names.append(host)
    if asks:
        names += [socket.gethostname(), socket.getfqdn(), *own_addresses()]
    spelt = dict.fromkeys(f"[{name}]" if ":" in name else name for name in names if name)
    found = [spelling for name in spelt for spelling in (name, f"{name}:{port}")]
    return found + (os.environ.get(OPENERS[0], "").split(",") if asks and os.environ.get(OPENERS[0]) else [])


def own_addresses() -> list[str]:
    """Addresses of this machine's interfaces."""
    found = []
    for _, name in socket.if_nameindex():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            answer = fcntl.ioctl(probe.fileno(), _GET_ADDRESS, struct.pack("256s", name.encode()[:15]))
            found.append(socket.inet_ntoa(answer[20:24]))
    with suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines():
            found.append(str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))))
    with suppress(OSError):
        found += [str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(socket.gethostname(), None)]
    return list(dict.fromkeys(found))


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
    address = sqlite_uri(users).replace("%", "%%")
    _write(
        settings,
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {address}\nadmin_username = {USER}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
    )
    env = {"MLFLOW_AUTH_CONFIG_PATH": str(settings), _PASSWORD: password, _SECRET: secret}
    return Access(password=password, kept=kept, env=env, users=users)


def _write(path: Path, text: str) -> None:
    """A file that its owner alone reads, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
