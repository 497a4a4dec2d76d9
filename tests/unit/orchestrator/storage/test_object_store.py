from __future__ import annotations

import pickle

import pytest

from orchestrator.storage.object_store import RemoteError, RemoteFolder, is_safe
from tests.object_store import SECRET, google


def exercise(folder: RemoteFolder, tmp_path) -> None:
    folder.check()
    assert folder.files() == {}
    folder.write("ledger/a", b"12345")
    (tmp_path / "large").write_bytes(b"x" * (17 << 20))  # sent in several pieces
    folder.send(tmp_path / "large", "deep/er/large")
    assert {name: size for name, (size, _) in folder.files().items()} == {"ledger/a": 5, "deep/er/large": 17 << 20}
    assert list(folder.files("ledger")) == list(folder.files("ledger/")) == ["ledger/a"]
    assert folder.read("ledger/a") == b"12345"
    folder.fetch("deep/er/large", tmp_path / "new" / "copy")
    assert (tmp_path / "new" / "copy").read_bytes() == (tmp_path / "large").read_bytes()
    with pytest.raises(FileNotFoundError):
        folder.read("none")
    with pytest.raises(FileNotFoundError):
        folder.fetch("none", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    folder.delete("none")
    folder.delete("ledger/a")
    assert list((folder / "deep").files()) == ["er/large"]
    assert list(pickle.loads(pickle.dumps(folder)).files()) == ["deep/er/large"]


def test_s3(remote, tmp_path):
    exercise(remote, tmp_path)


def test_google(tmp_path):
    with google() as uri:
        exercise(RemoteFolder(uri), tmp_path)


def test_a_bucket_that_is_not_there(s3):
    with pytest.raises(RemoteError, match="there is no bucket 'other'"):
        RemoteFolder("s3://other/runs").check()


def test_nobody_answers(s3):
    s3.stop()
    with pytest.raises(RemoteError, match=r"s3://lab/runs: .*onnect") as found:
        RemoteFolder("s3://lab/runs").files()
    assert SECRET not in str(found.value)


@pytest.mark.parametrize(
    "uri",
    ["http://lab/runs", "s3:///runs", "s3://lab/../runs", "file:///tmp", "s3://lab/runs#x", "s3://[lab/runs", "://"],
)
def test_an_address_that_is_none(uri):
    with pytest.raises(RemoteError, match="is no folder in an object store; give s3://"):
        RemoteFolder(uri)


@pytest.mark.parametrize(
    "uri", ["s3://key:hush@lab/runs", "s3://lab/runs?secret_key=hush", "gs://lab/runs?access_token=hush"]
)
def test_an_address_with_a_secret_in_it(uri):
    with pytest.raises(RemoteError, match="has a secret in it") as found:
        RemoteFolder(uri)
    assert "hush" not in str(found.value)


def test_a_query_stays_at_the_end():
    assert (RemoteFolder("s3://lab/runs/?region=eu") / "small").uri == "s3://lab/runs/small?region=eu"


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../x", "a//x", "./x", "a\\x", ".tmp-1-x", "ledger/.tmp-1-x", ".tmp-m/asked", ""]
)
def test_names_that_are_left_alone(name):
    assert not is_safe(name)


def test_names_that_are_taken():
    assert is_safe("ledger/part-1.parquet")
    assert is_safe("study.json")
