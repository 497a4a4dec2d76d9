"""Study folders that somebody tampered with: an error that says so, or a report; no code run, nothing written elsewhere."""

from __future__ import annotations

import io
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
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from results.arrays import ArraysDamaged
from results.feature_maps import read_features
from results.figures import load_pictures
from results.ledger import Ledger, LedgerDamaged
from results.manifest import ManifestDamaged, StudyManifest
from results.packed import ContentDamaged
from results.render.html import TEMPLATES
from results.render.terminal import render_terminal
from results.report import write_report
from tests.hostile import CELLS, DAMAGE, EDITS, MARK, Watch, damaged, tampered_manifest, tampered_part
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
