from __future__ import annotations

import json
import pickle
import time
import unicodedata
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import trainables.data
from orchestrator.check.loading import LoadedStudy, load_study
from orchestrator.check.study_rules import smallest_p
from orchestrator.common.errors import InputError
from orchestrator.design.arms import derive_arms
from orchestrator.design.conditions import conditions_of
from orchestrator.study.overrides import apply_overrides
from orchestrator.study.sections import OBJECTIVES, DesignName, SamplerName
from orchestrator.study.spec import StudySpec
from orchestrator.study.yaml_source import parse
from trainables.algorithms import ALGORITHMS

DIGITS = Path(__file__).parents[4] / "studies/digits.yaml"
MINIMAL = "study: t\nquestion: Why?\nmethod: rsmatch\ndata: {dataset: digits}\n"


class Study:
    """Writes study files and reads them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "s.yaml"

    def load(self, text: str | bytes, *overrides: str) -> LoadedStudy:
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return load_study(self.path, overrides)

    def problems(self, text: str | bytes, *overrides: str) -> list[str]:
        with pytest.raises(InputError) as caught:
            self.load(text, *overrides)
        return str(caught.value).replace(str(self.path), "s.yaml").split("\n")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def test_two_algorithms_of_one_name_are_told_apart_or_refused(study: Study) -> None:
    example = (Path(__file__).parents[4] / "docs/examples/my_match.py").read_text(encoding="utf-8")
    for module in ("one_match", "other_match"):
        (study.path.parent / f"{module}.py").write_text(example, encoding="utf-8")
    (problem,) = study.problems(MINIMAL + "baselines: [one_match:MyMatch, fixmatch, other_match:MyMatch]\n")
    assert problem.endswith("'other_match:MyMatch' and 'one_match:MyMatch' are both named 'my-match'; rename one")
    assert study.load(MINIMAL + "baselines: [one_match:MyMatch, fixmatch]\n").spec.baselines


def test_names_of_an_own_algorithm_are_the_same_in_both_ways_of_writing_accents(study: Study, tmp_path: Path) -> None:
    """Python has one of them, and files that were written on a Mac often the other."""
    own = """
from pydantic import Field
from trainables.algorithms import FixMatch

class Config(FixMatch.Config):
    größe: float = Field(0.5, ge=0, le=1, description="of no matter")

class Grün(FixMatch):
    name, title, Config = "gruen", "Grün", Config
"""
    (tmp_path / "grün.py").write_text(unicodedata.normalize("NFD", own), encoding="utf-8")
    text = MINIMAL + "baselines: [grün:Grün]\nhyperparameters: {grün:Grün: {größe: 0.25}}\n"
    for form in ("NFC", "NFD"):
        spec = study.load(
            unicodedata.normalize(form, text), unicodedata.normalize(form, "hyperparameters.grün:Grün.größe=0.75")
        ).spec
        assert spec.baselines == ("grün:Grün",)
        assert spec.hyperparameters == {"grün:Grün": {"größe": 0.75}}


def test_an_oracle_is_no_method(study: Study) -> None:
    message = (
        "s.yaml:3: method: 'oracle-drop' is an oracle: it reads which unlabelled images are synthetic, which no method may; "
        "name it among the baselines, where it is shown as a bound"
    )
    as_method = MINIMAL.replace("method: rsmatch", "method: oracle-drop")
    assert study.problems(as_method) == [message]
    assert study.problems(as_method + "baselines: [oracle-dummy-head]\nevaluate: {seeds: 9}\n") == [message]


def test_oracles_are_no_comparisons_but_are_tuned_like_any_arm(study: Study) -> None:
    oracles = "[fixmatch, oracle-drop, oracle-dummy-head]"
    constants = "hyperparameters: {oracle-dummy-head: {synthetic_weight: 0.1}}\n"
    without, with_them = (study.load(MINIMAL + f"baselines: {b}\n") for b in ("[fixmatch]", oracles))
    assert without.warnings == with_them.warnings
    assert "8 comparisons" in with_them.warnings[0]
    spec = study.load(MINIMAL + f"baselines: {oracles}\n{constants}").spec
    assert list(spec.searched("oracle-drop")) == ["threshold", "unlabelled_weight"]
    assert "synthetic_weight" in with_them.spec.searched("oracle-dummy-head")
    assert "synthetic_weight" not in spec.searched("oracle-dummy-head")


def test_a_users_own_oracle_is_a_bound_too(study: Study) -> None:
    (study.path.parent / "my_oracle.py").write_text(
        "from trainables.algorithms import FixMatch\n"
        "class Mine(FixMatch):\n    name = 'mine'\n    title = 'Mine'\n    reads_origin = True\n",
        encoding="utf-8",
    )
    arms = derive_arms(study.load(MINIMAL + "baselines: ['my_oracle:Mine', fixmatch]\n").spec).arms
    assert [a.role for a in arms[-2:]] == ["baseline", "oracle"]
    problems = study.problems(MINIMAL.replace("method: rsmatch", "method: my_oracle:Mine"))
    assert "'my_oracle:Mine' is an oracle" in problems[0]


def test_the_study_that_ships_asks_what_it_should() -> None:
    loaded = load_study(DIGITS)
    spec = loaded.spec
    assert (spec.study, spec.method, spec.baselines) == ("digits", "rsmatch", ("fixmatch", "supervised"))
    assert (spec.data.labels_per_class, spec.data.validation_size, spec.data.contamination) == (2, 2, 0.5)
    assert spec.data.generators == ("vae", "flow")
    assert (spec.search.sampler, spec.search.trials, spec.search.generation) == ("tpe", 6, 2)
    assert spec.seed_list == (0, 1, 2, 3, 4, 5)
    assert loaded.text == DIGITS.read_text(encoding="utf-8")
    assert loaded.warnings == (
        "with 6 seeds and 9 comparisons the smallest Holm-corrected p is 0.28: no difference can be significant after"
        " correction; that needs 9 seeds",
    )


def test_defaults_and_derived_values(study: Study) -> None:
    spec = study.load(MINIMAL).spec
    assert spec.off == ()
    assert [a.removed for a in derive_arms(spec).arms[1:]] == [
        ("detector",), ("queue",), ("class-wise",), ("synthetic",), ("dummy-head",), ("score-memory",), ("refill",)
    ]  # fmt: skip
    assert spec.search.spaces == ("thresholds", "loss-weights")
    assert (spec.resources.cpus, spec.resources.gpus, spec.resources.actors) == (1, "auto", None)
    assert spec.tuning_seed not in spec.seed_list
    assert spec.constants("fixmatch")["threshold"] == 0.95


def test_switches_constants_and_small_numbers_in_yaml(study: Study) -> None:
    more = (
        "components: {score-memory: off}\nhyperparameters: {rsmatch: {learning_rate: 1e-3}}\nresources: {gpus: 0.25}\n"
    )
    spec = study.load(MINIMAL + more).spec
    assert spec.off == ("score-memory",)
    assert spec.constants("rsmatch")["learning_rate"] == 0.001
    assert spec.resources.gpus == 0.25


def test_a_resolved_study_is_json_and_comes_back_the_same(study: Study) -> None:
    spec = study.load(MINIMAL + "evaluate: {seeds: [3, 1, 9, 4, 7, 0]}\nablation: {components: [queue]}\n").spec
    assert StudySpec.model_validate(json.loads(json.dumps(spec.values()))) == spec


def test_rules_hold_for_a_study_made_in_python() -> None:
    study = {"study": "t", "question": "q", "method": "rsmatch", "data": {"dataset": "digits"}}
    assert load_study(study, need_data=False).spec.method == "rsmatch"
    with pytest.raises(InputError, match="no component 'queu' in rsmatch; did you mean 'queue'"):
        load_study({**study, "components": {"queu": True}}, need_data=False)


SINGLE_PROBLEMS = [
    # unknown names
    ("metod: x", "s.yaml:5: no key 'metod' here; did you mean 'method'?"),
    ("seeds: 3", "s.yaml:5: no key 'seeds' here; did you mean 'evaluate.seeds'?"),
    ("<<: {a: 1}", "s.yaml:5: no key '<<' here; there are study, question, method, components,"),
    (
        "search:\n  early_stopping: {rul: none}",
        "s.yaml:6: search.early_stopping: no key 'rul' here; did you mean 'rule'?",
    ),
    ("components: {queu: off}", "s.yaml:5: components: no component 'queu' in rsmatch; did you mean 'queue'?"),
    ("baselines: [fixmach]", "s.yaml:5: baselines: no algorithm 'fixmach'; did you mean 'fixmatch'?"),
    ("ablation: {components: [queu]}", "s.yaml:5: ablation.components: no component 'queu' in rsmatch; did you mean"),
    (
        "ablation: {design: leave-one-in}",
        "s.yaml:5: ablation.design: no design 'leave-one-in'; did you mean 'leave-one-out'?",
    ),
    ("search: {spaces: [treshold]}", "s.yaml:5: search.spaces: no search space 'treshold'; did you mean 'thresholds'?"),
    (
        "search: {sampler: TPE}",
        "s.yaml:5: search.sampler: expected 'tpe', 'random', 'gp', 'cma-es', 'qmc', 'nsga-ii' or 'grid', got text 'TPE'; did",
    ),
    (
        "training: {network: resnet}",
        "s.yaml:5: training.network: expected 'small-cnn', 'wrn-28-2', 'wrn-28-8', 'resnet18', 'resnet34' or 'resnet50', got",
    ),
    ("hyperparameters: {rsmach: {}}", "s.yaml:5: hyperparameters: no algorithm 'rsmach'; did you mean 'rsmatch'?"),
    ("hyperparameters: {rsmatch: {treshold: 1}}", "s.yaml:5: hyperparameters.rsmatch: no key 'treshold' here; did you"),
    # wrong types
    ("search: {trials: six}", "s.yaml:5: search.trials: expected a whole number, got text 'six'"),
    ("search: {trials: 1.5}", "s.yaml:5: search.trials: expected a whole number, got the number 1.5"),
    ("training: {steps: yes}", "s.yaml:5: training.steps: expected a whole number, got the switch on"),
    ("training: {momentum: off}", "s.yaml:5: training.momentum: expected a number, got the switch off"),
    ("components: {queue: 0}", "s.yaml:5: components.queue: expected on or off, got the number 0"),
    ("components: [queue]", "s.yaml:5: components: expected a mapping, got a list"),
    ("baselines: fixmatch", "s.yaml:5: baselines: expected a list, got text 'fixmatch'; write [fixmatch]"),
    (
        "baselines: fixmatch, uda",
        "s.yaml:5: baselines: expected a list, got text 'fixmatch, uda'; write [fixmatch, uda]",
    ),
    ("baselines: 'a: b'", "s.yaml:5: baselines: expected a list, got text 'a: b'; write ['a: b']"),
    ("baselines: [1]", "s.yaml:5: baselines[0]: expected text, got the number 1; put it in quotes if it is text"),
    ("search:", "s.yaml:5: search: expected a mapping, got nothing; remove the key, or write something under it"),
    ("ablation: {components: queue}", "s.yaml:5: ablation.components: expected all, or a list of component names, got"),
    (
        "hyperparameters: {rsmatch: {threshold: high}}",
        "s.yaml:5: hyperparameters.rsmatch.threshold: expected a number,",
    ),
    ("hyperparameters: {rsmatch: 3}", "s.yaml:5: hyperparameters.rsmatch: expected a mapping, got the number 3"),
    (
        "evaluate: {seeds: many}",
        "s.yaml:5: evaluate.seeds: expected a whole number or a list of seeds, got text 'many'",
    ),
    ("evaluate: {seeds: [1, x]}", "s.yaml:5: evaluate.seeds: a seed is a whole number, got text 'x'"),
    ("resources: {gpus: all}", "s.yaml:5: resources.gpus: expected auto or a number, got text 'all'"),
    # out of range
    ("search: {trials: -1}", "s.yaml:5: search.trials: must be from 0 to 100000, got -1"),
    ("search: {seed: -1}", "s.yaml:5: search.seed: must be from 0 to 999000000, got -1"),
    ("search: {generation: 0}", "s.yaml:5: search.generation: must be from 1 to 100000, got 0"),
    ("search: {early_stopping: {after: 1.5}}", "s.yaml:5: search.early_stopping.after: must be from 0 to 1, got 1.5"),
    ("training: {momentum: 1}", "s.yaml:5: training.momentum: must be 0 or more and below 1, got 1"),
    (
        "training: {momentum: 90}",
        "s.yaml:5: training.momentum: must be 0 or more and below 1, got 90; for 90% write 0.9",
    ),
    (
        "conditions: {data.contamination: [0, 75]}",
        "s.yaml:5: conditions: contamination: must be from 0 to 0.95, got 75; for 75% write 0.75",
    ),
    ("evaluate: {seeds: 0}", "s.yaml:5: evaluate.seeds: must be from 1 to 10,000 seeds, got 0"),
    ("evaluate: {seeds: -6}", "s.yaml:5: evaluate.seeds: must be from 1 to 10,000 seeds, got -6"),
    ("evaluate: {seeds: []}", "s.yaml:5: evaluate.seeds: must be from 1 to 10,000 seeds, got 0"),
    ("evaluate: {seeds: [0, -1]}", "s.yaml:5: evaluate.seeds: a seed is 0 or more, got -1"),
    (
        "evaluate: {seeds: [1000000]}",
        "s.yaml:5: evaluate.seeds: a seed is below 1,000,000, from there on they are tuning's",
    ),
    ("evaluate: {seeds: [1, 2, 1]}", "s.yaml:5: evaluate.seeds: seed 1 is named twice; each pair counts once"),
    (
        "resources: {gpus: 1.5}",
        "s.yaml:5: resources.gpus: a share of a GPU is below 1, and above 1 they are whole; got 1.5",
    ),
    (
        "resources: {custom: {GPU: 1}}",
        "s.yaml:5: resources.custom: 'GPU' is no custom resource; cpus and gpus have keys of their own",
    ),
    ("resources: {custom: {a100: 0}}", "s.yaml:5: resources.custom: a100: expected a number above 0, got the number 0"),
    (
        "resources: {arms: {rsmatsch: {gpus: 1}}}",
        "s.yaml:5: resources.arms: no arm or algorithm 'rsmatsch' in this study; did you mean 'rsmatch'?",
    ),
    (
        "resources: {arms: {rsmatch: {gpus: 1.5}}}",
        "s.yaml:5: resources.arms.rsmatch.gpus: a share of a GPU is below 1, and above 1 they are whole; got 1.5",
    ),
    ("resources: {gpus: -1}", "s.yaml:5: resources.gpus: must be from 0 to 1024, got -1"),
    ("resources: {actors: 0}", "s.yaml:5: resources.actors: must be from 1 to 100000, got 0"),
    ("resources: {cpus: .nan}", "s.yaml:5: resources.cpus: .nan is not a finite number"),
    (
        "hyperparameters: {rsmatch: {threshold: 2}}",
        "s.yaml:5: hyperparameters.rsmatch.threshold: must be from 0 to 1, got 2",
    ),
    # parts that do not fit together
    (
        "components: {synthetic: off}",
        "s.yaml:5: components: component 'synthetic' is off, but 'dummy-head' needs it; switch",
    ),
    (
        "components: {queue: off, class-wise: off}\nablation: {components: [queue]}",
        "s.yaml:6: ablation.components: component",
    ),
    ("ablation: {components: []}", "s.yaml:5: ablation.components: names no component to leave out; write `ablation:"),
    ("ablation: {components: [queue, queue]}", "s.yaml:5: ablation.components: 'queue' is named twice; keep one"),
    ("baselines: [rsmatch]", "s.yaml:5: baselines: 'rsmatch' is the method itself; name others, or none"),
    ("baselines: [oracle-drop, oracle-drop]", "s.yaml:5: baselines: 'oracle-drop' is named twice; keep one"),
    ("baselines: [fixmatch, fixmatch]", "s.yaml:5: baselines: 'fixmatch' is named twice; keep one"),
    ("hyperparameters: {fixmatch: {}}", "s.yaml:5: hyperparameters: 'fixmatch' is neither the method nor a baseline"),
    (
        "components: {score-memory: off}\nhyperparameters: {rsmatch: {memory_decay: 0.5}}",
        "s.yaml:6: hyperparameters.rsmatch.memory_decay: means nothing while component 'score-memory' is off; remove",
    ),
    (
        "search: {spaces: []}",
        "s.yaml:5: search.spaces: 6 trials have nothing to search; name a space (thresholds, loss-w",
    ),
    (
        "evaluate: {seeds: 3}",
        "s.yaml:5: evaluate.seeds: 3 paired seeds cannot reach p < 0.05 (smallest p is 0.25); use 6 or more, or say so"
        " with `allow_underpowered: true`",
    ),
    (
        "evaluate: {seeds: [7]}",
        "s.yaml:5: evaluate.seeds: 1 paired seed cannot reach p < 0.05 (smallest p is 1); use 6",
    ),
    # designs
    ("ablation: {design: [pairs, pears]}", "s.yaml:5: ablation.design: no design 'pears'; did you mean 'pairs'?"),
    ("ablation: {design: []}", "s.yaml:5: ablation.design: expected one of leave-one-out, add-one-in,"),
    ("ablation: {design: 3}", "s.yaml:5: ablation.design: expected one of leave-one-out, add-one-in,"),
    ("ablation: {design: [pairs, pairs]}", "s.yaml:5: ablation.design: a design is named twice; keep one"),
    ("ablation: {design: [none, pairs]}", "s.yaml:5: ablation.design: none excludes every other design; remove it, or"),
    (
        "ablation: {design: custom}",
        "s.yaml:5: ablation.design: design custom needs arms written out under `ablation.arms`",
    ),
    ("ablation: {design: pairs, components: [queue]}", "s.yaml:5: ablation.design: pairs needs two components or more"),
    (
        "ablation: {resolution: 3}",
        "s.yaml:5: ablation.resolution: is of a factorial design; remove it, or add factorial",
    ),
    ("ablation: {design: factorial, resolution: 6}", "s.yaml:5: ablation.resolution: "),
    (
        "ablation:\n  design: factorial\n  resolution: 4\n  alternatives:\n    threshold: [0.8, 0.9]",
        "s.yaml:9: ablation.alternatives: a fraction takes one alternative of each hyperparameter, 'threshold' has more;",
    ),
    (
        "ablation: {design: factorial, alternatives: {queue_size: [1, 2, 3, 4], queue_weight: [0.1, 0.2, 0.3], threshold:"
        " [0.1, 0.2, 0.3, 0.4], memory_decay: [0.1]}}",
        "s.yaml:5: ablation.design: the full crossing has 25,600 combinations, at most 4,096; name fewer components, or a",
    ),
    ("ablation: {path: sideways}", "s.yaml:5: ablation.path: expected 'cumulative' or 'single', got text 'sideways'"),
    (
        "ablation: {alternatives: {threshold: [0.9]}}",
        "s.yaml:5: ablation.alternatives: are for the designs one-at-a-time and factorial; name one of them, or remove",
    ),
    (
        "ablation: {design: one-at-a-time, alternatives: {treshold: [0.9]}}",
        "s.yaml:5: ablation.alternatives: rsmatch has no hyperparameter 'treshold'; did you mean 'threshold'?",
    ),
    (
        "ablation:\n  design: one-at-a-time\n  alternatives:\n    threshold: [0.9, 1.5]",
        "s.yaml:8: ablation.alternatives: threshold: must be from 0 to 1, got 1.5",
    ),
    (
        "ablation: {design: one-at-a-time, alternatives: {threshold: [high]}}",
        "s.yaml:5: ablation.alternatives: threshold: expected a number, got text 'high'",
    ),
    (
        "ablation: {design: one-at-a-time, alternatives: {threshold: []}}",
        "s.yaml:5: ablation.alternatives: names no value; write a list of one or more",
    ),
    (
        "ablation: {design: one-at-a-time, alternatives: {threshold: [0.9, 0.9]}}",
        "s.yaml:5: ablation.alternatives: names a value twice; keep one",
    ),
    (
        "ablation: {design: one-at-a-time, alternatives: {threshold: [[0.9]]}}",
        "s.yaml:5: ablation.alternatives.threshold[0]: expected a number, text, or on or off, got a list",
    ),
    (
        "ablation: {design: one-at-a-time, alternatives: {threshold: 0.9}}",
        "s.yaml:5: ablation.alternatives.threshold: expected a list, got the number 0.9; write [0.9]",
    ),
    (
        "ablation:\n  arms:\n    'a/b': {without: [queue]}",
        "s.yaml:7: ablation.arms: names an arm: a letter or digit, then up to 63 of a-z 0-9 . _ + = -; got 'a/b'",
    ),
    (
        "ablation: {arms: {fixmatch: {without: [queue]}}}",
        "s.yaml:5: ablation.arms: 'fixmatch' is the name of an algorithm;",
    ),
    (
        "ablation: {arms: {rsmatch-without-queue: {set: {threshold: 0.5}}}}",
        "s.yaml:5: ablation.arms: 'rsmatch-without-queue' is the name of an arm that the study has anyway; choose another",
    ),
    (
        "ablation: {arms: {mine: {without: [queue, synthetic]}, mine-inherited: {set: {threshold: 0.5}}}}",
        "s.yaml:5: ablation.arms: 'mine-inherited' is the name of an arm that the study has anyway; choose another",
    ),
    ("ablation: {arms: {mine: {}}}", "s.yaml:5: ablation.arms: changes nothing; give it `without` or `set`"),
    (
        "ablation: {arms: {mine: {without: [queu]}}}",
        "s.yaml:5: ablation.arms.mine: no component 'queu' in rsmatch; did you mean 'queue'?",
    ),
    (
        "ablation: {arms: {mine: {set: {treshold: 0.9}}}}",
        "s.yaml:5: ablation.arms.mine: rsmatch has no hyperparameter 'treshold'; did you mean 'threshold'?",
    ),
    (
        "ablation: {arms: {mine: {set: {threshold: 9}}}}",
        "s.yaml:5: ablation.arms.mine: threshold: must be from 0 to 1, got 9",
    ),
    (
        "ablation: {arms: {mine: {witout: [queue], set: {threshold: 0.5}}}}",
        "s.yaml:5: ablation.arms.mine: no key 'witout' here; did you mean 'with",
    ),
    (
        "ablation: {arms: {mine: {off: [queue]}}}",
        "s.yaml:5: ablation.arms.mine: a key must be text, 'off' is the switch off",
    ),
    # search
    ("search: {mode: retune}", "s.yaml:5: search.mode: expected 'retuned', 'inherited' or 'both', got text 'retune'"),
    (
        "search: {ranges: {treshold: {low: 0, high: 1}}}",
        "s.yaml:5: search.ranges: no algorithm of this study has a hyperparameter 'treshold'; did you mean 'threshold'?",
    ),
    ("search: {ranges: {threshold: {low: 0.9}}}", "s.yaml:5: search.ranges.threshold: expected {low, high} with an"),
    ("search: {ranges: {threshold: 0.9}}", "s.yaml:5: search.ranges.threshold: expected a mapping, got the number 0.9"),
    (
        "search: {ranges: {threshold: {low: 0.9, high: 0.1}}}",
        "s.yaml:5: search.ranges.threshold: low: 0.9 is not below",
    ),
    (
        "search: {ranges: {threshold: {low: 0.5, high: 2}}}",
        "s.yaml:5: search.ranges: threshold: must be from 0 to 1, got",
    ),
    (
        "search: {ranges: {threshold: {choices: [0.9]}}}",
        "s.yaml:5: search.ranges.threshold: values: (0.9,) leaves nothing",
    ),
    (
        "search: {ranges: {threshold: {choices: [0.9, x]}}}",
        "s.yaml:5: search.ranges: threshold: expected a number, got",
    ),
    (
        "search: {ranges: {threshold: {choices: [[1], 2]}}}",
        "s.yaml:5: search.ranges.threshold: choices: expected a list",
    ),
    (
        "search: {ranges: {threshold: {low: 0, high: 1, log: on}}}",
        "s.yaml:5: search.ranges.threshold: low: 0 has no logarithm; use a number above 0 or log=False",
    ),
    ("search: {grid: {threshold: [0.9]}}", "s.yaml:5: search.grid: is for sampler: grid; name that sampler, or remove"),
    (
        "search: {sampler: grid}",
        "s.yaml:5: search.grid: has no values of detector_weight, synthetic_threshold, synthetic_weight, threshold, unlab",
    ),
    (
        "search:\n  sampler: grid\n  spaces: []\n  ranges: {threshold: {low: 0.5, high: 0.9}}\n  grid:\n    threshold: [0.9, 7]",
        "s.yaml:10: search.grid: threshold: must be from 0 to 1, got 7",
    ),
    (
        "search: {sampler: grid, spaces: [], ranges: {threshold: {low: 0.5, high: 0.9}}, grid: {threshold: [0.9], queue_weight:"
        " [0.5]}}",
        "s.yaml:5: search.grid.queue_weight: is searched by no arm of this study; name a space or a range that has it, or",
    ),
    (
        "search: {sampler: grid, spaces: [], ranges: {threshold: {low: 0.5, high: 0.9}}, grid: {threshold: [0.9, 0.9]}}",
        "s.yaml:5: search.grid: expected a list of different values",
    ),
    (
        "search: {objectives: [val_eror]}",
        "s.yaml:5: search.objectives: no objective 'val_eror'; did you mean 'val_error'?",
    ),
    (
        "search: {objectives: []}",
        "s.yaml:5: search.objectives: starts with val_error, by which a configuration is chosen;",
    ),
    (
        "search: {objectives: [seconds, val_error], early_stopping: {rule: none}}",
        "s.yaml:5: search.objectives: starts with val_error, by which a configuration is chosen; others follow it",
    ),
    (
        "search: {objectives: [val_error, seconds]}",
        "s.yaml:5: search.early_stopping: with several objectives no trial is stopped for its error alone; write `early_st",
    ),
    (
        "search: {objectives: [val_error, seconds], sampler: cma-es, early_stopping: {rule: none}}",
        "s.yaml:5: search.sampler: cma-es takes one objective; use tpe, gp or nsga-ii for several",
    ),
    (
        "search: {objectives: [val_error, labels], early_stopping: {rule: none}}",
        "s.yaml:5: search.objectives: labels is the same in every trial; add the search space 'labels', or remove the obj",
    ),
    (
        "search: {constraints: [val_error < 3]}",
        "s.yaml:5: search.constraints: expected 'metric <= number' or 'metric >= number', got 'val_error < 3'",
    ),
    ("search: {constraints: [val_error <= 1e999]}", "s.yaml:5: search.constraints: expected a finite bound, got"),
    (
        "search: {constraints: [val_error <= 3, val_error >= 1]}",
        "s.yaml:5: search.constraints: one bound for each metric; a metric is named twice",
    ),
    ("search: {start: {threshold: 0.9}}", "s.yaml:5: search.start: expected a list, got a mapping"),
    (
        "search:\n  start:\n    - threshold: 0.9\n    - treshold: 0.9",
        "s.yaml:8: search.start: no algorithm of this study has a hyperparameter 'treshold'; did you mean 'threshold'?",
    ),
    ("search: {start: [{threshold: 2}]}", "s.yaml:5: search.start: threshold: must be from 0 to 1, got 2"),
    (
        "search: {start: [{threshold: 0.2}]}",
        "s.yaml:5: search.start: threshold: 0.2 is not in the range that is searched, from 0.7 to 0.99",
    ),
    (
        "search: {start: [{queue_size: 16}]}",
        "s.yaml:5: search.start: queue_size is searched by no arm of this study; name a space or a range that has it, or",
    ),
    (
        "search: {early_stopping: {rule: asha}}",
        "s.yaml:5: search.early_stopping: asha decides while trials run; it needs `strategy: asynchronous`, or use quantile",
    ),
    (
        "search: {strategy: asynchronous, sampler: grid, spaces: [], ranges: {threshold: {low: 0, high: 1}}, grid: {threshold:"
        " [0.9]}}",
        "s.yaml:5: search.strategy: a grid has nothing to wait for; use strategy: generations",
    ),
    ("search: {strategy: population, trials: 1}", "s.yaml:5: search.trials: a population has two members or more"),
    (
        "search: {strategy: population, population: {rounds: 50}}",
        "s.yaml:5: search.population: 50 rounds need as many validations; training has 10 reports",
    ),
    ("search: {population: {rounds: 1}}", "s.yaml:5: search.population.rounds: must be from 2 to 10000, got 1"),
    (
        "search: {population: {replaced: 0.9}}",
        "s.yaml:5: search.population.replaced: must be above 0 and 0.5 or less, got",
    ),
    ("search: {confirm: {top: -1}}", "s.yaml:5: search.confirm.top: must be from 0 to 1000, got -1"),
    ("search: {confirm: {seeds: 0}}", "s.yaml:5: search.confirm.seeds: must be from 1 to 1000, got 0"),
    ("search: {confirm: 3}", "s.yaml:5: search.confirm: expected a mapping, got the number 3"),
    (
        "search: {warm_start: t}",
        "s.yaml:5: search.warm_start: a study goes on from its own ledger anyway; name another",
    ),
    ("search: {warm_start: ../x}", "s.yaml:5: search.warm_start: expected the name of a study that has run, got text"),
    ("search: {warm_start: ''}", "s.yaml:5: search.warm_start: at least 1 character, got text ''"),
    # conditions
    ("conditions: 3", "s.yaml:5: conditions: expected a grid (data.contamination: [0, 0.5]) or a list of changes"),
    ("conditions: [3]", "s.yaml:5: conditions: expected a grid (data.contamination: [0, 0.5]) or a list of changes"),
    (
        "conditions: {data.contamination: 0.5}",
        "s.yaml:5: conditions: a grid has a list of values for each field; 'data.con",
    ),
    (
        "conditions:\n  data.contaminaton: [0.5]",
        "s.yaml:6: conditions: no field 'data.contaminaton'; did you mean 'data.contamination'?",
    ),
    (
        "conditions:\n  - data.contamination: 0.5\n  - data.contamination: 2",
        "s.yaml:7: conditions: contamination: must be from 0 to 0.95, got 2",
    ),
    (
        "conditions:\n  training.steps: [100]\n  data.contamination: [0, 2]",
        "s.yaml:7: conditions: contamination: must be from 0 to 0.95, got 2",
    ),
    (
        "conditions:\n  - data.contamination: 0.2\n  - data.contamination: 0.2\n    title: Twice",
        "s.yaml:7: conditions: condition 2 is the same as condition 1 (digits-4l-20s); keep one",
    ),
    ("conditions: [{title: 3, data.contamination: 0}]", "s.yaml:5: conditions: expected text, got the number 3"),
    ("conditions: [{data.dataset: digit}]", "s.yaml:5: conditions: no dataset 'digit'; did you mean 'digits'?"),
    ("conditions: [{data.generators: [vea]}]", "s.yaml:5: conditions: no generator 'vea'; did you mean 'vae'?"),
    (
        "conditions: [{data.generators: []}]",
        "s.yaml:5: conditions: contamination is 0.5, but there is no generator; name",
    ),
    (
        "conditions: [{data.labels_per_class: 5000}]",
        "s.yaml:5: conditions: 5000 labelled and 5000 validation images per",
    ),
    ("conditions: [{training.steps: many}]", "s.yaml:5: conditions: steps: expected a whole number, got text 'many'"),
    (
        "conditions: {training.steps: ["
        + ", ".join(map(str, range(1, 200)))
        + "], training.reports: ["
        + ", ".join(map(str, range(1, 200)))
        + "]}",
        "s.yaml:5: conditions: the grid has 39,601 conditions; at most 10,000",
    ),
    # YAML itself
    (
        "baselines: !!python/object/apply:os.system [ls]",
        "s.yaml:5: baselines: the tag '!!python/object/apply:os.system' is",
    ),
    ("method: fixmatch", "s.yaml:5: key 'method' was given before, on line 3; keep one"),
    (
        "baselines: [fixmatch",
        "s.yaml:6: YAML syntax: the '[' of line 5 is not closed, or a ',' is missing after an entry",
    ),
]


@pytest.mark.parametrize(("line", "message"), SINGLE_PROBLEMS)
def test_each_mistake_is_one_line_with_its_place(study: Study, line: str, message: str) -> None:
    problems = study.problems(f"{MINIMAL}{line}\n")
    assert len(problems) == 1, problems
    assert problems[0].startswith(message), problems[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{dataset: digit}", "data.dataset: no dataset 'digit'; did you mean 'digits'?"),
        ("{dataset: digits, generators: [vea]}", "data.generators: no generator 'vea'; did you mean 'vae'?"),
        ("{dataset: digits, generators: [vae, vae]}", "data.generators: 'vae' is named twice; keep one"),
        (
            "{dataset: digits, generators: []}",
            "data.generators: contamination is 0.5, but there is no generator; name one",
        ),
        ("{dataset: digits, contamination: 1}", "data.contamination: must be from 0 to 0.95, got 1"),
        ("{dataset: digits, labels_per_class: 5000}", "data: 5000 labelled and 5000 validation images per class"),
        ("{}", "data: key 'dataset' is missing: A name from `ablate list datasets`"),
        ("digits", "data: expected a mapping, got text 'digits'"),
    ],
)
def test_mistakes_in_the_data_condition(study: Study, data: str, message: str) -> None:
    problems = study.problems(MINIMAL.replace("{dataset: digits}", data))
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"s.yaml:4: {message}")


@pytest.mark.parametrize(
    ("written", "ending"),
    [("75", "got 75; for 75% write 0.75"), ("1.5", "got 1.5"), ("96", "got 96"), ("-20", "got -20")],
)
def test_percent_where_a_share_is_wanted_gets_its_remedy_where_that_would_do(
    study: Study, written: str, ending: str
) -> None:
    (problem,) = study.problems(MINIMAL.replace("digits}", f"digits, contamination: {written}}}"))
    assert problem.endswith(f"must be from 0 to 0.95, {ending}")


@pytest.mark.parametrize("value", ["yes", "{a: 1}"])
def test_no_list_is_suggested_of_what_makes_none(study: Study, value: str) -> None:
    assert "; write" not in study.problems(MINIMAL + f"baselines: {value}\n")[0]
    assert "; write" not in study.problems(MINIMAL + "search: {start: quick}\n")[0]


def test_what_follows_from_a_misspelt_key_is_not_told(study: Study) -> None:
    used = "hyperparameters: {fixmatch: {learning_rate: 0.1}}\n"
    message = "s.yaml:5: no key 'baseline' here; did you mean 'baselines'?"
    assert study.problems(MINIMAL + "baseline: [fixmatch]\n" + used) == [message]
    assert study.problems(MINIMAL.replace("method:", "metod:")) == [
        "s.yaml:3: no key 'metod' here; did you mean 'method'?"
    ]
    assert study.problems(MINIMAL.replace("data:", "dta:")) == ["s.yaml:4: no key 'dta' here; did you mean 'data'?"]


def test_what_follows_from_nothing_misspelt_is_told_beside_it(study: Study) -> None:
    text = MINIMAL + "baseline: [fixmatch]\nbaselines: [uda]\nhyperparameters: {fixmatch: {}}\nevaluate: {seeds: 3}\n"
    places = [p.split(": ")[0] for p in study.problems(text)]
    assert places == ["s.yaml:5", "s.yaml:7", "s.yaml:8"]


def test_clean_data_needs_no_generator(study: Study) -> None:
    text = MINIMAL.replace("{dataset: digits}", "{dataset: digits, contamination: 0, generators: []}")
    assert study.load(text).spec.data.generators == ()


def test_a_dataset_that_is_not_here_says_how_to_get_it(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(trainables.data.DATASETS["digits"]), "missing", lambda self: "no files; run `get digits`")
    assert study.problems(MINIMAL) == ["s.yaml:4: data.dataset: no files; run `get digits`"]
    assert load_study(study.path, need_data=False).spec.study == "t"


UNSAFE = ["../x", "..", "a/b", "/tmp/x", "a\\b", "a..b", "a.", "A", "-a", ".a", "", "a b", "a" * 65, "ü", "a\n"]
RESERVED = ["con", "nul.txt", "mlflow.db", "mlflow.db-wal", "mlartifacts", "cache", "mlflow-auth.json"]


@pytest.mark.parametrize("name", UNSAFE + RESERVED)
def test_names_that_are_no_safe_folder(study: Study, name: str) -> None:
    problems = study.problems(MINIMAL.replace("study: t", f"study: {json.dumps(name)}"))
    assert len(problems) == 1
    assert problems[0].startswith("s.yaml:1: study: ")
    assert ("is reserved; choose another" if name in RESERVED else "names a folder: a letter or digit") in problems[0]


@pytest.mark.parametrize("name", ["0", "digits", "cifar-10.v2_a", "a" * 64, "no"])
def test_names_that_are_fine(study: Study, name: str) -> None:
    assert study.load(MINIMAL.replace("study: t", f"study: '{name}'")).spec.study == name


@pytest.mark.parametrize("name", ["no", "2024"])
def test_a_name_that_yaml_takes_for_something_else_asks_for_quotes(study: Study, name: str) -> None:
    [problem] = study.problems(MINIMAL.replace("study: t", f"study: {name}"))
    assert problem.endswith("put it in quotes if it is text")


def test_every_problem_of_a_file_at_once(study: Study) -> None:
    text = (
        "study: ../x\nquestoin: hi\nmethod: rsmatch\ncomponents: {queu: off, detector: off, queue: 3}\n"
        "baselines: [rsmatch]\ndata: {dataset: digitz, labels_per_class: six}\n"
        "search: {trials: -1, spaces: [tresholds]}\nevaluate: {seeds: 3, sseds: 1}\n"
        "hyperparameters: {rsmatch: {threshold: 3}}\nresources: {cpus: .inf}\n"
    )
    where = [p.split(": ")[0:2] for p in study.problems(text)]
    assert where == [
        ["s.yaml:1", "study"],
        ["s.yaml:2", "no key 'questoin' here; did you mean 'question'?"],
        ["s.yaml:4", "components.queue"],
        ["s.yaml:4", "components"],
        ["s.yaml:4", "components"],
        ["s.yaml:5", "baselines"],
        ["s.yaml:6", "data.labels_per_class"],
        ["s.yaml:6", "data.dataset"],
        ["s.yaml:7", "search.trials"],
        ["s.yaml:7", "search.spaces"],
        ["s.yaml:8", "evaluate"],
        ["s.yaml:8", "evaluate.seeds"],
        ["s.yaml:9", "hyperparameters.rsmatch.threshold"],
        ["s.yaml:10", "resources.cpus"],
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "s.yaml: is empty; studies/digits.yaml shows what a study file holds"),
        (b"# nothing\n\n", "s.yaml: is empty; studies/digits.yaml shows what a study file holds"),
        (b"just text", "s.yaml:1: expected a mapping, got text 'just text'"),
        (b"[1, 2]", "s.yaml:1: expected a mapping, got a list"),
        (
            b"\x89PNG\r\n\x1a\n\0\0",
            "s.yaml:3: is not a text file: it holds a NUL byte; write the study as YAML in UTF-8",
        ),
        (
            b"!!python/object/new:os.system [x]",
            "s.yaml:1: the tag '!!python/object/new:os.system' is refused: a study holds",
        ),
    ],
)
def test_files_that_are_no_study(study: Study, content: bytes, message: str) -> None:
    [problem] = study.problems(content)
    assert problem.startswith(message)


def test_a_method_without_components_cannot_be_ablated(study: Study) -> None:
    text = MINIMAL.replace("rsmatch", "supervised")
    [problem] = study.problems(text)
    assert problem.startswith("s.yaml:3: method: 'supervised' has no components to leave out; write `ablation:")
    assert len(derive_arms(study.load(text + "ablation: {design: none}\n").spec).arms) == 1


def test_a_component_and_all_that_need_it_can_be_off(study: Study) -> None:
    assert study.load(MINIMAL + "components: {queue: off, class-wise: off}\n").spec.off == ("class-wise", "queue")
    every = f"components: {{{', '.join(f'{c.name}: off' for c in ALGORITHMS['rsmatch'].components)}}}\n"
    [problem] = study.problems(MINIMAL + every)
    assert "every component is off, there is none to leave out" in problem


def test_few_seeds_are_allowed_when_the_study_says_so(study: Study) -> None:
    loaded = study.load(MINIMAL + "evaluate: {seeds: 2, allow_underpowered: true}\n")
    assert loaded.spec.seed_list == (0, 1)
    assert loaded.warnings[0].startswith("with 2 seeds and 7 comparisons the smallest Holm-corrected p is 1:")
    alone = study.load(MINIMAL + "evaluate: {seeds: 1}\nablation: {design: none}\n")
    assert alone.warnings == ()


@pytest.mark.parametrize(("seeds", "p"), [(1, 1), (3, 0.25), (5, 0.0625), (6, 0.03125), (10_000, 0)])
def test_smallest_p_of_a_sign_flip_test(seeds: int, p: float) -> None:
    assert smallest_p(seeds) == pytest.approx(p)


def test_overrides_stand_in_for_the_files_values(study: Study) -> None:
    spec = study.load(
        MINIMAL + "search: {trials: 3}\n",
        "search.trials=9",
        "evaluate.seeds=[0, 1, 2, 3, 4, 5, 6]",
        "components.score-memory=off",
        "hyperparameters.rsmatch.learning_rate=1e-2",
        "question=Is a = b?",
        "baselines=[fixmatch]",
        "search.trials=10",
    ).spec
    assert spec.search.trials == 10
    assert spec.seed_list == tuple(range(7))
    assert spec.off == ("score-memory",)
    assert spec.constants("rsmatch")["learning_rate"] == 0.01
    assert (spec.question, spec.baselines) == ("Is a = b?", ("fixmatch",))


@pytest.mark.parametrize(
    "override",
    [
        "conditions.data.contamination=[0, 0.5]",
        'conditions."data.contamination"=[0, 0.5]',
        "conditions.'data.contamination' = [0, 0.5]",
        "conditions={data.contamination: [0, 0.5]}",
    ],
)
def test_an_override_reaches_names_that_hold_dots(study: Study, override: str) -> None:
    for text in (MINIMAL, MINIMAL + "conditions: {data.contamination: [0.25, 0.75]}\n"):
        conditions = conditions_of(study.load(text, override).spec)
        assert [c.data.contamination for c in conditions] == [0, 0.5]


def test_overrides_find_algorithms_resources_and_arms_with_dots_in_their_names() -> None:
    document = parse("resources: {arms: {tau=0.8: {cpus: 2}}}\n", "s.yaml")
    apply_overrides(
        document,
        [
            "hyperparameters.mine.match:MyMatch.learning_rate=0.5",
            "resources.custom.nvidia.com/a100=1",
            'resources.arms."tau=0.8".cpus=4',
            "resources.arms.mine.match:MyMatch.gpus=0.5",
        ],
    )
    assert not document.problems
    assert document.data == {
        "hyperparameters": {"mine.match:MyMatch": {"learning_rate": 0.5}},
        "resources": {
            "custom": {"nvidia.com/a100": 1},
            "arms": {"tau=0.8": {"cpus": 4}, "mine.match:MyMatch": {"gpus": 0.5}},
        },
    }


def test_an_override_of_thousands_of_levels_is_a_sentence(study: Study) -> None:
    [problem] = study.problems(MINIMAL, ".".join(["a"] * 5000) + "=1")
    assert problem.endswith("the key is more than 32 levels deep; no study is")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("search.trails=3", "search: no key 'trails' here; did you mean 'trials'?"),
        ("search.trials=six", "search.trials: expected a whole number, got text 'six'"),
        (
            "evaluate.seeds=3",
            "evaluate.seeds: 3 paired seeds cannot reach p < 0.05 (smallest p is 0.25); use 6 or more",
        ),
        ("evaluate.seeds=[-1]", "evaluate.seeds: a seed is 0 or more, got -1"),
        ("components.queue=off", "components: component 'queue' is off, but 'class-wise' needs it; switch it off too"),
        ("study=../../x", "study: names a folder: "),
        ("data.dataset.x=1", "data.dataset.x: 'data.dataset' is text 'digits', not a mapping"),
        ("data.dataset=", "data.dataset: expected text, got nothing"),
        ("search", "expected key.path=value, as in evaluate.seeds=10"),
        ("=3", "expected key.path=value, as in evaluate.seeds=10"),
        ("a..b=3", "expected key.path=value, as in evaluate.seeds=10"),
        ("search.trials=[1", "YAML syntax: "),
        ("search.trials=!!python/name:os.system", "search.trials: the tag '!!python/name:os.system' is refused"),
        ("search.trials={a: 1, a: 2}", "search.trials: key 'a' was given before; keep one"),
    ],
)
def test_mistakes_in_overrides_name_the_override(study: Study, override: str, message: str) -> None:
    [problem] = study.problems(MINIMAL, override)
    assert problem.startswith(f"--set {override}: {message}"), problem


def test_problems_of_overrides_come_after_those_of_the_file(study: Study) -> None:
    problems = study.problems(MINIMAL + "search: {trials: x}\nbaselines: [x]\n", "evaluate.seeds=x", "search.seed=x")
    assert [p.split(": ")[0] for p in problems] == [
        "s.yaml:5",
        "s.yaml:6",
        "--set evaluate.seeds=x",
        "--set search.seed=x",
    ]


def test_an_input_error_survives_pickling(study: Study) -> None:
    with pytest.raises(InputError) as caught:
        study.load("x: 1")
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


# Fuzz: whatever a file holds, it is a study or it is refused.

KEYS = st.sampled_from(
    [
        *StudySpec.model_fields,
        *["dataset", "generators", "seeds", "trials", "spaces", "rsmatch", "queue", "detector", "threshold"],
    ]
) | st.text(max_size=5)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["rsmatch", "fixmatch", "digits", "vae", "queue", "all", "auto", "none", "thresholds", "t"])
)
NESTED = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=15
)
STUDIES = st.fixed_dictionaries(
    {"study": st.just("t") | LEAVES, "question": st.just("q") | LEAVES, "method": st.just("rsmatch") | LEAVES},
    optional={name: NESTED for name in StudySpec.model_fields if name not in ("study", "question", "method")},
)
fuzz = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


HOSTILE_FILES = (
    st.binary()
    | st.text().map(lambda t: t.encode("utf-8", "surrogatepass"))
    | (NESTED | STUDIES).map(lambda data: yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "surrogatepass"))
    | st.dictionaries(KEYS, NESTED, max_size=3).map(
        lambda data: yaml.safe_dump({**yaml.safe_load(MINIMAL), **data}).encode("utf-8", "surrogatepass")
    )
)
"""Whole files, for the long form of these tests under `benchmarks/`."""


def judge(study: Study, text: str | bytes, *overrides: str) -> None:
    """It is a study, whose arms and conditions can be derived, or it is refused in lines that can be printed."""
    try:
        loaded = study.load(text, *overrides)
    except InputError as error:
        lines = str(error).split("\n")
    else:
        lines = list(loaded.warnings)
        arms = derive_arms(loaded.spec).arms
        assert len({a.name for a in arms}) == len(arms)
        for arm in arms:
            loaded.spec.searched(arm.algorithm, arm.off, arm.values)
        assert len({c.info.name for c in conditions_of(loaded.spec)}) == len(conditions_of(loaded.spec))
    assert all(line.isprintable() for line in lines)


@fuzz
@given(st.binary() | st.text().map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_any_bytes(study: Study, content: bytes) -> None:
    judge(study, content)
    judge(study, MINIMAL.encode() + content)


@fuzz
@given(NESTED | STUDIES)
def test_any_nested_data(study: Study, data: Any) -> None:
    judge(study, yaml.safe_dump(data, allow_unicode=True))
    judge(study, json.dumps(data))


@fuzz
@given(st.dictionaries(KEYS, NESTED, max_size=3))
def test_any_keys_on_top_of_a_good_study(study: Study, data: dict[str, Any]) -> None:
    judge(study, yaml.safe_dump({**yaml.safe_load(MINIMAL), **data}))


@fuzz
@given(
    st.lists(st.text(max_size=12) | st.tuples(KEYS, KEYS, st.text(max_size=8)).map(lambda t: f"{t[0]}.{t[1]}={t[2]}"))
)
def test_any_overrides(study: Study, overrides: list[str]) -> None:
    judge(study, MINIMAL, *overrides)


FIELDS = st.sampled_from(
    ["threshold", "queue_size", "queue_weight", "learning_rate", "data.labels_per_class", "unlabelled_weight"]
)
NUMBERS = st.sampled_from([0, 1, 16, 0.5, 0.9, -1, 1e300, 2**70]) | LEAVES
VALUES = st.lists(NUMBERS, max_size=4) | NESTED
COMPONENTS = st.sampled_from(["detector", "queue", "class-wise", "synthetic", "dummy-head", "score-memory", "queu"])
DESIGNS = st.sampled_from([*get_args(DesignName), "pear"])
CHANGES = st.dictionaries(
    st.sampled_from(
        ["data.contamination", "data.labels_per_class", "data.generators", "data.dataset", "training.steps", "title"]
    )
    | KEYS,
    VALUES | NUMBERS,
    max_size=3,
)


def sections(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


ABLATIONS = sections(
    design=DESIGNS | st.lists(DESIGNS, max_size=4) | NESTED,
    components=st.lists(COMPONENTS, max_size=6) | NESTED,
    alternatives=st.dictionaries(FIELDS | KEYS, VALUES, max_size=4),
    path=st.sampled_from(["cumulative", "single"]) | LEAVES,
    resolution=st.sampled_from(["full", 3, 4, 5, 6]) | LEAVES,
    arms=st.dictionaries(
        st.text(max_size=6) | st.sampled_from(["a/b", "..", "mine", "fixmatch"]),
        sections(**{"without": st.lists(COMPONENTS, max_size=3) | NESTED, "set": st.dictionaries(FIELDS, NUMBERS)})
        | NESTED,
        max_size=3,
    ),
)
SEARCHES = sections(
    mode=st.sampled_from(["retuned", "inherited", "both"]) | LEAVES,
    strategy=st.sampled_from(["generations", "asynchronous", "population"]) | LEAVES,
    sampler=st.sampled_from(get_args(SamplerName)) | LEAVES,
    trials=st.integers(0, 5) | LEAVES,
    spaces=st.lists(st.sampled_from(["thresholds", "labels", "detector", "x"]), max_size=3) | NESTED,
    ranges=st.dictionaries(
        FIELDS | KEYS,
        sections(low=NUMBERS, high=NUMBERS, log=st.booleans() | LEAVES, choices=VALUES) | NESTED,
        max_size=3,
    ),
    grid=st.dictionaries(FIELDS | KEYS, VALUES, max_size=3),
    objectives=st.lists(st.sampled_from([*OBJECTIVES, "x"]), max_size=3) | NESTED,
    constraints=st.lists(st.sampled_from(["val_error <= 3", "val_error>=-1e9", "a<=1e999", "x"]) | LEAVES, max_size=2)
    | NESTED,
    start=st.lists(st.dictionaries(FIELDS | KEYS, NUMBERS, max_size=3), max_size=3) | NESTED,
    warm_start=st.sampled_from(["other", "../x", "t"]) | LEAVES,
    confirm=sections(top=NUMBERS, seeds=NUMBERS) | NESTED,
    population=sections(rounds=NUMBERS, replaced=NUMBERS) | NESTED,
    early_stopping=sections(
        rule=st.sampled_from(["median", "quantile", "asha", "none"]) | LEAVES, after=NUMBERS, keep=NUMBERS
    ),
)


@fuzz
@given(
    sections(
        ablation=ABLATIONS,
        search=SEARCHES,
        conditions=CHANGES | st.lists(CHANGES, max_size=4),
        components=st.dictionaries(COMPONENTS, st.booleans(), max_size=4),
        hyperparameters=st.dictionaries(
            st.sampled_from(["rsmatch", "fixmatch", "x"]), st.dictionaries(FIELDS, NUMBERS), max_size=2
        ),
        method=st.sampled_from(["rsmatch", "fixmatch", "supervised", "x", "x:Y"]),
        baselines=st.lists(st.sampled_from(["rsmatch", "fixmatch", "supervised", "x"]), max_size=3),
    )
)
def test_any_designs_searches_and_conditions(study: Study, data: dict[str, Any]) -> None:
    judge(study, yaml.safe_dump({**yaml.safe_load(MINIMAL), **data}))


@fuzz
@given(
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 40), st.text("\t\n -[]{}:,'\"!&*#|>%@`1.a", max_size=6)))
)
def test_any_damage_to_the_study_that_ships(study: Study, damage: list[tuple[int, int, str]]) -> None:
    text = DIGITS.read_text(encoding="utf-8")
    for begin, length, new in damage:
        text = text[:begin] + new + text[begin + length :]
    judge(study, text)


HOSTILE = [
    "ablation: {design: factorial, alternatives: {threshold: ["
    + ", ".join(f"0.{i:04}" for i in range(1, 9000))
    + "]}}\n",
    "conditions: {training.steps: [" + ", ".join(map(str, range(1, 1000))) + "], training.reports: [1, 2]}\n",
    "conditions: [" + ", ".join(f"{{training.steps: {i}}}" for i in range(1, 1500)) + "]\n",
    "conditions: [" + ", ".join("{data.contamination: 0.1}" for _ in range(1500)) + "]\n",
    "search: {sampler: grid, grid: {threshold: [" + ", ".join(f"0.{i:04}" for i in range(1, 9000)) + "]}}\n",
    "search: {start: [" + ", ".join(f"{{threshold: 0.{i}}}" for i in range(70, 99)) * 40 + "]}\n",
    "ablation: {arms: {" + ", ".join(f"a{i}: {{set: {{threshold: 0.{i:04}}}}}" for i in range(2000)) + "}}\n",
    "ablation: {design: pairs, alternatives: " + "{a: " * 30 + "1" + "}" * 30 + "}\n",
    "search: {constraints: [" + "a" * 200_000 + " <= 3]}\n",
    f"ablation: {{arms: {{{'a' * 100_000}: {{without: [queue]}}}}}}\n",
    "training: {steps: 10000000, reports: 10000}\nsearch: {trials: 100000, generation: 100000}\nevaluate: {seeds: 10000}\n",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.timeout(60)
def test_a_huge_study_is_judged(study: Study, text: str) -> None:
    judge(study, MINIMAL + text)


def test_a_file_with_thousands_of_mistakes_is_judged_quickly(study: Study) -> None:
    begin = time.process_time()
    assert len(study.problems("".join(f"metod{i}: 1\n" for i in range(4900)))) == 4903
    assert time.process_time() - begin < 2
