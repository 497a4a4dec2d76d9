"""A first study is one that every check takes, and wrong values are refused by the option that gave them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from orchestrator.check.loading import load_study
from orchestrator.check.schema import study_schema
from orchestrator.check.starter import StudyStart, ask_for, start_study, study_text
from orchestrator.cli.app import app
from orchestrator.common.errors import AblateError, InputError
from orchestrator.design.arms import derive_arms
from orchestrator.design.plan import make_plan
from orchestrator.study.yaml_source import parse
from trainables.algorithms import ALGORITHMS
from trainables.data import DATASETS

METHODS = sorted(a.name for a in ALGORITHMS.values() if not a.reads_origin)
EXAMPLES = Path(__file__).parents[4] / "docs" / "examples"


def init(*arguments: str, typed: str | None = None):
    return CliRunner().invoke(app, ["init", *arguments], input=typed, catch_exceptions=False)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_a_first_study_of_any_method_on_any_dataset_makes_a_plan(method, dataset, tmp_path):
    path = tmp_path / "first.yaml"
    written = start_study(path, StudyStart(name="first", method=method, dataset=dataset))
    assert written.path == path
    loaded = load_study(path, need_data=False)
    assert loaded.spec == written.spec
    assert derive_arms(loaded.spec).arms[0].name == method
    assert Draft7Validator(study_schema()).is_valid(parse(path.read_text(encoding="utf-8"), "first").data)
    assert [p.name for p in tmp_path.iterdir()] == ["first.yaml"]


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=500))
def test_any_question_stands_in_the_file_as_it_was_asked(question):
    text = study_text(StudyStart(name="on", question=question))
    spec = load_study(parse(text, "study").data).spec
    assert (spec.study, spec.question) == ("on", question)


def test_every_option_reaches_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    options = (
        "--name other --method rsmatch --component queue --component refill --baseline uda --dataset fashion-mnist"
    )
    options += " --labels-per-class 10 --contamination 0.75 --steps 300 --trials 0 --seeds 3 --allow-underpowered --yes"
    result = init(str(path), "--question", "Is it so?", *options.split())
    assert result.exit_code == 0
    spec = load_study(path, need_data=False).spec
    assert (spec.study, spec.question, spec.method) == ("other", "Is it so?", "rsmatch")
    assert spec.ablation.components == ("queue", "refill")
    assert spec.baselines == ("uda",)
    assert (spec.data.dataset, spec.data.labels_per_class, spec.data.contamination) == ("fashion-mnist", 10, 0.75)
    assert (spec.training.steps, spec.search.trials, spec.evaluate.seeds) == (300, 0, 3)
    assert spec.evaluate.allow_underpowered
    assert "no difference can be significant" in " ".join(result.stderr.split())


def test_without_options_the_file_is_called_as_the_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert init("--yes").exit_code == 0
    assert load_study(Path("my-study.yaml")).spec.study == "my-study"
    assert init("queue.yaml", "--yes").exit_code == 0
    assert load_study(Path("queue.yaml")).spec.study == "queue"


def test_a_second_study_without_a_name_takes_the_next_one_that_is_free(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert init("--yes").stderr == ""
    result = init("--yes")
    assert "my-study.yaml is there already and stays as it is; this study is my-study-2" in " ".join(
        result.stderr.split()
    )
    assert init("--yes").exit_code == 0
    assert [load_study(Path(f"my-study{n}.yaml")).spec.study for n in ("", "-2", "-3")] == [
        "my-study", "my-study-2", "my-study-3",
    ]  # fmt: skip
    for told in (["my-study.yaml"], ["--name", "my-study"]):
        with pytest.raises(AblateError, match="is there already"):
            init(*told, "--yes")


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(AblateError, match="is there already"):
        init(str(path), "--yes")
    assert path.read_text(encoding="utf-8") == "mine"
    with pytest.raises(AblateError, match="there is no folder"):
        init(str(tmp_path / "nowhere" / "mine.yaml"), "--yes")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--method rsmach", "--method: no algorithm 'rsmach'; did you mean 'rsmatch'?"),
        ("--method oracle-drop", "--method: 'oracle-drop' is an oracle"),
        ("--dataset digts", "--dataset: no dataset 'digts'; did you mean 'digits'?"),
        ("--component queu", "--component: no component 'queu' in rsmatch; did you mean 'queue'?"),
        ("--baseline fixmach", "--baseline: no algorithm 'fixmach'; did you mean 'fixmatch'?"),
        ("--contamination 2", "--contamination: must be from 0 to 0.95, got 2"),
        ("--contamination nan", "--contamination: "),
        ("--seeds 3", "--seeds: 3 paired seeds cannot reach p < 0.05"),
        ("--seeds 0", "--seeds: must be from 1"),
        ("--steps 0", "--steps: must be from 1"),
        ("--trials -1", "--trials: must be from 0"),
        ("--labels-per-class 400", "--labels-per-class: 400 labelled"),
        ("--name ../up", "--name: names a folder"),
    ],
)
def test_a_wrong_value_is_refused_by_its_option_and_nothing_is_written(options, message, tmp_path):
    with pytest.raises(InputError) as caught:
        init(str(tmp_path / "mine.yaml"), "--yes", *options.split())
    assert str(caught.value).startswith(message)
    assert len(caught.value.problems) == 1
    assert not list(tmp_path.iterdir())


def test_wrong_values_are_refused_all_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        init(str(tmp_path / "mine.yaml"), "--yes", "--method", "rsmach", "--dataset", "digts", "--steps", "0")
    assert {p.source for p in caught.value.problems} == {"--method", "--dataset", "--steps"}


def test_a_method_of_ones_own_is_found_beside_the_file(tmp_path):
    shutil.copy(EXAMPLES / "my_match.py", tmp_path)
    start_study(tmp_path / "own.yaml", StudyStart(name="own", method="my_match:MyMatch"))
    arms = make_plan(load_study(tmp_path / "own.yaml").spec).arms
    assert [a.name for a in arms][:3] == ["my-match", "my-match-without-certainty", "my-match-without-balance"]


def test_a_dataset_that_is_not_here_is_named_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = init("mine.yaml", "--dataset", "cifar-100", "--yes")
    assert result.exit_code == 0
    assert "torchvision.datasets.CIFAR100" in "".join(result.stderr.split("\n"))


def test_questions_are_asked_until_their_answers_are_valid():
    answers = iter(["rsmach", "fixmatch", "digts", "digits", "?" * 501, "Why?"])
    asked, refused = [], []

    def ask(text: str, usual: str) -> str:
        asked.append(usual)
        return next(answers)

    start = ask_for(StudyStart(name="mine"), frozenset(), ask, refused.append)
    assert (start.method, start.dataset, start.question) == ("fixmatch", "digits", "Why?")
    assert "did you mean 'rsmatch'" in refused[0]
    assert "did you mean 'digits'" in refused[1]
    assert "at most 500 characters" in refused[2]
    assert asked[:4] == ["rsmatch", "rsmatch", "digits", "digits"]
    assert asked[4].startswith("Which parts of FixMatch lower the error on digits")


def test_what_is_given_is_not_asked():
    def ask(text: str, usual: str) -> str:
        raise AssertionError(text)

    start = StudyStart(name="mine", method="uda")
    assert ask_for(start, frozenset({"method", "dataset", "question"}), ask, print) == start
