import pytest

from orchestrator.common.units import duration, size


@pytest.mark.parametrize(
    ("hours", "text"), [(0.0001, "0.1 min"), (0.5, "30.0 min"), (1.25, "1.2 h"), (47, "47.0 h"), (60, "2.5 days")]
)
def test_durations_read_well(hours, text):
    assert duration(hours) == text


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 bytes"), (1500, "1.5 kB"), (2.5e6, "2.5 MB"), (3.21e9, "3.21 GB")]
)
def test_sizes_read_well(count, text):
    assert size(count) == text
