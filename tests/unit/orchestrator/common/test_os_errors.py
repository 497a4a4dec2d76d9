from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.common.os_errors import sentence
from results.ledger.parts import LedgerNotWritten

ROOT = Path(__file__).parents[4]


def refused(number: int, *files: str) -> str:
    return sentence(OSError(number, os.strerror(number), *files[:1], *([None, files[1]] if files[1:] else [])))


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some room there"),
        (errno.EDQUOT, "free some room there"),
        (errno.EACCES, "give this user the right to"),
        (errno.EROFS, "use another place"),
        (errno.EISDIR, "move it away"),
        (errno.ENOTDIR, "move it away"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENAMETOOLONG, "shorter"),
        (errno.ENOMEM, "free some memory"),
        (errno.EIO, "the disk or the file server failed"),
    ],
)
def test_the_remedy_fits_what_was_refused(number: int, remedy: str) -> None:
    said = refused(number, "/there/file")
    assert said.startswith(f"/there/file: {os.strerror(number)}; ")
    assert remedy in said


def test_of_a_renaming_the_file_that_was_meant_is_named() -> None:
    assert refused(errno.EISDIR, "/there/.tmp-1-table.md", "/there/table.md").startswith("/there/table.md: ")


def test_an_error_with_a_sentence_keeps_it() -> None:
    problem = LedgerNotWritten(Path("/runs/a/ledger"), "t1", OSError(errno.ENOSPC, "No space left on device"))
    assert sentence(problem) == str(problem)
    assert "the record of trial t1 could not be written" in sentence(problem)


def test_an_unknown_one_says_what_is_known() -> None:
    assert refused(errno.EDOM).startswith(f"the system: {os.strerror(errno.EDOM)}; give the same command again")
    assert sentence(OSError()).startswith("the system: OSError; ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments", [("plan", str(ROOT / "studies" / "digits.yaml")), ("list",), ("schema",), ("doctor",)]
)
def test_an_output_that_is_full_is_said(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("its output: No space left on device; free some room there, or use another place, then ")
