"""The JSON Schema of study files takes every study that `load_study` takes, and refuses what no study may hold."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from orchestrator.check.loading import load_study
from orchestrator.check.schema import schema_text, study_schema
from orchestrator.common.errors import InputError
from orchestrator.design.plan import make_plan
from orchestrator.study.overrides import apply_overrides
from orchestrator.study.spec import StudySpec
from orchestrator.study.yaml_source import parse
from trainables.algorithms import ALGORITHMS
from trainables.data import DATASETS, GENERATORS

ROOT = Path(__file__).parents[4]
WRITTEN = ROOT / "docs" / "reference" / "study.schema.json"
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
POINTER = "# yaml-language-server: $schema=../docs/reference/study.schema.json\n"
BASE: dict[str, Any] = {
    "study": "a",
    "question": "b",
    "method": "rsmatch",
    "data": {"dataset": "digits", "contamination": 0.5},
}
WRONG = {
    "unknown key": {"questoin": "why"},
    "no method": {"method": "rsmach"},
    "an oracle as method": {"method": "oracle-drop"},
    "no baseline": {"baselines": ["fixmatch", "fixmach"]},
    "name that climbs": {"study": "../x"},
    "no dataset": {"data": {"dataset": "digts"}},
    "empty folder": {"data": {"dataset": "folder: "}},
    "no generator": {"data": {"dataset": "digits", "generators": ["vea"]}},
    "too much": {"data": {"dataset": "digits", "contamination": 1.5}},
    "component of nobody": {"components": {"queu": True}},
    "component of another method": {"method": "fixmatch", "components": {"queue": False}},
    "no switch": {"components": {"queue": "maybe"}},
    "ablated component": {"ablation": {"components": ["queu"]}},
    "arm without": {"ablation": {"arms": {"mine": {"without": ["queu"]}}}},
    "no design": {"ablation": {"design": ["leave-one-in"]}},
    "design twice": {"ablation": {"design": ["pairs", "pairs"]}},
    "no space": {"search": {"spaces": ["treshold"]}},
    "range": {"search": {"ranges": {"threshold": {"low": 0.1}}}},
    "objective": {"search": {"objectives": ["error"]}},
    "constraint": {"search": {"constraints": ["coverage > 0.1"]}},
    "sampler": {"search": {"sampler": "tpee"}},
    "trials as text": {"search": {"trials": "six"}},
    "negative seed": {"evaluate": {"seeds": [-1, 2]}},
    "no seeds": {"evaluate": {"seeds": 0}},
    "tuning's seed": {"evaluate": {"seeds": [1_000_000]}},
    "steps": {"training": {"steps": 0}},
    "no network": {"training": {"network": "small-cn"}},
    "constant": {"hyperparameters": {"fixmatch": {"tau": 0.9}}},
    "constant out of range": {"hyperparameters": {"fixmatch": {"threshold": 1.5}}},
    "constants of nobody": {"hyperparameters": {"fixmach": {}}},
    "no field": {"conditions": {"data.contaminated": [0.5]}},
    "grid without values": {"conditions": {"data.contamination": []}},
    "condition": {"conditions": [{"data.contamination": 2}]},
    "gpus": {"resources": {"gpus": "some"}},
    "custom": {"resources": {"custom": {"a100": 0}}},
    "arm's cpus": {"resources": {"arms": {"rsmatch": {"cpus": 0}}}},
}


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = study_schema()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def test_the_written_file_is_current():
    """`ablate schema > docs/reference/study.schema.json` makes it anew; scripts/reference does too."""
    assert WRITTEN.read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_a_shipped_study_is_valid_and_tells_editors_where_the_schema_is(validator, path):
    text = path.read_text(encoding="utf-8")
    assert not list(validator.iter_errors(parse(text, path.name).data))
    assert text.startswith(POINTER)
    assert (path.parent / POINTER.split("=")[1].strip()).resolve() == WRITTEN


def test_switches_are_as_an_editor_reads_them(validator):
    """Editors' YAML 1.2 hands `on` over as text."""
    for switch in (True, False, "on", "off", "yes", "no"):
        assert validator.is_valid({**BASE, "components": {"queue": switch}, "evaluate": {"keep_models": switch}})


@pytest.mark.parametrize("case", WRONG)
def test_what_no_study_may_hold_is_refused_by_both(validator, case, tmp_path):
    study = {**BASE, **WRONG[case]}
    assert not validator.is_valid(study)
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    with pytest.raises(InputError):
        load_study(path)


@pytest.mark.parametrize("missing", ["study", "question", "method", "data"])
def test_required_keys(validator, missing):
    assert validator.is_valid(BASE)
    assert not validator.is_valid({k: v for k, v in BASE.items() if k != missing})


def test_a_complete_study_is_valid_with_every_key_written_out(validator):
    for path in STUDIES:
        values = load_study(path, need_data=False).spec.values()
        assert set(values) == set(StudySpec.model_fields)
        assert not [e.message for e in validator.iter_errors(values)]


def test_every_name_is_offered_and_every_key_described():
    schema = study_schema()
    definitions = schema["$defs"]

    def offered(field: dict[str, Any]) -> set[str]:
        return {choice["const"] for choice in field["anyOf"] if "const" in choice}

    data = definitions["DataSpec"]["properties"]
    assert offered(schema["properties"]["method"]) == {a.name for a in ALGORITHMS.values() if not a.reads_origin}
    assert offered(schema["properties"]["baselines"]["items"]) == set(ALGORITHMS)
    assert offered(data["dataset"]) == set(DATASETS)
    assert offered(data["generators"]["items"]) == set(GENERATORS)
    sections = [schema, *(d for name, d in definitions.items() if name != "Range")]
    assert not [(s.get("description"), key) for s in sections for key in s["properties"] if not described(s, key)]


def described(section: dict[str, Any], key: str) -> bool:
    return bool(section["properties"][key].get("description"))


def test_a_users_own_algorithm_may_have_components_and_fields_of_its_own(validator, tmp_path):
    shutil.copy(ROOT / "docs" / "examples" / "my_match.py", tmp_path)
    study = {
        **BASE,
        "method": "my_match:MyMatch",
        "components": {"balance": True},
        "ablation": {"components": ["certainty"]},
        "hyperparameters": {"my_match:MyMatch": {"balance_weight": 0.2}},
        "search": {"spaces": [], "ranges": {"certainty_weight": {"low": 0.01, "high": 1.0, "log": True}}},
    }
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    load_study(path)
    assert not list(validator.iter_errors(study))
    assert study_schema() == validator.schema, "a user's algorithm is no name of the schema"


@pytest.mark.parametrize(
    "override", ["search.trials=0", "evaluate.seeds=[0, 3, 7]", "ablation.design=pairs", "resources.gpus=0.5"]
)
def test_overrides_of_a_valid_study_are_valid(validator, override):
    document = parse(STUDIES[1].read_text(encoding="utf-8"), "digits")
    apply_overrides(document, [override])
    assert not list(validator.iter_errors(document.data))


def test_comments_are_no_part_of_what_a_trial_is(tmp_path):
    """So the line for editors runs nothing again."""
    digits = next(p for p in STUDIES if p.stem == "digits").read_text(encoding="utf-8")
    ids = []
    for name, text in (("with", digits), ("without", digits.removeprefix(POINTER))):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        plan = make_plan(load_study(path).spec)
        ids.append([c.trial({}, phase="evaluate", seed=0).trial_id for c in plan.cells])
        ids[-1] += [c.trial({}, phase="tune", seed=c.tuning_seed).trial_id for c in plan.cells]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0]) == 20
