"""Folders of studies that somebody tampered with, and a watch over what reading them does to the machine."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from results.ledger.parts import JSON_COLUMNS, SCHEMA, encode, to_table
from results.records.manifest import StudyManifest
from results.records.trial_record import TrialRecord
from tests.unit.results.factories import ARMS, manifest, study_records

MARK = "pwned"
"""In the name of all that hostile text wants to make or load."""

TEXTS = st.sampled_from(
    [
        "",
        "..",
        f"../../{MARK}",
        f"/tmp/{MARK}",
        f"<script src=http://{MARK}.invalid/x.js></script>",
        f'"><img src=x onerror=alert("{MARK}")>',
        f"javascript:alert({MARK})",
        f"](http://{MARK}.invalid)![x](//{MARK}.invalid/x.png)",
        f"\\input{{/etc/passwd}}\\write18{{touch {MARK}}}",
        f"=cmd|' /C calc {MARK}'!A0",
        f"$(touch {MARK})`touch {MARK}`",
        "{{ 7 * 7 }}{% for x in y %}",
        "%s%n{0}{a}",
        "a\x00b\x1b[31m\r\n\t\u202e\ud7ff\ufffe",
        "\u00e9" * 300,
        "x" * 20_000,
        "[red]bold[/red]",
        "|a|b|\n|-|-|",
        "\ud800",
        "deep, deep, deep",
    ]
) | st.text(max_size=12)
NUMBERS = st.sampled_from(
    [0, 1, -1, 2**31, 2**63 - 1, -(2**63), 10**30, 0.5, -0.0, 1e308, 5e-324, 1e-9, 100.0, 101.0, 1e60]
)
LEAVES = TEXTS | NUMBERS | st.none() | st.booleans()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)


PLACES = st.integers(0, 2**32)
"""Which of the values there are is replaced."""
EDITS = st.lists(st.tuples(PLACES, st.booleans(), VALUES), max_size=6)
"""Values of a manifest to replace: where, whether by one of the same type that is made of the next, and by what."""
CELLS = st.lists(st.tuples(PLACES, PLACES, VALUES | NUMBERS), max_size=8)
"""Values of a ledger to replace: in which column, in which row, and by what."""
DAMAGE = st.lists(st.tuples(PLACES, st.integers(0, 9), st.binary(max_size=8)), max_size=3)
"""Bytes of a file to replace: where, how many, and by what."""

_STUDY = manifest(ARMS[:2], seeds=(1, 2))
_RECORDS = study_records(_STUDY)
_DEEP = "deep, deep, deep"
"""Stands for brackets within brackets in a manifest."""
_BRACKETS = "[" * 200_000 + "]" * 200_000
_JSON_TEXTS = (
    *("", "NaN", "{", '{"test_error": NaN}', '{"val_error": "x"}', '{"val_error": [[1, 2], [1]]}', "[]", _BRACKETS),
    *(f'{{"val_error": {_BRACKETS}}}', '{"test_error": 1e308}', '{"test_error": 1e60}', '{"val_error": [[1, 1e60]]}'),
    *(r'{"\ud800": "\udfff"}', f'{{"test_error": 1{"0" * 400}}}', '{"val_error": [[-1, 2.0]]}', '{"val_error": []}'),
)


def tampered_manifest(edits: list[tuple[int, bool, Any]], study: StudyManifest = _STUDY) -> str:
    """A manifest as JSON, with some values replaced."""
    content = json.loads(json.dumps(asdict(study)))
    for place, alike, value in edits:
        container, key = _place(content, place)
        container[key] = _like(container[key], place, value) if alike else value
    return json.dumps(content).replace(json.dumps(_DEEP), _BRACKETS)


def tampered_part(cells: list[tuple[int, int, Any]], records: Sequence[TrialRecord] = _RECORDS) -> bytes:
    """A part of a ledger that fits the manifest, with some values replaced and a right digest after that."""
    table = to_table(records)
    columns = {name: table.column(name).to_pylist() for name in SCHEMA.names}
    for which, row, value in cells:
        name = SCHEMA.names[which % len(SCHEMA.names)]
        columns[name][row % len(records)] = _cell(name, which + row, value)
    arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    return encode(pa.Table.from_arrays(arrays, schema=SCHEMA))


def damaged(content: bytes, damage: list[tuple[int, int, bytes]]) -> bytes:
    """`content` with some bytes replaced."""
    for place, length, new in damage:
        at = place % max(len(content), 1)
        content = content[:at] + new + content[at + length :]
    return content


def _cell(name: str, place: int, value: Any) -> Any:
    """A value that a column of the ledger takes."""
    kind = SCHEMA.field(name).type
    if name in JSON_COLUMNS:
        texts = (*_JSON_TEXTS, json.dumps(value), json.dumps({"test_error": value, "val_error": value}))
        return texts[place % len(texts)]
    if pa.types.is_int64(kind):
        return (0, 1, -1, 2**63 - 1, -(2**63))[place % 5]
    if pa.types.is_float64(kind):
        return (math.nan, math.inf, -1.0, 1e308, 0.0, 1e10, 5e-324)[place % 7]
    if pa.types.is_timestamp(kind):
        return (0, 1, -1, 2**62, -(2**62), 7 * 10**15)[place % 6]
    return re.sub("[\ud800-\udfff]", "?", value if isinstance(value, str) else json.dumps(value))


def _like(old: Any, place: int, value: Any) -> Any:
    """A value of the same type as `old`, which a check of types alone lets pass."""
    if isinstance(old, bool) or old is None:
        return not old
    if isinstance(old, int):
        return (0, 1, -1, 3, 10**6, 2**40, 10**30)[place % 7]
    if isinstance(old, float):
        return (math.nan, math.inf, -1.0, 0.0, 1e308)[place % 5]
    if isinstance(old, str):
        return value if isinstance(value, str) else json.dumps(value)
    if isinstance(old, list):
        return ([], old + old, old[:1], old[::-1])[place % 4]
    return old


def _place(content: Any, number: int) -> tuple[Any, Any]:
    """One of the containers in `content` and one of its keys, found by number."""
    found: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            found.append((value, key))
            walk(value[key])

    walk(content)
    return found[number % len(found)]


class Escaped(AssertionError):
    """Something read from outside made the process do what no reading needs."""


class Watch:
    """Notes what a process does that reading a study never needs: other programs, the network, files outside a folder."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._folder is None:
            return
        if event == "subprocess.Popen" and arguments[0] == "git":  # a run asks it which commit this is
            return
        if event in (
            "subprocess.Popen",
            "os.system",
            "os.exec",
            "pickle.find_class",
            "socket.connect",
            "urllib.Request",
        ):
            self.seen.append(f"{event} {arguments!r}"[:200])
        elif event == "open" and isinstance(arguments[0], str | bytes):
            path, mode, flags = arguments
            writes = (
                "w" in (mode or "")
                or "a" in (mode or "")
                or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            )
            self._check(path, event if writes else None)
        elif event in ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "shutil.rmtree"):
            base = arguments[1] if event in ("os.remove", "os.rmdir") else -1  # a folder that is open, or -1
            start = str(Path(f"/proc/self/fd/{base}").readlink()) if isinstance(base, int) and base >= 0 else ""
            for path in arguments:
                if isinstance(path, str | bytes):
                    self._check(os.path.join(start, os.fsdecode(path)), event)  # noqa: PTH118 - as above

    def _check(self, path: str | bytes, event: str | None) -> None:
        text = os.fsdecode(path)
        whole = os.path.abspath(text)  # noqa: PTH100 - `resolve` would look at the disk, and be seen
        inside = whole.startswith(str(self._folder))
        if event is not None and not inside:
            self.seen.append(f"{event} {text!r}"[:200])
        elif MARK in text and not inside:
            self.seen.append(f"read {text!r}"[:200])

    @contextmanager
    def over(self, folder: Path) -> Iterator[None]:
        """Watch for the length of the block; files below `folder` may be written."""
        self.seen, self._folder = [], str(folder.resolve())
        try:
            yield
        finally:
            self._folder = None
            if self.seen:
                raise Escaped(str(self.seen))
