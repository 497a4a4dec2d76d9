"""A study's folder as text, to be carried from a cluster by what carries a job's output: its ledger and what reports need."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import secrets
import shutil
import sys
import tarfile
from pathlib import Path, PurePosixPath

from orchestrator.common.errors import AblateError
from orchestrator.common.folders import DECISIONS_NAME, StudyFolders
from orchestrator.storage.lock import study_lock
from orchestrator.storage.working_copy import bring_study, runs_folder
from results.figures.data import PICTURES_NAME
from results.ledger.ledger import Ledger
from results.records.manifest import MANIFEST_NAME
from results.ssl.feature_maps import FEATURES_FOLDER
from trainables.files import TEMPORARY_PREFIX, file_inside, inside

CARRIED = (
    MANIFEST_NAME,
    DECISIONS_NAME,
    PICTURES_NAME,
    "ledger/*.parquet",
    f"{FEATURES_FOLDER}/*.npz",
    "log/trials/*.log",
)
LARGEST_BYTES = 1 << 30
"""Of all files together, unpacked."""
_BEGIN = "-----BEGIN ABLATE STUDY {digest}-----"
_END = "-----END ABLATE STUDY-----"
_FRAMED = re.compile(r"-----BEGIN ABLATE STUDY ([0-9a-f]{64})-----\s+([A-Za-z0-9+/=\s]*?)\s*-----END ABLATE STUDY-----")
_LINE = 8_000


class TransferDamaged(AblateError):
    """What arrived is not what was sent, or not a study."""


def pack(study_dir: Path) -> str:
    """The study's files as text between two marks."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz", compresslevel=1) as archive:
        for pattern in CARRIED:
            for path in sorted(study_dir.glob(pattern)):
                name = path.relative_to(study_dir).as_posix()
                if file_inside(study_dir, name) and not path.name.startswith("."):
                    archive.add(path, name, recursive=False)
    content = held.getvalue()
    text = base64.b64encode(content).decode()
    lines = [text[i : i + _LINE] for i in range(0, len(text), _LINE)]
    return "\n".join([_BEGIN.format(digest=hashlib.sha256(content).hexdigest()), *lines, _END])


def unpack(text: str, study_dir: Path) -> None:
    """Make `study_dir` what was packed, as a whole or not at all.

    Args:
        text: What `pack` gave, with anything before and after it.
        study_dir: Replaced if it is there. What a folder of the same study has beside the carried files is dropped.

    Raises TransferDamaged; and AblateError where the folder has records that what arrived lacks.
    """
    content = _content(text)
    arriving = study_dir.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{study_dir.name}")
    arriving.mkdir(parents=True)
    try:
        _extract(content, arriving)
        if not (arriving / MANIFEST_NAME).is_file():
            raise TransferDamaged(f"{study_dir.name}: what arrived has no {MANIFEST_NAME}; run the command again")
        if study_dir.exists():
            with study_lock(StudyFolders(study_dir.parent, study_dir.name).lock):
                _refuse_to_lose(study_dir, arriving)
            aside = study_dir.with_name(f"{arriving.name}-old")
            study_dir.rename(aside)
            arriving.rename(study_dir)
            shutil.rmtree(aside)
        else:
            arriving.rename(study_dir)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)


def _content(text: str) -> bytes:
    found = _FRAMED.search(text)
    if found is None:
        raise TransferDamaged("the cluster sent no study; run the command again")
    content = base64.b64decode("".join(found[2].split()))
    if hashlib.sha256(content).hexdigest() != found[1]:
        raise TransferDamaged("what the cluster sent was cut or changed on the way; run the command again")
    return content


def _extract(content: bytes, folder: Path) -> None:
    """Only the files that `pack` takes, below `folder`; a cluster may be hostile."""
    room = LARGEST_BYTES
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if not member.isreg() or ".." in name.parts or not any(_fits(name, pattern) for pattern in CARRIED):
                    raise TransferDamaged(f"what arrived has {member.name!r}, which is no file of a study")
                room -= member.size
                source = archive.extractfile(member)
                if room < 0 or source is None:
                    raise TransferDamaged(f"what arrived has more than {LARGEST_BYTES:,} bytes")
                place = inside(folder, member.name)
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (tarfile.TarError, EOFError, OSError, ValueError) as problem:
        raise TransferDamaged(f"what arrived cannot be unpacked ({problem})") from problem


def _fits(name: PurePosixPath, pattern: str) -> bool:
    """Whether it is one of the files that a pattern means, and in that very folder."""
    return name.match(pattern) and len(name.parts) == len(PurePosixPath(pattern).parts) and not name.is_absolute()


def _refuse_to_lose(study_dir: Path, arriving: Path) -> None:
    known = {record.trial_id for record in Ledger(arriving / "ledger").records()}
    own = [r for r in Ledger(study_dir / "ledger").records() if r.trial_id not in known]
    if own:
        raise AblateError(
            f"{study_dir}: it has {len(own)} records that the cluster's study lacks; give --runs another folder"
        )


if __name__ == "__main__":
    folder = runs_folder(sys.argv[1])
    bring_study(folder, sys.argv[2])
    print(pack(folder / sys.argv[2]))
