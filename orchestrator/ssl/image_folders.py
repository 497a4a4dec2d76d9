"""Where the folders of images are that a study names as `folder:PATH`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainables.specs import FOLDER_PREFIX, folder_of

FIELDS = ("dataset", "generators")
"""Of the section `data`: what may name a folder."""


def place_image_folders(study: dict[str, Any], beside: Path) -> None:
    """Make the paths in a study's content absolute, in place; what is not of the right type is left alone.

    A relative path is looked for beside the study file, then in the current folder, as modules are. `~` is the home folder.
    """
    sections: list[tuple[dict[str, Any], str]] = [(_mapping(study.get("data")), "")]
    conditions = study.get("conditions")
    for entry in conditions if isinstance(conditions, list) else [conditions]:
        sections.append((_mapping(entry), "data."))
    for section, prefix in sections:
        for field in FIELDS:
            if prefix + field in section:
                section[prefix + field] = _placed(section[prefix + field], beside)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _placed(value: Any, beside: Path) -> Any:
    if isinstance(value, list):
        return [_placed(v, beside) for v in value]
    path = folder_of(value) if isinstance(value, str) else None
    if path is None:
        return value
    try:
        given = Path(path).expanduser()
    except RuntimeError:  # the home of a user who is not there
        given = Path(path)
    places = [beside / given, Path.cwd() / given]
    try:
        found = next((p for p in places if p.is_dir()), places[0])
    except (OSError, ValueError):  # too long a name, or one that no file system takes
        found = places[0]
    return f"{FOLDER_PREFIX}{found.absolute()}"
