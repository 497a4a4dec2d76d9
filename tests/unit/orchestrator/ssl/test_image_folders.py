from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.check.loading import LoadedStudy, load_study
from orchestrator.cli.listing import listing
from orchestrator.common.errors import InputError
from orchestrator.design.conditions import conditions_of
from orchestrator.design.plan import make_plan
from orchestrator.ssl.image_folders import place_image_folders
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
    assert plan.conditions[0].info.title == "pets, 2 labels per class, 50% synthetic"
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
    assert [c.info.name for c in conditions_of(study)] == [
        "folder-pets-2l-50s",
        "folder-birds-2l-50s",
        "digits-2l-50s",
    ]
    assert [c.data.dataset for c in conditions_of(study)][1] == f"folder:{tmp_path / 'more' / 'birds'}"


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
    assert [row[0] for row in listing("datasets").rows] == [
        "digits", "fashion-mnist", "cifar-10", "cifar-100", "stl-10", "svhn", "folder:PATH",
    ]  # fmt: skip
    assert [row[0] for row in listing("generators").rows] == ["vae", "flow", "pca", "folder:PATH"]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """160 synthetic digits beside the study file."""
    made_up_folder(tmp_path, classes=tuple("0123456789"), train=160, test=0, shape=(1, 8, 8))
    return (tmp_path / "train").rename(tmp_path / "made")


def with_made(folder: Path, *generators: str, **parts: Any) -> dict[str, Any]:
    names = [*generators] or ["folder:made"]
    return {"data": {"dataset": "digits", "labels_per_class": 2, "contamination": 0.1, "generators": names}, **parts}


def test_a_folder_of_synthetic_images_is_planned(made: Path, tmp_path: Path) -> None:
    plan = make_plan(load(tmp_path, **with_made(tmp_path)).spec)
    trial = plan.cells[0].trial({}, 0, "evaluate")
    assert trial.data.generators == (f"folder:{made}",)
    plain = make_plan(load(tmp_path, **with_made(tmp_path, "vae")).spec)
    assert plain.cells[0].origin.fingerprint != plan.cells[0].origin.fingerprint
    other = tmp_path / "other"
    other.mkdir()
    made.rename(other / "made")
    moved = make_plan(load(other, **with_made(other)).spec)
    assert moved.cells[0].id == plan.cells[0].id
    assert moved.cells[0].trial({}, 0, "evaluate").trial_id == trial.trial_id


def test_the_name_of_a_condition_has_no_place_in_it(made: Path, tmp_path: Path) -> None:
    conditions = {"data.generators": [["vae"], ["vae", "folder:made"]]}
    study = load(tmp_path, **with_made(tmp_path, "pca", conditions=conditions)).spec
    names = [c.info.name for c in conditions_of(study)]
    assert names == ["digits-2l-10s-generators=vae", "digits-2l-10s-generators=vae+folder-made"]
    assert conditions_of(study)[1].info.title.endswith("generators vae+folder:made")


def test_all_that_is_wrong_with_synthetic_images_is_said_at_once(made: Path, tmp_path: Path) -> None:
    (made / "7").rename(made / "seven")
    (made / "3" / "0000.png").write_bytes(b"")
    found = problems(tmp_path, **with_made(tmp_path, "folder:made", "flo", "folder:nowhere"))
    assert len(found) == 5
    assert "s.yaml:10: data.generators: no generator 'flo'; did you mean 'flow'?" in found
    found = problems(tmp_path, **with_made(tmp_path, "folder:made", "folder:nowhere"))
    assert found == [
        f"s.yaml:9: data.generators: {made / 'seven'}: 'seven' is no class; there are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        f"s.yaml:9: data.generators: {made}: no sub-folder for class '7'; every class wants one of its name",
        f"s.yaml:9: data.generators: {made / '3' / '0000.png'}: 0 bytes; an image file has from 1 to 33,554,432; make it "
        "anew, or take it away",
        f"s.yaml:10: data.generators: {tmp_path / 'nowhere'}: no such folder; images of a class lie in CLASS/*.png, *.jpg, "
        "*.jpeg, *.bmp, *.webp below it; a relative path is looked for beside the study file, then in the current folder",
    ]
    assert load(tmp_path, need_data=False, **with_made(tmp_path)).spec.study == "t"


def test_too_few_synthetic_images_for_the_contamination(made: Path, tmp_path: Path) -> None:
    parts = with_made(tmp_path)
    parts["data"]["contamination"] = 0.5
    (problem,) = problems(tmp_path, **parts)
    assert problem.startswith(
        f"s.yaml:9: data.generators: {made}: 160 images where 757 are needed for this contamination; add images"
    )
    parts["data"]["generators"] = ["vae", "folder:made", "pca", "flow"]
    assert "160 images where 189 are needed" in problems(tmp_path, **parts)[0]
    (problem,) = problems(tmp_path, **with_made(tmp_path), conditions={"data.contamination": [0.1, 0.9]})
    assert problem.startswith(f"s.yaml:9: data.generators: {made}: 160 images where 6,813 are needed")
    search = {"spaces": ["labels"], "ranges": {"data.labels_per_class": {"choices": [1, 2]}}}
    parts = with_made(tmp_path, search=search)
    parts["data"]["contamination"] = 0.1745  # 160 with two labels per class, 162 with one
    assert load(tmp_path, **{**parts, "search": {}}).spec.study == "t"
    assert "160 images where 162 are needed" in problems(tmp_path, **parts)[0]


def test_two_folders_of_synthetic_images_of_one_name_are_told_to_be_renamed(made: Path, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, **with_made(tmp_path, "folder:made", "folder:x/made"), need_data=False)
    assert "have the same name, by which tables tell them apart; rename one folder" in problem
    conditions = {"data.generators": [["folder:made"], ["folder:x/made"]]}
    found = problems(tmp_path, **with_made(tmp_path, "vae", conditions=conditions), need_data=False)
    assert any("made have the same name" in p for p in found)


def test_a_generator_that_does_not_exist_may_have_been_a_folder(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, **with_made(tmp_path, "folder"))
    assert problem == "s.yaml:9: data.generators: no generator 'folder'; did you mean 'folder:PATH'?"
