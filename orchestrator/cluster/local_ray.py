"""A Ray cluster of this machine alone, for the length of one run: on loopback, with a token and a folder of its own.

Ray by itself listens on all interfaces (it takes 127.0.0.1 for the machine's name in its network), makes folders that everybody may
write to, keeps them, and writes its token readable for all into the home folder, which may not be writable.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.cluster.watch import LocalProcesses, watched
from orchestrator.common.errors import AblateError, MachineFailed
from orchestrator.common.import_paths import workers_path
from orchestrator.common.os_errors import remedy
from orchestrator.common.signals import at_once, end_if_told, said, say_once, take_signals
from orchestrator.common.temporary_folders import remove_abandoned, scratch_folder

LONGEST_BASE = 23
"""Bytes of the folder below which a session's folder may lie: the path of a socket takes 107, and Ray's part of it is long."""
ATTEMPTS = 2
_TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")
_OWN_FOLDER = "RAY_TMPDIR"
_SLOW = ("timed out", "Timed out", "timeout", "Failed to get node info", "Failed to start", "Failed to connect")
_FEW_FILES = 1024
_NOT_WRITTEN = (errno.ENOSPC, errno.EROFS, errno.EACCES)
_MEMORY_FILES = Path("/dev/shm")


SHARED_MEMORY = "free what is in /dev/shm, or start the container with `docker run --shm-size=1g`"
"""What helps where Ray's object store has no room."""


class LocalRayFailed(MachineFailed):
    """Ray cannot be started on this machine."""


@contextmanager
def local_ray(ray: Any, console: Console | None, options: dict[str, Any]) -> Iterator[None]:
    """A cluster for the length of the block.

    Args:
        ray: The module, not connected.
        console: Hears of a loss of the cluster that ends this process.
        options: For `ray.init`.

    Raises LocalRayFailed where it does not start, AblateError where RAY_TMPDIR names no folder that serves.
    """
    with ExitStack() as stack:
        watches: list[LocalProcesses] = []
        # last of what is due at once: a driver whose node has died is ended by Ray
        stack.enter_context(at_once(lambda: list(map(LocalProcesses.abandon, watches))))
        folder = stack.enter_context(_session_folder())
        if not _writable(_MEMORY_FILES):  # slower, but Ray would not start
            options = {**options, "_plasma_directory": str(folder)}
        stack.enter_context(_token(folder))
        stack.enter_context(_loopback())
        watch = LocalProcesses(console, folder)
        watches.append(watch)

        def start() -> None:
            for attempt in range(ATTEMPTS):
                try:
                    with own_handlers(), _import_path():
                        ray.init(
                            address="local", _temp_dir=str(folder / "r"), job_config=job_without_folders(), **options
                        )
                    end_if_told()
                    return
                except Exception as problem:
                    end_if_told()
                    log = _last_words(folder)
                    with suppress(Exception):
                        leave(ray)
                    watch.abandon()
                    if attempt == ATTEMPTS - 1 or not any(word in str(problem) for word in _SLOW):
                        raise LocalRayFailed(why_not(problem, log)) from problem

        stack.enter_context(at_once(lambda: say_how_to_go_on(console)))
        stack.enter_context(watched(watch, start, lambda: leave(ray)))
        yield


def say_how_to_go_on(console: Console | None) -> None:
    """For the end that a second signal brings; once."""
    if console is not None and not said():
        say_once()
        console.print(
            Text("ended at once; what was recorded is safe: run the study again, and it goes on"), soft_wrap=True
        )


def why_not(problem: Exception, log: str = "") -> str:
    """A sentence about what `ray.init` raised, with what helps.

    Args:
        problem: What was raised.
        log: The last complaint in the logs of Ray's processes, which are gone with the folder.
    """
    text = " ".join(str(problem).split())
    sentence = f"Ray cannot be started on this machine: {text[:400]}"
    if any(word in text for word in _SLOW):
        return f"Ray did not start on this machine in {ATTEMPTS} tries: {_limits() or _BUSY}{f' (Ray: {log})' if log else ''}"
    if isinstance(problem, OSError) and problem.errno is not None:
        what = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem.strerror)
        helps = remedy(problem) or "`ablate doctor` looks at this machine"
        if problem.errno in _NOT_WRITTEN:
            helps = f"name a folder with room that can be written with {_OWN_FOLDER}"
        if str(problem.filename).startswith(str(_MEMORY_FILES)):
            helps = SHARED_MEMORY
        return f"Ray cannot be started on this machine: {what}; {helps}"
    if str(_MEMORY_FILES) in text or "object store" in text.lower():
        return f"{sentence}; {SHARED_MEMORY}"
    return f"{sentence}; `ablate doctor` looks at this machine"


_BUSY = "it is too busy, or something ends Ray's processes (`dmesg` tells of a lack of memory); run again when less is going on"


def _limits() -> str:
    """Which limit of this process is too low for Ray; empty where none is."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= files < _FEW_FILES:
        return f"only {files} files may be open; allow more with `ulimit -n 8192`"
    memory, _ = resource.getrlimit(resource.RLIMIT_AS)
    if memory != resource.RLIM_INFINITY:
        return f"a process may have only {memory >> 20} MiB of addresses; allow more with `ulimit -v unlimited`"
    return ""


def _last_words(folder: Path) -> str:
    """The last line in which one of Ray's daemons complains; empty where none does."""
    found = []
    for path in (folder / "r" / "session_latest" / "logs").glob("*.*"):
        if path.name.split(".")[0] in ("gcs_server", "raylet"):
            with suppress(OSError):
                text = path.read_text(encoding="utf-8", errors="replace")
                found += re.findall(
                    r"^.* [EC] .*\] (.+)$|^(terminate .+|.*what\(\).+|.*Check failed.+)$", text, re.MULTILINE
                )
    return " ".join("".join(found[-1]).split())[:200] if found else ""


@contextmanager
def _session_folder() -> Iterator[Path]:
    """A private folder with a short path; what killed runs left in any place is removed."""
    clean_up()
    with scratch_folder(session_bases()[0]) as folder:
        yield folder


def seems_writable(base: Path) -> bool:
    """Whether folders can probably be made there; nothing is written."""
    try:
        return base.is_dir() and os.access(base, os.W_OK | os.X_OK) and shutil.disk_usage(base).free > 0
    except OSError:
        return False


def session_bases(writable: Callable[[Path], bool] | None = None) -> list[Path]:
    """Folders below which a session's may lie, at least one. Raises AblateError and LocalRayFailed where none serves.

    Args:
        writable: Whether a folder can be made in another; by default it is tried.
    """
    writable = writable or _writable
    wanted = os.environ.get(_OWN_FOLDER)
    if wanted:
        base = Path(wanted).absolute()
        if not _short(base):
            raise AblateError(
                f"{_OWN_FOLDER}: {base} is too long for the sockets that Ray makes below it ({len(os.fsencode(base))} bytes "
                f"of at most {LONGEST_BASE}); name a shorter one, or leave it away"
            )
        if not writable(base):
            raise AblateError(f"{_OWN_FOLDER}: {base} is no folder that can be written; name one, or leave it away")
        return [base]
    if bases := [base for base in _bases() if _short(base) and writable(base)]:
        return bases
    raise LocalRayFailed(
        f"Ray needs a folder for its sockets, and none of {', '.join(map(str, _bases()))} is short ({LONGEST_BASE} bytes) and "
        f"can be written; name one with {_OWN_FOLDER}"
    )


def clean_up() -> None:
    """Remove what killed runs left."""
    wanted = os.environ.get(_OWN_FOLDER)
    for base in [*([Path(wanted)] if wanted else []), *_bases()]:
        remove_abandoned(base)


def _bases() -> list[Path]:
    found = []
    with suppress(OSError):  # none can be written
        found.append(Path(tempfile.gettempdir()))
    found += [Path("/tmp"), Path("/var/tmp")]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(runtime))
    return list(dict.fromkeys([*found, Path("/dev/shm")]))


def _short(base: Path) -> bool:
    return len(os.fsencode(base)) <= LONGEST_BASE


def _writable(base: Path) -> bool:
    """Whether folders can be made there; a full disk shows only then."""
    try:
        with tempfile.TemporaryDirectory(dir=base) as trial:
            (Path(trial) / "trial").write_bytes(bytes(4096))
        return True
    except OSError:
        return False


@contextmanager
def _token(folder: Path) -> Iterator[None]:
    """A token that only this run's processes know, in a file that only this user can read. RAY_AUTH_MODE may say otherwise."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        yield
        return
    before = {name: os.environ.pop(name) for name in _TOKEN_VARIABLES if name in os.environ}
    path = folder / "auth_token"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32), encoding="ascii")
    os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)})
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
    try:
        yield
    finally:
        for name in _TOKEN_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(before)
        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _loopback() -> Iterator[None]:
    """Have Ray take 127.0.0.1 for this machine, as it does on macOS; all its processes then listen there alone."""
    from ray._private import ray_constants

    with _replaced(ray_constants, "ENABLE_RAY_CLUSTER", False):
        yield


def job_without_folders() -> Any:
    """What a driver tells Ray of itself, without its working folder and its script's: workers would look there before all else."""
    from ray.job_config import JobConfig

    class Job(JobConfig):  # type: ignore[misc]
        def _get_proto_job_config(self) -> Any:
            self._py_driver_sys_path.clear()
            return super()._get_proto_job_config()

    return Job()


@contextmanager
def _import_path() -> Iterator[None]:
    """Have the processes that Ray starts look for modules where this one does, in Python's own places before the user's."""
    from trainables.algorithms import ALGORITHMS, module_folders

    wanted = workers_path(module_folders(ALGORITHMS))
    before = os.environ.pop("PYTHONPATH", None)
    try:
        if wanted:
            os.environ["PYTHONPATH"] = wanted
        yield
    finally:
        os.environ.pop("PYTHONPATH", None)
        if before is not None:
            os.environ["PYTHONPATH"] = before


@contextmanager
def own_handlers() -> Iterator[None]:
    """Keep `ray.init` and `ray.shutdown` from taking SIGTERM, which would end this process without a word."""
    from ray._private import utils

    with _replaced(utils, "set_sigterm_handler", lambda handler: None):
        yield
    take_signals()


def leave(ray: Any) -> None:
    """Shut Ray down, or leave somebody's cluster.

    On the way its native part gives SIGTERM back to the system, which would end this process before Ray's own have ended.
    """
    from ray._private import worker

    node = worker._global_node
    if node is not None and hasattr(node, "kill_all_processes"):
        ends = node.kill_all_processes

        def with_own_handlers(*arguments: Any, **options: Any) -> Any:
            take_signals()
            return ends(*arguments, **options)

        node.kill_all_processes = with_own_handlers
    with own_handlers():
        ray.shutdown()


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Something of Ray's that has no setting; fails where this Ray has it no more."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
