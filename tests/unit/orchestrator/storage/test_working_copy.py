from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.common.errors import AblateError
from orchestrator.storage.lock import study_lock
from orchestrator.storage.object_store import RemoteError
from orchestrator.storage.working_copy import (
    ORIGIN_NAME,
    bring_files,
    bring_study,
    names_of_studies,
    origin_of,
    runs_folder,
    shown,
)


def test_a_folder_is_itself(tmp_path):
    assert runs_folder("runs") == Path("runs")
    assert runs_folder(tmp_path) == tmp_path
    assert origin_of(tmp_path) is None
    assert shown(tmp_path) == str(tmp_path)


def test_an_address_has_one_copy_which_knows_its_origin(remote):
    copy = runs_folder(remote.uri)
    assert copy == runs_folder(f"{remote.uri}/")
    assert copy != runs_folder(f"{remote.uri}-2")
    assert copy.is_relative_to(Path(os.environ["ABLATE_CACHE"]))
    assert origin_of(copy).uri == shown(copy) == remote.uri


def test_a_copy_that_cannot_be_kept(remote, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "file"))
    with pytest.raises(AblateError, match="set ABLATE_CACHE"):
        runs_folder(remote.uri)


def test_an_origin_that_was_changed(remote):
    copy = runs_folder(remote.uri)
    (copy / ORIGIN_NAME).write_text('{"uri": "s3://key:hush@lab/runs"}')
    with pytest.raises(RemoteError, match="secret"):
        origin_of(copy)
    (copy / ORIGIN_NAME).write_text("{}")
    with pytest.raises(AblateError, match="delete it"):
        origin_of(copy)


def test_a_study_is_brought_without_what_stays_there(remote):
    for name in (
        "study.json",
        "ledger/part-a.parquet",
        "checkpoints/a.pt",
        "claims/a.json",
        "report/report.html",
        "../x",
        ".tmp-1-a",
    ):
        remote.write(f"small/{name}", b"new")
    remote.write("cache/study.json/x", b"no study")
    copy = runs_folder(remote.uri)
    assert names_of_studies(copy) == ["small"]
    (copy / "small" / "ledger").mkdir(parents=True)
    (copy / "small" / "ledger" / "part-own.parquet").write_bytes(b"own")
    (copy / "small" / "study.json").write_bytes(b"old")
    bring_study(copy, "small")
    found = {
        p.relative_to(copy / "small").as_posix(): p.read_bytes() for p in (copy / "small").rglob("*") if p.is_file()
    }
    assert found == {"study.json": b"new", "ledger/part-a.parquet": b"new", "ledger/part-own.parquet": b"own"}
    assert not (copy / "x").exists()


def test_what_is_here_is_not_brought_again(remote, monkeypatch):
    remote.write("small/study.json", b"1")
    remote.write("small/ledger/part-a.parquet", b"2")
    copy = runs_folder(remote.uri)
    bring_study(copy, "small")
    fetched = []
    monkeypatch.setattr(
        "orchestrator.storage.object_store.RemoteFolder.fetch", lambda self, name, path: fetched.append(name)
    )
    bring_study(copy, "small")
    assert fetched == []


def test_a_copy_that_a_driver_here_works_in_is_left_alone(remote):
    remote.write("small/study.json", b"there")
    copy = runs_folder(remote.uri)
    with study_lock(copy / "small" / "run.lock"):
        (copy / "small" / "study.json").write_bytes(b"here")
        bring_study(copy, "small")
    assert (copy / "small" / "study.json").read_bytes() == b"here"


def test_files_that_are_asked_for(remote, tmp_path):
    remote.write("a", b"a")
    remote.write("b", b"b")
    bring_files(remote, tmp_path, ["a", "c"])
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a"]
