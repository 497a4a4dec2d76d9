"""`ablate init`: the text of a first study, with comments, and whether what was asked for makes one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from orchestrator.check.loading import LoadedStudy, load_study
from orchestrator.common.errors import AblateError, InputError, Problem
from orchestrator.study.yaml_source import parse
from trainables.algorithms import ALGORITHMS
from trainables.data import dataset_of
from trainables.files import replacing
from trainables.specs import folder_of

Ask = Callable[[str, str], str]
"""Asks a question, shows what it will be unless answered, and returns the answer."""

OPTIONS = {
    "study": "--name",
    "question": "--question",
    "method": "--method",
    "ablation.components": "--component",
    "baselines": "--baseline",
    "data.dataset": "--dataset",
    "data": "--labels-per-class",
    "data.labels_per_class": "--labels-per-class",
    "data.contamination": "--contamination",
    "training.steps": "--steps",
    "search.trials": "--trials",
    "evaluate.seeds": "--seeds",
}
"""By place in a study: the option that gives the value."""


COMMENTS_AT = 40
"""Column of the comments."""
_NO_TEXT = {"on", "off", "yes", "no", "true", "false", "null"}


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyStart:
    """What a first study says; the rest is left to the defaults. Nothing is checked before `start_study`."""

    name: str
    question: str = ""
    """Asks which of the method's parts lower the error, unless given."""
    method: str = "rsmatch"
    components: tuple[str, ...] = ()
    """Those to leave out by turns; all unless given."""
    baselines: tuple[str, ...] = ("fixmatch", "supervised")
    """The method itself is no baseline of its own and is left out."""
    dataset: str = "digits"
    labels_per_class: int = 4
    contamination: float = 0.5
    """Synthetic share of the unlabelled images, 0 to 0.95."""
    steps: int = 280
    trials: int = 6
    """Tuning trials of each arm."""
    seeds: int = 9
    """With the nine comparisons of the default study, the fewest with which one large difference can be significant."""
    allow_underpowered: bool = False


def study_text(start: StudyStart) -> str:
    """The study file, in YAML with comments."""
    baselines = [name for name in start.baselines if name != start.method]
    ablation = [
        ("  design: leave-one-out", "an arm for each component that is left out; what needs it falls with it"),
        (f"  components: {_list(start.components) if start.components else 'all'}", "from `ablate list components`"),
    ]
    if _has_no_parts(start):
        ablation = [("  design: none", "it has no components to leave out")]
    lines = [
        ("", "ablate plan FILE      what would run, for how long, and what the seeds can show"),
        ("", "ablate data FILE      makes the synthetic images and shows them beside real ones"),
        ("", "ablate run FILE       runs it, or goes on with it; twice does nothing the second time"),
        ("", ""),
        ("", "Keys that are not here have defaults: docs/studies.md explains them, docs/reference/study.md lists all."),
        None,
        (f"study: {_quoted(start.name)}", "names its folder too, runs/NAME"),
        (f"question: {_quoted(start.question or _question(start))}", ""),
        None,
        (f"method: {_quoted(start.method)}", "from `ablate list algorithms`, or your own: my_module:MyMatch"),
        ("ablation:", ""),
        *ablation,
        (f"baselines: {_list(baselines)}", "tuned as carefully as the method"),
        None,
        ("data:", ""),
        (f"  dataset: {_quoted(start.dataset)}", "from `ablate list datasets`, or folder:PATH"),
        (f"  labels_per_class: {start.labels_per_class}", "labelled images, all real"),
        (f"  contamination: {start.contamination:g}", "synthetic share of the unlabelled images, 0 to 0.95"),
        (f"  generators: {'[vae, pca]' if start.contamination else '[]'}", "from `ablate list generators`"),
        (f"  unlabelled_real: {_unlabelled(start.dataset)}", "real unlabelled images; null for all that are left"),
        None,
        ("training:", ""),
        (f"  steps: {start.steps}", "of a trial"),
        None,
        ("hyperparameters:", "constants; so few steps want a higher learning rate than the papers'"),
        *((f"  {_quoted(name)}: {{learning_rate: 0.06}}", "") for name in (start.method, *baselines)),
        None,
        ("search:", ""),
        (f"  trials: {start.trials}", "tuning trials of each arm, on validation images; 0 to tune nothing"),
        ("  spaces: [thresholds, loss-weights]", "from `ablate list spaces`"),
        None,
        ("evaluate:", ""),
        (f"  seeds: {start.seeds}", "arms are compared in pairs over seeds, on test images"),
    ]
    if start.allow_underpowered:
        lines.append(("  allow_underpowered: true", "run although so few seeds cannot show significance"))
    return "\n".join("" if line is None else _with_comment(*line) for line in lines) + "\n"


def _with_comment(text: str, comment: str) -> str:
    if not text:
        return f"# {comment}".rstrip()
    return f"{text:<{COMMENTS_AT}}# {comment}" if comment else text


def start_study(path: Path, start: StudyStart) -> LoadedStudy:
    """Write the study to `path` once it passes the checks of every study; that the dataset is here is not among them.

    Raises:
        AblateError: There is a file already, or no folder to write it to.
        InputError: Every value that is wrong, by its option.
    """
    if path.exists():
        raise AblateError(f"{path}: is there already and stays as it is; name another file")
    if not path.parent.is_dir():
        raise AblateError(f"{path}: there is no folder '{path.parent}'; make it first")
    with replacing(path) as temporary:
        temporary.write_text(study_text(start), encoding="utf-8")
        try:
            loaded = load_study(temporary, need_data=False)
        except InputError as error:
            raise InputError(_by_option(error)) from None
    return replace(loaded, path=path)


def free_name(name: str, folder: Path = Path()) -> str:
    """`name`, or where there is a file of that name `name-2`, or the next number that is free."""
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(found for found in names if not (folder / f"{found}.yaml").exists())


def ask_for(start: StudyStart, given: frozenset[str], ask: Ask, refuse: Callable[[str], None]) -> StudyStart:
    """Ask for question, dataset and method, as far as they are not given, each until the answer is valid.

    Args:
        start: What is given, and defaults.
        given: Names of the fields that are.
        ask: Asks the person.
        refuse: Says what is wrong with an answer.
    """
    asked = (
        ("method", "--method", "Which method is it about", start.method),
        ("dataset", "--dataset", "On which dataset", start.dataset),
        ("question", "--question", "What do you want to know", None),
    )
    for name, option, text, usual in asked:
        while name not in given:
            value = ask(text, _question(start) if usual is None else usual)
            changes: dict[str, Any] = {name: value}
            answered = replace(start, **changes)
            problems = [p for p in _problems(answered) if p.source == option]
            if not problems:
                start = answered
                break
            for problem in problems:
                refuse(problem.message)
    return start


def missing_data(loaded: LoadedStudy) -> str | None:
    """Why the study's dataset cannot be read here and how to get it; None where it is there."""
    name = loaded.spec.data.dataset
    reason = dataset_of(name).missing()
    return None if reason is None else f"{name}: {reason}"


def _problems(start: StudyStart) -> list[Problem]:
    try:
        load_study(parse(study_text(start), "study").data, need_data=False)
    except InputError as error:
        return _by_option(error)
    return []


def _by_option(error: InputError) -> list[Problem]:
    """The problems of a study as those of the options that it was made of; what follows from another one is left out."""
    own: list[Problem] = []
    for problem in error.problems:
        option = OPTIONS.get(problem.path.split("[")[0])
        if option is not None:
            message = problem.message.replace("`allow_underpowered: true`", "`--allow-underpowered`")
            own.append(Problem(option, None, "", message))
    return own or list(error.problems)


def _has_no_parts(start: StudyStart) -> bool:
    known = ALGORITHMS.get(start.method)
    return known is not None and not known.components and not start.components


def _question(start: StudyStart) -> str:
    known = ALGORITHMS.get(start.method)
    title = known.title if known else start.method.rpartition(":")[2]
    share = f", when {start.contamination:.0%} of the unlabelled images are synthetic" if start.contamination else ""
    if _has_no_parts(start):
        return f"How does {title} compare on {start.dataset}{share}?"
    return f"Which parts of {title} lower the error on {start.dataset}{share}?"


def _unlabelled(dataset: str) -> str:
    """Enough real ones that a trial takes seconds; digits have few, and a folder may have."""
    return "null" if dataset == "digits" or folder_of(dataset) else "1000"


def _quoted(text: str) -> str:
    """Text as YAML has it, in quotes where it is more than a plain word."""
    plain = text.replace("-", "").replace("_", "").isalnum() and text.isascii() and text[:1].isalpha()
    return text if plain and text.lower() not in _NO_TEXT else json.dumps(text, ensure_ascii=False)


def _list(names: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, names))}]"
