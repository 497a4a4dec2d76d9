from __future__ import annotations

from pathlib import Path

from orchestrator.engine.open_trials import OpenTrials


def test_a_folder_among_the_notes_is_nobodys_note(tmp_path: Path) -> None:
    (tmp_path / "open" / "1.json").mkdir(parents=True)
    assert OpenTrials(tmp_path / "open").by_search() == {}
    assert (tmp_path / "open" / "1.json").is_dir()
