from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.common.temporary_folders import ABANDONED_SECONDS, MARK, remove_abandoned, scratch_folder


def killed(base: Path) -> Path:
    """The folder of a process that was killed while it had one."""
    code = (
        "import sys, os, signal; from pathlib import Path; from orchestrator.common.temporary_folders import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'deep' / 'er').mkdir(parents=True); (folder / 'deep' / 'file').write_text('x')\n"
        "    print(folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(base)], capture_output=True, text=True, check=False)
    folder = Path(done.stdout.strip())
    assert folder.is_dir()
    return folder


def change(folder: Path, **values: Any) -> None:
    mark = folder / MARK
    mark.write_text(json.dumps({**json.loads(mark.read_text()), **values}))


def test_a_folder_is_private_and_goes_with_its_block(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "file").write_text("x")
    assert not list(tmp_path.iterdir())


def test_the_next_one_removes_what_a_killed_one_left_and_nothing_of_the_living(tmp_path: Path) -> None:
    left = killed(tmp_path)
    with scratch_folder(tmp_path) as mine:
        assert not left.exists()
        assert remove_abandoned(tmp_path) == 0
        assert mine.is_dir()


@pytest.mark.parametrize("mark", [None, "", "{", "[]", "{}", '{"machine": 1}', '{"machine": null, "process": "x"}'])
def test_a_folder_that_does_not_say_whose_it_is_stays(tmp_path: Path, mark: str | None) -> None:
    folder = tmp_path / "ablate-somebody"
    folder.mkdir()
    if mark is not None:
        (folder / MARK).write_text(mark)
    assert remove_abandoned(tmp_path) == 0
    assert folder.is_dir()


def test_links_are_left_alone(tmp_path: Path) -> None:
    left = killed(tmp_path)
    elsewhere = left.rename(tmp_path / "elsewhere")
    (tmp_path / "ablate-link").symlink_to(elsewhere)
    assert remove_abandoned(tmp_path) == 0
    assert (elsewhere / "deep" / "file").is_file()


def test_another_container_of_this_boot_is_left_alone(tmp_path: Path) -> None:
    left = killed(tmp_path)
    boot = json.loads((left / MARK).read_text())["machine"].split(" ")[0]
    change(left, machine=f"{boot} pid:[1]")
    _age(left)
    assert remove_abandoned(tmp_path) == 0


def test_an_earlier_boot_of_this_host_is_over_once_nothing_changed_for_long(tmp_path: Path) -> None:
    left = killed(tmp_path)
    change(left, machine="another-boot pid:[1]")
    assert remove_abandoned(tmp_path) == 0
    _age(left)
    change(left, host="another-host", machine="another-boot pid:[1]")
    os.utime(left / MARK, (0, 0))
    assert remove_abandoned(tmp_path) == 0
    change(left, host=os.uname().nodename)
    _age(left)
    assert remove_abandoned(tmp_path) == 1
    assert not left.exists()


def _age(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (0, path.stat().st_mtime - 2 * ABANDONED_SECONDS))
