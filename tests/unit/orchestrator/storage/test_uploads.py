from __future__ import annotations

import pytest

from orchestrator.storage.uploads import Sender
from tests.waiting import eventually


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "small"
    (path / "ledger").mkdir(parents=True)
    return path


@pytest.fixture
def sender(remote, folder):
    sender = Sender(remote, folder, remote.files())
    sender.start()
    yield sender
    sender.finish(5)


def contents(remote):
    return {name: remote.read(name) for name in remote.files()}


def test_what_is_written_is_sent(sender, remote, folder):
    (folder / "study.json").write_bytes(b"1")
    (folder / "ledger" / "part-a.parquet").write_bytes(b"2")
    for name in ("run.lock.1", ".tmp-1-x", "ledger/.tmp-1-y"):
        (folder / name).write_bytes(b"not to be sent")
    (folder / "link").symlink_to("/etc/hostname")
    assert eventually(lambda: len(remote.files()) == 2)
    (folder / "study.json").write_bytes(b"again")
    assert sender.finish(20).pending == 0
    assert contents(remote) == {"study.json": b"again", "ledger/part-a.parquet": b"2"}


def test_merged_files_go_there_too_and_nothing_else_is_deleted(sender, remote, folder):
    remote.write("ledger/part-of-another-machine.parquet", b"0")
    for name in "ab":
        (folder / "ledger" / f"part-{name}.parquet").write_bytes(b"1")
    assert eventually(lambda: len(remote.files()) == 3)
    (folder / "ledger" / "compact-2-ab.parquet").write_bytes(b"2")
    for name in "ab":
        (folder / "ledger" / f"part-{name}.parquet").unlink()
    sender.finish(20)
    assert sorted(contents(remote)) == ["ledger/compact-2-ab.parquet", "ledger/part-of-another-machine.parquet"]


def test_a_store_that_is_away_for_a_while(s3, sender, remote, folder):
    s3.stop()
    (folder / "ledger" / "part-a.parquet").write_bytes(b"1")
    assert eventually(lambda: sender.status().error)
    assert sender.status().pending == 1
    s3.start()
    assert eventually(lambda: sender.status().error is None, seconds=60)
    assert contents(remote) == {"ledger/part-a.parquet": b"1"}


def test_a_store_that_stays_away_is_said_and_not_waited_for(s3, sender, folder):
    s3.stop()
    (folder / "ledger" / "part-a.parquet").write_bytes(b"1")
    left = sender.finish(1)
    assert left.pending == 1
    assert "onnect" in left.error


def test_a_checkpoint_goes_after_the_record_is_there(s3, sender, remote, folder):
    remote.write("checkpoints/a.pt", b"state")
    s3.stop()
    (folder / "ledger" / "part-a.parquet").write_bytes(b"1")
    sender.forget_checkpoint("a")
    assert eventually(lambda: sender.status().error)
    s3.start()
    assert eventually(lambda: list(remote.files()) == ["ledger/part-a.parquet"], seconds=60)


def test_what_is_there_is_not_sent_again(remote, folder, monkeypatch):
    (folder / "ledger" / "part-a.parquet").write_bytes(b"1")
    remote.write("ledger/part-a.parquet", b"1")
    sent = []
    monkeypatch.setattr(
        "orchestrator.storage.object_store.RemoteFolder.send", lambda self, path, name: sent.append(name)
    )
    sender = Sender(remote, folder, remote.files())
    sender.start()
    sender.finish(5)
    assert sent == []
