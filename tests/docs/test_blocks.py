"""Code blocks of the pages: each is run by somebody (`tests/integration/pages.py`), and parts of studies are parts of studies."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from jsonschema import Draft7Validator

from orchestrator.check.loading import load_study
from orchestrator.check.schema import study_schema
from orchestrator.check.study_rules import SIGNIFICANCE, smallest_p
from orchestrator.cli.app import app
from orchestrator.common.errors import InputError
from orchestrator.design.plan import make_plan
from orchestrator.study.spec import StudySpec
from tests.docs.pages import DOCS, PAGES, README, ROOT, blocks, name_of, shell_lines
from tests.integration.pages import NOT_RUN, PLACEHOLDERS, SCENARIOS, studies_of, to_run
from trainables.data import dataset_of

BASE: dict[str, Any] = {
    "study": "fragment",
    "question": "Does it load?",
    "method": "rsmatch",
    "data": {"dataset": "digits", "labels_per_class": 4, "contamination": 0.5},
}
STUDIES = [(page, block) for page in PAGES for block in blocks(page, "yaml")]
MENTIONED = re.compile(r"`(ablate [a-z]+[^`\n]*)`")


def ids(found: list[tuple[Path, str]]) -> list[str]:
    return [f"{name_of(page)}: {text.strip().splitlines()[0][:60]}" for page, text in found]


def test_every_line_study_and_python_block_is_run_by_a_scenario():
    """A scenario runs all of its page; so what is on a page without one, and what it cannot run, is what nobody runs."""
    for page in PAGES:
        lines = to_run(page)
        assert not [line for line in lines if shlex.split(line)[0] != "ablate"], name_of(page)
        if lines or studies_of(page) or blocks(page, "python"):
            assert name_of(page) in SCENARIOS


def test_what_is_not_run_or_replaced_is_still_on_a_page():
    lines = [line for page in PAGES for line in shell_lines(page)]
    assert set(NOT_RUN) <= set(lines)
    assert set(PLACEHOLDERS) <= {word for line in lines for word in shlex.split(line)}
    assert set(SCENARIOS) <= {name_of(page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_study_files_that_lines_name_are_shipped(page):
    named = {word for line in shell_lines(page) for word in shlex.split(line) if word.startswith("studies/")}
    assert not [word for word in named - {"studies/pets.yaml"} if not (ROOT / word).is_file()]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_that_are_mentioned_exist_with_their_options(page):
    """In the text, `ablate plan STUDY --nodes 100`: the command, and each option."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for mention in MENTIONED.findall(page.read_text(encoding="utf-8")):
        _, name, *words = mention.split()
        assert name in commands, mention
        known = {o for p in commands[name].params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        options = {re.sub(r"[=,;.)].*", "", w) for w in words if w.startswith("--") or re.fullmatch(r"-[a-z]", w)}
        assert options <= known, mention


@pytest.mark.parametrize(("page", "block"), STUDIES, ids=ids(STUDIES))
def test_a_study_or_a_part_of_one_makes_a_plan(page, block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(DOCS / "examples" / "my_match.py", tmp_path)
    values = yaml.safe_load(block)
    assert set(values) <= set(StudySpec.model_fields)
    study = values if "method" in values and "data" in values else {**BASE, **values}
    path = tmp_path / "fragment.yaml"
    path.write_text(block if study is values else yaml.safe_dump(study), encoding="utf-8")
    assert Draft7Validator(study_schema()).is_valid(study)
    spec = load_study(path, need_data=False).spec
    if "folder:" in block or dataset_of(spec.data.dataset).missing():
        return  # the images that it is about are not here
    plan = make_plan(spec)
    assert len(plan.cells) == len(plan.arms) * len(plan.conditions) >= 1


def test_the_algorithm_on_its_page_is_whole(tmp_path):
    """Named by a study, it passes the check of every user's algorithm, and its component is an arm."""
    (block,) = blocks(DOCS / "howto" / "algorithm.md", "python")
    (tmp_path / "sharp_on_its_page.py").write_text(block, encoding="utf-8")
    study = {**BASE, "method": "sharp_on_its_page:Sharp", "search": {"spaces": ["loss-weights"]}}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    plan = make_plan(load_study(path).spec)
    assert [a.name for a in plan.arms] == ["sharp", "sharp-without-entropy"]
    assert "unlabelled_weight" in plan.cells[0].space


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_its_language(page):
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert not [opening for opening in fences[::2] if opening not in ("sh", "yaml", "python", "text")]
    assert len(fences) % 2 == 0


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert Path(os.path.normpath(page.parent / target)).exists(), target


def test_the_commands_that_the_readme_says_speak_json_do():
    (named,) = re.findall(
        r"^((?:`[a-z]+`(?:, | and )?)+) speak JSON with `--json`", README.read_text(encoding="utf-8"), re.M
    )
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    names = re.findall(r"[a-z]{4,}", named)
    assert len(names) >= 6
    for name in names:
        assert any("--json" in parameter.opts for parameter in commands[name].params), name


def test_the_numbers_on_the_page_about_p_values_are_right():
    text = (DOCS / "howto" / "p-values.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([0-9.]+) \| (\d+) \|$", text, flags=re.MULTILINE)
    assert [int(seeds) for seeds, _, _ in rows] == list(range(3, 11))
    for seeds, smallest, comparisons in rows:
        assert float(smallest) == pytest.approx(smallest_p(int(seeds)), abs=6e-5)
        most = max([0, *(c for c in range(1, 100) if c * smallest_p(int(seeds)) <= SIGNIFICANCE)])
        assert int(comparisons) == most


def test_the_readmes_mistakes_are_refused_in_its_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "studies" / "digits.yaml").read_text(encoding="utf-8")
    wrong = text.replace("\n  queue: on", "\n  queu: on").replace("\n  seeds: 6", "\n  seeds: 3")
    path = Path("studies", "digits.yaml")
    path.parent.mkdir()
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_study(path)
    assert str(caught.value) + "\n" in blocks(README, "text")


def test_the_readmes_lines_are_lines_of_a_study(tmp_path):
    lines = list(re.findall(r"\| `([a-z]+: \{.*?\})`", README.read_text(encoding="utf-8")))
    assert len(lines) >= 6
    for line in lines:
        path = tmp_path / "line.yaml"
        path.write_text(yaml.safe_dump({**BASE, **yaml.safe_load(line)}), encoding="utf-8")
        assert make_plan(load_study(path).spec).cells
