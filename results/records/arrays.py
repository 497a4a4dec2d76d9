"""Files of arrays (`.npz`) that a study's folder holds, which anybody may have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.files import open_ordinary


class ArraysDamaged(Exception):
    """A file of arrays that cannot be used; the message names it and the rule that it breaks."""


def read_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """All arrays of a file by name; None where there is none. Pickled objects are refused. Raises ArraysDamaged."""
    try:
        with open_ordinary(path) as handle:
            archive = np.load(handle, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        return None
    except Exception as problem:  # damaged bytes make readers of archives and arrays raise most kinds of exception
        raise ArraysDamaged(f"{path.name}: cannot be read ({problem})") from problem
