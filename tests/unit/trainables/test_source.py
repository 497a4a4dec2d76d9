from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from trainables import code_files, source
from trainables.algorithms import ALGORITHMS
from trainables.code_files import PACKAGE, PACKAGE_FILES, files_behind, root_of
from trainables.source import source_files, source_of


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make the process believe that a file of the package had one more line when it was imported."""

    def edited(name: str) -> None:
        path = PACKAGE / name
        monkeypatch.setitem(code_files._contents, path, code_files.content(path) + b"\n")
        source._digest.cache_clear()

    yield edited
    source._digest.cache_clear()


def relative(files: set[Path], root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in files}


@pytest.mark.parametrize(
    ("file", "touched"),
    [
        ("algorithms/rsmatch.py", {"rsmatch"}),
        ("algorithms/supervised.py", {"supervised"}),
        ("algorithms/fixmatch.py", {"fixmatch", "flexmatch", "rsmatch", "oracle-drop", "oracle-dummy-head"}),
        ("algorithms/base.py", set(ALGORITHMS)),
        ("algorithms/__init__.py", set()),
        ("training.py", set(ALGORITHMS)),
        ("data/generators.py", set(ALGORITHMS)),
    ],
)
def test_an_edit_touches_the_algorithms_whose_outcome_it_can_change(
    file: str, touched: set[str], edit: Callable[[str], None]
) -> None:
    before = {name: source_of(name) for name in ALGORITHMS}
    edit(file)
    assert {name for name in ALGORITHMS if source_of(name) != before[name]} == touched


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_files_are_named_with_their_hashes(algorithm: str, edit: Callable[[str], None]) -> None:
    before = source_files(algorithm)
    assert list(before) == sorted(before)
    path = PACKAGE / "training.py"
    assert before["trainables/training.py"] == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert {f"trainables/{p.relative_to(PACKAGE).as_posix()}" for p in PACKAGE_FILES if p.parent == PACKAGE} <= set(
        before
    )
    edit("training.py")
    after = source_files(algorithm)
    assert {name for name in before if before[name] != after[name]} == {"trainables/training.py"}


def test_algorithms_differ_although_they_share_files() -> None:
    assert len({source_of(name) for name in ALGORITHMS}) == len(ALGORITHMS)
    assert all(len(source_of(name)) == 12 for name in ALGORITHMS)


def test_an_unknown_algorithm_has_no_source() -> None:
    with pytest.raises(KeyError, match="fixmach"):
        source_of("fixmach")


@pytest.mark.parametrize(
    ("statement", "extra"),
    [
        ("import helper", {"helper.py"}),
        ("from helper import one", {"helper.py"}),
        ("def later():\n    import helper", {"helper.py"}),
        ("lazy = LazyModule('helper')", {"helper.py"}),
        ("lazy = importlib.import_module('helper')", {"helper.py"}),
        ("from parts.losses import loss", {"parts/__init__.py", "parts/losses.py"}),
        ("from parts import losses", {"parts/__init__.py", "parts/losses.py"}),
        ("import parts", {"parts/__init__.py"}),
        ("import chain", {"chain.py", "helper.py"}),
        ("import json, numpy, torch, no_such_module", set()),
        ("text = 'helper'", set()),
    ],
)
def test_what_a_users_module_imports_from_beside_it_belongs_to_it(
    statement: str, extra: set[str], tmp_path: Path
) -> None:
    for name, text in {
        "mine.py": statement,
        "helper.py": "one = 1",
        "unused.py": "",
        "chain.py": "import helper, mine",
        "parts/__init__.py": "",
        "parts/losses.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    file = tmp_path / "mine.py"
    assert root_of("mine", file) == tmp_path
    assert relative(files_behind("mine", file), tmp_path) == {"mine.py"} | extra


def test_a_module_in_a_package_brings_its_package_and_relative_imports(tmp_path: Path) -> None:
    folder = tmp_path / "site-packages"
    for name, text in {
        "mine/__init__.py": "",
        "mine/deep/__init__.py": "from . import other",
        "mine/deep/match.py": "from .losses import loss\nfrom .. import shared\nimport neighbour",
        "mine/deep/losses.py": "",
        "mine/deep/other.py": "",
        "mine/deep/unused.py": "",
        "mine/shared.py": "",
        "neighbour.py": "",  # another package that happens to be installed
    }.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text, encoding="utf-8")
    file = folder / "mine" / "deep" / "match.py"
    assert root_of("mine.deep.match", file) == folder
    assert root_of("mine", folder / "mine" / "__init__.py") == folder
    assert relative(files_behind("mine.deep.match", file), folder / "mine") == {
        "__init__.py", "shared.py", "deep/__init__.py", "deep/match.py", "deep/losses.py", "deep/other.py",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "algorithms"),
    [
        ("from trainables.algorithms import Algorithm, Component", {"base.py"}),
        ("from trainables.algorithms import FixMatch", {"base.py", "fixmatch.py"}),
        (
            "from trainables.algorithms.rsmatch import RSMatch",
            {"base.py", "fixmatch.py", "rsmatch.py", "score_memory.py"},
        ),
        ("from trainables.algorithms import ALGORITHMS", None),
        ("import trainables.algorithms", None),
        ("from trainables import algorithms", None),
    ],
)
def test_a_users_module_brings_the_algorithms_that_it_builds_on(
    statement: str, algorithms: set[str] | None, tmp_path: Path
) -> None:
    folder = PACKAGE / "algorithms"
    (tmp_path / "mine.py").write_text(statement, encoding="utf-8")
    found = {p.name for p in files_behind("mine", tmp_path / "mine.py") if p.parent == folder}
    every = {p.name for p in folder.glob("*.py")} - {"__init__.py"}
    assert found == (every if algorithms is None else algorithms)


def test_the_content_is_that_of_the_first_look(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(b"one")
    assert code_files.content(path) == b"one"
    path.write_bytes(b"two")
    assert code_files.content(path) == b"one"
    assert code_files.changed(path)
    code_files.forget(path)
    assert code_files.content(path) == b"two"
    assert not code_files.changed(path)
    path.unlink()
    assert code_files.changed(path)
