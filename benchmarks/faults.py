"""Wilful damage to one small study: what is lost, what runs twice, and whether the answer stays the same to the last bit.

    python benchmarks/faults.py [--faults 24] [--seed 0] [--kinds driver actor ...] [--json]

A study runs once undisturbed. The same study then runs with faults in random order at random moments, and after each a plain
`ablate run` goes on:

- driver, actor, raylet, gcs: `kill -9` of that process (gcs is Ray's gcs_server);
- sigterm: SIGTERM to the driver, as SLURM and Kubernetes send it: the run must end by itself, with 143 and a sentence;
- disk: the disk becomes full, and is emptied again once the run has ended (a tmpfs that this script mounts; needs root);
- part: the driver is killed and a random file of the ledger is cut off somewhere;
- checkpoint: the driver is killed and each checkpoint is cut off somewhere;
- clock: the driver is killed and goes on with a clock that is a day behind (Debian's libfaketime; without it, left out).

`lost` counts trials that the ledger had and that were gone at a later look, `repeated` those that were there and ran again,
`duplicated` trials that MLflow has more than once. Trials of a part that was cut off on purpose run again by design: they are
counted apart, as `damaged`. `stuck` counts runs that did not end by themselves within three minutes of a fault that must end them,
`left` processes that were still there after a run had ended, `unsaid` those that SIGTERM ended without a sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from results.ledger.ledger import Ledger, LedgerDamaged
from results.records.trial_record import TrialRecord
from results.report.writing import load_table

KINDS = ("driver", "actor", "raylet", "gcs", "sigterm", "disk", "part", "checkpoint", "clock")
PROCESSES = {"actor": "ray::AblationTr", "raylet": "raylet", "gcs": "gcs_server"}
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
DISK_MIB = 256
STUDY: dict[str, Any] = {
    "study": "faults",
    "question": "Does damage change the answer?",
    "method": "rsmatch",
    "ablation": {"components": ["queue", "dummy-head"]},
    "baselines": ["fixmatch"],
    "data": {"dataset": "digits", "labels_per_class": 2, "contamination": 0.3, "generators": ["vae"]},
    "training": {"steps": 160, "reports": 8, "batch_size": 8, "unlabelled_ratio": 2},
    "search": {
        "trials": 8,
        "generation": 4,
        "spaces": ["thresholds", "optimiser"],
        "early_stopping": {"rule": "median"},
    },
    "evaluate": {"seeds": 6, "allow_underpowered": True},
    "resources": {"cpus": 1, "gpus": 0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Damage a study on purpose", allow_abbrev=False)
    parser.add_argument("--faults", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0, help="of the order and the moments")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="ablate-faults-", ignore_cleanup_errors=True))
        )
        kinds = [k for k in options.kinds if k != "clock" or FAKETIME.exists()]
        runs = folder / "runs"
        runs.mkdir()
        if "disk" in kinds:
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}M", "none", str(runs)], check=False, capture_output=True
            )
            if mounted.returncode:
                kinds.remove("disk")
            else:
                stack.callback(subprocess.run, ["umount", "-l", str(runs)], check=False)
        left_out = sorted(set(options.kinds) - set(kinds))
        result = Damage(folder, runs, options.seed).run(kinds, options.faults)
    result["left_out"] = left_out
    if options.json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f"{key:14} {value}")


class Damage:
    """One study under faults.

    Args:
        folder: Of everything.
        runs: Of the damaged study; the disk that becomes full.
        seed: Of the order and the moments.
    """

    def __init__(self, folder: Path, runs: Path, seed: int) -> None:
        self.folder = folder
        self.runs = runs
        self.random = random.Random(seed)
        self.file = folder / "faults.yaml"
        self.file.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
        self.study = runs / "faults"
        self.ledger = Ledger(self.study / "ledger")
        self.seen: dict[str, TrialRecord] = {}
        """The first record of each trial since it last was damaged on purpose."""
        self.damaged: set[str] = set()
        self.lost: set[str] = set()
        self.repeated: set[str] = set()
        self.kinds: Counter[str] = Counter()
        self.stuck = 0
        self.left = 0
        self.unsaid = 0
        self.statuses: dict[str, Counter[int]] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.family: dict[int, str] = {}
        """Every process seen below the current run's, and when it started."""

    def run(self, kinds: list[str], faults: int) -> dict[str, Any]:
        """Undisturbed once, then with faults."""
        undisturbed = self.folder / "undisturbed"
        self.start(undisturbed)
        self.wait(None, 1800)
        if self.status() != 0:
            raise SystemExit(f"the undisturbed run ended with {self.status()}:\n{self.output()}")
        shutil.copytree(undisturbed / "cache", self.runs / "cache", dirs_exist_ok=True)
        order = [kinds[i % len(kinds)] for i in range(faults)]
        self.random.shuffle(order)
        for kind in order:
            if not self.reach_a_moment(wants_checkpoint=kind == "checkpoint"):
                break
            print(f"{time.strftime('%H:%M:%S')} {kind}: {len(self.seen)} trials recorded", file=sys.stderr, flush=True)
            getattr(self, f"_{kind}")()
            self.kinds[kind] += 1
            self.look()
        for _ in range(3):  # the last fault's own run may still have to end first
            if self.process is None or self.process.poll() is not None:
                self.start(self.runs)
            self.wait(None, 1800)
            if self.status() == 0:
                break
        self.look()
        self.leftovers()
        equal = load_table(self.study).answers() == load_table(undisturbed / "faults").answers()
        return {
            "faults": sum(self.kinds.values()),
            "lost": len(self.lost),
            "repeated": len(self.repeated),
            "duplicated": sum(n > 1 for n in self.in_mlflow().values()),
            "tables_equal": bool(equal),
            "trials": len(self.ledger.records()),
            "damaged": len(self.damaged),
            "missing_in_mlflow": len({r.trial_id for r in self.ledger.records()} - set(self.in_mlflow())),
            "stuck": self.stuck,
            "left": self.left,
            "unsaid": self.unsaid,
            "kinds": dict(sorted(self.kinds.items())),
            "statuses": {kind: dict(found) for kind, found in sorted(self.statuses.items())},
            "last_status": self.status(),
        }

    def reach_a_moment(self, *, wants_checkpoint: bool) -> bool:
        """Let the study run until a random moment after its next record; False where it is done."""
        if self.process is None or self.process.poll() is not None:
            self.start(self.runs)
        records = max(self.recorded(), len(self.seen))
        wanted = self.random.randint(0, 1)
        checkpoints = self.study / "checkpoints"
        self.wait(
            lambda: (
                self.recorded() > records + wanted  # not files, which are merged meanwhile
                or (self.running() and wants_checkpoint and any(checkpoints.glob("*.pt")))
            ),
            600,
        )
        self.wait(lambda: False, self.random.uniform(0, 1.5))
        return self.process is not None and self.process.poll() is None

    def recorded(self) -> int:
        """Trials in the ledger; -1 while a part that was cut off on purpose has not been set aside."""
        try:
            return len(self.ledger.records())
        except LedgerDamaged:
            return -1

    def running(self) -> bool:
        """Whether a trial process is alive."""
        return any(name == PROCESSES["actor"] for name in self.alive().values())

    def start(self, runs: Path, **environment: str) -> None:
        """A plain `ablate run`."""
        self.family = {}
        root = str(Path(__file__).parents[1])
        inherited = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        command = [
            sys.executable,
            "-c",
            "from orchestrator.cli.app import main; main()",
            "run",
            str(self.file),
            "--runs",
            str(runs),
        ]
        with (self.folder / "output.txt").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**inherited, "PYTHONPATH": root, **environment},
            )

    def wait(self, condition: Callable[[], bool] | None, seconds: float) -> bool:
        """Until the condition or the process's end; False where neither came in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.meet()
            if self.process is None or self.process.poll() is not None or (condition is not None and condition()):
                return True
            time.sleep(0.1)
        return False

    def look(self) -> None:
        """Compare the ledger with what it had at the last look."""
        for path in self.ledger.parts():
            if path.stat().st_size == 0:
                return
        try:
            now = {r.trial_id: r for r in self.ledger.records()}
        except LedgerDamaged as problem:  # cut off on purpose, and not yet set aside by a run
            print(f"  {problem}", file=sys.stderr)
            return
        self.lost |= set(self.seen) - set(now)
        self.repeated |= {i for i, r in self.seen.items() if i in now and now[i].started_at != r.started_at}
        self.seen = {**now, **{i: r for i, r in self.seen.items() if i in now}}

    def status(self) -> int | None:
        """Of the last run."""
        return None if self.process is None else self.process.poll()

    def output(self) -> str:
        """Its last lines."""
        return (self.folder / "output.txt").read_text(errors="replace")[-3000:]

    def meet(self) -> None:
        """Take note of the current run's processes: some of them lose their parent when a fault comes."""
        assert self.process is not None
        parents: dict[int, list[int]] = {}
        started = {}
        for pid, (_, parent, start) in processes().items():
            parents.setdefault(parent, []).append(pid)
            started[pid] = start
        waiting = [self.process.pid, *self.family]
        met: set[int] = set()
        while waiting:
            pid = waiting.pop()
            if pid in met or pid not in started or started[pid] != self.family.get(pid, started[pid]):
                continue
            met.add(pid)
            self.family[pid] = started[pid]
            waiting += parents.get(pid, [])

    def alive(self) -> dict[int, str]:
        """Names of the current run's processes that live."""
        self.meet()
        return {pid: name for pid, (name, _, start) in processes().items() if self.family.get(pid) == start}

    def kill(self, kind: str) -> None:
        """`kill -9` of one process of this kind."""
        pids = [pid for pid, name in self.alive().items() if name == PROCESSES[kind]]
        if pids:
            os.kill(self.random.choice(pids), signal.SIGKILL)

    def ends(self, kind: str) -> None:
        """Wait for the end of a run that cannot go on."""
        if not self.wait(None, 180):
            self.stuck += 1
            self._driver()
            return
        self.statuses.setdefault(kind, Counter())[self.status() or 0] += 1
        self.leftovers()

    def leftovers(self) -> None:
        """Count processes of a run that ended; the mirror and Ray have half a minute to follow it. They are killed by id."""
        deadline = time.monotonic() + 30
        while (alive := self.alive()) and time.monotonic() < deadline:
            time.sleep(0.2)
        self.left += len(alive)
        for pid, name in alive.items():
            print(f"  left: {pid} {name}", file=sys.stderr)
            os.kill(pid, signal.SIGKILL)

    def _driver(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.leftovers()

    def _actor(self) -> None:
        self.kill("actor")

    def _raylet(self) -> None:
        self.kill("raylet")
        self.ends("raylet")

    def _gcs(self) -> None:
        self.kill("gcs")
        self.ends("gcs")

    def _sigterm(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.ends("sigterm")
        self.unsaid += "goes on from there" not in self.output()

    def _disk(self) -> None:
        filler = self.runs / "filler"
        try:
            with filler.open("wb") as handle:
                while True:
                    handle.write(bytes(1 << 16))
                    handle.flush()
        except OSError:
            pass
        self.ends("disk")
        filler.unlink()

    def _part(self) -> None:
        self._driver()
        self.look()
        part = self.random.choice(self.ledger.parts())
        alone = Ledger(self.folder / "one-part")
        shutil.rmtree(alone.folder, ignore_errors=True)
        alone.folder.mkdir()
        shutil.copy(part, alone.folder)
        rest = Ledger(self.folder / "other-parts")
        shutil.rmtree(rest.folder, ignore_errors=True)
        shutil.copytree(self.ledger.folder, rest.folder)
        (rest.folder / part.name).unlink()
        gone = {r.trial_id for r in alone.records()} - {r.trial_id for r in rest.records()}
        self.damaged |= gone
        for trial_id in gone:
            self.seen.pop(trial_id, None)
        os.truncate(part, self.random.randrange(part.stat().st_size))

    def _checkpoint(self) -> None:
        self._driver()
        for path in (self.study / "checkpoints").glob("*.pt"):
            os.truncate(path, self.random.randrange(path.stat().st_size))

    def _clock(self) -> None:
        self._driver()
        self.start(self.runs, LD_PRELOAD=str(FAKETIME), FAKETIME="-1d")

    def in_mlflow(self) -> Counter[str]:
        """How often MLflow has each trial, read without MLflow."""
        with sqlite3.connect(self.runs / "mlflow.db") as store:
            rows = store.execute(
                "select t.value from tags t join runs r on r.run_uuid = t.run_uuid"
                " where t.key = 'ablate.key' and t.value like 'trial:%' and r.lifecycle_stage = 'active'"
            ).fetchall()
        return Counter(value.rsplit(":", 1)[1] for (value,) in rows)


def processes() -> dict[int, tuple[str, int, str]]:
    """Name, parent and start of every process that is no zombie."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = path.read_text().split("(", 1)[1].rsplit(")", 1)
        except (OSError, IndexError):
            continue
        fields = rest.split()
        if fields[0] not in "ZX":
            found[int(path.parent.name)] = (name, int(fields[1]), fields[19])
    return found


if __name__ == "__main__":
    main()
