from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import pytest

from orchestrator.common.errors import StudyBusy
from orchestrator.common.signals import interruptible
from orchestrator.storage import claim
from orchestrator.storage.claim import claimed
from orchestrator.storage.lock import this_process
from orchestrator.storage.working_copy import CLAIMS


def write(remote, name, holder, *, held=True):
    remote.write(f"{CLAIMS}{name}.json", json.dumps({**asdict(holder), "held": held}).encode())


@pytest.fixture
def elsewhere():
    """A driver on another machine."""
    return replace(this_process(), host="far-away", machine="another boot")


def test_a_claim_is_there_as_long_as_it_is_held(remote):
    with claimed(remote):
        assert len(remote.files(CLAIMS)) == 1
    assert not remote.files(CLAIMS)


def test_two_drivers_on_one_machine(remote):
    with claimed(remote), pytest.raises(StudyBusy, match="is running this study since"), claimed(remote):
        pass
    assert not remote.files(CLAIMS)


def test_a_driver_elsewhere_whose_claim_moves(remote, elsewhere, monkeypatch):
    monkeypatch.setattr(claim, "LOOK_SECONDS", 0.2)
    ended = threading.Event()

    def beat():
        while not ended.wait(0.5):
            write(remote, "other", elsewhere)

    write(remote, "other", elsewhere)
    thread = threading.Thread(target=beat)
    thread.start()
    said = []
    try:
        with pytest.raises(StudyBusy, match="on far-away is running"), claimed(remote, said.append):
            pass
    finally:
        ended.set()
        thread.join()
    assert "may be dead" in said[0]
    assert list(remote.files(CLAIMS)) == [f"{CLAIMS}other.json"]


def test_a_driver_elsewhere_that_died(remote, elsewhere, monkeypatch):
    monkeypatch.setattr(claim, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(claim, "DEAD_SECONDS", 2.0)
    write(remote, "dead", elsewhere)
    with claimed(remote):
        assert f"{CLAIMS}dead.json" not in remote.files(CLAIMS)


def test_a_driver_that_was_killed_on_this_machine(remote, monkeypatch):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        from trainables.processes import process_start

        held = replace(this_process(), process=child.pid, process_start=process_start(child.pid))
        write(remote, "killed", held)
        with pytest.raises(StudyBusy), claimed(remote):
            pass
    finally:
        child.kill()
        child.wait()
    monkeypatch.setattr(claim, "DEAD_SECONDS", 1e6)  # it is not waited for
    with claimed(remote):
        assert f"{CLAIMS}killed.json" not in remote.files(CLAIMS)


@pytest.mark.parametrize(("other", "first"), [("0", False), ("z", True)])
def test_of_two_that_come_at_once_the_smaller_name_goes(remote, elsewhere, monkeypatch, other, first):
    monkeypatch.setattr(claim, "LOOK_SECONDS", 0.2)
    write(remote, other, elsewhere, held=False)
    if not first:
        with pytest.raises(StudyBusy), claimed(remote):
            pass
        return
    threading.Timer(1.0, remote.delete, [f"{CLAIMS}{other}.json"]).start()  # it gives way
    with claimed(remote):
        assert len(remote.files(CLAIMS)) == 1


def test_a_driver_whose_claim_was_taken_away_is_interrupted(remote, monkeypatch):
    monkeypatch.setattr(claim, "BEAT_SECONDS", 0.2)

    def take_away() -> None:
        for _ in range(600):  # again where a beat was under way
            for name in remote.files(CLAIMS):
                remote.delete(name)
            time.sleep(0.05)

    def stand_still() -> None:
        # as a run does: where SIGINT is ignored, as in background jobs of a script, nothing else would be interrupted
        with claimed(remote), interruptible(), pytest.raises(KeyboardInterrupt):
            take_away()

    with pytest.raises(StudyBusy):
        stand_still()


def test_a_claim_that_nobody_can_read_counts_until_it_is_old(remote, monkeypatch):
    monkeypatch.setattr(claim, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(claim, "DEAD_SECONDS", 2.0)
    remote.write(f"{CLAIMS}odd.json", b"\x00{")
    with claimed(remote):
        assert len(remote.files(CLAIMS)) == 1
