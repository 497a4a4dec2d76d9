import math
from datetime import datetime

import pytest

from tests.unit.results.factories import record


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phase": "train"}, "phase: 'train'"),
        ({"status": "done"}, "status: 'done'"),
        ({"attempt": -1}, "attempt: -1"),
        ({"started_at": datetime(2025, 1, 1)}, "started_at"),
        ({"metrics": {"val_error": math.nan}}, "val_error not finite"),
        ({"metrics": {"val_loss": math.inf}}, "val_loss not finite"),
    ],
)
def test_record_that_breaks_a_rule_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        record(trial_id="aa", **changes)
