"""Readers of the documentation: each types all lines of one page, in order, in a folder of their own.

A scenario says what such a reader has beforehand and does between two lines. Which lines are run is said nowhere: all that the page
has, but for those in `NOT_RUN`; then the complete studies among its YAML blocks that no line ran, and its Python blocks.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import runpy
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import yaml
from PIL import Image

from orchestrator.check.loading import load_study
from orchestrator.cli.app import main
from orchestrator.design.plan import make_plan
from results.ledger.ledger import Ledger
from tests.docs.pages import DOCS, blocks, shell_lines
from tests.integration.studies import command, environment, keep_pools, with_pools
from tests.tools import SKIP_NOTHING
from tests.waiting import eventually
from trainables.data import DATASETS, recognition

NOT_RUN = {
    "make setup": "CI makes .venv before anything else, and these tests run in it",
    "make study": "CI runs it itself",
    "make test": "CI runs it itself, and this is a part of it",
    ". .venv/bin/activate": "says where `ablate` is; the tests call it by its place",
    "sudo apt-get install dataset-fashion-mnist": "changes the machine",
    shlex.join(
        ["python", "-c", "from torchvision.datasets import FashionMNIST; FashionMNIST('data', download=True)"]
    ): "needs the network",
}
"""Lines that no test types, and why."""

PLACEHOLDERS = {
    "http://HEAD:8265": "{head}",
    "/shared/runs": "{folder}/shared/runs",
    "some/pipeline": "{pipeline}",
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "{pipeline}",
    "500": "2",
}
"""Words of a page that a reader replaces by their own, or that would take long; in braces what the scenario knows."""

TINY: dict[str, Any] = {
    "training": {"steps": 4, "reports": 2, "batch_size": 8, "unlabelled_ratio": 1},
    "search": {"trials": 1},
    "evaluate": {"seeds": 2, "allow_underpowered": True},
    "resources": {"cpus": 1, "gpus": 0, "actors": 1},
}
"""What makes any study a matter of seconds."""
ONE_SEED: dict[str, Any] = {"evaluate": {"seeds": 1}}
TWO_ARMS: dict[str, Any] = {"ablation": {"components": ["queue"]}, "baselines": []}
QUICK_IMAGES: dict[str, Any] = {"data": {"generators": ["pca"]}}
DIGITS: dict[str, Any] = {
    "study": "digits",
    "question": "Which parts of RSMatch matter?",
    "method": "rsmatch",
    **TWO_ARMS,
    "data": {"dataset": "digits", "labels_per_class": 2, "contamination": 0.3, "generators": ["pca"]},
    **TINY,
}
EARLIER, LATER = "1a2b3c" + 34 * "0", "4d5e6f" + 34 * "0"
"""The commits of which a page speaks."""
SERVERS = ("ui", "dashboard")


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes` in their place; mappings are merged."""
    made = dict(values)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = merged(made[key], value) if both else value
    return made


def write_yaml(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")


def make_tiny(path: Path, *changes: Mapping[str, Any]) -> None:
    """Let a study that was written run in seconds."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    for change in (TINY, *changes):
        values = merged(values, change)
    named = {values["method"], *values["baselines"]}
    values["hyperparameters"] = {k: v for k, v in values.get("hyperparameters", {}).items() if k in named}
    write_yaml(path, values)


def studies_of(page: Path) -> dict[str, str]:
    """The complete studies among a page's YAML blocks, by name."""
    found = {block: yaml.safe_load(block) for block in blocks(page, "yaml")}
    return {values["study"]: block for block, values in found.items() if "study" in values}


def to_run(page: Path) -> list[str]:
    """The page's lines that a reader types."""
    return [line for line in shell_lines(page) if line not in NOT_RUN]


@dataclass
class Reader:
    """Somebody who reads one page.

    Args:
        folder: Where they type.
        pools: Synthetic images that tests share.
        fixture: Gives a fixture of the tests by its name; so a reader who needs none starts none.
    """

    folder: Path
    pools: Path
    fixture: Callable[[str], Any]
    before: dict[str, Callable[[], object]] = field(default_factory=dict)
    """What to do before each line that contains the key."""
    after: dict[str, Callable[[], object]] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)
    """Exit status of each line that contains the key, where it is not 0."""
    questions: dict[str, int] = field(default_factory=dict)
    """How many questions a line asks in a terminal; each is answered with Enter."""
    known: dict[str, str] = field(default_factory=dict)
    """What stands for the braces in `PLACEHOLDERS`."""
    env: dict[str, str] = field(default_factory=dict)
    """Further environment variables of processes."""
    processes: bool = False
    """Whether each line is a process of its own, as in a shell. Else it is run in this one, which has imported everything and
    has a Ray cluster: the same code with the same arguments, and a test of all pages is bearable."""

    def reads(self, page: Path) -> None:
        """Type the page's lines, run its studies and its Python."""
        lines = to_run(page)
        for expected in (self.before, self.after, self.exits, self.questions):
            assert all(any(key in line for line in lines) for key in expected), "the page has no such line any more"
        for line in lines:
            self._all(self.before, line)
            self.types(line)
            self._all(self.after, line)
        for name, block in studies_of(page).items():
            if not self.records(name):
                (self.folder / f"{name}.yaml").write_text(block, encoding="utf-8")
                make_tiny(self.folder / f"{name}.yaml", QUICK_IMAGES)
                self.in_this_process(["run", f"{name}.yaml"])
                assert self.records(name)
        for number, block in enumerate(blocks(page, "python")):
            path = self.folder / f"block_{number}.py"
            path.write_text(block, encoding="utf-8")
            with contextlib.chdir(self.folder), contextlib.redirect_stdout(io.StringIO()):
                runpy.run_path(str(path), run_name="page")

    def types(self, line: str) -> None:
        program, *words = shlex.split(line)
        assert program == "ablate", "a program that no test runs; what is not to be run stands in NOT_RUN"
        arguments = [
            PLACEHOLDERS.get(w, w.replace("{", "{{").replace("}", "}}")).format(**self.all_known) for w in words
        ]
        status = next((status for key, status in self.exits.items() if key in line), 0)
        asked = next((number for key, number in self.questions.items() if key in line), 0)
        if arguments[0] in SERVERS or "--watch" in arguments:
            self.starts(arguments, status)
        elif self.processes or asked:
            self.in_a_process(arguments, status, asked)
        else:
            self.in_this_process(arguments, status)

    @property
    def all_known(self) -> dict[str, str]:
        return {"folder": str(self.folder), **self.known}

    def in_this_process(self, arguments: list[str], status: int = 0) -> None:
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            mock.patch.object(sys, "argv", ["ablate", *arguments]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            main()
        self._check(arguments, (end.value.code, status), out.getvalue(), err.getvalue())

    def in_a_process(self, arguments: list[str], status: int, asked: int) -> None:
        keyboard, terminal = pty.openpty()
        try:
            os.write(keyboard, b"\n" * asked)
            done = subprocess.run(
                command(*arguments),
                cwd=self.folder,
                stdin=terminal if asked else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env={**environment(), **self.env},
            )
        finally:
            os.close(keyboard)
            os.close(terminal)
        assert done.stdout.count("]: ") == asked
        self._check(arguments, (done.returncode, status), done.stdout, done.stderr)

    def starts(self, arguments: list[str], status: int) -> None:
        """A command that goes on until Ctrl-C: it says where its page is, a server answers there, and no longer once it ended."""
        output = self.folder / "output.txt"
        with output.open("wb") as sink:
            process = subprocess.Popen(
                in_a_terminal(*arguments), cwd=self.folder, stdout=sink, stderr=sink, env={**environment(), **self.env}
            )
        said = re.compile(r"http://127\.0\.0\.1:\d+/?|\S+report\.html")
        try:
            eventually(lambda: said.search(output.read_text()) or process.poll() is not None, seconds=120)
            found = said.search(output.read_text())
            assert found, output.read_text()
            if arguments[0] in SERVERS:
                assert urllib.request.urlopen(found.group(), timeout=60).status == 200
            else:
                assert (self.folder / found.group()).is_file()
        finally:
            process.send_signal(signal.SIGINT)
            try:
                ended = process.wait(60)
            finally:
                process.kill()  # nothing where it has ended
        self._check(arguments, (ended, status), "", output.read_text())
        if arguments[0] in SERVERS:
            with pytest.raises(urllib.error.URLError):
                urllib.request.urlopen(found.group(), timeout=2)

    def records(self, study: str) -> int:
        return len(Ledger(self.folder / "runs" / study / "ledger").records())

    @staticmethod
    def _all(hooks: Mapping[str, Callable[[], object]], line: str) -> None:
        for key, act in hooks.items():
            if key in line:
                act()

    @staticmethod
    def _check(arguments: list[str], statuses: tuple[object, int], out: str, err: str) -> None:
        ended, expected = statuses
        assert ended == expected, f"{arguments}: {out}{err}"
        assert "Traceback" not in out + err, f"{arguments}: {out}{err}"
        if "--json" in arguments:
            json.loads(out)


def in_a_terminal(*arguments: str) -> list[str]:
    """The command, and Ctrl-C reaches it; a process that a shell started in the background would not hear it."""
    program, option, code, *rest = command(*arguments)
    return [program, option, f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {code}", *rest]


SCENARIOS: dict[str, Callable[[Reader], None]] = {}
"""By page, what its reader has and does beside typing."""


def of(page: str) -> Callable[[Callable[[Reader], None]], Callable[[Reader], None]]:
    def register(scenario: Callable[[Reader], None]) -> Callable[[Reader], None]:
        SCENARIOS[page] = scenario
        return scenario

    return register


def has_digits(reader: Reader) -> None:
    """The study's file; nothing has run."""
    write_yaml(reader.folder / "studies" / "digits.yaml", DIGITS)


def has_run_digits(reader: Reader) -> None:
    """A copy of the study that has run, with its MLflow store."""
    folder: Path = reader.fixture("digits_that_ran")
    shutil.copytree(folder, reader.folder, dirs_exist_ok=True)
    with sqlite3.connect(reader.folder / "runs" / "mlflow.db") as store:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            store.execute(f"update {table} set {column} = replace({column}, ?, ?)", (str(folder), str(reader.folder)))
    store.close()


def change_records(folder: Path, *versions: Mapping[str, str]) -> None:
    """Write a study's ledger anew, each trial once for each of the `code` that it is to have been run with."""
    ledger = Ledger(folder / "ledger")
    records = ledger.records()
    for path in ledger.parts():
        path.unlink()
    for code in versions:
        for record in records:  # a trial of other source has another name
            name = record.trial_id[::-1] if "source" in code else record.trial_id
            Ledger(folder / "ledger").append(replace(record, trial_id=name, code={**record.code, **code}))


def write_images(folder: Path, images: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:06}.png")


def write_pets(folder: Path) -> None:
    """Images of two classes."""
    images, _ = DATASETS["digits"].load()
    for label, name in enumerate(("cat", "dog")):
        write_images(folder / "train" / name, images.images[images.labels == label][:60, 0])


@of("README.md")
def readme(reader: Reader) -> None:
    """On the default study's names, with small numbers in its file; the first page, so each line is a process."""
    reader.processes = True
    has_digits(reader)

    def both_pages() -> None:
        report = reader.folder / "runs" / "digits" / "report"
        assert (report / "report.html").is_file()
        assert (report / "data.svg").is_file()

    reader.after["ablate report digits"] = both_pages


@of("docs/index.md")
def index(reader: Reader) -> None:
    reader.questions["ablate init"] = 3
    reader.after["ablate init"] = lambda: make_tiny(reader.folder / "my-study.yaml", TWO_ARMS, QUICK_IMAGES)


@of("docs/tutorial.md")
def tutorial(reader: Reader) -> None:
    if (missing := DATASETS["fashion-mnist"].missing()) is not None and not SKIP_NOTHING:
        pytest.skip(f"Fashion-MNIST: {missing}")
    path = reader.folder / "first.yaml"

    def quick_classifiers() -> None:
        """Those that `ablate data` would train for half a minute each are there, after a few steps."""
        with mock.patch.object(recognition, "STEPS", 2):
            for spec, seed in make_plan(load_study(path).spec).seed_blocks:
                recognition.recognise(spec, seed, reader.folder / "runs" / "cache" / "synthetic", device="cpu")

    def drawn_before() -> None:
        """The study at a small size; its images are drawn from a folder, as no generator is to be trained on 60,000 images."""
        make_tiny(path, TWO_ARMS, {"data": {"generators": ["folder:drawn"], "unlabelled_real": 20}})
        noise = np.random.default_rng(0)
        for name in DATASETS["fashion-mnist"].classes:
            write_images(reader.folder / "drawn" / name, noise.integers(0, 256, (8, 28, 28), np.uint8))

    reader.after["ablate init"] = drawn_before
    reader.exits["training.step=400"] = 2
    reader.before["ablate data"] = quick_classifiers


@of("docs/studies.md")
def studies(reader: Reader) -> None:
    has_run_digits(reader)
    write_pets(reader.folder / "pets")
    data = {"dataset": "folder:pets", "labels_per_class": 2, "contamination": 0.1, "generators": ["folder:my_images"]}
    write_yaml(reader.folder / "studies" / "pets.yaml", {**DIGITS, "study": "pets", "data": data})
    reader.known["pipeline"] = str(reader.fixture("pipeline"))


@of("docs/howto/algorithm.md")
def algorithm(reader: Reader) -> None:
    shutil.copy(DOCS / "examples" / "my_match.py", reader.folder)
    (block,) = studies_of(DOCS / "howto" / "algorithm.md").values()
    (reader.folder / "my-match.yaml").write_text(block, encoding="utf-8")
    make_tiny(reader.folder / "my-match.yaml")


@of("docs/howto/dataset.md")
def dataset(reader: Reader) -> None:
    write_pets(reader.folder / "pets")
    reader.after["ablate init"] = lambda: make_tiny(reader.folder / "pets.yaml", TWO_ARMS, QUICK_IMAGES, ONE_SEED)


@of("docs/howto/extend.md")
def extend(reader: Reader) -> None:
    has_run_digits(reader)

    def records_of_other_code() -> None:
        change_records(reader.folder / "runs" / "digits", {"source": "0" * 64})
        reader.in_this_process(["run", "studies/digits.yaml"], status=2)

    before = reader.records("digits")
    reader.before["--accept-mixed"] = records_of_other_code
    accepted: list[int] = []
    reader.after["--accept-mixed"] = lambda: accepted.append(reader.records("digits"))

    def ran_again() -> None:
        assert reader.records("digits") == accepted[0] + before

    reader.after["--rerun"] = ran_again


@of("docs/howto/report.md")
def report(reader: Reader) -> None:
    has_run_digits(reader)
    runs = reader.folder / "runs"
    shutil.copytree(runs / "digits", runs / "other")
    change_records(runs / "digits", {"commit": LATER}, {"commit": EARLIER, "source": "0" * 64})


@of("docs/howto/synthetic-images.md")
def synthetic_images(reader: Reader) -> None:
    """The images of all classes but the last are there already, for each takes a second or two."""
    (block,) = blocks(DOCS / "howto" / "synthetic-images.md", "yaml")
    study = merged(DIGITS, {**yaml.safe_load(block), **ONE_SEED})
    write_yaml(reader.folder / "studies" / "digits.yaml", merged(study, {"data": {"unlabelled_real": 10}}))
    images, _ = DATASETS["digits"].load()
    for label, name in enumerate(DATASETS["digits"].classes[:-1]):
        write_images(reader.folder / "my_images" / name, images.images[images.labels == label][:2, 0])
    reader.known["pipeline"] = str(reader.fixture("pipeline"))


@of("docs/mlflow.md")
def mlflow(reader: Reader) -> None:
    has_run_digits(reader)


@of("docs/results/README.md")
def results(reader: Reader) -> None:
    shutil.copytree(DOCS / "results" / "digits", reader.folder / "docs" / "results" / "digits")


@of("docs/reference/python.md")
def python(reader: Reader) -> None:
    """Its blocks need nothing."""


@of("docs/cluster.md")
def cluster(reader: Reader) -> None:
    """On a head on this machine, which asks for a token, and with a store on this machine."""
    has_digits(reader)
    reader.processes = True
    reader.known["head"], reader.env = reader.fixture("cluster_and_store")
    keep_pools(reader.fixture("digits_that_ran") / "runs", reader.pools)
    with_pools(reader.folder / "shared" / "runs", reader.pools)
