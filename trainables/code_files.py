"""Which files a module's code comes from, and what was in them when this process first looked."""

from __future__ import annotations

import ast
import hashlib
import site
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ALGORITHMS_FOLDER = PACKAGE / "algorithms"
REGISTRY = ALGORITHMS_FOLDER / "__init__.py"
"""Names every algorithm, so its imports say nothing about one of them."""

NEVER_BESIDE = sys.stdlib_module_names | {"torch", "numpy"}
"""Names that a module which is imported by name does not find beside itself, whatever lies there."""

_IMPORTING_CALLS = frozenset({"LazyModule", "import_module", "__import__"})
_contents: dict[Path, bytes] = {}


def content(path: Path) -> bytes:
    """The bytes of `path` as they were when this process first asked, so that a later edit does not pass as loaded."""
    if path not in _contents:
        _contents[path] = path.read_bytes()
    return _contents[path]


def changed(path: Path) -> bool:
    """Whether `path` is now other than `content` says, or gone."""
    try:
        return path.read_bytes() != content(path)
    except OSError:
        return True


def forget(path: Path) -> None:
    """Read `path` anew the next time."""
    _contents.pop(path, None)


def digest_of(files: Mapping[str, Path], *, start: str = "") -> str:
    """12 hex digits over `start` and the names and contents of files, in the order of their names."""
    digest = hashlib.sha256(start.encode())
    for name, path in sorted(files.items()):
        digest.update(name.encode())
        digest.update(content(path))
    return digest.hexdigest()[:12]


def root_of(module: str, file: Path) -> Path:
    """The folder from which `module`, which lies in `file`, is imported."""
    levels = module.count(".") + (file.name == "__init__.py")
    return file.parents[levels]


def files_behind(module: str, file: Path) -> set[Path]:
    """`file` and what it imports, directly or not, from beside it and from `trainables`.

    Beside it means below the folder from which `module` is imported; for an installed package, the package alone. An
    import is found by its statement, or by a name in `LazyModule("...")` and `import_module("...")`; one that is
    computed is not found. Reading an algorithm out of the registry counts as importing all of them.
    """
    root = root_of(module, file)
    top = module.partition(".")[0]
    found, todo = set(), [file, *_parents(file, root)]
    while todo:
        path = todo.pop()
        if path in found or path == REGISTRY:
            continue
        found.add(path)
        for name in _imported_names(path, root):
            in_reach = name.partition(".")[0] == top or not _is_installed(root)
            if name.partition(".")[0] == PACKAGE.name:
                todo += _own_files(name)
            elif in_reach and name.partition(".")[0] not in NEVER_BESIDE:
                todo += files_of(name, root)
    return found


def _imported_names(path: Path, root: Path) -> Iterator[str]:
    """Dotted names that may be modules: of `from a import b`, both `a` and `a.b`."""
    try:
        tree = ast.parse(content(path))
    except SyntaxError:  # cannot have been imported
        return
    if not path.is_relative_to(root):
        root = PACKAGE.parent
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.relative_to(root).parts[: -node.level] if node.level else ()
            base = ".".join((*above, node.module) if node.module else above)
            if base != ".".join((PACKAGE.name, ALGORITHMS_FOLDER.name)):  # of the registry, only what is taken from it
                yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if called in _IMPORTING_CALLS and isinstance(node.args[0].value, str):
                yield node.args[0].value


def _own_files(name: str) -> list[Path]:
    """Files of this package that `name` stands for; for a name that the registry offers, the file that defines it."""
    prefix, _, last = name.rpartition(".")
    if f"{PACKAGE.name}.{ALGORITHMS_FOLDER.name}" not in (prefix, name):
        return files_of(name, PACKAGE.parent)
    direct = ALGORITHMS_FOLDER / f"{last}.py"
    found = [direct] if prefix.endswith(ALGORITHMS_FOLDER.name) and direct.is_file() else []
    for node in ast.walk(ast.parse(content(REGISTRY))):
        if isinstance(node, ast.ImportFrom) and last in {alias.asname or alias.name for alias in node.names}:
            found = found or files_of(node.module or "", PACKAGE.parent)
    if not found or found[0] == ALGORITHMS_FOLDER / "registry.py":  # from which any algorithm can be had
        return sorted(ALGORITHMS_FOLDER.glob("*.py"))
    return found


def files_of(name: str, root: Path) -> list[Path]:
    """The file of module `name` below `root` and of the packages that it lies in; nothing where there is no such module."""
    place = root.joinpath(*name.split("."))
    for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
        if name and file.is_file():
            return [file, *_parents(file, root)]
    return []


def _parents(file: Path, root: Path) -> list[Path]:
    """`__init__.py` of the packages between `root` and `file`."""
    folders = [p for p in file.parents if p != root and p.is_relative_to(root)]
    return [p / "__init__.py" for p in folders if (p / "__init__.py").is_file()]


def _is_installed(root: Path) -> bool:
    places = {*site.getsitepackages(), site.getusersitepackages(), *(p for p in sys.path if "-packages" in p)}
    return str(root) in places or root.name in ("site-packages", "dist-packages")


PACKAGE_FILES = tuple(sorted(PACKAGE.rglob("*.py")))
"""Every Python file of this package, as it was when this process imported it."""
for _path in PACKAGE_FILES:
    content(_path)
