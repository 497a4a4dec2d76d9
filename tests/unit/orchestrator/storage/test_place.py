"""Where a study's checkpoints are, as far as an interrupted run can say."""

from __future__ import annotations

from orchestrator.common.folders import StudyFolders
from orchestrator.storage.place import Storage
from trainables.files import checkpoint_path


def test_a_trial_has_a_checkpoint_where_there_is_its_file_whatever_it_reported(tmp_path):
    folders = StudyFolders(tmp_path, "mine")
    storage = Storage(folders)
    assert not storage.has_checkpoint("a", reported=True)
    path = checkpoint_path(folders.checkpoints, "a")
    path.parent.mkdir(parents=True)
    path.touch()
    assert storage.has_checkpoint("a", reported=False)
