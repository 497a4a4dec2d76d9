"""The algorithms by name, and how a user's own one is found.

A built-in algorithm is registered under its `name`. A user's own is registered under what the study file says,
`my_module:MyMatch`; that key stands in `TrialSpec.algorithm` and is what other code looks up. Its `name` ("my-match") is
what arms, files and tables call it.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from trainables.algorithms.base import Algorithm
from trainables.algorithms.declarations import declaration_problems
from trainables.code_files import PACKAGE, changed, files_behind, files_of, forget
from trainables.names import composed

ALGORITHMS: dict[str, type[Algorithm]] = {}

_files: dict[str, set[Path]] = {}
"""By module that `resolve` imported: the files behind it, without this package's."""
_folders: dict[str, Path] = {}
"""By module that `resolve` imported: the folder that it lies in, unless it is installed."""


class AlgorithmNotFound(ValueError):
    """A study names an algorithm that is not there or not whole; the message has the rule and the remedy."""


def resolve(name: str, *folders: Path | None) -> type[Algorithm]:
    """The algorithm that a study calls `name`, registered in ALGORITHMS from then on.

    Args:
        name: A built-in one's name, or `my_module:MyMatch`. The module is imported, which runs the user's code; again
            where its files have changed since.
        folders: Where to look for the module first (the study file's folder); then come the current folder and the
            installed packages.

    Raises AlgorithmNotFound.
    """
    name = composed(name)
    module_name, colon, class_name = name.partition(":")
    if not colon:
        if name in ALGORITHMS:
            return ALGORITHMS[name]
        raise AlgorithmNotFound(
            f"no algorithm '{name}'{_near(name, ALGORITHMS)}; your own is written my_module:MyMatch"
        )
    if not class_name.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise AlgorithmNotFound(f"'{name}' is not of the form my_module:MyMatch, a module and a class in it")
    module = _imported(module_name, [p.resolve() for p in (*folders, Path.cwd()) if p is not None])
    kind = _class_in(module, class_name)
    if ALGORITHMS.get(name) is kind:
        return kind
    problems = declaration_problems(kind)
    clash = ALGORITHMS.get(str(getattr(kind, "name", "")))
    if clash is not None:
        problems.insert(0, f"name: '{clash.name}' is the name of {clash.title}; give {class_name} a name of its own")
    if problems:
        raise AlgorithmNotFound("; ".join(f"{name}: {p}" for p in problems))
    ALGORITHMS[name] = kind
    return kind


def module_folders(names: Iterable[str]) -> list[str]:
    """Folders that another process must look in to `resolve` these algorithms, which this process has resolved."""
    modules = {name.partition(":")[0] for name in names}
    return sorted({str(_folders[module]) for module in modules if module in _folders})


def _imported(name: str, folders: list[Path]) -> ModuleType:
    """The module, imported now, or before if nothing behind it has changed since."""
    folder = next((p for p in folders if files_of(name, p)), None)
    if folder is not None:
        _make_way(name, folder)
    else:
        _refresh(name)
    if name in sys.modules and name in _files:
        return sys.modules[name]
    importlib.invalidate_caches()
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # a .pyc would hide a second edit in one second
    try:
        if folder is None and not _installed(name):
            looked = ", ".join(map(str, dict.fromkeys(folders)))
            raise AlgorithmNotFound(f"{name}: there is no such module in {looked}, nor among the installed packages")
        with _looked_in(folder):
            module = importlib.import_module(name)
    except AlgorithmNotFound:
        raise
    except (Exception, SystemExit) as problem:  # whatever the user's own code raises while it is imported
        raise AlgorithmNotFound(f"{name}: it cannot be imported: {_where(problem)}") from problem
    finally:
        sys.dont_write_bytecode = writes
    _files[name] = {
        p for p in files_behind(name, Path(str(module.__file__)).resolve()) if not p.is_relative_to(PACKAGE)
    }
    if folder is not None:
        _folders[name] = folder
    return module


@contextmanager
def _looked_in(folder: Path | None) -> Iterator[None]:
    """Look for modules in `folder` right after Python's own; when the block has ended, after all others.

    A `queue.py` or `mlflow.py` there is then nobody's but the user's, who imports it from beside it.
    """
    if folder is None:
        yield
        return
    importlib.import_module("torch")  # with NumPy: what the user's module imports next
    library = Path(os.__file__).resolve().parent
    before = list(sys.path)
    python = [p for p in before if p and "-packages" not in p and Path(p).resolve().is_relative_to(library)]
    sys.path[:] = [*python, str(folder), *(p for p in before if p not in (*python, str(folder)))]
    known = set(sys.path)
    try:
        yield
    finally:
        added = [p for p in sys.path if p not in known]  # by the user's code
        sys.path[:] = [*added, *before, *([] if str(folder) in before else [str(folder)])]


def _make_way(name: str, folder: Path) -> None:
    """Forget an earlier import of `name` that was of other files; raise where the name belongs to someone else."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        raise AlgorithmNotFound(f"{name}: {folder / top} has the name of one of Python's own modules; give it another")
    _refresh(name)
    loaded = getattr(sys.modules.get(top), "__file__", None)
    if loaded is None or Path(loaded).resolve().is_relative_to(folder):
        return
    ours = [module for module in _files if module.partition(".")[0] == top]
    if not ours:
        raise AlgorithmNotFound(f"{name}: the name is taken by {loaded}; give the module in {folder} another")
    for module in ours:
        _drop(module)


def _refresh(name: str) -> None:
    """Forget module `name` where a file behind it has changed."""
    if any(changed(path) for path in _files.get(name, ())):
        _drop(name)


def _drop(name: str) -> None:
    files = _files.pop(name)
    _folders.pop(name, None)
    for path in files:
        forget(path)
    for loaded in [m for m, module in sys.modules.items() if _file_of(module) in files]:
        del sys.modules[loaded]


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def _installed(name: str) -> bool:
    if name == "__main__":  # a script or a notebook, which a worker has not
        return False
    try:
        found = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):  # of a package on the way
        return False
    return found is not None and found.origin is not None


def _class_in(module: ModuleType, name: str) -> type[Algorithm]:
    found = getattr(module, name, None)
    if found is None:
        classes = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Algorithm)]
        own = [n for n in classes if getattr(module, n).__module__ != Algorithm.__module__]
        has = f"; it has {', '.join(own)}" if own else "; it has no class derived from trainables.algorithms.Algorithm"
        raise AlgorithmNotFound(f"{module.__name__}: no class '{name}' in {module.__file__}{_near(name, own) or has}")
    if not isinstance(found, type) or not issubclass(found, Algorithm):
        raise AlgorithmNotFound(
            f"{module.__name__}:{name}: it is not a class derived from trainables.algorithms.Algorithm"
        )
    return found


def _near(name: str, names: Iterable[str]) -> str:
    match = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean '{match[0]}'?" if match else ""


def _where(problem: BaseException) -> str:
    """The problem in one line, with the line of the user's code that raised it."""
    text = " ".join(f"{type(problem).__name__}: {problem}".split())
    frames = [f for f in traceback.extract_tb(problem.__traceback__) if "importlib" not in f.filename]
    own = [f for f in frames if not Path(f.filename).is_relative_to(PACKAGE)]
    if isinstance(problem, SyntaxError) or not own:
        return text
    return f"{own[-1].filename}:{own[-1].lineno}: {text}"
