"""Learning curves and configurations of many records in little memory: compressed JSON, parsed when somebody looks.

A hundred points as Python objects take about 10 kB, and a study of 100,000 trials has ten million of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any, Self

import pyarrow as pa

from results.records.documents import check_text, decode, parse
from results.records.trial_record import LARGEST_COUNT, Curve
from trainables.numbers import LARGEST_NUMBER

TEXTS_PER_BLOCK = 16
"""So many texts are compressed together: enough for names to cost nothing, few enough to unpack one quickly."""
KEPT_PARSED = 512
_SEPARATOR = b"\0"  # which no JSON text contains
_CODEC = "zstd"
_DECODER = json.JSONDecoder()
DAMAGE = (ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)
"""What a look at content that no trial wrote raises."""


class ContentDamaged(ValueError):
    """A record's curves or configuration are not what a trial leaves: somebody changed the ledger, digest and all."""

    def __init__(self, problem: BaseException) -> None:
        super().__init__(
            f"the ledger has curves or a configuration that no trial wrote ({' '.join(str(problem).split())[:200]}); "
            "`ablate run` sets it aside and runs its trials again, or put a copy of it in its place"
        )


class Block:
    """JSON texts that are compressed together."""

    __slots__ = ("_packed", "_size")

    def __init__(self, texts: Sequence[str]) -> None:
        content = _SEPARATOR.join(text.encode() for text in texts)
        self._size = len(content)
        self._packed: bytes = pa.compress(content, codec=_CODEC, asbytes=True)

    def texts(self) -> list[bytes]:
        """All of them, as UTF-8."""
        content: bytes = pa.decompress(self._packed, self._size, codec=_CODEC, asbytes=True)
        return content.split(_SEPARATOR)


@lru_cache(maxsize=16)
def _unpacked(block: Block) -> list[bytes]:
    return block.texts()  # whoever looks at one record is likely to look at the next


class Packed(Mapping[str, Any]):
    """A JSON object, equal to the plain dictionary with the same content.

    A look may parse the text again (about 0.1 ms for all curves of a record); the last some hundred looked at stay parsed.

    Args:
        block: The block that has the text.
        place: Where in the block.
    """

    __slots__ = ("_block", "_place")

    def __init__(self, block: Block, place: int) -> None:
        self._block = block
        self._place = place

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """That value, packed. Raises ValueError for what JSON lacks."""
        if isinstance(value, cls):
            return value
        return cls(Block([json.dumps(value, sort_keys=True, allow_nan=False, default=dict)]), 0)

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> list[Self]:
        """One for each JSON text; equal texts give the same one."""
        found: dict[str, Self] = {}
        kinds = list(dict.fromkeys(texts))
        for start in range(0, len(kinds), TEXTS_PER_BLOCK):
            some = kinds[start : start + TEXTS_PER_BLOCK]
            block = Block(some)
            found.update((text, cls(block, place)) for place, text in enumerate(some))
        return [found[text] for text in texts]

    @property
    def text(self) -> str:
        """The JSON text."""
        return _unpacked(self._block)[self._place].decode()

    def _parsed(self) -> dict[str, Any]:
        return _parsed(self._block, self._place)

    def __getitem__(self, name: str) -> Any:
        return self._parsed()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed())

    def __len__(self) -> int:
        return len(self._parsed())

    def __repr__(self) -> str:
        return repr(self._parsed())

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self.text)


class PackedCurves(Packed):
    """Metric name to (step, value) pairs. A look at one curve parses that one alone."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Curve:
        if name.isascii() and name.isidentifier():  # then no other name, however odd, looks like this one in the text
            text, key = self.text, f'"{name}": ['
            at = 1 if text.startswith(key, 1) else text.find(f", {key}") + 2
            if text.startswith(key, at):
                try:
                    return _points(_DECODER.raw_decode(text, at + len(key) - 1)[0])
                except DAMAGE as problem:
                    raise ContentDamaged(problem) from problem
        curve: Curve = self._parsed()[name]
        return curve

    def _parsed(self) -> dict[str, Any]:
        return _parsed_curves(self._block, self._place)


def _unpickled(kind: type[Packed], text: str) -> Packed:
    return kind(Block([text]), 0)


@lru_cache(maxsize=KEPT_PARSED)
def _parsed(block: Block, place: int) -> dict[str, Any]:
    try:
        value: dict[str, Any] = parse(_unpacked(block)[place])
        value.keys()  # which nothing but an object has
        return value
    except DAMAGE as problem:
        raise ContentDamaged(problem) from problem


@lru_cache(maxsize=KEPT_PARSED)
def _parsed_curves(block: Block, place: int) -> dict[str, Curve]:
    try:
        return check_curves(_unpacked(block)[place])
    except DAMAGE as problem:
        raise ContentDamaged(problem) from problem


def check_curves(text: str | bytes) -> dict[str, Curve]:
    """The curves in a JSON text. Raises one of `DAMAGE` where it holds none."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    curves = decode(_DECODER, text)
    if "\\u" in text:
        for name in curves:
            check_text(name)
    return {name: _points(points) for name, points in curves.items()}


def _points(points: Sequence[Sequence[float]]) -> Curve:
    """A curve; its numbers are looked at together, which takes a fifth of the time that each by itself would."""
    if not points:
        return []
    steps, values = zip(*points, strict=True)
    if not (
        set(map(type, steps)) == {int}
        and set(map(type, values)) <= {float, int}
        and 0 <= min(steps) <= max(steps) <= LARGEST_COUNT
        and min(values) >= -LARGEST_NUMBER
        and max(values) <= LARGEST_NUMBER
        and isfinite(sum(values))
    ):
        raise ValueError("a curve has something else than a step and a finite number in a point")
    return list(zip(steps, map(float, values), strict=True))
