from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from orchestrator.common.errors import AblateError
from orchestrator.storage.transfer import TransferDamaged, pack, unpack
from results.ledger.ledger import Ledger
from tests.unit.results.factories import manifest, study_records


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "there" / "digits"
    one = manifest()
    one.save(folder)
    ledger = Ledger(folder / "ledger")
    for record in study_records(one):
        ledger.append(record)
    ledger.close()
    (folder / "features").mkdir()
    (folder / "features" / "a.npz").write_bytes(b"features")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "a.pt").write_bytes(b"state")
    return folder


def framed(*members: tuple[tarfile.TarInfo, bytes]) -> str:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    content = held.getvalue()
    text = base64.b64encode(content).decode()
    digest = hashlib.sha256(content).hexdigest()
    return f"-----BEGIN ABLATE STUDY {digest}-----\n{text}\n-----END ABLATE STUDY-----"


def test_what_reports_need_arrives_and_nothing_else(study: Path, tmp_path: Path) -> None:
    here = tmp_path / "here" / "digits"
    unpack(f"a line before\n{pack(study)}\nand one after\n", here)
    assert Ledger(here / "ledger").records() == Ledger(study / "ledger").records()
    assert {p.name for p in here.iterdir()} == {"study.json", "ledger", "features"}
    assert {p.name for p in here.parent.iterdir()} == {"digits"}


def test_a_later_state_takes_the_place_of_an_earlier_one(study: Path, tmp_path: Path) -> None:
    here = tmp_path / "here" / "digits"
    unpack(pack(study), here)
    Ledger(study / "ledger").compact()
    unpack(pack(study), here)
    assert {p.name for p in (here / "ledger").iterdir()} == {p.name for p in (study / "ledger").iterdir()}
    assert {p.name for p in here.parent.iterdir()} == {"digits"}


def test_records_that_only_this_folder_has_are_not_lost(study: Path, tmp_path: Path) -> None:
    here = tmp_path / "here" / "digits"
    unpack(pack(study), here)
    next((study / "ledger").glob("*.parquet")).unlink()
    with pytest.raises(AblateError, match="it has 1 records that the cluster's study lacks"):
        unpack(pack(study), here)
    assert len(Ledger(here / "ledger").records()) == len(Ledger(study / "ledger").records()) + 1


def test_what_was_cut_or_changed_on_the_way_is_said(study: Path, tmp_path: Path) -> None:
    text = pack(study)
    middle = len(text) // 2
    other = "A" if text[middle] != "A" else "B"
    for damaged in (text[:middle], text[:middle] + other + text[middle + 1 :], "Traceback (most recent call last)"):
        with pytest.raises(TransferDamaged):
            unpack(damaged, tmp_path / "here" / "digits")
    assert not list((tmp_path / "here").glob("*"))


@pytest.mark.parametrize(
    "name",
    [
        *("../study.json", "/etc/study.json", "ledger/../../x.parquet", "ledger/deep/x.parquet", "run.sh"),
        *("report/report.html", "ledger/x.parquet.sh", "features/x.py", "x/study.json"),
    ],
)
def test_files_that_no_study_has_are_refused(name: str, tmp_path: Path) -> None:
    text = framed((tarfile.TarInfo("study.json"), b"{}"), (tarfile.TarInfo(name), b"x"))
    with pytest.raises(TransferDamaged, match="no file of a study"):
        unpack(text, tmp_path / "here" / "digits")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_only_files_are_taken(kind: bytes, tmp_path: Path) -> None:
    link = tarfile.TarInfo("study.json")
    link.type, link.linkname = kind, "/etc/passwd"
    with pytest.raises(TransferDamaged):
        unpack(framed((link, b"")), tmp_path / "here" / "digits")


def test_more_than_a_study_can_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.storage.transfer.LARGEST_BYTES", 10)
    text = framed((tarfile.TarInfo("study.json"), b"x" * 11))
    with pytest.raises(TransferDamaged, match="more than"):
        unpack(text, tmp_path / "here" / "digits")
