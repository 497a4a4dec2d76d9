"""MLflow's own pages in a headless Chromium, by what a person sees and clicks on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.tools import CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SECONDS = 180_000
"""Milliseconds that a page may take; the machine may be busy."""


@contextmanager
def browser_page(width: int = 1500, height: int = 900) -> Iterator[Page]:
    """An empty page. The browser is Debian's; it may not be found, see `tests.tools`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(SECONDS)
        yield page
        browser.close()


class RunsPage:
    """The runs of one study, as the link of `ablate ui` opens them.

    Args:
        page: An open page.
        url: That link.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.open()

    def open(self) -> None:
        """Go there, again or for the first time, and put aside what MLflow lays over it."""
        self.page.goto("about:blank")
        self.page.goto(self.url)
        self.page.get_by_text("matching runs").wait_for()
        for name in ("Hide banner", "Close"):
            covering = self.page.get_by_role("button", name=name, exact=True)
            if covering.count():
                covering.first.click()

    def row(self, run: str) -> Locator:
        """The row that a run's name stands in."""
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("link", name=run, exact=True))

    def expand(self, *runs: str) -> None:
        """Show the runs below these."""
        for run in runs:
            self.row(run).get_by_role("gridcell").get_by_role("button").first.click()

    def names(self) -> list[str]:
        """The runs' names, from top to bottom."""
        links = self.page.get_by_role("gridcell").get_by_role("link").all()
        placed = [(box["y"], link.inner_text().strip()) for link in links if (box := link.bounding_box())]
        return [
            name for _, name in sorted(placed)
        ]  # the grid moves rows about without changing their order in the page

    def sort(self, column: str, direction: str) -> None:
        """By a metric, param or tag; direction is `ascending` or `descending`."""
        menu = self.page.get_by_role("button", name=re.compile("^Sort: "))
        if menu.inner_text().strip() != f"Sort: {column}":
            menu.click()
            self.page.get_by_role("menuitemcheckbox", name=column, exact=True).first.click()
            self.page.keyboard.press("Escape")
        self.page.wait_for_timeout(500)
        menu.click()
        self.page.get_by_role("button", name=f"Sort {direction}").click()
        self.page.keyboard.press("Escape")
        self.page.wait_for_timeout(1000)

    def group(self, column: str) -> None:
        """Put runs with one value of a param or tag together."""
        self.page.get_by_role("button", name="Group by").click()
        self.page.get_by_role("menuitemcheckbox", name=column, exact=True).first.click()
        self.page.keyboard.press("Escape")
        self.page.get_by_text(re.compile("^Group: ")).first.wait_for()

    def curves(self, run: str) -> list[str]:
        """Open a run's charts; returns what they are of."""
        self.page.get_by_role("link", name=run, exact=True).click()
        self.page.get_by_role("tab", name="Model metrics").click()
        self.page.get_by_role("heading", level=4).first.wait_for()
        self.page.wait_for_timeout(1000)
        return self.page.get_by_role("heading", level=4).all_inner_texts()

    def compare(self, *runs: str) -> None:
        """Open the comparison of these."""
        for run in runs:
            self.row(run).get_by_role("checkbox").first.check()
        self.page.get_by_role("button", name="Compare").click()
        self.page.get_by_role("heading", name=re.compile("^Comparing")).wait_for()
        self.page.wait_for_timeout(1000)
