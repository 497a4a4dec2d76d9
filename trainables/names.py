"""Names of files and folders, as they are compared and shown."""

from __future__ import annotations

import unicodedata
from pathlib import Path


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC): `café` is one class, whichever system wrote the folder's name."""
    return unicodedata.normalize("NFC", name)


def shown(path: Path | str) -> str:
    """A name that can be printed, whatever bytes it is made of."""
    return str(path).encode("utf-8", "backslashreplace").decode()
