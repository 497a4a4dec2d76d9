from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", r"-2 [-35, +31] Muller \u6d4b"),
        ("latin-1", r"-2 [-35, +31] Müller \u6d4b"),
        ("utf-8", "−2 [−35, +31] Müller 测"),
    ],
)
def test_a_minus_stays_one_in_every_encoding(encoding: str, written: str) -> None:
    code = (
        "from orchestrator.common.output_encoding import write_what_fits; write_what_fits()\n"
        "print('\\u22122 [\\u221235, +31] M\\u00fcller \\u6d4b')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONIOENCODING": encoding}, capture_output=True, check=True
    )
    assert done.stdout.decode(encoding).strip() == written


def test_closed_output_is_no_error() -> None:
    code = "import sys; sys.stdout = None\nfrom orchestrator.common.output_encoding import write_what_fits; write_what_fits()"
    subprocess.run([sys.executable, "-c", code], check=True)
