"""Where Python looks for modules: here, in Ray's workers, and for this program's own packages.

This is imported before anything else, perhaps with the working folder on the path: it imports only what Python itself has loaded.
"""

from __future__ import annotations

import os
import site
import sys
from importlib import import_module
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.machinery import ModuleSpec
    from types import ModuleType

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))  # noqa: PTH120
"""The folder that this program's packages are imported from."""
PACKAGES = ("orchestrator", "trainables", "search_spaces", "results")


class OwnPackages:
    """Finds this program's packages beside each other.

    An editable install is asked last of all, so that a folder `results` without any Python file would be found in its place.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """As the import system asks; None for all other modules."""
        return PathFinder.find_spec(name, [ROOT]) if path is None and name in PACKAGES else None


def keep_own_packages() -> None:
    """Have each of this program's packages imported from beside this one.

    Raises ImportError where this process has already imported something else of that name.
    """
    if OwnPackages not in sys.meta_path:
        sys.meta_path.insert(0, OwnPackages)
    for name in PACKAGES:
        module = sys.modules.get(name)
        if module is None:
            continue
        file = getattr(module, "__file__", None)
        loaded = {child: sys.modules[child] for child in list(sys.modules) if child.startswith(f"{name}.")}
        if file is None and all(_is_ours(child, name) for child in loaded.values()):
            _replace(name, loaded)  # a folder without __init__.py, which an editable install lets pass
        elif not _is_ours(module, name):
            found = file or next(iter(getattr(module, "__path__", [])), name)
            raise ImportError(
                f"{found} stands in the way of this program's package {name!r} ({os.path.join(ROOT, name)}); give it another "  # noqa: PTH118
                "name, or start in another folder"
            )


def _is_ours(module: ModuleType, package: str) -> bool:
    file = os.path.realpath(getattr(module, "__file__", None) or "")
    return file.startswith(os.path.join(ROOT, package, ""))  # noqa: PTH118


def _replace(name: str, children: Mapping[str, ModuleType]) -> None:
    """Import a package anew in the place of an empty one, below which its own modules have been imported."""
    del sys.modules[name]
    package = import_module(name)
    for child, module in children.items():
        if child.count(".") == 1:
            setattr(package, child.partition(".")[2], module)


def is_here(path: str) -> bool:
    """Whether an entry of an import path is the working folder, for which an empty one stands too."""
    here = _here()
    if here is None:
        return os.path.normpath(path) == "."  # the same for an empty one
    return os.path.realpath(path or ".") == os.path.realpath(here)


def _here() -> str | None:
    """The working folder; None where it is gone."""
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        return None


def leave_out_working_folder() -> None:
    """Take the working folder off this process's import path: `python -m` puts it first, an empty entry in PYTHONPATH too.

    Where PYTHONPATH names it, or this program itself is imported from there, it becomes the last place that Python looks in.
    """
    here = _here()
    if here is not None and any(is_here(path) for path in _own_places()):
        return
    kept = [path for path in sys.path if not is_here(path)]
    named = is_here(ROOT) or any(path and is_here(path) for path in _given())
    if here is not None and len(kept) < len(sys.path) and named:
        kept.append(here)
    sys.path[:] = kept


def workers_path(known: Iterable[str] = ()) -> str:
    """PYTHONPATH for processes that run users' code: they find what this one finds, in the same order.

    `ablate` has taken the working folder off its path, or put it last; in a script or a notebook it stands where Python has put it,
    and its files hide others there as they do here.

    Args:
        known: Folders on this process's path that the other one learns of in other ways.
    """
    here = _here()
    own, left_out = _own_places(), {os.path.realpath(path) for path in known}
    inside = tuple(os.path.join(place, "") for place in own)  # noqa: PTH118
    paths = [path if path in own else _absolute(path, here) for path in sys.path]
    paths = [path for path in dict.fromkeys(paths) if os.path.isdir(path) and os.pathsep not in path]  # noqa: PTH112
    paths = [
        path for path in paths if path in own or not (os.path.realpath(path) in left_out or path.startswith(inside))
    ]
    while paths and paths[-1] in own:  # which Python adds by itself
        paths.pop()
    return os.pathsep.join(paths)


def _absolute(path: str, here: str | None) -> str:
    """Empty where the folder that a relative path starts from is gone."""
    return os.path.normpath(os.path.join(here or "", path)) if here or os.path.isabs(path) else ""  # noqa: PTH117, PTH118


def _given() -> list[str]:
    return os.environ.get("PYTHONPATH", "").split(os.pathsep)


def _own_places() -> list[str]:
    """Entries of this process's path that every process of the same Python has: the standard library and what is installed."""
    library = os.path.dirname(os.path.realpath(os.__file__))  # noqa: PTH120
    installed = {*site.getsitepackages(), site.getusersitepackages()}
    return [
        path
        for path in sys.path
        if os.path.isabs(path)  # noqa: PTH117
        and (path in installed or os.path.realpath(path) in (library, os.path.join(library, "lib-dynload")))  # noqa: PTH118
    ]
