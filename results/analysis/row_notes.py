"""What is said beside a row of the table where its number is not like the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from results.statistics.paired import ALPHA

Mark = Literal[
    "oracle",
    "incomplete",
    "unequal budget",
    "underpowered",
    "negligible",
    "mixed code",
    "asynchronous search",
    "constraint not met",
]

MARKS: Mapping[Mark, str] = {  # {margin}: of the study, as in "1 point"
    "oracle": "reads which images are synthetic: a bound, not a method; it is no part of the correction",
    "incomplete": "a planned evaluation seed is missing or failed, or no tuning trial completed",
    "unequal budget": "tuning trials that gave a result took at least one full trial less than in another arm of this table",
    "underpowered": f"with this many pairs no difference, however large, reaches a corrected p of {ALPHA}",
    "negligible": "shown to differ from the full method by less than {margin} either way (equivalence test, Holm-corrected)",
    "mixed code": "some trials were run with other training code, libraries or data than the rest, and are counted on request",
    "asynchronous search": "suggestions and early stops depended on timing; another run may choose another configuration",
    "constraint not met": "no tuning trial met the study's constraints; the one that came closest was evaluated",
}
