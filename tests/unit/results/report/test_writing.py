import base64
import csv
import dataclasses
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from results.ledger.ledger import LedgerDamaged
from results.report.html import MAX_FAILURES_SHOWN
from results.report.terminal import render_terminal
from results.report.writing import NoSuchPart, load_table, write_report
from results.words.settings import flatten
from tests.unit.results.factories import (
    ARMS,
    manifest,
    pictures,
    record,
    rich_study,
    study_records,
    tuning,
    write_study,
)

HOSTILE = "<script>alert('x')</script>[red]*_$\\input{x}\"&"


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    study = manifest()
    folder = write_study(tmp_path_factory.mktemp("runs") / "digits", study, study_records(study))
    pictures(folder)
    report = write_report(folder)
    return folder, report, report.page.read_text(encoding="utf-8")


def test_oracles_are_marked_and_set_apart(tmp_path):
    oracle = ("oracle-drop", "FixMatch that drops them", "oracle", "", 8.0)
    study = manifest((*ARMS, oracle))
    records = study_records(study, {arm[0]: arm[4] for arm in (*ARMS, oracle)})
    page = Page(write_report(write_study(tmp_path, study, records)).page.read_text(encoding="utf-8"))
    rows = [attributes.get("class", "").split() for attributes in page.all("tr")]
    assert sum("oracle" in row for row in rows) == 1
    assert not any({"oracle", "significant"} <= set(row) for row in rows)
    text = " ".join(page.text)
    assert "○" in text
    assert "reads which images are synthetic: a bound, not a method" in text
    assert "8 comparisons with RSMatch" in text
    assert "Headroom: the best oracle" in text
    assert (tmp_path / "report" / "headroom.csv").is_file()


def test_every_file_is_written(whole):
    folder, report, _ = whole
    names = {str(p.relative_to(folder / "report")) for p in report.files}
    figures = ("effects", "learning-curves", "pseudo-labels", "detector", "images")
    tables = {"report.html", "document.tex", *(f"{n}.csv" for n in ("optimism", "checkpoints", "budget", "cost"))}
    tables |= {f"table.{kind}" for kind in ("md", "tex", "csv", "parquet", "json")}
    drawn = {f"figures/{n}.{kind}" for n in figures for kind in ("svg", "pdf", "csv")}
    assert names == tables | drawn - {"figures/images.csv"}
    assert all(p.stat().st_size for p in report.files)
    assert not list(folder.rglob(".tmp-*"))


def test_page_has_the_question_the_answer_and_every_arm(whole):
    _, report, html = whole
    page = Page(html)
    text = " ".join(page.text)
    assert manifest().question in text
    assert all(sentence in text for sentence in report.verdict)
    assert all(arm[1] in text for arm in ARMS)
    assert "ablate report digits" in text
    assert "0123abc" in text
    assert "method: rsmatch  # <b>bold</b>" in text


def test_page_is_semantic_html(whole):
    page = Page(whole[2])
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("header")) == 1
    assert all(th.get("scope") in ("row", "col") for th in page.all("th"))
    assert all(len(img["alt"]) > 40 for img in page.all("img"))
    assert len(page.all("figure")) == len(page.all("figcaption"))
    assert len(page.all("img")) == 5
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert inner_links(page) <= set(ids)


def inner_links(page):
    return {a["href"].removeprefix("#") for a in page.all("a") if a["href"].startswith("#")}


def test_page_needs_no_network_and_runs_no_script_but_its_own(whole):
    html = whole[2]
    page = Page(html)
    script = html[html.index("<script>") + len("<script>") : html.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert page.all("script") == [{}]
    assert not page.all("link")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert all(img["src"].startswith("data:image/svg+xml;") for img in page.all("img"))
    links = {a["href"] for a in page.all("a") if not a["href"].startswith(("#", "data:text/csv;"))}
    assert links
    assert all(link.startswith("http://127.0.0.1:5000/ablate/digits/") for link in links)
    styles = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import", styles)


def test_figures_and_tables_carry_their_data_and_the_command_that_makes_them(whole):
    _folder, report, html = whole
    page = Page(html)
    data = {a["download"]: a["href"] for a in page.all("a") if "download" in a}
    assert {"table.csv", "effects.csv", "learning-curves.csv", "budget.csv"} <= set(data)
    written = {p.name: p for p in report.files if p.suffix == ".csv"}
    for name, address in data.items():
        assert base64.b64decode(address.partition("base64,")[2]) == written[name].read_bytes()
    assert "ablate report digits --only effects" in " ".join(page.text)


def test_parquet_has_the_values_of_the_csv(whole):
    folder = whole[0] / "report"
    table = pq.read_table(folder / "table.parquet").to_pylist()
    with (folder / "table.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in table] == rows


def test_one_part_alone_is_written_and_an_unknown_one_refused(tmp_path):
    folder = write_study(tmp_path, manifest(), study_records(manifest()))
    said: list[str] = []
    report = write_report(folder, ["effects", "budget"], on_progress=said.append)
    assert said[0] == "reading the ledger"
    assert said[1] == f"computing tables from {len(study_records(manifest()))} records"
    assert said[-1].startswith("writing file 4 of 4, ")
    assert {p.name for p in report.files} == {"effects.svg", "effects.pdf", "effects.csv", "budget.csv"}
    assert {p.name for p in (folder / "report").rglob("*.*")} == {p.name for p in report.files}
    with pytest.raises(NoSuchPart) as refused:
        write_report(folder, ["efects", "budget"])
    assert refused.value.unknown == ("efects",)
    assert "effects" in refused.value.known


def test_same_ledger_gives_the_same_bytes(whole, tmp_path):
    folder, report, _ = whole
    before = {p: p.read_bytes() for p in report.files}
    write_report(folder)
    assert {p: p.read_bytes() for p in report.files} == before


def test_another_run_with_the_same_outcomes_gives_the_same_answers(whole, tmp_path):
    study = manifest()
    slower = [dataclasses.replace(r, seconds=99.0, host="far") for r in study_records(study)]
    other = write_report(write_study(tmp_path, study, slower))
    assert other.table.answers() == whole[1].table.answers()
    stored = json.loads((tmp_path / "report/table.json").read_text())
    assert stored["answers"] == json.loads((whole[0] / "report/table.json").read_text())["answers"]


def test_nothing_else_is_removed(tmp_path):
    folder = write_study(tmp_path, manifest(), [])
    mine = folder / "report" / "figures" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("kept")
    write_report(folder)
    assert mine.read_text() == "kept"


def test_hostile_text_is_shown_and_never_obeyed(tmp_path):
    arms = [(name, f"{title} {HOSTILE}", role, HOSTILE, error) for name, title, role, _, error in ARMS]
    study = manifest(arms, question=f"Is it {HOSTILE}?", source=HOSTILE, settings={HOSTILE: HOSTILE}, study="digits")
    records = [dataclasses.replace(r, host=HOSTILE) for r in study_records(study)]
    records[0] = dataclasses.replace(records[0], status="failed", metrics={}, error=HOSTILE, log=HOSTILE)
    report = write_report(write_study(tmp_path, study, records))
    html = report.page.read_text(encoding="utf-8")
    page = Page(html)
    assert page.all("script") == [{}], "its own"
    assert not page.all("red")
    assert "".join(page.text).count(HOSTILE) > 20
    markdown = (tmp_path / "report/table.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown.replace("\\<", "")
    latex = (tmp_path / "report/table.tex").read_text(encoding="utf-8")
    assert "\\input" not in latex
    console = Console(file=io.StringIO(), width=200)
    console.print(*render_terminal(report.table))
    assert "[red]" in console.file.getvalue()


def test_study_without_records_renders_and_says_so(tmp_path):
    report = write_report(write_study(tmp_path, manifest(), []))
    text = " ".join(Page(report.page.read_text(encoding="utf-8")).text)
    assert "There is no answer yet" in text
    assert "No evaluation trial has completed yet" in text
    assert "No trial failed" in text
    assert not list((tmp_path / "report").glob("figures/*"))


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_study_can_be_reported_at_any_time(tmp_path, share):
    study = manifest()
    records = study_records(study)
    keep = np.random.default_rng(0).random(len(records)) < share
    report = write_report(write_study(tmp_path, study, [r for r, k in zip(records, keep, strict=True) if k]))
    assert any("not complete" in s for s in report.verdict)


def test_failures_are_listed_with_their_logs(tmp_path):
    study = manifest()
    failed = [
        tuning(0, None, status="failed", error="CUDA out of memory", log="log/a.txt"),
        record(seed=2, number=1, status="failed", metrics={}, error="loss is not finite", log="log/b.txt"),
        tuning(1, 9.0, suggested={"threshold": 0.95}),
    ]
    text = " ".join(Page(write_report(write_study(tmp_path, study, failed)).page.read_text(encoding="utf-8")).text)
    for words in ("CUDA out of memory", "log/a.txt", "tuning 0", "loss is not finite", "evaluation, seed 2"):
        assert words in text


def test_long_list_of_failures_is_cut_and_says_so(tmp_path):
    study = manifest(tuning_trials=MAX_FAILURES_SHOWN + 20)
    failed = [tuning(n, None, status="failed", error="lost") for n in range(MAX_FAILURES_SHOWN + 20)]
    text = " ".join(Page(write_report(write_study(tmp_path, study, failed)).page.read_text(encoding="utf-8")).text)
    assert "And 20 more" in text


def test_several_conditions_have_tables_and_figures_of_their_own(tmp_path):
    study = manifest(conditions=("half", "../most"))
    report = write_report(write_study(tmp_path / "digits", study, study_records(study)))
    names = {p.name for p in report.files}
    assert {"effects-half.svg", "effects-most.svg"} <= names
    assert all(p.resolve().is_relative_to(tmp_path / "digits" / "report") for p in report.files)
    assert len((tmp_path / "digits/report/table.csv").read_text().splitlines()) == 1 + 2 * 9


def test_damaged_pictures_cost_only_the_pictures(tmp_path):
    folder = write_study(tmp_path, manifest(), [])
    (folder / "images.npz").write_bytes(b"not an archive")
    text = " ".join(Page(write_report(folder).page.read_text(encoding="utf-8")).text)
    assert "The images are not shown. images.npz" in text


def test_study_that_never_ran_and_a_damaged_ledger_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path)
    write_study(tmp_path, manifest(), [])
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "part-aa.parquet").write_bytes(b"")
    with pytest.raises(LedgerDamaged):
        load_table(tmp_path)


def test_report_moves_with_the_studys_folder(whole, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(whole[0], copy)
    shutil.rmtree(copy / "report")
    assert write_report(copy).page.read_text(encoding="utf-8") == whole[2]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_terminal_table_keeps_every_number_and_fits(whole, width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(*render_terminal(whole[1].table))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(lines)
    assert all(f"{r.test_error.mean:.2f}" in text for r in whole[1].table.conditions[0].rows if width >= 80)
    assert "…" not in text or width < 80


def test_settings_are_flattened_to_dotted_names():
    nested = {"a": {"b": [1, 2], "c": {}}, "d": [{"e": None}], "f": "x", "g": True}
    assert flatten(nested) == [("a.b", "1, 2"), ("a.c", "–"), ("d[0].e", "–"), ("f", "x"), ("g", "true")]
    assert flatten({}) == []


def test_tables_and_statistics_are_quick_to_import_and_the_report_needs_neither_ray_nor_torch():
    code = (
        "import sys, results.statistics.paired, results.analysis.main_table, results.words.verdict\n"
        "assert not {'matplotlib', 'scipy', 'pyarrow', 'jinja2'} & set(sys.modules)\n"
        "import results.report.writing, results.report.terminal, results.figures.plots.effects\n"
        "assert not {'torch', 'ray', 'optuna', 'mlflow', 'orchestrator'} & set(sys.modules)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_report_of_a_rich_study_has_every_sheet_and_a_front(tmp_path):
    study, records = rich_study()
    report = write_report(write_study(tmp_path, study, records))
    names = {p.name for p in report.files}
    assert {"factorial.csv", "both-ways.csv", "optimism.csv", "pareto.csv", "budget.csv", "front.svg"} <= names
    page = Page(report.page.read_text(encoding="utf-8"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert {"factorial", "both-ways", "optimism", "pareto", "budget", "left-out"} <= set(ids)
    assert len(ids) == len(set(ids))
    assert inner_links(page) <= set(ids)
    assert "class-wise needs queue." in " ".join(page.text)
