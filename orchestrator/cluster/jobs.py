"""Studies as jobs of a cluster (Ray Jobs): sent there once, they go on without the machine that sent them."""

from __future__ import annotations

import logging
import os
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

from orchestrator.check.loading import LoadedStudy
from orchestrator.cluster.shipping import stage_code
from orchestrator.common.errors import AblateError, StudyNotFound, did_you_mean
from orchestrator.storage.object_store import RemoteFolder, is_remote
from orchestrator.storage.transfer import unpack
from results.records.documents import parse

STUDY_KEY, RUNS_KEY = "ablate.study", "ablate.runs"
ASKED_SECONDS = 600.0
"""For a small command on the cluster; its first process there waits for the code to arrive."""
HEAD_SECONDS = 60.0
"""For a head that has just started to be able to run a job."""
LOOK_SECONDS = 0.5
_OVERRIDES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Ray prefers these to an address that it is given."""
_REMEDIES = {
    "uthenti": "; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the cluster's token",
    "No available agent": "; the head's agent is not up: dashboard_agent.log among Ray's logs there says why (its port is taken?)",
}
_TALKATIVE = ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")
"""They tell of every upload."""


class JobError(AblateError):
    """The cluster's job server did not do what was asked."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A study on a cluster."""

    id: str
    study: str
    runs: str
    """The folder there, for a shell."""
    state: str
    """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
    started: float
    """Seconds since 1970; 0 before it starts."""
    message: str = ""
    exit_code: int | None = None

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.state in ("PENDING", "RUNNING")


class Jobs:
    """The job server of a cluster.

    Args:
        address: `http://HEAD:8265`, or https.

    Raises JobError where none answers there, or it does not know this user.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(("http://", "https://")):
            raise JobError(f"--address: '{address}' is no job server; give http://HEAD:8265, where Ray's dashboard is")
        self.address = address.rstrip("/")
        from ray.exceptions import RayError
        from ray.job_submission import JobSubmissionClient

        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._refusals = (RuntimeError, ValueError, RayError)
        with self._problems():
            aside = {name: os.environ.pop(name) for name in _OVERRIDES if name in os.environ}
            try:
                self._client: Any = JobSubmissionClient(self.address)
            finally:
                os.environ.update(aside)

    def jobs(self) -> list[Job]:
        """The studies that were sent there, newest first, as far as the cluster remembers."""
        with self._problems():
            found = self._client.list_jobs()
        ours = [_job(j) for j in found if STUDY_KEY in (j.metadata or {})]
        return sorted(ours, key=lambda j: (j.alive, j.started), reverse=True)

    def newest(self, study: str) -> Job:
        """The newest job of a study. Raises StudyNotFound."""
        jobs = self.jobs()
        found = next((job for job in jobs if job.study == study), None)
        if found is None:
            names = sorted({j.study for j in jobs})
            raise StudyNotFound(
                f"{study}: no job of this study on {self.address}{did_you_mean(study, names)}; `ablate submit` sends one, and "
                "it goes on from what is recorded there"
            )
        return found

    def submit(
        self, loaded: LoadedStudy, runs: str, arguments: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> Job:
        """Send a study, with this process's code, and start it.

        Args:
            loaded: A checked study.
            runs: The folder there; one that is not absolute is below the home folder.
            arguments: Further ones of `ablate run`.
            env: Environment variables of the run; everybody who may ask the job server can read them.

        Raises JobError, also where the study runs there already.
        """
        name, folder = loaded.spec.study, _in_shell(runs)
        running = next((j for j in self.jobs() if j.study == name and j.runs == folder and j.alive), None)
        if running is not None:
            raise JobError(
                f"{name}: it runs there already, as {running.id}; `ablate status {name} --address {self.address}` says how far "
                f"it is, `ray job stop {running.id} --address {self.address}` ends it"
            )
        algorithms = {loaded.spec.method, *loaded.spec.baselines}
        with TemporaryDirectory(prefix="ablate-code-") as scratch:
            code = stage_code(Path(scratch) / "code", algorithms)
            (code / f"{name}.yaml").write_text(loaded.text, encoding="utf-8")
            command = ["run", f"{name}.yaml", "--address", "auto", *arguments]
            id_ = self._start(
                f"ablate-{name}-{token_hex(4)}", _entry(command, folder), code, {STUDY_KEY: name, RUNS_KEY: folder}, env
            )
        return self.look(id_)

    def follow(self, job: Job) -> Iterator[str]:
        """The lines that a job prints, until it ends."""
        seen = 0
        while True:
            job = self.look(job.id)
            with self._problems():
                text = self._client.get_job_logs(job.id)
            end = len(text) if not job.alive else text.rfind("\n") + 1
            yield from text[seen:end].splitlines()
            seen = max(seen, end)
            if not job.alive:
                return
            time.sleep(2 * LOOK_SECONDS)

    def look(self, job_id: str) -> Job:
        """A job as it is now."""
        with self._problems():
            return _job(self._client.get_job_info(job_id))

    def status(self, job: Job) -> dict[str, Any]:
        """What `ablate status --json` says there."""
        text = self._run_there(_entry(["status", job.study, "--json"], job.runs), job)
        try:
            found: dict[str, Any] = parse(text[text.index("{") :])
        except ValueError as problem:
            raise JobError(f"{job.study}: the cluster said {text[-500:]!r} in place of a status") from problem
        return found

    def fetch(self, job: Job, study_dir: Path) -> None:
        """Bring a study's ledger, and what its report needs, into `study_dir`. Raises TransferDamaged and AblateError."""
        script = f"exec python -m orchestrator.storage.transfer {job.runs} {shlex.quote(job.study)}"
        unpack(self._run_there(script, job), study_dir)

    def _run_there(self, script: str, job: Job) -> str:
        """Run a small command on the cluster with this process's code; returns what it printed."""
        with TemporaryDirectory(prefix="ablate-code-") as scratch:
            code = stage_code(Path(scratch) / "code", ())
            asked = self._start(f"ablate-ask-{token_hex(4)}", script, code, {}, None)
        deadline = time.monotonic() + ASKED_SECONDS
        while (found := self.look(asked)).alive:
            if time.monotonic() > deadline:
                raise JobError(
                    f"{job.study}: {self.address} did not answer within {ASKED_SECONDS:.0f} s; see job {asked}"
                )
            time.sleep(LOOK_SECONDS)
        with self._problems():
            text = str(self._client.get_job_logs(asked))
            self._client.delete_job(asked)
        if found.state != "SUCCEEDED":
            said = " ".join(text.split())[-800:] or found.message
            raise JobError(f"{job.study}: on {self.address}: {said}")
        return text

    def _start(
        self, id_: str, script: str, code: Path, metadata: Mapping[str, str], env: Mapping[str, str] | None
    ) -> str:
        request = {
            "entrypoint": script,
            "submission_id": id_,
            "runtime_env": {"working_dir": str(code), **({"env_vars": dict(env)} if env else {})},
            "metadata": dict(metadata),
        }
        deadline = time.monotonic() + HEAD_SECONDS
        with self._problems():
            while True:
                try:
                    return str(self._client.submit_job(**request))
                except RuntimeError as problem:
                    if "No available agent" not in str(problem) or time.monotonic() > deadline:
                        raise
                time.sleep(LOOK_SECONDS)

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise JobError(
                f"--address: no Ray job server answers on {self.address} ({' '.join(str(problem).split())[:200]}); it is where "
                "Ray's dashboard is, port 8265 of the head unless told"
            ) from problem
        except self._refusals as problem:
            text = str(problem).strip().splitlines()[0][:600]
            remedy = next((remedy for sign, remedy in _REMEDIES.items() if sign in text), "")
            raise JobError(f"--address: {self.address}: {text}{remedy}") from problem


def anybody_may_run_jobs(address: str) -> bool:
    """Whether a job server serves those who show no token; a job can run anything. Raises JobError where none answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address.rstrip('/')}/api/jobs/", timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as refusal:
        return refusal.code not in (401, 403)
    except (OSError, ValueError) as problem:
        raise JobError(f"--address: no Ray job server answers on {address} ({problem})") from problem


def _job(found: Any) -> Job:
    metadata = found.metadata or {}
    return Job(
        id=str(found.submission_id),
        study=metadata.get(STUDY_KEY, ""),
        runs=metadata.get(RUNS_KEY, ""),
        state=str(getattr(found.status, "value", found.status)),
        started=(found.start_time or 0) / 1000,
        message=found.message or "",
        exit_code=found.driver_exit_code,
    )


def _in_shell(runs: str) -> str:
    """A folder on the cluster, or an address in an object store, as a shell there takes it."""
    if is_remote(runs):
        return shlex.quote(RemoteFolder(runs).uri)
    path = runs.removeprefix("~/")
    return shlex.quote(path) if path.startswith("/") else f'"$HOME"/{shlex.quote(path)}'


def _entry(command: Sequence[str], runs: str) -> str:
    """The shell command that runs `ablate` there: in the home folder, with the code that came along first on the path."""
    first, *rest = command
    words = [shlex.quote(w) for w in rest]
    if first == "run":
        words[0] = f'"$code"/{words[0]}'
    make = "" if is_remote(runs.strip("'")) else f"mkdir -p {runs} && "
    return f"code=$PWD; {make}cd && exec python -m orchestrator {first} {' '.join(words)} --runs {runs}"
