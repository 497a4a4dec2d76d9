"""Locks between real processes; `apart` makes a process believe that it is on a host that `flock` does not reach."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from orchestrator.common.errors import StudyBusy
from orchestrator.common.signals import interruptible
from orchestrator.storage import lock
from orchestrator.storage.lock import Holder, study_lock

HOLD = """
import sys, time
from pathlib import Path
from orchestrator.storage import lock
from orchestrator.common.errors import StudyBusy

path, host, watched = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
lock.BEAT_SECONDS, lock.DEAD_SECONDS = 0.05, watched
if host:
    lock.platform.node = lambda: host
    lock.machine = lambda: host
    lock._flock = lambda handle: True
try:
    with lock.study_lock(path):
        print("held", flush=True)
        sys.stdin.read()
except StudyBusy as problem:
    print(problem, flush=True)
"""


class Driver:
    """A process that takes the lock and holds it until told to end."""

    def __init__(self, path: Path, host: str = "", watched: float = 5.0) -> None:
        command = [sys.executable, "-c", HOLD, str(path), host, str(watched)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def kill(self) -> None:
        self.process.kill()
        self.end()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "digits" / "run.lock"


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lock, "DEAD_SECONDS", 1.0)
    monkeypatch.setattr(lock, "machine", lambda: "here")
    monkeypatch.setattr(lock, "_flock", lambda handle: True)


def turns(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir())


def test_the_lock_can_be_taken_again_and_again(path: Path) -> None:
    for _ in range(4):
        with study_lock(path):
            pass
    assert turns(path) == ["run.lock", "run.lock.3", "run.lock.4"]


def test_a_second_driver_is_told_who_runs_the_study_and_since_when(path: Path) -> None:
    first = Driver(path)
    assert first.said() == "held"
    message = rf"digits: process {first.process.pid} on \S+ is running this study since 20\S+; wait for it, or stop it"
    with pytest.raises(StudyBusy, match=message), study_lock(path):
        pytest.fail("two drivers")
    first.end()
    with study_lock(path):
        pass


def test_a_second_time_in_the_same_process_is_refused(path: Path) -> None:
    with study_lock(path), pytest.raises(StudyBusy, match=f"process {os.getpid()} on"), study_lock(path):
        pytest.fail("two drivers")


def test_the_lock_of_a_killed_driver_is_free_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_stands_still", lambda *_: pytest.fail("nothing is to be waited for"))
    first = Driver(path)
    assert first.said() == "held"
    first.kill()
    with study_lock(path):
        pass


def test_a_driver_here_is_found_alive_where_flock_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_flock", lambda handle: True)
    first = Driver(path)
    assert first.said() == "held"
    with pytest.raises(StudyBusy, match=f"process {first.process.pid} "), study_lock(path):
        pytest.fail("two drivers")
    first.kill()
    with study_lock(path):
        pass


def test_a_process_number_that_came_again_is_not_the_holder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_stands_still", lambda *_: pytest.fail("nothing is to be waited for"))
    path.parent.mkdir()
    past = Holder(
        host="vm", machine=lock.machine(), process=os.getpid(), process_start="1", since="2025-01-01T00:00:00+00:00"
    )
    (path.parent / "run.lock.7").write_bytes(past.encoded())
    with study_lock(path):
        assert (path.parent / "run.lock.8").exists()


@pytest.mark.parametrize("clock", [-(10**6), 0, 10**6])
def test_a_driver_on_another_host_is_known_by_its_heartbeat(
    path: Path, apart: None, clock: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far its clock, or the file server's, is off."""
    age = lock._age
    monkeypatch.setattr(lock, "_age", lambda file: age(file) + clock)
    monkeypatch.setattr(lock, "DEAD_SECONDS", 60.0)
    monkeypatch.setattr(lock, "_WATCHED_BEATS", 1000)
    first = Driver(path, "elsewhere")
    assert first.said() == "held"
    notices: list[str] = []
    with (
        pytest.raises(StudyBusy, match=f"process {first.process.pid} on elsewhere is running"),
        study_lock(path, notices.append),
    ):
        pytest.fail("two drivers")
    assert re.search(r"process \d+ on elsewhere .* watching its heartbeat", notices[0])
    first.end()
    with study_lock(path):
        pass
    assert len(notices) == 1


def test_a_driver_that_died_on_another_host_is_followed(path: Path, apart: None) -> None:
    first = Driver(path, "elsewhere")
    assert first.said() == "held"
    first.kill()
    with study_lock(path):
        pass


def test_of_many_drivers_that_find_a_dead_lock_one_wins(path: Path, apart: None) -> None:
    dead = Driver(path, "dead")
    assert dead.said() == "held"
    dead.kill()
    drivers = [Driver(path, f"host-{n}", watched=3.0) for n in range(6)]
    said = [driver.said() for driver in drivers]
    (winner,) = [d for d, text in zip(drivers, said, strict=True) if text == "held"]
    assert sum(f"process {winner.process.pid} on host-" in text for text in said) == len(drivers) - 1
    for driver in drivers:
        driver.end()


def test_of_many_drivers_that_find_no_lock_one_wins(path: Path) -> None:
    drivers = [Driver(path, f"host-{n}") for n in range(6)]
    said = [driver.said() for driver in drivers]
    assert said.count("held") == 1
    assert sum("is running this study" in text for text in said) == len(drivers) - 1
    for driver in drivers:
        driver.end()


def test_a_driver_that_stood_still_and_was_followed_ends(path: Path, apart: None) -> None:
    def stand_still_and_be_followed() -> None:
        with study_lock(path), interruptible():
            theirs = Holder(host="elsewhere", machine="x", process=1, process_start="1", since="2025-01-01")
            (path.parent / "run.lock.2").write_bytes(theirs.encoded())
            try:
                while True:
                    time.sleep(0.01)
            except KeyboardInterrupt:
                pass

    with pytest.raises(StudyBusy, match="process 1 on elsewhere"):
        stand_still_and_be_followed()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": "x"}', b"\xff" * 20])
def test_a_damaged_turn_that_stands_still_is_followed(path: Path, apart: None, content: bytes) -> None:
    path.parent.mkdir()
    (path.parent / "run.lock.3").write_bytes(content)
    with study_lock(path):
        assert json.loads((path.parent / "run.lock.4").read_text())["process"] == os.getpid()


def test_what_the_first_releases_wrote_is_no_hindrance(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps({"host": "vm", "process": os.getpid()}))
    with study_lock(path):
        pass


def test_a_stopped_holder_on_this_host_is_alive(path: Path) -> None:
    first = Driver(path)
    assert first.said() == "held"
    first.process.send_signal(signal.SIGSTOP)
    with pytest.raises(StudyBusy, match=f"process {first.process.pid} "), study_lock(path):
        pytest.fail("two drivers")
    first.process.send_signal(signal.SIGCONT)
    first.end()


def test_the_lock_is_let_go_when_the_study_fails(path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"), study_lock(path):
        raise RuntimeError("broken")
    with study_lock(path):
        pass


@pytest.mark.parametrize(
    "change",
    [
        {"process": "../../1"},
        {"process": -1},
        {"process": 2**40},
        {"process": True},
        {"machine": 3},
        {"beat": None},
        {"x": 1},
    ],
)
def test_a_holder_that_no_driver_wrote_is_refused(change):
    """Its number would become part of a path below /proc, or of a signal."""
    about = asdict(lock.this_process())
    assert lock.Holder.read(about) == lock.this_process()
    with pytest.raises((ValueError, TypeError)):
        lock.Holder.read({**about, **change})


@pytest.mark.parametrize("text", ["[" * 200_000, "null", "[]"])
def test_a_turn_that_cannot_be_read_is_nobodys(tmp_path, text):
    (tmp_path / "run.lock.1").write_text(text)
    assert lock._read(tmp_path / "run.lock.1") is None


def test_a_pipe_in_place_of_a_turn_or_the_lock_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "run.lock.1")
    assert lock._read(tmp_path / "run.lock.1") is None
    os.mkfifo(tmp_path / "run.lock")
    assert not lock.is_held(tmp_path / "run.lock")
