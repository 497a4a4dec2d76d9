"""Commands in processes of their own, where something about the machine is unusual."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile_commands import STUDY, Commands

SHADOWS = (
    *(
        "results",
        "queue",
        "mlflow",
        "torch",
        "ray",
        "numpy",
        "yaml",
        "orchestrator",
        "trainables",
        "search_spaces",
        "rich",
    ),
    *("json", "typing", "random", "site", "sitecustomize", "usercustomize", "optuna", "pyarrow", "pydantic", "typer"),
)
ODD_NAME = "a b?c#d%20e[f]'g\"h&i=j;k"
COMMANDS: dict[str, tuple[str, ...]] = {
    "plan": ("plan", "FILE", "--runs", "RUNS"),
    "run": ("run", "FILE", "--runs", "RUNS", "--no-mlflow", "--accept-mixed"),
    "status": ("status", STUDY, "--runs", "RUNS", "--json"),
    "report": ("report", STUDY, "--runs", "RUNS"),
    "compare": ("compare", STUDY, STUDY, "--runs", "RUNS"),
    "sync": ("sync", STUDY, "--runs", "RUNS"),
    "list": ("list", "--json"),
    "doctor": ("doctor",),
}


@dataclass(frozen=True)
class Case:
    """What is unusual.

    Args:
        environment: Variables to set; None takes one away. `HERE` stands for the case's own folder.
        shell: Runs before the command, in its shell, which knows $HERE, $RUNS and $FILE.
        end: What follows the command, such as `>&-`.
        name: Of the folder that everything lies in.
        refused: By command, what its sentence says where it cannot do its work; its exit status is then 1 or 2.
        silent: Whether nothing can be compared, since there is no output.
    """

    environment: Mapping[str, str | None] = field(default_factory=dict)
    shell: str = ""
    end: str = ""
    name: str = "plain"
    refused: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False


READ_ONLY = 'mount --bind "$RUNS" "$RUNS" && mount -o remount,bind,ro "$RUNS"'
FULL = dict.fromkeys(COMMANDS, "No space left on device; free some room there")
CASES: dict[str, Case] = {
    "as usual": Case(),
    "no HOME": Case({"HOME": None}),
    "HOME that is not there": Case({"HOME": "/nowhere/at/all"}),
    "HOME that is a file": Case({"HOME": "HERE/file"}, 'touch "$HERE/file"'),
    "XDG and Matplotlib folders that are files": Case(
        {"XDG_CACHE_HOME": "HERE/file", "XDG_CONFIG_HOME": "HERE/file", "MPLCONFIGDIR": "HERE/file/x"},
        'touch "$HERE/file"',
    ),
    "long TMPDIR": Case({"TMPDIR": f"HERE/{'t' * 120}/{'u' * 100}"}, 'mkdir -p "$TMPDIR"'),
    "TMPDIR that is not there": Case({"TMPDIR": "/nowhere/at/all"}),
    "C locale": Case({"LC_ALL": "C", "LANG": None, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "Latin-1 output": Case({"PYTHONIOENCODING": "latin-1"}),
    "ASCII output": Case({"PYTHONIOENCODING": "ascii"}),
    "narrow dumb terminal": Case({"COLUMNS": "20", "TERM": "dumb"}),
    "no TERM, absurd COLUMNS": Case({"COLUMNS": "-3", "TERM": None}),
    "closed input": Case(end="<&-"),
    "closed output": Case(end=">&-", silent=True),
    "closed messages": Case(end="2>&-"),
    "all three closed": Case(end="<&- >&- 2>&-", silent=True),
    "full output": Case(end=">/dev/full", refused=FULL, silent=True),
    "files that shadow modules": Case(
        shell=f"for m in {' '.join(SHADOWS)}; do echo 'raise SystemExit(3)' > $m.py; done"
    ),
    "folders that shadow modules": Case(shell=f"mkdir {' '.join(SHADOWS)}"),
    "shadows and PYTHONPATH of nothing": Case(
        {"PYTHONPATH": ""}, "for m in results queue mlflow torch; do echo 'raise SystemExit(3)' > $m.py; done"
    ),
    "working folder that is gone": Case(
        shell='mkdir gone; cd gone; rmdir "$HERE/gone"',
        refused=dict.fromkeys(COMMANDS, "the folder that you are in was removed, or moved; `cd` to one that is there"),
    ),
    "moved runs": Case(shell='mv "$RUNS" "$RUNS-moved"; RUNS="$RUNS-moved"'),
    "odd names": Case(name=ODD_NAME),
    "name in another script": Case(name="данные-数据-é"),
    "umask 077": Case(shell="umask 077"),
    "few files": Case(shell="ulimit -n 48"),
    "read-only runs": Case(
        shell=READ_ONLY,
        refused={
            "run": "Read-only file system; it cannot be written to; use another place",
            "report": "Read-only file system; it cannot be written to; use another place",
            "sync": "Read-only file system; it cannot be written to; use another place",
        },
    ),
}


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    output: str
    messages: str


class Environments:
    """Runs commands in cases.

    Args:
        folder: For what they share.
    """

    def __init__(self, folder: Path, commands: Commands) -> None:
        self.folder = folder
        self.commands = commands
        self._usual: dict[str, Answer] = {}
        self._count = 0

    def judge(self, case: str, command: str) -> None:
        """Raise AssertionError where a command answers otherwise than as usual, or with the sentence that the case has for it."""
        usual = self._usual.get(command) or self._usual.setdefault(command, self._answer(CASES["as usual"], command))
        assert usual.status == 0, usual
        assert _facts(command, usual.output), f"{command} tells nothing that could be compared: {usual}"
        found, told = self._answer(CASES[case], command), f"{command}, {case}"
        assert "Traceback" not in found.output + found.messages, f"{told}: {found.messages[-2000:]}"
        assert "Error:" not in found.messages, f"{told}: {found.messages[-2000:]}"
        if (expected := CASES[case].refused.get(command)) is not None:
            assert found.status in (1, 2), f"{told}: {found}"
            assert expected in _joined(found.messages + found.output), f"{told}: {found}"
            return
        assert found.status == 0, f"{told}: {found}"
        if not CASES[case].silent:
            assert _facts(command, found.output) >= _facts(command, usual.output), (
                f"{told}: lacks {_facts(command, usual.output) - _facts(command, found.output)}"
            )

    def _answer(self, case: Case, command: str) -> Answer:
        self._count += 1
        place = self.folder / str(self._count) / case.name
        place.mkdir(parents=True)
        runs = self.commands.folder_of_runs(place)
        file = place / "small.yaml"
        shutil.copy(self.commands.file, file)
        names = {"HERE": str(place), "RUNS": str(runs), "FILE": str(file)}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ABLATE_")}
        for name, value in case.environment.items():
            environment.pop(name, None)
            if value is not None:
                environment[name] = value.replace("HERE", str(place))
        words = " ".join(f'"${w}"' if w in names else w for w in COMMANDS[command])
        script = f'cd "$HERE"\n{case.shell}\nexec "{_ABLATE}" {words} {case.end}'
        tool = ["unshare", "--mount"] if "mount" in case.shell else []
        done = subprocess.run(
            [*tool, "bash", "-c", script],
            env={"COLUMNS": "100", **environment, **names},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        shutil.rmtree(self.folder / str(self._count), ignore_errors=True)
        return Answer(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


_ABLATE = Path(sys.executable).parent / "ablate"


def _joined(text: str) -> str:
    return " ".join(text.split())


def _facts(command: str, output: str) -> set[str]:
    """What an output tells: how it is broken into lines, and drawn, is the terminal's matter, and what is free the machine's."""
    if command == "doctor":
        return set(re.findall(r"packages|shared memory|GPUs", output))
    if output.startswith(("{", "[")):
        found = json.loads(output)
        return {json.dumps(found, sort_keys=True)} if command == "list" else {str(found["sentence"])}
    plain = [word for word in output.replace("−", "-").split() if not re.search("/.*[a-z]", word)]  # no paths
    return set(re.findall(r"[+-]?\d+(?:\.\d+)?", " ".join(plain)))
