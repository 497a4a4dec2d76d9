"""Who may import whom. The table is the architecture; a new arrow is a decision, not an accident."""

from __future__ import annotations

import ast
import importlib
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("orchestrator", "trainables", "search_spaces", "results")

MAY_IMPORT = {
    "orchestrator": {"trainables", "search_spaces", "results"},
    "trainables": set(),
    "search_spaces": {"trainables"},
    "results": {"trainables"},
}
ONLY = {  # (package, of ours): the modules there that may be imported
    ("search_spaces", "trainables"): {"trainables.algorithms"},
    ("results", "trainables"): {"trainables.files", "trainables.numbers"},
}
NEVER = {"results": {"torch", "torchvision", "ray", "optuna", "mlflow"}, "search_spaces": {"torch", "ray", "mlflow"}}
SOLE_HOME = {  # library: the only places that import it
    "optuna": {"orchestrator/engine/search.py", "orchestrator/browse/dashboard.py", "search_spaces/distributions.py"},
    "optuna_dashboard": {"orchestrator/browse/dashboard.py"},
    "mlflow": {
        *(
            f"orchestrator/mirror/{name}.py"
            for name in ("batches", "bulk", "connection", "database", "models", "store")
        ),
        "orchestrator/browse/mlflow_app.py",
        "orchestrator/browse/mlflow_server.py",
    },
    "pyarrow": {
        *(
            f"results/{name}.py"
            for name in ("ledger/ledger", "ledger/parts", "ledger/compact_values", "report/parquet")
        ),
        "orchestrator/storage/object_store.py",
    },
    "matplotlib": {
        f"results/figures/plots/{path.name}" for path in (ROOT / "results" / "figures" / "plots").glob("*.py")
    },
    "yaml": {"orchestrator/study/yaml_source.py"},
    "diffusers": {"orchestrator/ssl/synthesis.py"},
}


def modules():
    return [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_module_imports_what_its_package_may(path):
    name = path.relative_to(ROOT).as_posix()
    package = name.split("/")[0]
    for module in imports(path):
        top = module.split(".")[0]
        if top in PACKAGES and top != package:
            assert top in MAY_IMPORT[package], f"{name} imports {module}"
            allowed = ONLY.get((package, top))
            assert allowed is None or module in allowed, f"{name} imports {module}"
        assert top not in NEVER.get(package, ()), f"{name} imports {module}"
        if top in SOLE_HOME:
            assert name in SOLE_HOME[top], f"{name} imports {module}"


def test_the_table_names_places_that_exist():
    for places in SOLE_HOME.values():
        for place in places:
            assert (ROOT / place).is_file()


ROOMS = {  # a room imports what stands before it in its row; `ssl` may import all of them
    "orchestrator": (
        *(
            "common",
            "study",
            "design",
            "check",
            "storage",
            "engine",
            "cluster",
            "forecast",
            "mirror",
            "running",
            "browse",
        ),
        "cli",
    ),
    "results": ("records", "ledger", "statistics", "analysis", "words", "sheets", "figures", "report"),
}
BUILT_IN = "ssl"
KNOWS_TASKS = "orchestrator.common.task"
"""The one module outside of `ssl` that imports it."""
LARGEST_ROOM = 20
STILL = {  # what a table or a sheet says of itself in a notebook, and what only the built-in task has: to be turned round
    ("results.analysis.cumulative_path", "results.ssl.headroom"),
    ("results.analysis.main_table", "results.report.frames"),
    ("results.analysis.main_table", "results.report.notebook"),
    ("results.analysis.main_table", "results.ssl.contamination"),
    ("results.analysis.main_table", "results.ssl.headroom"),
    ("results.analysis.main_table", "results.ssl.real_only"),
    ("results.figures.captions.contamination", "results.ssl.contamination"),
    ("results.figures.captions.images", "results.ssl.feature_maps"),
    ("results.figures.of_study", "results.ssl.feature_maps"),
    ("results.figures.plots.contamination", "results.ssl.contamination"),
    ("results.figures.plots.feature_maps", "results.ssl.feature_maps"),
    ("results.sheets.overview", "results.ssl.headroom"),
    ("results.sheets.overview", "results.ssl.real_only"),
    ("results.sheets.response", "results.ssl.contamination"),
    ("results.sheets.sheet", "results.report.frames"),
    ("results.sheets.sheet", "results.report.notebook"),
}
"""(importer, imported) against the order; an arrow that is gone must go from here too."""


def named(package: str) -> dict[str, Path]:
    """Modules by their names."""
    places = {p.relative_to(ROOT).with_suffix(""): p for p in sorted((ROOT / package).rglob("*.py"))}
    return {".".join(place.parts).removesuffix(".__init__"): path for place, path in places.items()}


@lru_cache
def arrows(package: str) -> frozenset[tuple[str, str]]:
    """(importer, imported) modules of a package, imports inside of functions and for types alone included."""
    modules = named(package)
    found = set()
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {(name, alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                found |= {(name, full if full in modules else str(node.module)) for full in inner}
    return frozenset((one, other) for one, other in found if other in modules and one != other)


def room(module: str) -> str:
    """Empty for what stands outside of rooms: the package itself and its command."""
    return "".join(module.split(".")[1:2]).replace("__main__", "")


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_only_what_stands_before_them(package: str) -> None:
    order = ROOMS[package]
    wrong = [
        (one, other)
        for one, other in arrows(package)
        if room(other)
        and room(one) not in ("", BUILT_IN, room(other))
        and one != KNOWS_TASKS
        and (room(other) == BUILT_IN or order.index(room(other)) > order.index(room(one)))
    ]
    assert set(wrong) == {arrow for arrow in STILL if arrow[0].startswith(f"{package}.")}


@pytest.mark.parametrize("package", ROOMS)
def test_no_module_stands_outside_of_a_room(package: str) -> None:
    loose = {path.name for path in (ROOT / package).glob("*.py")}
    assert loose <= {"__init__.py", "__main__.py"}
    rooms = {path.parent.relative_to(ROOT / package).parts[0] for path in (ROOT / package).glob("*/**/*.py")}
    assert rooms == {*ROOMS[package], BUILT_IN}
    assert not rooms & set(importlib.import_module(package).__dict__.get("__all__", ())), (
        "a room would hide a public name"
    )
    for one in rooms:
        assert len([p for p in (ROOT / package / one).glob("*.py") if p.name != "__init__.py"]) <= LARGEST_ROOM, one


@pytest.mark.parametrize("package", ["orchestrator", "trainables", "search_spaces"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    waiting = {name: {b for a, b in arrows(package) if a == name != KNOWS_TASKS} for name in named(package)}
    while free := [name for name, needs in waiting.items() if not needs & waiting.keys()]:
        for name in free:
            del waiting[name]
    assert not waiting, f"these, or what they import, import each other: {', '.join(sorted(waiting))}"


def test_every_console_shows_text_as_it_is():
    """Rich takes `[old]` in a path for markup unless it is told not to."""
    makers = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Console"
    }
    assert makers == {"orchestrator/common/printing.py"}
    for word in ("from_markup", "rich.markup"):
        assert not [p for p in modules() if word in p.read_text(encoding="utf-8")]
