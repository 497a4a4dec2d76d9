from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trainables.algorithms import (
    ALGORITHMS,
    AlgorithmNotFound,
    FixMatch,
    declaration_problems,
    module_folders,
    resolve,
)
from trainables.source import source_files, source_of

WHOLE = """
from trainables.algorithms import Algorithm, AlgorithmConfig, Component
from pydantic import Field

class Config(AlgorithmConfig):
    sharpness: float = Field(0.5, ge=0, le=1, description="of no matter")

class Mine(Algorithm):
    name = "mine"
    title = "Mine"
    Config = Config
    components = (
        Component(name="one", title="one", off="is off", parameters=("sharpness",), alternatives={"sharpness": (0.1,)}),
        Component(name="two", title="two", off="is off", needs=("one",)),
    )

    def build(self):
        pass

    def loss(self, batch, step):
        pass
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Writes `name`.py into a folder; afterwards its modules are not there."""
    modules = set(sys.modules)

    def written(text: str = WHOLE, name: str = "users_match", folder: str = "study") -> Path:
        file = tmp_path / folder / f"{name}.py"
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text, encoding="utf-8")
        return tmp_path / folder

    yield written
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_built_in_one_is_found_by_its_name() -> None:
    for name, kind in ALGORITHMS.items():
        assert resolve(name) is resolve(name, Path("anywhere"), None) is kind
    assert module_folders(ALGORITHMS) == []


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_ships_is_declared_whole(name: str) -> None:
    assert declaration_problems(ALGORITHMS[name]) == []


def test_a_users_one_is_registered_under_what_the_study_says(write: Write) -> None:
    folder = write()
    kind = resolve("users_match:Mine", folder)
    assert ALGORITHMS["users_match:Mine"] is kind
    assert (kind.name, kind.title) == ("mine", "Mine")
    assert resolve("users_match:Mine", folder) is kind
    assert module_folders(["users_match:Mine"]) == [str(folder)]
    assert "users_match.py" in source_files("users_match:Mine")
    assert not (folder / "__pycache__").exists()


def test_the_current_folder_and_installed_packages_are_looked_in_too(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(name="in_current"))
    assert resolve("in_current:Mine").name == "mine"
    installed = write(name="in_path", folder="elsewhere")
    monkeypatch.syspath_prepend(str(installed))
    assert resolve("in_path:Mine", write()).name == "mine"
    assert module_folders(["in_path:Mine"]) == []


def test_the_studys_folder_comes_first_and_two_studies_do_not_mix(write: Write) -> None:
    here, there = write(folder="here"), write(WHOLE.replace('"Mine"', '"Theirs"'), folder="there")
    assert resolve("users_match:Mine", here, there).title == "Mine"
    mine = source_of("users_match:Mine")
    assert resolve("users_match:Mine", there, here).title == "Theirs"
    assert source_of("users_match:Mine") != mine
    assert resolve("users_match:Mine", here).title == "Mine"
    assert source_of("users_match:Mine") == mine


def test_an_edit_is_seen_in_the_same_process(write: Write) -> None:
    text = "from helping import extra\n" + WHOLE
    folder = write(text)
    write("extra = 1\n", name="helping")
    first = resolve("users_match:Mine", folder)
    source = source_of("users_match:Mine")
    write("extra = 2\n", name="helping")  # as long as before and in the same second
    second = resolve("users_match:Mine", folder)
    assert second is not first
    assert sys.modules["helping"].extra == 2
    assert source_of("users_match:Mine") != source
    write("extra = 1\n", name="helping")
    resolve("users_match:Mine", folder)
    assert source_of("users_match:Mine") == source


def test_a_module_may_use_torch_late_or_at_once(write: Write) -> None:
    late = (
        WHOLE
        + "\nfrom trainables.lazy import LazyModule\ntorch = LazyModule('torch')\nF = LazyModule('torch.nn.functional')\n"
    )
    at_once = "import torch\n" + WHOLE
    for name, text in {"late": late, "at_once": at_once}.items():
        folder = write(text, name=name)
        assert resolve(f"{name}:Mine", folder).name == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fixmach", "no algorithm 'fixmach'; did you mean 'fixmatch'"),
        ("zzz", "no algorithm 'zzz'; your own is written my_module:MyMatch"),
        ("users match:Mine", "is not of the form my_module:MyMatch"),
        ("users_match:", "is not of the form my_module:MyMatch"),
        (":Mine", "is not of the form my_module:MyMatch"),
        ("../users_match:Mine", "is not of the form my_module:MyMatch"),
        ("users_match:Mine.inner", "is not of the form my_module:MyMatch"),
        ("absent:Mine", r"absent: there is no such module in .*study, .*, nor among the installed packages"),
        ("users_match.deep:Mine", "there is no such module"),
        ("__main__:Mine", "there is no such module"),
        ("users_match:Mien", r"no class 'Mien' in .*users_match\.py; did you mean 'Mine'\?"),
        ("users_match:Zebra", r"no class 'Zebra' in .*; it has Mine"),
        ("users_match:Config", "it is not a class derived from trainables.algorithms.Algorithm"),
        ("users_match:Field", "it is not a class derived from trainables.algorithms.Algorithm"),
    ],
)
def test_a_name_that_leads_nowhere_says_why(name: str, message: str, write: Write) -> None:
    folder = write()
    with pytest.raises(AlgorithmNotFound, match=message):
        resolve(name, folder)
    assert name not in ALGORITHMS


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('    name = "mine"\n', "", "name: it is missing"),
        ('name = "mine"', 'name = "Mine/one"', "name: 'Mine/one' is not made of a-z"),
        ('name = "mine"', 'name = "fixmatch"', "name: 'fixmatch' is the name of FixMatch; give Mine a name of its own"),
        ('    title = "Mine"\n', "", "title: it is missing"),
        ("    Config = Config\n", "", "Config: it is missing"),
        ("    Config = Config\n", "    Config = dict\n", "Config: it is missing, or not derived"),
        ("def build", "def construct", "build: it is missing"),
        ("def loss", "def cost", "loss: it is missing"),
        ("Field(0.5, ge", "Field(ge", "Config: every field needs a default .* sharpness has none"),
        ('needs=("one",)', 'needs=("on",)', "'two' needs 'on', which is not declared; there are one, two"),
        ('needs=("one",)', 'needs=("two",)', "'two' needs itself, in a circle"),
        ('name="two"', 'name="one"', "'one' is declared twice"),
        ('name="two"', 'name="Two parts"', "'Two parts' is not made of"),
        ('parameters=("sharpness",)', 'parameters=("sharp",)', "'one' names the parameter 'sharp', which Config lacks"),
        ('{"sharpness": (0.1,)}', '{"sharp": (0.1,)}', "'one' names the parameter 'sharp', which Config lacks"),
        ('{"sharpness": (0.1,)}', '{"sharpness": (7.0,)}', "alternative sharpness = 7.0 of 'one' is not allowed"),
        ('{"sharpness": (0.1,)}', '{"sharpness": (0.1, 0.1)}', "alternatives of sharpness in 'one' repeat a value"),
        ('needs=("one",)', 'parameters=("sharpness",)', "parameter 'sharpness' belongs to two components"),
        ("components = (", 'fixed = {"depth"}\n    components = (', "fixed: Config has no field 'depth'"),
        ("components = (", "components = [1]\n    others = (", "components: a tuple of Component"),
    ],
)
def test_a_class_that_is_not_whole_says_what_lacks(old: str, new: str, message: str, write: Write) -> None:
    assert old in WHOLE
    folder = write(WHOLE.replace(old, new))
    with pytest.raises(AlgorithmNotFound, match=f"users_match:Mine: .*{message}"):
        resolve("users_match:Mine", folder)
    assert "users_match:Mine" not in ALGORITHMS


def test_every_problem_is_named_at_once(write: Write) -> None:
    folder = write(WHOLE.replace('    title = "Mine"\n', "").replace("def loss", "def cost"))
    with pytest.raises(AlgorithmNotFound, match=r"title: it is missing.*loss: it is missing"):
        resolve("users_match:Mine", folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "x = 1\ny = nowhere\n",
            r"it cannot be imported: .*users_match\.py:2: NameError: name 'nowhere' is not defined",
        ),
        ("import no_such_module", r"users_match\.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("class", r"it cannot be imported: SyntaxError: invalid syntax \(users_match\.py, line 1\)"),
        ("import sys; sys.exit(3)", r"it cannot be imported: .*SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_imported_says_where(text: str, message: str, write: Write) -> None:
    folder = write(text)
    with pytest.raises(AlgorithmNotFound, match=message):
        resolve("users_match:Mine", folder)
    assert resolve("users_match:Mine", write()).name == "mine"  # once it is mended


def test_a_name_that_is_anothers_is_refused(write: Write) -> None:
    folder = write(name="random")
    with pytest.raises(AlgorithmNotFound, match="has the name of one of Python's own modules"):
        resolve("random:Mine", folder)
    folder = write(name="pydantic")
    with pytest.raises(AlgorithmNotFound, match="the name is taken by"):
        resolve("pydantic:Mine", folder)


def test_a_subclass_of_a_built_in_one_needs_a_name_of_its_own(write: Write) -> None:
    text = "from trainables.algorithms import FixMatch\nclass Mine(FixMatch):\n    pass\n"
    folder = write(text)
    with pytest.raises(AlgorithmNotFound, match="'fixmatch' is the name of FixMatch"):
        resolve("users_match:Mine", folder)
    folder = write(text.replace("pass", "name = 'mine'"))
    assert issubclass(resolve("users_match:Mine", folder), FixMatch)
    assert "trainables/algorithms/fixmatch.py" in source_files("users_match:Mine")
    assert "trainables/algorithms/rsmatch.py" not in source_files("users_match:Mine")
