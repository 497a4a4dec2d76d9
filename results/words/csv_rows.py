"""Any table as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def render_rows(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Any table as CSV; an empty field for None."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_text(v) if isinstance(v, str) else v for v in row] for row in rows)
    return buffer.getvalue()


def _text(text: str) -> str:
    """Text that a spreadsheet does not run as a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
