from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.check.loading import load_study
from orchestrator.common.errors import InputError
from orchestrator.common.secrecy import secrets_in
from tests.integration.studies import write_study

ENVIRONMENT = {
    "HF_TOKEN": "hf_planted_value",
    "PIN_SECRET": "1234",
    "HOME": "/home/someone",
    "aws_secret_access_key": " abc/def+ghi \n",
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("question: does hf_planted_value help?", "the value of HF_TOKEN stands here"),
        ("x: abc/def+ghi", "the value of aws_secret_access_key"),
        ("x: s3://me:hush@lab/runs", "an address with a password"),
        ("x: 1234 /home/someone", None),
        ("x: https://lab.example/a:b@c", None),
        ("x: user@lab.example", None),
    ],
)
def test_secrets_are_found_and_not_shown(line: str, said: str | None) -> None:
    problems = [str(p) for p in secrets_in([("a.yaml", f"study: a\n{line}\n")], ENVIRONMENT)]
    assert len(problems) == (said is not None)
    if said is not None:
        assert problems[0].startswith(f"a.yaml:2: {said}")
        assert not any(secret in problems[0] for secret in ("hf_planted_value", "abc/def", "hush"))


def test_a_study_with_a_secret_is_refused_before_anything_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_API_KEY", "planted-key-of-the-lab")
    study = write_study(tmp_path, question="is planted-key-of-the-lab good?", mode="planted-key-of-the-lab")
    with pytest.raises(InputError, match="the value of LAB_API_KEY") as found:
        load_study(study)
    assert "planted" not in str(found.value)
    with pytest.raises(InputError, match="--set question: the value of LAB_API_KEY") as found:
        load_study(write_study(tmp_path), ["question=planted-key-of-the-lab"])
    assert "planted" not in str(found.value)
