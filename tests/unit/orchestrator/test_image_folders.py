from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.errors import InputError
from orchestrator.image_folders import place_image_folders
from orchestrator.listing import listing
from orchestrator.study import LoadedStudy, load_study
from orchestrator.study_plan import make_plan
from tests.contract.made_up import made_up_folder


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder of images beside the study file."""
    made_up_folder(tmp_path / "pets")
    return tmp_path / "pets"


def load(folder: Path, *overrides: str, need_data: bool = True, **parts: Any) -> LoadedStudy:
    data = {"dataset": "folder:pets", "labels_per_class": 2, **parts.pop("data", {})}
    text = yaml.safe_dump({"study": "t", "question": "q", "method": "rsmatch", "data": data, **parts}, sort_keys=False)
    (folder / "s.yaml").write_text(text, encoding="utf-8")
    return load_study(folder / "s.yaml", overrides, need_data=need_data)


def problems(folder: Path, *overrides: str, **parts: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(folder, *overrides, **parts)
    return str(caught.value).replace(f"{folder}/s.yaml", "s.yaml").split("\n")


def test_a_folder_beside_the_study_is_planned(pets: Path, tmp_path: Path) -> None:
    study = load(tmp_path).spec
    assert study.data.dataset == f"folder:{pets}"
    plan = make_plan(study)
    assert plan.conditions[0].info.name == "folder-pets-2l-50s"
    assert plan.conditions[0].info.title == "pets, 2 labels per class, 50 % synthetic"
    assert plan.cells[0].trial({}, 0, "evaluate").data.dataset == f"folder:{pets}"


def test_the_identity_of_a_trial_moves_with_the_folder(pets: Path, tmp_path: Path) -> None:
    here = make_plan(load(tmp_path).spec).cells[0]
    other = tmp_path / "other"
    other.mkdir()
    pets.rename(other / "pets")
    there = make_plan(load(other).spec).cells[0]
    assert there.id == here.id
    assert there.trial({}, 0, "evaluate").trial_id == here.trial({}, 0, "evaluate").trial_id
    assert there.trial({}, 0, "evaluate").data != here.trial({}, 0, "evaluate").data


def test_a_folder_in_the_current_folder_is_found_too(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "studies").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path / "studies").spec.data.dataset == f"folder:{pets}"
    made_up_folder(tmp_path / "studies" / "pets")
    assert load(tmp_path / "studies").spec.data.dataset == f"folder:{tmp_path / 'studies' / 'pets'}"
    assert load_study(load(tmp_path).spec.values()).spec.data.dataset == f"folder:{pets}"


def test_a_folder_that_is_not_there_is_named_by_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path)
    assert problem.startswith(f"s.yaml:5: data.dataset: {tmp_path / 'pets'}: no such folder; a relative path")
    assert load(tmp_path, need_data=False).spec.study == "t"


@pytest.mark.parametrize("cut", [0, 60, -30])
def test_an_image_that_is_damaged_is_named_by_line(cut: int, pets: Path, tmp_path: Path) -> None:
    path = pets / "test" / "dog" / sorted(p.name for p in (pets / "test" / "dog").iterdir())[0]
    path.write_bytes(path.read_bytes()[:cut])
    (problem,) = problems(tmp_path)
    assert problem.startswith(f"s.yaml:5: data.dataset: {path}: ")


def test_more_labels_than_the_smallest_class_has(pets: Path, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, data={"labels_per_class": 9})
    assert problem.startswith("s.yaml:6: data: 9 labelled and 9 validation images per class are 18, but the smallest")
    (problem,) = problems(
        tmp_path, search={"spaces": ["labels"], "ranges": {"data.labels_per_class": {"choices": [2, 9]}}}
    )
    assert "the smallest class of pets has 20 images" in problem


def test_names_that_are_nearly_a_folders(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, data={"dataset": "folder:"})
    assert problem == "s.yaml:5: data.dataset: no dataset 'folder:'; did you mean 'folder:PATH'?"


@pytest.mark.parametrize("listed", [True, False])
def test_conditions_may_name_folders(listed: bool, pets: Path, tmp_path: Path) -> None:
    made_up_folder(tmp_path / "more" / "birds")
    names = ["folder:pets", "folder:more/birds", "digits"]
    conditions = [{"data.dataset": n} for n in names] if listed else {"data.dataset": names}
    study = load(tmp_path, conditions=conditions).spec
    assert [c.info.name for c in study.condition_list()] == [
        "folder-pets-2l-50s",
        "folder-birds-2l-50s",
        "digits-2l-50s",
    ]
    assert [c.data.dataset for c in study.condition_list()][1] == f"folder:{tmp_path / 'more' / 'birds'}"


def test_two_folders_of_one_name_are_told_to_be_renamed(pets: Path, tmp_path: Path) -> None:
    made_up_folder(tmp_path / "more" / "pets")
    (problem,) = problems(tmp_path, conditions={"data.dataset": ["folder:pets", "folder:more/pets"]})
    assert problem.endswith("have the same name, by which tables tell them apart; rename one folder")
    (problem,) = problems(tmp_path, conditions=[{"data.dataset": "folder:pets"}, {"data.dataset": "folder:./pets"}])
    assert "condition 2 is the same as condition 1" in problem


def test_a_condition_whose_folder_is_damaged_is_named(pets: Path, tmp_path: Path) -> None:
    found = problems(tmp_path, conditions=[{"data.contamination": 0.1}, {"data.dataset": "folder:nowhere"}])
    assert len(found) == 1
    assert found[0].startswith(f"s.yaml:9: conditions: {tmp_path / 'nowhere'}: no such folder")


@pytest.mark.parametrize(
    "value", [None, 3, [], {}, ["folder:x"], "folder:", "folder:~nobody-here/x", "folder:a\0b", f"folder:{'x' * 5000}"]
)
def test_whatever_stands_there_is_left_to_the_check(value: Any, tmp_path: Path) -> None:
    for study in ({"data": value}, {"data": {"dataset": value}}, {"conditions": value}, {"conditions": [value]}, {}):
        place_image_folders(study, tmp_path)


def test_generators_are_placed_too(pets: Path, tmp_path: Path) -> None:
    study = {"data": {"dataset": "digits", "generators": ["vae", "folder:pets"]}}
    place_image_folders(study, tmp_path)
    assert study["data"]["generators"] == ["vae", f"folder:{pets}"]


def test_the_list_has_every_dataset_and_the_way_to_name_a_folder() -> None:
    names = list(listing("datasets").columns[0].cells)
    assert list(map(str, names)) == [
        "digits", "fashion-mnist", "cifar-10", "cifar-100", "stl-10", "svhn", "folder:PATH",
    ]  # fmt: skip
