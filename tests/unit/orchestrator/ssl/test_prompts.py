from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.common.errors import AblateError, InputError
from orchestrator.ssl.prompts import read_prompts

CLASSES = ("cat", "dog", "aquarium_fish")


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_prompts(str(path), CLASSES)
    return str(caught.value).replace(str(path), path.name).split("\n")


def test_a_template_is_filled_with_the_classes_names() -> None:
    assert read_prompts("a {class}, really a {class}", CLASSES) == {
        "cat": ("a cat, really a cat",),
        "dog": ("a dog, really a dog",),
        "aquarium_fish": ("a aquarium fish, really a aquarium fish",),
    }


@pytest.mark.parametrize("text", ["", "a photo", "{Class}", "{}"])
def test_a_template_must_name_the_class(text: str) -> None:
    with pytest.raises(AblateError, match=r"has no \{class\}, .* or name a YAML file"):
        read_prompts(text, CLASSES)


def test_a_file_has_one_prompt_or_several_for_each_class(tmp_path: Path) -> None:
    (tmp_path / "p.YML").write_text(
        "dog: a dog\nCat: [a cat, two cats]\naquarium_fish: a fish {class}\n", encoding="utf-8"
    )
    found = read_prompts(str(tmp_path / "p.YML"), CLASSES)
    assert list(found) == list(CLASSES)
    assert found == {"cat": ("a cat", "two cats"), "dog": ("a dog",), "aquarium_fish": ("a fish {class}",)}


def test_everything_that_is_wrong_with_a_file_is_said_at_once(tmp_path: Path) -> None:
    assert problems(tmp_path / "p.yaml", "cta: a cat\ndog: 3\nDOG: a dog\n") == [
        "p.yaml: no prompt for class 'cat', 'aquarium_fish'; every class wants one",
        "p.yaml:1: cta: no class 'cta'; did you mean 'cat'?",
        "p.yaml:2: dog: expected text, or a list of texts; got the number 3",
    ]
    found = problems(tmp_path / "p.yaml", "cat: a cat\nCAT: a cat\ndog: []\naquarium_fish: [fish, '']\n")
    assert [p.split(": ", 1)[0] for p in found] == ["p.yaml:2", "p.yaml:3", "p.yaml:4"]
    assert "class 'cat' has prompts twice; keep one" in found[0]


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text\n", "3\n", ""])
def test_a_file_of_another_shape_is_a_sentence(text: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "p.yaml", text)
    assert problem.startswith("p.yaml")


def test_files_that_are_not_there_or_no_yaml_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(AblateError, match=r"nowhere\.yaml"):
        read_prompts(str(tmp_path / "nowhere.yaml"), CLASSES)
    tagged = problems(tmp_path / "p.yaml", "cat: !!python/object:os.system x\ndog: a\naquarium_fish: b\n")
    assert [p.split(": ")[:2] for p in tagged] == [["p.yaml:1", "cat"]]
    assert problems(tmp_path / "p.yaml", "cat: [a\n")
