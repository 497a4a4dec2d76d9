import sys

import pytest

from results.analysis.main_table import main_table
from results.report.csv import COLUMNS
from tests.unit.results.factories import manifest, study_records


@pytest.fixture(scope="module")
def table():
    study = manifest(conditions=("half", "most"))
    return main_table(study, study_records(study))


def test_frame_has_a_row_per_condition_and_arm_in_full_precision(table):
    pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 2 * 9
    row = table.conditions[1].rows[3]
    found = frame[(frame.condition == "most") & (frame.arm == row.arm)].iloc[0]
    assert found.difference == row.difference.mean
    assert found.p_holm == row.p_holm
    assert len(table.conditions[0].to_pandas()) == 9


def test_without_pandas_the_message_says_what_to_install(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        table.to_pandas()
