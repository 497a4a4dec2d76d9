"""The report's page in a real browser: accessible, sortable, readable in the dark, and closed to any script but its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from results.report.writing import load_table, write_report
from tests.integration.browser import browser_page
from tests.tools import needs_chromium
from tests.unit.results.factories import ARMS, manifest, pictures, rich_study, study_records, write_study

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(400),
    needs_chromium,
]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A study as most are, one with every kind of table, and one that has only begun."""
    root = tmp_path_factory.mktemp("runs")
    plain = write_study(root / "plain", manifest(), study_records(manifest()))
    pictures(plain)
    rich = write_study(root / "rich", *rich_study(conditions=("half", "most")))
    begun = write_study(root / "begun", manifest(), [])
    return {folder.name: write_report(folder).page for folder in (plain, rich, begun)}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser_page(1280, 900) as one:
        yield one


def first_column(page: Page) -> list[str]:
    return [text.split("\n")[0] for text in page.locator("#table ~ div table tbody th").all_inner_texts()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["plain", "rich", "begun"])
def test_axe_finds_nothing(page: Page, reports: dict[str, Path], name: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(reports[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 10


def test_a_head_sorts_up_down_and_back_also_by_keyboard(page: Page, reports: dict[str, Path]) -> None:
    page.goto(reports["plain"].as_uri())
    before = first_column(page)
    assert before == [arm[1] for arm in ARMS]
    rows = load_table(reports["plain"].parents[1]).conditions[0].rows
    errors = {row.title: round(row.test_error.mean, 2) for row in rows if row.test_error}
    head = page.get_by_role("button", name="Test error")
    head.first.click()
    assert first_column(page) == sorted(before, key=errors.__getitem__)
    head.first.press("Enter")
    assert first_column(page) == sorted(before, key=errors.__getitem__, reverse=True)
    assert page.get_by_role("columnheader", name="Test error").first.get_attribute("aria-sort") == "descending"
    head.first.press("Space")
    assert first_column(page) == before


def test_a_trials_details_open(page: Page, reports: dict[str, Path]) -> None:
    page.goto(reports["plain"].as_uri())
    page.get_by_text("RSMatch: 10 trials", exact=True).click()
    page.get_by_role("row", name="evaluation, seed 1").first.locator("summary").click()
    link = page.get_by_role("link", name="Its run in MLflow").first
    assert link.is_visible()
    assert str(link.get_attribute("href")).startswith("http://127.0.0.1:5000/ablate/digits/")


def test_the_page_lets_no_other_script_run(page: Page, reports: dict[str, Path], tmp_path: Path) -> None:
    text = reports["plain"].read_text(encoding="utf-8")
    hole = tmp_path / "hole.html"
    hole.write_text(
        text.replace(
            "</main>", "<script>document.title = 'in'</script><img src=x onerror=\"document.title='in'\"></main>"
        )
    )
    page.goto(hole.as_uri())
    page.wait_for_timeout(300)
    assert page.title() != "in"
    assert page.locator("thead button").count(), "its own does"


def test_nothing_is_asked_of_the_network(page: Page, reports: dict[str, Path]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(reports["rich"].as_uri())
    page.wait_for_timeout(300)
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    broken = "Array.from(document.images).filter(i => !i.complete || !i.naturalWidth).length"
    assert page.evaluate(broken) == 0
