"""The JSON Schema of study files, for editors: made from the classes that check them, with the names that exist.

It knows types, ranges, keys and names. What ties parts together (enough seeds, a space that something searches) is left to
`ablate plan`, so everything that `load_study` takes is valid here, and not the other way round. A name like
`my_module:MyMatch` or `folder:PATH` is valid as it stands: what is behind it, a schema cannot know.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from orchestrator.design.conditions import SECTIONS
from orchestrator.study.sections import DESIGNS, FIRST_TUNING_SEED, MAX_SEEDS, OBJECTIVES, SAMPLERS, DesignName
from orchestrator.study.spec import StudySpec
from search_spaces import DATA_PREFIX, GROUPS, Choice
from trainables.algorithms import ALGORITHMS, Algorithm
from trainables.data import DATASETS, GENERATORS
from trainables.specs import FOLDER_PREFIX, NETWORKS

Schema = dict[str, Any]

OWN_ALGORITHM = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"
SWITCH: Schema = {"enum": [True, False, "on", "off", "yes", "no"]}
"""Editors read YAML 1.2, in which `on` is text; study files take it as a switch."""
VALUE: Schema = {"type": ["number", "string", "boolean"]}
RANGE: Schema = {
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "low": {
                    "type": "number",
                    "description": "Least value; two whole numbers make a range of whole numbers",
                },
                "high": {"type": "number", "description": "Greatest value"},
                "log": {**SWITCH, "description": "Search its logarithm", "default": False},
            },
            "required": ["low", "high"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"choices": {"type": "array", "items": VALUE, "description": "The values to choose among"}},
            "required": ["choices"],
            "additionalProperties": False,
        },
    ]
}


def study_schema() -> Schema:
    """JSON Schema of a study file, in draft 7, which every editor knows; the same for every call, with the built-in names."""
    schema = StudySpec.model_json_schema()
    definitions: dict[str, Schema] = schema.pop("$defs")
    algorithms = [a for a in ALGORITHMS.values() if ALGORITHMS.get(a.name) is a]
    for algorithm in algorithms:
        definitions[_config_name(algorithm)] = algorithm.Config.model_json_schema()
    definitions = {name: _plain(inner) for name, inner in sorted({**definitions, "Range": RANGE}.items())}
    schema = _plain(schema)
    fields = _hyperparameters(algorithms)
    _name_data(definitions["DataSpec"]["properties"])
    _name_search(definitions["SearchSpec"]["properties"], fields)
    _loosen(definitions, fields)
    top = schema["properties"]
    methods = [a for a in algorithms if not a.reads_origin]
    _becomes(top["method"], _named({a.name: a.title for a in methods}, OWN_ALGORITHM))
    _becomes(top["baselines"], _list(_named({a.name: a.title for a in algorithms}, OWN_ALGORITHM)))
    _becomes(top["study"], {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"})
    _becomes(top["conditions"], _conditions())
    _becomes(
        top["hyperparameters"],
        {
            "type": "object",
            "properties": {
                a.name: {"$ref": f"#/$defs/{_config_name(a)}", "description": f"Constants of {a.title}"}
                for a in algorithms
            },
            "patternProperties": {OWN_ALGORITHM: {"type": "object"}},
            "additionalProperties": False,
        },
    )
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A study of rs-ablate",
        **schema,
        "description": "A question, and all that is needed to answer it.",
        "allOf": [_of_method(a) for a in methods],
        "$defs": definitions,
    }


def schema_text() -> str:
    """The schema as it is written to a file."""
    return json.dumps(study_schema(), indent=1, ensure_ascii=False) + "\n"


def _config_name(algorithm: type[Algorithm]) -> str:
    return f"hyperparameters-of-{algorithm.name}"


def _plain(schema: Any) -> Any:
    """Without the titles that pydantic makes up of names, with switches as YAML has them, and the first line of docstrings."""
    if isinstance(schema, list):
        return [_plain(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "boolean":
        schema = {**SWITCH, **{k: v for k, v in schema.items() if k != "type"}}
    result: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            result[key] = {field: _plain(inner) for field, inner in value.items()}
        elif key == "description":
            result[key] = " ".join(value.split("\n\n")[0].split())
        elif key != "title":
            result[key] = _plain(value)
    return result


def _becomes(field: Schema, now: Schema) -> None:
    """Give a field another type; its description and default stay."""
    kept: Schema = {k: field[k] for k in ("description", "default") if k in field}
    field.clear()
    field.update({**now, **kept})


def _named(titles: Mapping[str, str], pattern: str | None = None) -> Schema:
    """One of these names, each with what it is, or text of a form."""
    names = [{"const": name, "description": title} for name, title in titles.items()]
    return {"anyOf": [*names, {"type": "string", "pattern": pattern}] if pattern else names}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _hyperparameters(algorithms: Iterable[type[Algorithm]]) -> dict[str, str]:
    """By name of a hyperparameter of any algorithm: what it is, with the range that a group searches."""
    described = {
        name: field.description or "" for a in algorithms for name, field in sorted(a.Config.model_fields.items())
    }
    for group in GROUPS.values():
        for name, found in group.items():
            values = map(str, found.values) if isinstance(found, Choice) else (f"{found.low:g} to {found.high:g}",)
            described[name] = f"{described.get(name, 'a field of the data condition')} (searched: {', '.join(values)})"
    return dict(sorted(described.items()))


def _name_data(data: dict[str, Schema]) -> None:
    folder = f"^{FOLDER_PREFIX}.*\\S"
    _becomes(data["dataset"], _named({d.name: d.title for d in DATASETS.values()}, folder))
    _becomes(data["generators"], _list(_named({g.name: g.title for g in GENERATORS.values()}, folder)))


def _name_search(search: dict[str, Schema], fields: Mapping[str, str]) -> None:
    _becomes(search["sampler"], _named(dict(SAMPLERS.items())))
    _becomes(search["spaces"], _list(_named({name: ", ".join(group) for name, group in GROUPS.items()})))
    _becomes(search["objectives"], {**_list({"enum": list(OBJECTIVES)}), "minItems": 1})
    constraint = {"type": "string", "pattern": r"^\s*[a-z][a-z0-9_]*\s*(<=|>=)\s*[-+0-9.eE]+\s*$"}
    _becomes(search["constraints"], _list(constraint))
    _becomes(search["ranges"], _by_field(fields, {"$ref": "#/$defs/Range"}))
    _becomes(search["grid"], _by_field(fields, _list(VALUE)))
    _becomes(search["start"], _list(_by_field(fields, VALUE)))


def _by_field(fields: Mapping[str, str], value: Schema) -> Schema:
    """A mapping from hyperparameters to values; an algorithm of the user's own may have others."""
    return {
        "type": "object",
        "properties": {name: {**value, "description": text} for name, text in fields.items()},
        "additionalProperties": value,
    }


def _loosen(definitions: dict[str, Schema], fields: Mapping[str, str]) -> None:
    """What validators take beyond a field's type, and bounds that they hold."""
    ablation = definitions["AblationSpec"]["properties"]
    names = _named({name: DESIGNS[name] for name in get_args(DesignName)})
    _becomes(ablation["design"], {"anyOf": [names, {**_list(names), "minItems": 1, "uniqueItems": True}]})
    _becomes(
        ablation["alternatives"], _by_field({n: t for n, t in fields.items() if DATA_PREFIX not in n}, _list(VALUE))
    )
    _becomes(definitions["ArmSpec"]["properties"]["set"], {"type": "object", "additionalProperties": VALUE})
    seed = {"type": "integer", "minimum": 0, "exclusiveMaximum": FIRST_TUNING_SEED}
    count = {"type": "integer", "minimum": 1, "maximum": MAX_SEEDS}
    seeds = {**_list(seed), "minItems": 1, "maxItems": MAX_SEEDS, "uniqueItems": True}
    _becomes(definitions["EvaluateSpec"]["properties"]["seeds"], {"anyOf": [count, seeds]})
    _becomes(definitions["TrainingSpec"]["properties"]["network"], _named(dict(NETWORKS.items())))
    gpus = [{"const": "auto"}, {"type": "number", "minimum": 0, "maximum": 1024}]
    amount = {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000}
    for section, absent in (("ResourcesSpec", False), ("ArmResourcesSpec", True)):
        amounts, nothing = definitions[section]["properties"], [{"type": "null"}] if absent else []
        _becomes(amounts["gpus"], {"anyOf": [*gpus, *nothing]})
        _becomes(amounts["custom"], {"anyOf": [{"type": "object", "additionalProperties": amount}, *nothing]})


def _conditions() -> Schema:
    """A grid of values by field, or a list of changes."""
    fields = {
        f"{section}.{name}": {"$ref": f"#/$defs/{spec.__name__}/properties/{name}"}
        for section, spec in SECTIONS.items()
        for name in spec.model_fields
    }
    grid = {name: {**_list(field), "minItems": 1} for name, field in fields.items()}
    title = {"type": "string", "minLength": 1, "description": "As tables show it"}
    changes = {"type": "object", "minProperties": 1, "properties": {**fields, "title": title}}
    return {
        "anyOf": [
            {"type": "object", "properties": grid, "additionalProperties": False},
            _list({**changes, "additionalProperties": False}),
        ]
    }


def _of_method(algorithm: type[Algorithm]) -> Schema:
    """Where a study's method is this one, components are its own."""
    off = {c.name: f"Off: {c.off}" for c in algorithm.components}
    switches = {name: {**SWITCH, "description": text} for name, text in off.items()}
    names = {"enum": list(off)} if off else False
    several = {"type": "array", "items": names}
    return {
        "if": {"properties": {"method": {"const": algorithm.name}}, "required": ["method"]},
        "then": {
            "properties": {
                "components": {"type": "object", "properties": switches, "additionalProperties": False},
                "ablation": {
                    "properties": {
                        "components": {"anyOf": [{"const": "all"}, several]},
                        "arms": {"additionalProperties": {"properties": {"without": several}}},
                    }
                },
            }
        },
    }
