from __future__ import annotations

import pytest

from orchestrator.cluster.jobs import _entry, _in_shell
from orchestrator.storage.object_store import RemoteError


@pytest.mark.parametrize(
    ("runs", "folder"),
    [
        ("runs", '"$HOME"/runs'),
        ("~/my runs", "\"$HOME\"/'my runs'"),
        ("/shared/runs", "/shared/runs"),
        ("s3://lab/runs/", "s3://lab/runs"),
        ("s3://lab/runs?region=eu", "'s3://lab/runs?region=eu'"),
    ],
)
def test_a_folder_there_is_made_and_an_address_is_not(runs: str, folder: str) -> None:
    assert _in_shell(runs) == folder
    command = _entry(["run", "small.yaml", "--address", "auto"], folder)
    assert command.endswith(f'python -m orchestrator run "$code"/small.yaml --address auto --runs {folder}')
    assert ("mkdir" in command) == ("://" not in runs)


def test_a_secret_does_not_reach_a_command_line() -> None:
    with pytest.raises(RemoteError, match="has a secret in it"):
        _in_shell("s3://key:planted-secret@lab/runs")
