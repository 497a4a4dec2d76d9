"""The documentation site builds without a warning, and no page of it leads nowhere or asks the network for anything."""

from __future__ import annotations

import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("material", reason="the extra `docs` is not installed")

from tests.docs.pages import DOCS, ROOT

LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


class Page(HTMLParser):
    """What a page refers to, and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name in ("id", "name"):
                self.anchors.add(value)
            if name in ("href", "src"):
                self.links.append((tag, value))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [ROOT / "scripts" / "docs", folder], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_of_the_docs_is_in_the_site(site):
    for page in DOCS.rglob("*.md"):
        name = page.relative_to(DOCS).with_suffix(".html")
        assert (site / (name.with_name("index.html") if name.stem == "README" else name)).is_file(), name
    assert (site / "contributing.html").is_file()


def test_every_link_and_anchor_leads_somewhere(site, pages):
    wrong = []
    for path, page in pages.items():
        for _, link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto", "data") or (
                path.name == "404.html" and link.startswith("/")
            ):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_relative_to(site.resolve()) and target != path:
                wrong.append(f"{path.name}: {link} leaves the site")
            elif not target.is_file():
                wrong.append(f"{path.name}: {link} is not there")
            elif parts.fragment and target.suffix == ".html":
                known = pages[target] if target in pages else Page(target)
                if unquote(parts.fragment) not in known.anchors and not parts.fragment.startswith("__"):
                    wrong.append(f"{path.name}: {link} has no such anchor")
    assert not wrong
    assert sum(len(page.links) for page in pages.values()) > 500


def test_nothing_is_loaded_from_the_network(site, pages):
    for path, page in pages.items():
        for tag, link in page.links:
            if tag in {tag for tag, _ in LOADED}:
                assert urlsplit(link).scheme in ("", "data"), f"{path.name}: {link}"
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(['\"]?(https?:)?//", text), path.name


def test_the_ledgers_stay_out_of_the_site(site):
    assert not [path for path in site.rglob("*") if path.suffix in (".parquet", ".npz")]


def test_the_shipped_studies_are_in_the_site(site):
    for path in (ROOT / "studies").glob("*.yaml"):
        assert (site / "studies" / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


def test_the_python_reference_is_filled_in(site):
    text = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for part in ("load_study", "accept_mixed", "to_pandas", "InputError", "StepOutput"):
        assert part in text
    assert ":::" not in text
