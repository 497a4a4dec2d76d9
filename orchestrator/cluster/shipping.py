"""The code that a study runs, as one folder that Ray carries to the nodes of a cluster: nobody copies it there by hand."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from orchestrator.common.child_process import ROOT
from orchestrator.common.errors import AblateError
from orchestrator.common.import_paths import PACKAGES
from trainables.algorithms import ALGORITHMS
from trainables.code_files import PACKAGE, files_behind, root_of

_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


class ShippingConflict(AblateError):
    """Two files want the same place on the nodes, or something else has a name of this program's."""


def stage_code(folder: Path, algorithms: Iterable[str]) -> Path:
    """Copy this program's packages, and what users' own algorithms are made of, into `folder`; returns it.

    Args:
        folder: Empty, or not there yet.
        algorithms: Names as in `TrialSpec.algorithm`, which this process has resolved. Of `my_module:MyMatch` the module is
            copied, and what it imports from beside it; an installed package, the package alone.

    Data files that an algorithm opens are not found. Raises ShippingConflict.
    """
    for name in PACKAGES:
        shutil.copytree(_package(name), folder / name, ignore=_LEFT_OUT)
    origins: dict[Path, Path] = {}
    for algorithm in sorted(a for a in algorithms if ":" in a):
        module = algorithm.partition(":")[0]
        file = Path(str(sys.modules[ALGORITHMS[algorithm].__module__].__file__)).resolve()
        root = root_of(ALGORITHMS[algorithm].__module__, file)
        for path in files_behind(ALGORITHMS[algorithm].__module__, file):
            if path.is_relative_to(PACKAGE) or not path.is_relative_to(root):
                continue
            place = path.relative_to(root)
            other = origins.setdefault(place, path)
            if other != path or place.parts[0] in PACKAGES:
                raise ShippingConflict(
                    f"{module}: {path} and {other if other != path else PACKAGE.parent / place.parts[0]} cannot both be sent "
                    f"to the nodes as {place}; give one of them another name"
                )
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place)
    return folder


def _package(name: str) -> Path:
    """The folder of one of this program's packages, which is the one that this process has imported."""
    ours = ROOT / name
    module = importlib.import_module(name)
    found = getattr(module, "__file__", None) or f"the folder {', '.join(getattr(module, '__path__', ()))}"
    if Path(found).resolve() != ours / "__init__.py":
        raise ShippingConflict(
            f"{found} stands in the way of this program's package {name!r} ({ours}); give it another name, or start the command in "
            "another folder"
        )
    return ours
