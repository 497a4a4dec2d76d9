from __future__ import annotations

import math
import time
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.common.errors import InputError, Problem
from orchestrator.study.yaml_source import MAX_BYTES, MAX_DEPTH, Location, as_text, parse, path_text, read_text


def refused(text: str) -> list[str]:
    """Every problem of a text, whether it ended the reading or not."""
    try:
        return [str(p) for p in parse(text, "f.yaml").problems]
    except InputError as error:
        return [str(p) for p in error.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("+7", 7),
        ("1_000", 1000),
        ("010", 10),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("on", True),
        ("Off", False),
        ("yes", True),
        ("NO", False),
        ("true", True),
        ("'no'", "no"),
        ('"6"', "6"),
        ("~", None),
        ("null", None),
        ("six", "six"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("0x10", "0x10"),
        ("[1, off, a]", [1, False, "a"]),
        ("{a: {b: [1.0]}}", {"a": {"b": [1.0]}}),
        ("", None),
        ("# nothing\n", None),
    ],
)
def test_scalars(text: str, value: object) -> None:
    read = parse(text, "f.yaml").data
    assert read == value
    assert type(read) is type(value)


def test_every_key_and_item_has_its_line() -> None:
    document = parse("a: 1\nb:\n  c: 2\n  d:\n    - x\n    - {e: 3,\n       f: 4}\n", "f.yaml")
    lines = {path: place.line for path, place in document.locations.items()}
    assert lines == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "d"): 4,
        ("b", "d", 0): 5,
        ("b", "d", 1): 6,
        ("b", "d", 1, "e"): 6,
        ("b", "d", 1, "f"): 7,
    }
    assert document.locate(("b", "d", 7, "zzz")) == Location("f.yaml", 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: key 'a' was given before, on line 1; keep one"),
        ("x: {a: 1, a: 3}", "f.yaml:1: x: key 'a' was given before, on line 1; keep one"),
        ("a: &x 1\nb: *x", "f.yaml:2: b: the alias '*x' is refused; write the value out"),
        (
            "a: !!python/object/apply:os.system [ls]",
            "f.yaml:1: a: the tag '!!python/object/apply:os.system' is refused:",
        ),
        ("a: !mine 1", "f.yaml:1: a: the tag '!mine' is refused: a study holds plain values only; remove the tag"),
        ("a: !!str 1", "f.yaml:1: a: the tag '!!str' is refused"),
        ("!!python/name:os.system x: 1", "f.yaml:1: in a key: the tag '!!python/name:os.system' is refused"),
        ("a: .nan", "f.yaml:1: a: .nan is not a finite number"),
        ("a: [1, -.INF]", "f.yaml:1: a[1]: -.INF is not a finite number"),
        ("a: 1e999", "f.yaml:1: a: 1e999 is out of the range of numbers"),
        (f"a: {'9' * 5000}", "f.yaml:1: a: the number 999999999999… has more than 64 digits"),
        ("a:\n  1: x", "f.yaml:2: a: a key must be text, '1' is the number 1; put it in quotes"),
        ("on: x", "f.yaml:1: a key must be text, 'on' is the switch on; put it in quotes"),
        ("? [a, b]\n: x", "f.yaml:1: a key must be text, this one is a list"),
        ('a: "\\ud800"', "f.yaml:1: a: '\\\\ud800' holds a character that is not text; remove it"),
        ('a: "\\0"', "f.yaml:1: a: '\\\\x00' holds a character that is not text; remove it"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a second document begins here; a study file holds one"),
        ("a: [1\nb: 2", "f.yaml:2: YAML syntax: the '[' of line 1 is not closed, or a ',' is missing after an entry"),
        (
            "a: {b: 1\nc: 2",
            "f.yaml:2: YAML syntax: the '{' of line 1 is not closed, or a ',' is missing after an entry",
        ),
        ("a:\n\t- b", "f.yaml:2: YAML syntax: a tab stands where only spaces may; indent"),
        ("a: b: c", "f.yaml:1: YAML syntax: no key can stand here; look for a missing ':'"),
        ("a:\n  b: 1\n c: 2", "f.yaml:3: YAML syntax: this line is indented differently from its neighbours; what"),
        ("- a\nb: 1", "f.yaml:2: YAML syntax: a key stands between the items of a list; begin"),
        ("a: 1\n- b", "f.yaml:2: YAML syntax: a list item ('- ') stands between the keys of a mapping; indent"),
        ('a: "b" c', "f.yaml:1: YAML syntax: text follows a value that has ended; put"),
        ("a: [1]]", "f.yaml:1: YAML syntax: ']' stands where no bracket is open; remove it, or"),
        ("a: 1\nb: 'c\nd: 1", "f.yaml:3: YAML syntax: the quotation mark of line 2 is not closed"),
        ('a: "\\q"', "f.yaml:1: YAML syntax: '\\\\q' means nothing in double quotes; use single quotes, or"),
        ("a: @b", "f.yaml:1: YAML syntax: text cannot begin with @; put it in quotes"),
        ("a: {", "f.yaml:1: YAML syntax: a value is missing at the end"),
        ("}", "f.yaml:1: YAML syntax: a value is missing before '}'"),
        ('a: "\\UFFFFFFFF"', "f.yaml:1: YAML syntax: "),
        ("a: *nowhere", "f.yaml:1: a: the alias '*nowhere' is refused"),
        ("%YAML 9.0\n---\na: 1", "f.yaml:1: YAML syntax: "),
        ("ok: 1\na: \x07", "f.yaml:2: is not plain text: it holds the character '\\\\x07'; remove it"),
        ("[" * 100, f"f.yaml:1: is nested more than {MAX_DEPTH} deep"),
        ("[" + "1," * 20_000 + "]", "f.yaml:1: holds more than 10,000 values"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    problems = refused(text)
    assert len(problems) == 1
    assert problems[0].startswith(message.replace("\\\\", "\\")), problems[0]


def test_tabs_get_their_remedy() -> None:
    assert refused("a:\n\t- b")[0].endswith("indent with spaces, never with tabs")


def test_refusals_of_single_values_are_told_together() -> None:
    document = parse("a: .nan\nb: !x 1\nc: 3\nc: 4", "f.yaml")
    assert [p.line for p in document.problems] == [1, 2, 4]
    assert document.data["c"] == 3
    assert document.spoiled == {("a",), ("b",), ("c",)}


def test_an_alias_bomb_is_not_expanded() -> None:
    levels = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 10))
    begin = time.perf_counter()
    assert len(refused("l0: &l0 lol\n" + levels)) == 90
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize(
    "unit", ["[", "{a: ", "- ", "? ", "a: b\n", "'", "#\n", "&a ", "!a ", "x" * 50 + "\n", "%", "a,"]
)
def test_the_largest_file_is_judged_quickly(unit: str) -> None:
    begin = time.process_time()
    refused(unit * (MAX_BYTES // len(unit)))
    assert time.process_time() - begin < 2


@given(st.text())
def test_any_text_gives_a_document_or_problems(text: str) -> None:
    refused(text)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["C", "Z"]), max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_plain_data_comes_back_as_it_was_written(data: object) -> None:
    def quote(value: object) -> object:
        """Text in double quotes and numbers in Python's form: what a careful writer would write."""
        if isinstance(value, dict):
            return "{" + ", ".join(f'"{k}": {quote(v)}' for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(str(quote(v)) for v in value) + "]"
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        return (
            {None: "null", True: "on", False: "off"}.get(value)
            if value is None or isinstance(value, bool)
            else repr(value)
        )

    document = parse(str(quote(data)), "f.yaml")
    assert not document.problems
    assert document.data == data


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_pyyaml_or_python_writes_is_read(value: float) -> None:
    for text in (repr(value), yaml.safe_dump(value).split("\n")[0]):
        assert math.isclose(parse(text, "f").data, value, rel_tol=1e-15)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb\0: 2", ":2: is not a text file: it holds a NUL byte; write the study as YAML in UTF-8"),
        (b"a: 1\n\n\xff\xfe", ":3: is not a text file in UTF-8; save it as UTF-8"),
        ("a: é".encode("latin-1"), ":1: is not a text file in UTF-8; save it as UTF-8"),
        (b"#" * (MAX_BYTES + 1), ": is larger than 256 KiB; a study file is a page of text"),
    ],
)
def test_files_that_are_not_text(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_text(path)
    assert str(caught.value) == f"{path}{message}"


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text("a: 1")

    def message(path: Path) -> str:
        with pytest.raises(InputError) as caught:
            read_text(path)
        return str(caught.value)

    assert message(tmp_path / "digit.yaml").endswith("there is no such file; did you mean 'digits.yaml'?")
    assert message(tmp_path / "no" / "a.yaml").endswith(f"the folder '{tmp_path / 'no'}' is not there either")
    assert message(tmp_path).endswith("is a folder; name the study file in it: digits.yaml")
    assert message(Path("/dev/zero")).endswith("is not a regular file; write the study to one")
    assert "cannot be read" in message(Path("a\0b")) or "no such file" in message(Path("a\0b"))
    assert "\n" not in message(tmp_path / ("x" * 5000))


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes("\ufeffa: 1\r\nb: 2\r\n".encode())
    document = parse(read_text(path), "s.yaml")
    assert document.data == {"a": 1, "b": 2}
    assert document.locate(("b",)).line == 2


def test_problems_and_paths_stay_on_one_line() -> None:
    assert path_text(("a", 0, "b c\n\x1b[31m")) == r"a[0].'b c\n\x1b[31m'"
    assert str(Problem("a\nb", 3, "x", "what\x1b[0m \ud800")) == r"a\nb:3: x: what\x1b[0m \ud800"


@given(
    st.sampled_from(["1e3", "08", "0E0", "-.5E1", ".inf", "1_0", "on", "null", "~", "1:30", "2026-11-24", "a: b", "#"])
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert parse(as_text({"a": text, "b": [text]}), "s.yaml").data == {"a": text, "b": [text]}


@given(plain)
def test_written_values_are_read_back(value: object) -> None:
    assert parse(as_text({"a": value}), "s.yaml").data == {"a": value}


def test_a_key_is_one_key_in_both_ways_of_writing_its_accents() -> None:
    text = unicodedata.normalize("NFD", "größe: 1")
    assert parse(text, "f.yaml").data == {"größe": 1}
    (problem,) = parse(f"größe: 1\n{text}", "f.yaml").problems
    assert str(problem) == "f.yaml:2: key 'größe' was given before, on line 1; keep one"
