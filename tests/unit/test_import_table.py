"""Who may import whom. The table is the architecture; a new arrow is a decision, not an accident."""

from __future__ import annotations

import ast
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
        *(f"results/{name}.py" for name in ("ledger", "ledger_parts", "packed", "render/parquet")),
        "orchestrator/storage/object_store.py",
    },
    "matplotlib": {f"results/plots/{path.name}" for path in (ROOT / "results" / "plots").glob("*.py")},
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


def test_modules_stay_small():
    long = {p.name: n for p in modules() if (n := p.read_text(encoding="utf-8").count("\n")) > 400}
    assert not long
    algorithms = (ROOT / "trainables" / "algorithms").glob("*.py")
    assert not {p.name for p in algorithms if p.read_text(encoding="utf-8").count("\n") > 250}


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
