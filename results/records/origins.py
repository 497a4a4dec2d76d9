"""Where a record's numbers come from, as far as that could change them: training source, library versions, data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from results.records.trial_record import TrialRecord


class Origin(NamedTuple):
    """What a trial's outcome depends on besides its specification. Records of equal origin may be compared without a mark."""

    source: str
    """Hash of the training source of the trial's algorithm."""
    environment: str
    """Versions of the libraries that compute: `torch 2.14.1, torchvision 0.29.1, numpy 2.3.5`."""
    fingerprint: str
    """Hash of the dataset's images and labels."""


UNKNOWN = Origin("", "", "")


def origin_of(record: TrialRecord) -> Origin:
    """The origin that the record carries; empty text where an old record does not say."""
    return Origin(
        str(record.code.get("source", "")),
        str(record.code.get("environment", "")),
        str(record.data.get("fingerprint", "")),
    )


def origin_rank(record: TrialRecord, current: Mapping[str, Origin], accepted: Collection[Origin]) -> int:
    """How much a record counts: 2 of its cell's current origin, 1 of an accepted earlier one, 0 not at all.

    Args:
        record: Any record of the ledger.
        current: Origin by cell; records of other cells rank 0.
        accepted: Earlier origins that the user counts beside the current ones.
    """
    wanted = current.get(record.cell)
    if wanted is None:
        return 0
    origin = origin_of(record)
    if origin == wanted:
        return 2
    return 1 if origin in accepted else 0
