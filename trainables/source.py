"""Identity of the training source: what a trial's outcome depends on besides its specification, algorithm by algorithm."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path
from typing import Any

from trainables.algorithms import ALGORITHMS
from trainables.code_files import ALGORITHMS_FOLDER, PACKAGE, PACKAGE_FILES, content, digest_of, files_behind, root_of


def source_of(algorithm: str) -> str:
    """12 hex digits over every file that can change the outcome of a trial of `algorithm`.

    These are this package's files, of the folder `algorithms` only those that the algorithm's own module imports; and
    for a user's own algorithm, its module and what that imports from beside it. The bytes are those that this process
    met when it imported them. Raises KeyError for an algorithm that is not registered.
    """
    kind: Any = ALGORITHMS[algorithm]
    return _digest(algorithm, kind)


def source_files(algorithm: str) -> dict[str, str]:
    """Name to 12 hex digits of each file behind `source_of(algorithm)`, so that a message can say which one changed."""
    kind: Any = ALGORITHMS[algorithm]
    files = _files(algorithm, kind)
    return {name: hashlib.sha256(content(path)).hexdigest()[:12] for name, path in files.items()}


@cache
def _digest(algorithm: str, kind: Any) -> str:
    return digest_of(_files(algorithm, kind), start=f"{kind.__module__}:{kind.__qualname__}")


@cache
def _files(algorithm: str, kind: Any) -> dict[str, Path]:
    """The files by name, sorted; a class that was imported anew is looked at anew."""
    common = {p for p in PACKAGE_FILES if p.parent != ALGORITHMS_FOLDER} | {ALGORITHMS_FOLDER / "base.py"}
    found = {p.relative_to(PACKAGE.parent).as_posix(): p for p in common}
    for module in {algorithm.partition(":")[0] if ":" in algorithm else kind.__module__, kind.__module__}:
        file = Path(str(sys.modules[module].__file__)).resolve()
        root = root_of(module, file)
        for path in files_behind(module, file):
            found[path.relative_to(root if path.is_relative_to(root) else PACKAGE.parent).as_posix()] = path
    return dict(sorted(found.items()))


@cache
def source_hash() -> str:
    """12 hex digits over every Python file of this package."""
    return digest_of({p.relative_to(PACKAGE).as_posix(): p for p in PACKAGE_FILES})
