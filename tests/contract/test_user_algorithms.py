"""A user's own algorithm, from a module of its own, is trained like any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.trials import CPU, Arm, Blocks, outcome, run, trial
from trainables import trainable
from trainables.algorithms import ALGORITHMS, closure, module_folders, registry, resolve
from trainables.source import source_of
from trainables.specs import TrialSpec
from trainables.trainable import PAYLOAD, AblationTrainable
from trainables.training import Trainer

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "my_match.py"
NAME = "my_match:MyMatch"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with the documentation's example in it."""
    (tmp_path / "my_match.py").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_the_example_is_short() -> None:
    assert EXAMPLE.read_text(encoding="utf-8").count("\n") < 60


@pytest.mark.parametrize("off", [(), ("certainty",), ("balance",), ("balance", "certainty")])
def test_it_trains_with_and_without_its_components(off: tuple[str, ...], folder: Path, blocks: Blocks) -> None:
    kind = resolve(NAME, folder)
    assert closure(kind.components, off) == set(off)
    spec = trial(Arm(NAME, off))
    block = blocks(spec.data)
    rows = run(Trainer(spec, block, CPU))
    assert outcome(Trainer(spec, block, CPU))[0] == rows
    floor = trial(Arm("supervised"))
    expected = [(row["val_error"], row["val_loss"]) for _, row in run(Trainer(floor, block, CPU))]
    found = [(row["val_error"], row["val_loss"]) for _, row in rows]
    assert (found == expected) == (len(off) == 2)


@pytest.mark.usefixtures("quick")
def test_a_worker_finds_it_in_the_folders_that_it_is_told(folder: Path, blocks: Blocks, pools: Path) -> None:
    resolve(NAME, folder)
    spec = trial(Arm(NAME)).model_copy(update={"source": source_of(NAME)})
    config = {"spec": spec.model_dump_json(), "cache": str(pools), "checkpoints": str(folder / "checkpoints")}
    modules = module_folders([NAME, "fixmatch"])
    assert modules == [str(folder)]
    ALGORITHMS.pop(NAME)  # as in a process of its own
    registry._drop("my_match")
    sys.path[:] = [p for p in sys.path if p != str(folder)]
    trainable.seed_block.cache_clear()
    lost = AblationTrainable(config=config).step()
    assert lost["done"] is True
    (payload,) = lost[PAYLOAD]
    assert payload["failed"].startswith("my_match: there is no such module in ")
    ours = AblationTrainable(config={**config, "modules": modules})
    rows = []
    while True:
        result = ours.step()
        (payload,) = result[PAYLOAD]
        assert "failed" not in payload, payload["traceback"]
        rows += payload["rows"]
        if result["done"]:
            break
    trainable.seed_block.cache_clear()
    assert rows == run(Trainer(spec, blocks(spec.data), CPU))


@pytest.mark.usefixtures("quick")
def test_a_module_that_was_edited_after_planning_is_refused(folder: Path, pools: Path) -> None:
    resolve(NAME, folder)
    spec = trial(Arm(NAME)).model_copy(update={"source": source_of(NAME)})
    with (folder / "my_match.py").open("a", encoding="utf-8") as file:
        file.write("\nx = 1\n")
    config = {"spec": spec.model_dump_json(), "cache": str(pools), "checkpoints": "", "modules": [str(folder)]}
    (payload,) = AblationTrainable(config=config).step()[PAYLOAD]
    assert payload["failed"].startswith(f"the source of {NAME} is ")


def test_two_processes_agree_on_its_source(folder: Path) -> None:
    resolve(NAME, folder)
    code = (
        "import sys; from pathlib import Path; from trainables.algorithms import resolve\n"
        f"from trainables.source import source_of; resolve({NAME!r}, Path(sys.argv[1])); print(source_of({NAME!r}))"
    )
    found = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == source_of(NAME)


def test_a_specification_names_it_by_its_key(folder: Path) -> None:
    resolve(NAME, folder)
    spec = trial(Arm(NAME))
    assert TrialSpec.model_validate_json(spec.model_dump_json()).algorithm == NAME
    assert ALGORITHMS[NAME].name == "my-match"


def test_what_else_lies_beside_it_stands_in_for_nothing(folder: Path) -> None:
    for name in ("queue", "statistics", "mlflow", "torch", "numpy", "results"):
        (folder / f"{name}.py").write_text("raise SystemExit('shadow')", encoding="utf-8")
    (folder / "typer.py").write_text("mine = 1", encoding="utf-8")
    own = (folder / "my_match.py").read_text(encoding="utf-8")
    also = "import statistics, sys, helper_of_mine\nsys.path.insert(0, '/of/mine')\n"
    (folder / "my_match.py").write_text(own.replace("\nfrom pydantic", f"\n{also}from pydantic"), encoding="utf-8")
    (folder / "helper_of_mine.py").write_text("import typer\nassert typer.mine", encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from trainables.algorithms import resolve; before = list(sys.path)\n"
        f"resolve({NAME!r}, Path(sys.argv[1])); assert sys.path == ['/of/mine', *before, sys.argv[1]], sys.path\n"
        "import mlflow, results, torch, queue, my_match, helper_of_mine; print(my_match.__file__)\n"
        "from trainables.code_files import files_behind\n"
        "print(*sorted(p.name for p in files_behind('my_match', Path(my_match.__file__)) if p.parent == Path(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert done.stderr == ""
    beside = "helper_of_mine.py my_match.py typer.py"
    assert done.stdout.splitlines() == [
        str(folder / "my_match.py"),
        beside,
    ]  # what is sent to a cluster, and its identity
