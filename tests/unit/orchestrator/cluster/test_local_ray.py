from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cluster import local_ray
from orchestrator.cluster.local_ray import LONGEST_BASE, LocalRayFailed, why_not
from orchestrator.common.errors import AblateError


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Exception("The current node timed out during startup."), "in 2 tries"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n 8192"),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), "RAY_TMPDIR"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/dev/shm"), "--shm-size"),
        (RuntimeError("something\nof many lines"), "something of many lines; `ablate doctor`"),
    ],
)
def test_what_ray_raises_becomes_a_sentence_with_a_remedy(problem: Exception, words: str) -> None:
    said = why_not(problem)
    assert words in said
    assert "\n" not in said
    assert LocalRayFailed(said).exit_status == 1


def test_the_limit_that_is_too_low_is_named() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "from orchestrator.cluster.local_ray import why_not; print(why_not(Exception('timed out')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "only 100 files may be open; allow more with `ulimit -n 8192`" in done.stdout


def test_a_session_lies_below_a_short_folder_that_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    long = tmp_path / ("x" * 75)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with local_ray._session_folder() as folder:
        assert len(os.fsencode(folder.parent)) <= LONGEST_BASE
        assert not list(long.iterdir())
        session = "session_2026-11-29_05-02-35_696900_4194304"  # the longest that there is
        socket = folder / "r" / session / "sockets" / "plasma_store.1"
        assert len(os.fsencode(socket)) <= 107
    assert not folder.exists()


@pytest.mark.parametrize("name", ["x" * 75, "gone"])
def test_a_folder_that_the_user_named_serves_or_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name if name != "gone" else Path("/proc/1/gone")
    monkeypatch.setenv("RAY_TMPDIR", str(path))
    with pytest.raises(AblateError, match=r"^RAY_TMPDIR: .*leave it away$"), local_ray._session_folder():
        pass


START_TWICE = """
import json, os, socket, stat, sys
import ray
from orchestrator.cluster.connection import cluster
from orchestrator.cluster.watch import _children
real, tries = ray.init, []
def init(**options):
    tries.append(options)
    if len(tries) == 1:
        real(**options)
        raise Exception("The current node timed out during startup. This could happen because some of the raylet failed")
    return real(**options)
ray.init = init
with cluster(num_cpus=1) as connected:
    from ray._raylet import GcsClient
    address = connected.get_runtime_context().gcs_address
    code = "from ray._raylet import GcsClient; print(GcsClient(address={!r}).internal_kv_keys(b'', namespace=None))".format(address)
    import subprocess
    stranger = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**stranger, "HOME": "/proc/1/x"})
    known = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    folder = os.path.dirname(os.environ["RAY_AUTH_TOKEN_PATH"])
ray.init = lambda **options: (_ for _ in ()).throw(Exception("timed out"))
try:
    with cluster(): pass
    said = ""
except Exception as problem:
    said = str(problem)
print(json.dumps({"tries": len(tries), "stranger": asked.stderr[-600:], "status": asked.returncode, "known": known.returncode,
                  "left": os.path.exists(folder), "said": said, "mode": os.environ.get("RAY_AUTH_MODE"),
                  "children": len(_children(os.getpid()))}))
"""


def test_a_start_that_times_out_is_tried_again_and_strangers_are_refused() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-c", START_TWICE], capture_output=True, text=True, env=environment, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["tries"] == 2
    assert found["status"] != 0, "a process without the token was let in"
    assert "InvalidAuthToken" in found["stranger"], found["stranger"]
    assert found["known"] == 0, "the token opens"
    assert found["said"].startswith("Ray did not start on this machine in 2 tries")
    assert (found["left"], found["mode"], found["children"]) == (False, None, 0)
