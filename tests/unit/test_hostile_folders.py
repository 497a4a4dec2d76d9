"""Study folders that somebody tampered with: an error that says so, or a report; no code run, nothing written elsewhere."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.font_manager  # noqa: F401 - reads its cache when it is first imported
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from results.figures.data import load_pictures
from results.ledger.compact_values import ContentDamaged
from results.ledger.ledger import Ledger, LedgerDamaged
from results.ledger.parts import encode, to_table
from results.records.arrays import ArraysDamaged
from results.records.manifest import ManifestDamaged, StudyManifest
from results.report.html import TEMPLATES
from results.report.terminal import render_terminal
from results.report.writing import write_report
from results.ssl.feature_maps import read_features
from tests.hostile import CELLS, DAMAGE, EDITS, MARK, Watch, damaged, tampered_manifest, tampered_part
from tests.hostile_commands import EXAMPLES, SECRET, Commands
from tests.unit.results.factories import features, manifest, pictures, study_records, write_study

fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
watch = Watch()


@pytest.fixture(scope="module", autouse=True)
def _imports(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a report imports late is imported before anything is watched."""
    folder = tmp_path_factory.mktemp("warm") / "study"
    study = manifest(seeds=(1, 2))
    write_report(write_study(folder, study, study_records(study)))


OWN_SCRIPT = (TEMPLATES / "report.js").read_text(encoding="utf-8")
ADDRESSES = re.compile(
    r"#|data:image/svg\+xml;|data:text/csv;charset=utf-8;base64,|http://127\.0\.0\.1:5000/ablate/[^/]*/[^/]*\Z|\Z"
)


class Page(HTMLParser):
    """Refuses what a page must not hold: scripts but its own, handlers, and anything that is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.scripts = "", [""]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("iframe", "object", "embed", "base", "form", "link"), tag
        self.inside = tag
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "srcset", "action"):
                assert ADDRESSES.match(value or ""), (tag, name, value)

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self.scripts.append("")
        self.inside = ""


def read_folder(edits: list[Any], cells: list[Any]) -> None:
    """Report a folder whose manifest and ledger were tampered with."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "runs" / "digits"
        (folder / "ledger").mkdir(parents=True)
        (folder / "study.json").write_text(tampered_manifest(edits))
        (folder / "ledger" / "part-0.parquet").write_bytes(tampered_part(cells))
        around = sorted(Path(name).glob("*"))
        with watch.over(folder):
            try:
                report = write_report(folder)
            except (ManifestDamaged, LedgerDamaged, ContentDamaged):
                return
            Console(file=io.StringIO(), width=160).print(*render_terminal(report.table))
        assert sorted(Path(name).glob("*")) == around
        page = report.page.read_text(encoding="utf-8")
        shown = Page()
        shown.feed(page)
        assert shown.scripts == [OWN_SCRIPT, ""]
        assert "<img src=x" not in page
        assert "\\write18{" not in (folder / "report" / "table.tex").read_text(encoding="utf-8")
        for file in report.files:
            assert file.resolve().is_relative_to(folder.resolve() / "report")


def read_manifest(edits: list[Any], damage: list[Any]) -> None:
    """Read a manifest that was tampered with."""
    with tempfile.TemporaryDirectory() as name, watch.over(Path(name)):
        (Path(name) / "study.json").write_bytes(damaged(tampered_manifest(edits).encode(), damage))
        with suppress(ManifestDamaged):
            StudyManifest.load(Path(name))


def read_ledger(cells: list[Any], damage: list[Any]) -> None:
    """Read a ledger that was tampered with, and set aside what is no part."""
    with tempfile.TemporaryDirectory() as name, watch.over(Path(name)):
        folder = Path(name) / "ledger"
        folder.mkdir()
        (folder / "part-0.parquet").write_bytes(damaged(tampered_part(cells), damage))
        with suppress(LedgerDamaged):
            Ledger(folder).records()
        Ledger(folder).set_aside_damaged()


def read_arrays(content: bytes) -> None:
    """Read a file of pictures, and one of features, that was tampered with."""
    with tempfile.TemporaryDirectory() as name, watch.over(Path(name)):
        path = Path(name) / "images.npz"
        path.write_bytes(content)
        with suppress(ArraysDamaged):
            load_pictures(Path(name))
        with suppress(ArraysDamaged):
            read_features(path)


@settings(fuzz, max_examples=15)
@given(edits=EDITS, cells=CELLS)
def test_a_folder_makes_a_report_or_an_error(edits: list[Any], cells: list[Any]) -> None:
    read_folder(edits, cells)


@fuzz
@given(edits=EDITS, damage=DAMAGE)
def test_a_manifest_is_read_or_refused(edits: list[Any], damage: list[Any]) -> None:
    read_manifest(edits, damage)


@fuzz
@given(cells=CELLS, damage=DAMAGE)
def test_a_ledger_is_read_or_set_aside(cells: list[Any], damage: list[Any]) -> None:
    read_ledger(cells, damage)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return make_archives(tmp_path_factory.mktemp("archives"))


def make_archives(folder: Path) -> list[bytes]:
    """Good files of arrays, and one with an object in it that would run code."""
    found = [features(folder, "trial").read_bytes(), pictures(folder, classes=2, images=1, size=4).read_bytes()]
    evil = np.array([Evil()])
    np.savez(folder / "objects.npz", features=evil, classes=evil, real=evil)
    return [*found, (folder / "objects.npz").read_bytes()]


class Evil:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path(f"/tmp/{MARK}"),)


@fuzz
@given(which=st.integers(0, 2), damage=DAMAGE)
def test_arrays_are_shown_or_refused(archives: list[bytes], which: int, damage: list[Any]) -> None:
    read_arrays(damaged(archives[which], damage))


def test_the_watch_sees_what_it_should(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()

    def seen(doing: Callable[[], object]) -> bool:
        try:
            with watch.over(inside), suppress(OSError):
                doing()
        except AssertionError:
            return True
        return False

    assert seen(lambda: (tmp_path / "outside").write_text(""))
    assert seen(lambda: (inside / ".." / "outside").unlink())
    assert seen(lambda: Path(f"/tmp/{MARK}").read_text())
    assert seen(lambda: pickle.loads(pickle.dumps(Evil())))
    assert seen(lambda: subprocess.run(["true"], check=True))
    assert not seen(lambda: (inside / "file").write_text(""))
    Path(f"/tmp/{MARK}").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(tmp_path_factory.mktemp("commands"), watch)


@settings(fuzz, max_examples=40)
@given(example=st.tuples(*EXAMPLES))
def test_every_command_does_its_work_or_says_a_sentence(commands: Commands, example: tuple[Any, ...]) -> None:
    commands.judge(*example)


BRACKETS = "[" * 200_000 + "]" * 200_000


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Commands, Path], None]:
    """The manifest with a change."""

    def make(_: Commands, study: Path) -> None:
        content = json.loads((study / "study.json").read_text())
        change(content)
        (study / "study.json").write_text(json.dumps(content).replace('"BRACKETS"', BRACKETS))

    return make


def column(name: str, value: Any) -> Callable[[Commands, Path], None]:
    """The ledger with another value in one row; its digest is right."""

    def make(commands: Commands, study: Path) -> None:
        table = to_table(commands.records)
        values = [value, *table.column(name).to_pylist()[1:]]
        place = table.schema.get_field_index(name)
        changed = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
        (study / "ledger" / "part-0.parquet").write_bytes(encode(changed))

    return make


def odd_part(make: Callable[[Path], object]) -> Callable[[Commands, Path], None]:
    return lambda _, study: make(study / "ledger" / "part-1.parquet")


REPORTED = {
    "config deep": column("config", f'{{"a": {BRACKETS}}}'),
    "metrics deep": column("metrics", f'{{"a": {BRACKETS}}}'),
    "curves deep": column("curves", f'{{"val_error": {BRACKETS}}}'),
    "error too large": column("metrics", '{"val_error": 1e308, "test_error": 1e308}'),
    "seconds too large": column("seconds", 1e308),
    "phase": column("phase", "oops"),
    "half a character": column("suggested", r'{"a": "\ud800"}'),
    "manifest deep": edited(lambda m: m["settings"].update(a="BRACKETS")),
    "title": edited(lambda m: m["arms"][0].update(title="\ud800")),
    "provenance": edited(lambda m: m["provenance"].update(code="a text")),
    "pipe": odd_part(os.mkfifo),
    "device": odd_part(lambda path: path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("make", REPORTED.values(), ids=REPORTED)
def test_what_was_reported_is_a_sentence_and_run_mends_it(
    commands: Commands, make: Callable[[Commands, Path], None]
) -> None:
    for command in ("status", "report", "check", "dashboard"):
        status, said = commands.judge_folder(command, lambda study: make(commands, study))
        assert status in (0, 2), (command, said)
        assert status == 0 or (said.count("\n") == 1 and "ablate run" in said), (command, said)
    status, said = commands.judge_folder("run", lambda study: make(commands, study))  # reads the report after it
    assert status == 0, said


@pytest.mark.parametrize("log", ["/absolute", "../../secret.txt", "log/link", "elsewhere/secret.txt", "log/pipe", ".."])
def test_a_log_outside_the_study_becomes_no_artifact(commands: Commands, log: str) -> None:
    def change(study: Path) -> None:
        secret = study.parents[1] / "secret.txt"
        (study / "log" / "link").symlink_to(secret)
        (study / "elsewhere").symlink_to(secret.parent)
        os.mkfifo(study / "log" / "pipe")
        part = commands.part(status="failed", error="x", log=str(secret) if log == "/absolute" else log)
        (study / "ledger" / "part-0.parquet").write_bytes(part)

    assert commands.judge_folder("sync", change)[0] == 0


def test_a_log_inside_the_study_becomes_one(commands: Commands) -> None:
    def change(study: Path) -> None:
        part = commands.part(status="failed", error="x", log="log/trials/2.log")
        (study / "log" / "trials" / "2.log").write_text(SECRET)
        (study / "ledger" / "part-0.parquet").write_bytes(part)

    with pytest.raises(AssertionError, match=r"mlartifacts.*2\.log"):
        commands.judge_folder("sync", change)
