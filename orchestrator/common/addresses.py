"""Addresses of stores: an SQLite file as one, one without its secrets, and what is said without them."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_plus, urlsplit

from orchestrator.common.errors import MirrorError

HIDDEN = "…"
"""What stands for a secret."""
TRACKING = "MLFLOW_TRACKING_URI"
_IN_ENVIRONMENT = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")
_SHORT = 6
"""Shorter secrets are hidden where they stand alone: a password `on` must not cut holes into words."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_HEADER = re.compile(r"\b(Basic|Bearer)(\s+)[A-Za-z0-9+/=._~-]+", re.IGNORECASE)
_SQLITE = re.compile(r"sqlite(?:\+[a-z0-9]+)?:///([^?]*)", re.DOTALL)
_QUOTED = "sqlite+pysqlite:///"
"""MLflow makes the parent folder of what follows `sqlite:///`, unread; this form it leaves to SQLAlchemy, which reads it."""


def sqlite_uri(path: Path | str) -> str:
    """The address of an SQLite file, which `sqlite_path`, SQLAlchemy and MLflow all read as `path`.

    Raises MirrorError where no address can say it.
    """
    text = os.fspath(path)
    if any(ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in text):
        raise MirrorError(
            f"{text!a}: no database can be kept below this name, which has a control character or bytes that are no text; "
            f"rename the folder, or set {TRACKING} to another store"
        )
    if "%" in text or "?" in text:
        return _QUOTED + quote(text, safe="/ ")
    return f"sqlite:///{text}"


def sqlite_path(uri: str) -> Path | None:
    """The file behind an address of SQLite, as it is spelt there; None of any other address, and of a database in memory."""
    match = _SQLITE.match(uri)
    name = unquote(match[1]) if match else ""
    return None if name in ("", ":memory:") or name.startswith("file:") else Path(name)


def without_secrets(uri: str) -> str:
    """An address as it may be shown: without user and password, and without a query or a fragment, which may hold one."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # no address
        return HIDDEN
    if sqlite_path(uri) is not None:
        head, mark, _ = uri.partition("?")
        return head + (mark + HIDDEN if mark else "")
    # of a password with an unquoted `/`, `?` or `#` the end stands behind the host's part
    host = parts.netloc.rpartition("@")[2]
    rest = parts._replace(scheme="", netloc="").geturl()
    if parts.netloc and "@" in rest and ":" in parts.netloc:
        return f"{parts.scheme}://{HIDDEN}@{without_secrets('//' + rest.rpartition('@')[2])[2:]}"
    shown = host if host == parts.netloc else f"{HIDDEN}@{host}"
    found = parts._replace(netloc=shown, query=HIDDEN if parts.query else "", fragment=HIDDEN if parts.fragment else "")
    return uri if found == parts else found.geturl()


def address_of(uri: str) -> str:
    """Where a server is, without whatever else its address says; for a browser."""
    parts = urlsplit(uri)
    return SplitResult(parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", "").geturl()


def user_of(uri: str) -> tuple[str, str] | None:
    """User and password in an address."""
    parts = urlsplit(uri)
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def without_secrets_in(text: str, *uris: str, environment: Mapping[str, str] | None = None) -> str:
    """What somebody says of the stores at `uris`, without the secrets of those and of the environment, however they are spelt.

    Args:
        text: A message, or a line of a log.
        uris: Addresses beside the one in MLFLOW_TRACKING_URI.
        environment: This process's unless given.

    Secrets are users, passwords, queries and fragments of addresses, and what stands in the variables that MLflow reads. Any other
    address in the text is shown without such parts too.
    """
    env = os.environ if environment is None else environment
    known = tuple(dict.fromkeys(filter(None, [env.get(TRACKING), *uris])))
    extra = tuple(env[name] for name in _IN_ENVIRONMENT if env.get(name))
    for uri in known:
        text = text.replace(uri, without_secrets(uri))
    pattern = _pattern(known, extra)
    text = _ADDRESS.sub(lambda match: without_secrets(match[0]) if _has_secret(match[0]) else match[0], text)
    text = pattern.sub(HIDDEN, text) if pattern else text
    return _HEADER.sub(lambda match: f"{match[1]}{match[2]}{HIDDEN}", text)


def _has_secret(uri: str) -> bool:
    return "@" in uri or "?" in uri


@lru_cache(maxsize=64)
def _pattern(uris: tuple[str, ...], extra: tuple[str, ...]) -> re.Pattern[str] | None:
    """Matches every spelling of every secret, the longest first."""
    secrets = {*extra}
    for uri in uris:
        secrets |= set(_secrets_of(uri))
    found = sorted((s for s in secrets if s.strip() and s != HIDDEN), key=len, reverse=True)
    return re.compile("|".join(map(_spellings, found))) if found else None


def _secrets_of(uri: str) -> Iterator[str]:
    if sqlite_path(uri) is not None:
        return
    try:
        parts = urlsplit(uri)
    except ValueError:
        return
    user, at, _ = parts.netloc.rpartition("@")
    if at:
        name, _, password = user.partition(":")
        yield from _readings((user, name, password))
        yield base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    elif "@" in uri:  # a password with an unquoted `/`, `?` or `#`
        user = uri.partition("://")[2].rpartition("@")[0]
        yield from _readings((user, *user.split(":", 1)))
    yield from _readings((parts.query, parts.fragment))
    for text in (parts.query, parts.fragment):
        pairs = parse_qsl(text, keep_blank_values=True)
        yield from _readings(
            [value for _, value in pairs] + [item.partition("=")[2] for item in re.split("[&;]", text)]
        )


def _readings(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from (text, unquote(text), unquote_plus(text))


def _spellings(secret: str) -> str:
    """A pattern for a secret as it is, percent-encoded once or twice, or escaped as in JSON, Python and HTML."""
    text = "".join(map(_one, secret))
    return text if len(secret) >= _SHORT else rf"(?<![A-Za-z0-9]){text}(?![A-Za-z0-9])"


@lru_cache(maxsize=1024)
def _one(character: str) -> str:
    number = ord(character)
    coded = character.encode("utf-8", "surrogatepass")
    ways = [re.escape(character), "".join(f"%(?:25)?(?i:{byte:02x})" for byte in coded)]
    if not (character.isascii() and character.isalnum()):
        ways += [rf"\\{re.escape(character)}", rf"\\x(?i:{number:02x})"]
        pair = character.encode("utf-16-be", "surrogatepass")
        ways += ["".join(rf"\\u(?i:{pair[i : i + 2].hex()})" for i in range(0, len(pair), 2)), rf"\\U(?i:{number:08x})"]
        ways += ["".join(rf"\\x(?i:{byte:02x})" for byte in coded), f"&#(?:x(?i:{number:x})|{number});"]
        ways += [{"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", " ": r"\+"}.get(character, "")]
    if character.isspace():
        ways.append(r"\s+")
    return f"(?:{'|'.join(filter(None, ways))})"
