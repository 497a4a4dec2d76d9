"""What a person does in the MLflow UI with a study, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.browse.ui import serve_ui
from orchestrator.mirror import sync
from tests.integration.browser import RunsPage, browser_page
from tests.integration.mlflow_studies import ARMS, some_records, write_study
from tests.tools import needs_chromium

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(400),
    needs_chromium,
]
CELLS = [f"{arm} · r0.5" for arm in ARMS]


@pytest.fixture(scope="module")
def runs_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunsPage]:
    runs: Path = tmp_path_factory.mktemp("runs")
    uri = f"sqlite:///{runs}/mlflow.db"
    sync(write_study(runs, some_records()), uri)
    with serve_ui(uri, experiment="digits") as ui, browser_page() as page:
        yield RunsPage(page, ui.url)


def test_the_link_leads_to_the_studys_training_runs(runs_page: RunsPage) -> None:
    runs_page.open()
    assert runs_page.names() == ["digits"]
    assert runs_page.page.get_by_text("Which parts earn their place?").is_visible()
    assert runs_page.page.get_by_role("link", name="Model registry").is_visible(), "the pages of training, not of GenAI"


def test_study_cell_and_trial_are_nested(runs_page: RunsPage) -> None:
    runs_page.open()
    runs_page.expand("digits")
    assert runs_page.names() == ["digits", *CELLS]
    runs_page.expand(CELLS[1])
    trials = [f"{ARMS[1]} {name}" for name in ("tune 0", "tune 1", "evaluate seed 0", "evaluate seed 1")]
    assert runs_page.names() == ["digits", *CELLS, *trials]


def test_runs_sort_by_error(runs_page: RunsPage) -> None:
    errors = {f"{arm} evaluate seed {seed}": 11.0 + i + seed for i, arm in enumerate(ARMS) for seed in (0, 1)}
    runs_page.open()
    runs_page.expand("digits", *CELLS)
    for direction, sign in (("ascending", 1), ("descending", -1)):
        runs_page.sort("test_error", direction)
        names = runs_page.names()
        found = [sign * errors[name] for name in names if name in errors]
        assert found == sorted(found)
        assert len(found) == 4
        assert [n for n in names if n in CELLS] == CELLS[::sign]


def test_groups_by_arm_show_means(runs_page: RunsPage) -> None:
    runs_page.open()
    runs_page.group("arm")
    text = " ".join(runs_page.page.get_by_role("grid").first.inner_text().split())
    for arm, mean in zip(ARMS, ("11.5", "12.5"), strict=True):
        assert f"Group: {arm}" in text
        assert f"{mean} (average)" in text


def test_a_trials_curves_open(runs_page: RunsPage) -> None:
    runs_page.open()
    runs_page.expand("digits", CELLS[0])
    assert runs_page.curves(f"{ARMS[0]} evaluate seed 0") == ["loss", "test_error", "val_error"]
    assert runs_page.page.get_by_role("link", name="Model registry").is_visible(), "still the pages of training"
    runs_page.page.get_by_role("link", name="digits", exact=True).last.click()
    runs_page.page.get_by_role("heading", name="Runs", exact=True).wait_for()


def test_two_arms_can_be_compared(runs_page: RunsPage) -> None:
    runs_page.open()
    runs_page.expand("digits")
    runs_page.compare(*CELLS)
    assert runs_page.page.get_by_role("heading", name="Comparing 2 Runs from 1 Experiment").is_visible()
    assert runs_page.page.get_by_role("row", name=f"Run Name: {CELLS[0]} {CELLS[1]}").is_visible()
    assert runs_page.page.get_by_role("link", name="difference_low", exact=True).is_visible()


def test_the_reports_links_lead_to_the_run(runs_page: RunsPage) -> None:
    record = some_records()[0]
    page, server = runs_page.page, runs_page.url.partition("/#")[0]
    page.goto(f"{server}/ablate/digits/{record.trial_id}")
    page.wait_for_url("**/#/experiments/*/runs/*")
    page.get_by_role("heading", name=f"{record.arm} {record.phase} 0").wait_for()
    for address, said in (
        ("digits/0123", "does not have this trial"),
        ("none/0123", "no study none"),
        ("x", "names no trial"),
    ):
        page.goto(f"{server}/ablate/{address}")
        page.get_by_text(said).wait_for()
