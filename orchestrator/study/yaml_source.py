"""Strict reading of YAML: plain data only, and for every key the line on which it stands.

What PyYAML's own loaders let pass is refused here: keys that are given twice, keys that are not text, aliases, tags,
numbers that are not finite, several documents. Scalars follow YAML 1.2 where YAML 1.1 surprises (`1e-3` is a number,
`010` is ten, `1:30` is text), with `on`, `off`, `yes` and `no` kept as switches.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.common.errors import InputError, Problem, did_you_mean, quoted
from orchestrator.study.syntax_messages import in_plain_words
from trainables.names import composed

KeyPath = tuple[str | int, ...]

MAX_BYTES = 2**18
MAX_VALUES = 10_000
MAX_DEPTH = 32
MAX_DIGITS = 64

_SWITCHES = {w: on for on, ws in {True: "true on yes", False: "false off no"}.items() for w in ws.split()}
_INTEGER = re.compile(r"[-+]?[0-9]+(_[0-9]+)*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_STANDARD_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Location:
    """Where a value was given."""

    source: str
    line: int | None


@dataclass
class Document:
    """Plain data read from YAML, with the place of every key."""

    data: Any
    locations: dict[KeyPath, Location]
    """By path: of the key for a value in a mapping, of the item for one in a list. The whole document is at `()`."""
    problems: list[Problem] = field(default_factory=list)
    """What was refused. None stands in `data` where a value was."""
    spoiled: set[KeyPath] = field(default_factory=set)
    """Paths of the values that were refused."""

    def locate(self, path: KeyPath) -> Location:
        """The place of `path`, or of the nearest thing around it that is written down."""
        while path and path not in self.locations:
            path = path[:-1]
        return self.locations[path]


def read_text(path: Path) -> str:
    """The text of a file. Raises InputError for anything that is not a readable UTF-8 text file of at most 256 KiB."""
    source = str(path)
    try:
        if path.is_dir():
            raise _error(source, None, "is a folder; name the study file in it" + _study_files(path))
        if not path.exists():
            raise _error(source, None, "there is no such file" + _neighbour(path))
        if not path.is_file():
            raise _error(source, None, "is not a regular file; write the study to one")
        with path.open("rb") as handle:
            raw = handle.read(MAX_BYTES + 1)
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise _error(source, None, f"cannot be read: {reason[:1].lower()}{reason[1:]}") from problem
    if len(raw) > MAX_BYTES:
        raise _error(source, None, "is larger than 256 KiB; a study file is a page of text")
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise _error(source, line, "is not a text file: it holds a NUL byte; write the study as YAML in UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = problem.object[: problem.start].count(b"\n") + 1
        raise _error(source, line, "is not a text file in UTF-8; save it as UTF-8") from problem


class _Dumper(yaml.SafeDumper):
    """Also quotes text that is no number in YAML 1.1 and one here: `1e3`, `08`."""


def _quoting(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    number = _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text)
    return dumper.represent_scalar(f"{_STANDARD_TAG}str", text, style="'" if number else None)


_Dumper.add_representer(str, _quoting)


def as_text(data: Any, *, flow: bool = False) -> str:
    """YAML text of plain values, in their order; `parse` gives them back. With `flow` on one line, in brackets."""
    width = math.inf if flow else None
    return str(
        yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=flow, width=width, allow_unicode=flow)
    )


def parse(text: str, source: str, *, numbered: bool = True) -> Document:
    """Read one YAML document.

    Args:
        text: At most 10,000 values, at most 32 deep.
        source: The name that problems and locations carry.
        numbered: False where lines mean nothing, as in `--set key=value`.

    Returns:
        The document; its `problems` are refusals of single values. `data` is None where the text holds nothing.

    Raises:
        InputError: The syntax is broken, or the document is too large.
    """
    return _Composer(text, source, numbered=numbered).document()


class _Composer:
    """Builds plain data from PyYAML's events, so that no constructor and no resolver of PyYAML's takes part."""

    def __init__(self, text: str, source: str, *, numbered: bool) -> None:
        self.source = source
        self.numbered = numbered
        self.result = Document(None, {(): Location(source, 1 if numbered else None)})
        self.values = 0
        unprintable = yaml.reader.Reader.NON_PRINTABLE.search(text)
        if unprintable:
            line = text.count("\n", 0, unprintable.start()) + 1
            raise self._fatal(line, f"is not plain text: it holds the character {unprintable.group()!r}; remove it")
        self.loader = yaml.SafeLoader(text)

    def document(self) -> Document:
        try:
            self._next()  # the stream's start
            event = self._next()
            if isinstance(event, yaml.StreamEndEvent):
                return self.result
            self.result.data = self._value(self._next(), (), 0)
            self._next()  # the document's end
            event = self._next()
            if not isinstance(event, yaml.StreamEndEvent):
                raise self._fatal(self._line(event), "a second document begins here; a study file holds one")
        finally:
            self.loader.dispose()
        return self.result

    def _next(self) -> Any:
        try:
            return self.loader.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as problem:
            mark = problem.problem_mark or problem.context_mark
            began = problem.context_mark.line + 1 if problem.context_mark and self.numbered else None
            what = in_plain_words(problem.context, problem.problem, began)
            raise self._fatal(mark.line + 1 if mark else None, f"YAML syntax: {what}") from problem
        except (yaml.YAMLError, ValueError, OverflowError) as problem:  # PyYAML lets `"\UFFFFFFFF"` fail in chr()
            raise self._fatal(self.loader.line + 1, f"YAML syntax: {problem}") from problem

    def _line(self, event: Any) -> int:
        return int(event.start_mark.line) + 1

    def _fatal(self, line: int | None, message: str) -> InputError:
        return _error(self.source, line if self.numbered else None, message)

    def _refuse(self, event: Any, path: KeyPath, message: str, *, spoils: KeyPath | None = None) -> None:
        line = self._line(event) if self.numbered else None
        self.result.problems.append(Problem(self.source, line, path_text(path), message))
        self.result.spoiled.add(path if spoils is None else spoils)

    def _value(self, event: Any, path: KeyPath, depth: int) -> Any:
        self.values += 1
        if self.values > MAX_VALUES:
            raise self._fatal(
                self._line(event), f"holds more than {MAX_VALUES:,} values; a study file is a page of text"
            )
        if depth > MAX_DEPTH:
            raise self._fatal(self._line(event), f"is nested more than {MAX_DEPTH} deep")
        self.result.locations.setdefault(path, Location(self.source, self._line(event) if self.numbered else None))
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, path, f"the alias '*{event.anchor}' is refused; write the value out")
            return None
        if event.tag is not None:
            tag = event.tag.replace(_STANDARD_TAG, "!!", 1)
            self._refuse(
                event, path, f"the tag {quoted(tag)} is refused: a study holds plain values only; remove the tag"
            )
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                items.append(self._value(item, (*path, len(items)), depth + 1))
            return items
        return self._mapping(path, depth)

    def _mapping(self, path: KeyPath, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            name = self._key(event, path, depth)
            if name is None:
                self._discard(depth)
            elif name in result:
                first = self.result.locations[(*path, name)].line
                where = f", on line {first}" if first else ""
                self._refuse(event, path, f"key {quoted(name)} was given before{where}; keep one", spoils=(*path, name))
                self._discard(depth)
            else:
                place = (*path, name)
                self.result.locations[place] = Location(self.source, self._line(event) if self.numbered else None)
                result[name] = self._value(self._next(), place, depth + 1)
        return result

    def _key(self, event: Any, path: KeyPath, depth: int) -> str | None:
        """A mapping's key; None, with the problem noted, where it is not text."""
        before = len(self.result.problems)
        scratch = (*path, "\0key")  # no key of a file can be this
        value = self._value(event, scratch, depth + 1)
        self.result.locations.pop(scratch, None)
        if len(self.result.problems) > before:
            self.result.problems[before:] = [
                Problem(p.source, p.line, path_text(path), f"in a key: {p.message}")
                for p in self.result.problems[before:]
            ]
            return None
        if not isinstance(value, str):
            written = quoted(event.value) if isinstance(event, yaml.ScalarEvent) else "this one"
            remedy = "; put it in quotes" if isinstance(event, yaml.ScalarEvent) else ""
            self._refuse(event, path, f"a key must be text, {written} is {describe(value)}{remedy}", spoils=scratch)
            return None
        return composed(value)

    def _discard(self, depth: int) -> None:
        """Read over a value that has no place in the result."""
        kept, self.result = self.result, Document(None, {})
        try:
            self._value(self._next(), (), depth + 1)
        finally:
            self.result = kept

    def _scalar(self, event: Any, path: KeyPath) -> Any:
        text: str = event.value
        if event.style is not None or event.tag is not None:
            if _UNPRINTABLE.search(text):
                self._refuse(event, path, f"{quoted(text)} holds a character that is not text; remove it")
            return text
        if text.lower() in ("", "~", "null"):
            return None
        if text.lower() in _SWITCHES:
            return _SWITCHES[text.lower()]
        number = self._number(text)
        if isinstance(number, str):
            self._refuse(event, path, number)
            return None
        return text if number is None else number

    @staticmethod
    def _number(text: str) -> int | float | str | None:
        """The number that is written; a refusal; or None where it is no number."""
        integer = _INTEGER.fullmatch(text)
        if _NOT_FINITE.fullmatch(text):
            return f"{text} is not a finite number"
        if not integer and not _FLOAT.fullmatch(text):
            return None
        if len(text) > MAX_DIGITS:
            return f"the number {text[:12]}… has more than {MAX_DIGITS} digits"
        if integer:
            return int(text)
        return float(text) if math.isfinite(float(text)) else f"{text} is out of the range of numbers"


def path_text(path: KeyPath) -> str:
    """A path as messages show it: `data.generators[1]`."""
    result = ""
    for key in path:
        if isinstance(key, int):
            result += f"[{key}]"
        else:
            shown = key if re.fullmatch(r"[\w-]{1,60}", key) else quoted(key)
            result += f".{shown}" if result else shown
    return result


def describe(value: Any) -> str:
    """What a value is, for messages about wrong types: `text 'six'`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the switch {'on' if value else 'off'}"
    if isinstance(value, str):
        return f"text {quoted(value)}"
    if isinstance(value, int | float):
        return f"the number {quoted(value)}"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def _error(source: str, line: int | None, message: str) -> InputError:
    return InputError([Problem(source, line, "", message)])


def _study_files(folder: Path) -> str:
    names = sorted(p.name for p in folder.glob("*.y*ml"))[:5]
    return f": {', '.join(names)}" if names else ""


def _neighbour(path: Path) -> str:
    if not path.parent.is_dir():
        return f"; the folder '{path.parent}' is not there either"
    names = [p.name for p in path.parent.glob("*.y*ml")]
    return did_you_mean(path.name, names) if names else ""
