from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from orchestrator.cluster.shipping import PACKAGES, ShippingConflict, stage_code
from trainables.algorithms import ALGORITHMS, resolve

OWN = """
from helper_{name} import step
from trainables.algorithms import FixMatch

class My(FixMatch):
    name = "my-{name}"
    title = "My {name}"
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a user's own algorithm with a helper beside it; returns its name in a study."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(ALGORITHMS)

    def write(name: str, folder: str, helper: str = "step = 1\n") -> str:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        (place / f"own_{name}.py").write_text(OWN.format(name=name), encoding="utf-8")
        (place / f"helper_{name}.py").write_text(helper, encoding="utf-8")
        (place / "secret.txt").write_text("not sent", encoding="utf-8")
        resolve(f"own_{name}:My", place)
        return f"own_{name}:My"

    yield write
    ALGORITHMS.clear()
    ALGORITHMS.update(before)
    for module in [m for m in sys.modules if m.startswith(("own_", "helper_"))]:
        del sys.modules[module]


def test_a_process_elsewhere_has_the_same_source(own: Callable[..., str], tmp_path: Path) -> None:
    name = own("near", "study")
    folder = stage_code(tmp_path / "staged", ["rsmatch", name])
    code = (
        "from trainables.algorithms import resolve; from trainables.source import source_of; import orchestrator;"
        f"resolve({name!r}); print(source_of({name!r}), source_of('rsmatch'), orchestrator.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True
    )
    from trainables.source import source_of

    assert done.stderr == ""
    assert done.stdout.split() == [source_of(name), source_of("rsmatch"), str(folder / "orchestrator" / "__init__.py")]


def test_nothing_is_sent_that_is_not_needed(own: Callable[..., str], tmp_path: Path) -> None:
    folder = stage_code(tmp_path / "staged", [own("near", "study")])
    assert {p.name for p in folder.iterdir()} == {*PACKAGES, "own_near.py", "helper_near.py"}
    kinds = {p.suffix for p in folder.rglob("*") if p.is_file()}
    assert ".pyc" not in kinds
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 5_000_000


def test_two_files_that_want_one_place_are_refused(own: Callable[..., str], tmp_path: Path) -> None:
    first, second = own("one", "a"), own("two", "b")
    (tmp_path / "b" / "helper_one.py").write_text("step = 2\n", encoding="utf-8")
    (tmp_path / "b" / "own_two.py").write_text(
        (tmp_path / "b" / "own_two.py").read_text(encoding="utf-8").replace("helper_two", "helper_one"),
        encoding="utf-8",
    )
    resolve(second, tmp_path / "b")
    with pytest.raises(ShippingConflict, match=r"helper_one\.py"):
        stage_code(tmp_path / "staged", [first, second])


def test_a_module_of_the_same_name_as_a_package_is_never_sent_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    other = ModuleType("results")
    other.__file__ = str(tmp_path / "here" / "results.py")
    monkeypatch.setitem(sys.modules, "results", other)
    with pytest.raises(ShippingConflict, match=r"results\.py stands in the way of this program's package 'results'"):
        stage_code(tmp_path / "staged", ["rsmatch"])
    monkeypatch.setitem(sys.modules, "results", ModuleType("results"))  # a folder without __init__.py
    with pytest.raises(ShippingConflict, match="stands in the way"):
        stage_code(tmp_path / "again", ["rsmatch"])
