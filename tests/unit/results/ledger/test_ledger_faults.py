"""The ledger under crashes at each instant, readers beside a writer, full disks and damaged parts."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from results.ledger import ledger as ledger_module
from results.ledger.ledger import Ledger, LedgerDamaged, LedgerNotWritten
from results.records.trial_record import TrialRecord
from tests.unit.results.factories import record
from trainables.files import remove_temporary_files

ROOT = Path(__file__).parents[4]

WRITER = """
import os, sys
from pathlib import Path
from results.ledger import ledger as module
from tests.unit.results.factories import record

module.PARTS_MERGED, module.FILES_MERGED, module.MOST_ROWS = 3, 2, 6
module.SETTLED_SECONDS = float(os.environ.get("SETTLED", "0.01"))

def write(folder, records, acknowledge):
    ledger = module.Ledger(folder)
    for n in range(records):
        ledger.append(record(trial_id=f"a{n}", seed=n))
        os.write(acknowledge, f"{n}\\n".encode())
    ledger.compact()
"""

CRASHES = (
    WRITER
    + """
scratch = Path(sys.argv[1])

def changes_files(event, arguments):
    return event in {"os.rename", "os.remove", "os.mkdir"} or (event == "open" and set("wax") & set(str(arguments[1])))

def crash_at(folder, operation):
    count = 0
    def hook(event, arguments):
        nonlocal count
        if changes_files(event, arguments) and str(folder) in str(arguments[0]):
            count += 1
            if count == operation:
                os._exit(9)
    sys.addaudithook(hook)

write(scratch.with_name("warm"), 6, 1)  # pyarrow imports some of itself at its first use
print()
operation, status = 0, 9
while status == 9:
    operation += 1
    folder = scratch / str(operation)
    folder.mkdir()
    pid = os.fork()
    if not pid:
        acknowledge = os.open(folder / "acknowledged", os.O_CREAT | os.O_WRONLY)
        crash_at(folder / "ledger", operation)
        write(folder / "ledger", 6, acknowledge)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(operation, status)
"""
)


@pytest.fixture
def small_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three parts are merged, two merged files again, and six rows make a full file."""
    monkeypatch.setattr(ledger_module, "PARTS_MERGED", 3)
    monkeypatch.setattr(ledger_module, "FILES_MERGED", 2)
    monkeypatch.setattr(ledger_module, "MOST_ROWS", 6)
    monkeypatch.setattr(ledger_module, "SETTLED_SECONDS", 0.01)


def script(code: str, *arguments: object, **environment: str) -> list[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    env = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=env).stdout.split()


def one(number: int) -> TrialRecord:
    return record(trial_id=f"a{number}", seed=number)


def ids(records: list[TrialRecord]) -> list[str]:
    return sorted(r.trial_id for r in records)


@pytest.mark.slow
def test_a_crash_at_any_file_operation_loses_nothing(tmp_path: Path, small_merges: None) -> None:
    crashes = tmp_path / "crashes"
    crashes.mkdir()
    operations, status = map(int, script(CRASHES, crashes)[-2:])
    assert status == 0
    assert operations > 30
    wanted = [one(n) for n in range(6)]
    for folder in crashes.iterdir():
        acknowledged = (folder / "acknowledged").read_text().split() if (folder / "acknowledged").exists() else []
        ledger = Ledger(folder / "ledger")
        there = ledger.records()
        assert {f"a{n}" for n in acknowledged} <= set(ids(there))
        remove_temporary_files(folder)
        assert ledger.set_aside_damaged() == []
        for missing in (r for r in wanted if r.trial_id not in ids(there)):
            ledger.append(missing)
        ledger.compact()
        assert ledger.records() == sorted(wanted, key=lambda r: r.trial_id)
        assert len(ledger.history()) == 6
        left = [p.name.split("-")[0] for p in (folder / "ledger").iterdir()]
        assert set(left) <= {"compact", "part"}
        assert len(left) <= 2  # beside the full file, at most one that it already holds


@pytest.mark.slow
def test_readers_beside_a_writer_miss_nothing_and_never_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "SETTLED_SECONDS", 0.05)
    read_end, write_end = os.pipe()
    code = WRITER + "write(Path(sys.argv[1]), 120, int(sys.argv[2]))"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SETTLED": "0.05"}
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "ledger"), str(write_end)], pass_fds=[write_end], env=env, cwd=ROOT
    )
    os.close(write_end)
    acknowledged: set[str] = set()

    def listen() -> None:
        with os.fdopen(read_end) as lines:
            for line in lines:
                acknowledged.add(f"a{line.strip()}")

    listener = threading.Thread(target=listen)
    listener.start()
    follower = Ledger(tmp_path / "ledger").follow()
    followed: list[str] = []
    looks = 0
    while writer.poll() is None or looks == 0:
        expected = set(acknowledged)
        assert expected <= set(ids(Ledger(tmp_path / "ledger").records()))
        followed += ids(follower.new_records())
        assert expected <= set(followed)
        expected = set(acknowledged)
        assert expected <= set(Ledger(tmp_path / "ledger").table(["trial_id"]).column(0).to_pylist())
        looks += 1
    listener.join()
    assert writer.wait() == 0
    followed += ids(follower.new_records())
    assert len(acknowledged) == 120
    assert sorted(followed) == sorted(acknowledged)  # each exactly once


def test_files_stay_few_while_a_study_runs(tmp_path: Path, small_merges: None) -> None:
    ledger = Ledger(tmp_path)
    for n in range(40):
        ledger.append(one(n))
        if ledger._merging is not None:
            ledger._merging.join()
        assert len(ledger.parts()) <= 2 + 1 + (n + 1) // 6
    assert len(ledger.records()) == 40
    ledger.compact()
    assert len(ledger.parts()) <= 8


def test_parts_that_a_killed_run_left_are_merged_by_the_next_one(tmp_path: Path, small_merges: None) -> None:
    for n in range(2):
        Ledger(tmp_path).append(one(n))
    ledger = Ledger(tmp_path)
    ledger.append(one(2))
    ledger.close()
    assert [p.name.split("-")[:2] for p in ledger.parts()] == [["compact", "3"]]


def test_a_merge_that_fails_in_the_background_costs_nothing(
    tmp_path: Path, small_merges: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ledger_module, "replacing", full_disk)
        for n in range(3):
            ledger.append(one(n))
        ledger.close()
        assert len(ledger.parts()) == 3
        with pytest.raises(OSError, match="No space left"):
            ledger.compact()
    assert ids(ledger.records()) == ["a0", "a1", "a2"]
    ledger.compact()
    assert len(ledger.parts()) == 1


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_merged_file_that_reads_back_otherwise_replaces_nothing(
    tmp_path: Path, small_merges: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path)
    for n in range(2):
        ledger.append(one(n))
    encode = ledger_module.encode
    monkeypatch.setattr(ledger_module, "encode", lambda table: encode(table.slice(1)))
    with pytest.raises(LedgerDamaged, match="not read back as it was written"):
        ledger.compact()
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith("part-")] == []
    assert ids(ledger.records()) == ["a0", "a1"]


def test_a_part_that_is_damaged_under_the_writer_is_merged_from_memory(tmp_path: Path, small_merges: None) -> None:
    ledger = Ledger(tmp_path)
    for n in range(2):
        damage(ledger.append(one(n)), "flipped")
    ledger.compact()
    assert Ledger(tmp_path).records() == [one(0), one(1)]


@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_a_full_disk_leaves_no_part_and_the_next_run_goes_on(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(one(0))
    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync") if place == "fsync" else (Path, "replace")), full_disk)
        with pytest.raises(
            LedgerNotWritten, match=r"record of trial a1 .*No space left on device\); make room"
        ) as raised:
            ledger.append(one(1))
    assert isinstance(raised.value, OSError)
    assert raised.value.errno == errno.ENOSPC
    assert [p.name for p in tmp_path.iterdir()] == ["part-a0.parquet"]
    Ledger(tmp_path).append(one(1))
    assert ids(ledger.records()) == ["a0", "a1"]


def test_a_write_that_the_system_cuts_short_leaves_no_part(tmp_path: Path) -> None:
    """With a limit on the size of files, the kernel writes the first 2,000 bytes of the part and then refuses."""
    code = WRITER + (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try:\n    module.Ledger(Path(sys.argv[1])).append(record(trial_id='aa'))\n"
        "except module.LedgerNotWritten as problem:\n    print(problem)\n"
    )
    assert "could not be written" in " ".join(script(code, tmp_path / "ledger"))
    assert list((tmp_path / "ledger").iterdir()) == []


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[:-1])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif how == "text":
        path.write_text(json.dumps({"trial_id": "aa"}))
    else:
        path.unlink()
        path.mkdir() if how == "folder" else path.symlink_to("nowhere")


@pytest.mark.parametrize("how", ["truncated", "empty", "flipped", "text", "folder", "link"])
@pytest.mark.parametrize("merged", [False, True])
def test_a_damaged_part_is_set_aside_and_its_trial_can_be_written_again(tmp_path: Path, how: str, merged: bool) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.append(one(0))
    path = ledger.append(one(1))
    if merged:
        ledger.compact()
        (path,) = ledger.parts()
        ledger.append(one(2))
    damage(path, how)
    ledger = Ledger(tmp_path / "ledger")
    for look in (ledger.records, ledger.table, ledger.compact, ledger.follow().new_records):
        with pytest.raises(LedgerDamaged, match=path.name):
            look()
    (aside,) = ledger.set_aside_damaged()
    assert (aside.name, aside.moved_to) == (path.name, tmp_path / "ledger" / "damaged" / path.name)
    assert str(aside).startswith(f"ledger/{path.name} is damaged ({aside.reason}); set aside as {tmp_path}")
    assert os.path.lexists(aside.moved_to)
    assert ids(ledger.records()) == (["a2"] if merged else ["a0"])
    assert ledger.set_aside_damaged() == []
    for n in range(2):
        ledger.append(one(n))
    ledger.compact()
    assert set(ids(ledger.records())) >= {"a0", "a1"}


def test_what_was_set_aside_is_never_overwritten(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for n in range(3):
        ledger.append(one(0)).write_bytes(str(n).encode())
        ledger.set_aside_damaged()
    kept = {p.name: p.read_text() for p in (tmp_path / "damaged").iterdir()}
    assert kept == {"part-a0.parquet": "0", "part-a0-2.parquet": "1", "part-a0-3.parquet": "2"}


def test_nothing_is_set_aside_from_a_sound_ledger(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "none").set_aside_damaged() == []
    published = Ledger(ROOT / "docs" / "results" / "digits" / "ledger")
    assert published.set_aside_damaged() == []
    assert not (published.folder / "damaged").exists()


def test_a_part_that_may_not_be_read_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    ledger = Ledger(tmp_path)
    part = ledger.append(one(0))
    monkeypatch.setattr("results.ledger.parts.read_ordinary", refuse)
    with pytest.raises(PermissionError):
        ledger.set_aside_damaged()
    assert part.exists()
