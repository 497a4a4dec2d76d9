"""Learning curves of many records in little memory: kept as compressed JSON, parsed when somebody looks.

A hundred points as Python objects take about 10 kB, and a study of 100,000 trials has ten million of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from results.records import Curve

TEXTS_PER_BLOCK = 16
"""So many records' curves are compressed together: enough for names to cost nothing, few enough to unpack one quickly."""
_SEPARATOR = b"\0"  # which no JSON text contains
_CODEC = "zstd"


class Block:
    """JSON texts that are compressed together."""

    __slots__ = ("_packed", "_size")

    def __init__(self, texts: Sequence[str]) -> None:
        content = _SEPARATOR.join(text.encode() for text in texts)
        self._size = len(content)
        self._packed: bytes = pa.compress(content, codec=_CODEC, asbytes=True)

    def text(self, place: int) -> str:
        """The text at `place`, from 0."""
        content: bytes = pa.decompress(self._packed, self._size, codec=_CODEC, asbytes=True)
        return content.split(_SEPARATOR)[place].decode()


class PackedCurves(Mapping[str, Curve]):
    """Metric name to (step, value) pairs, equal to the plain dictionary of them.

    Each look may parse the record's JSON again (about 0.1 ms); the last some hundred records looked at stay parsed.
    """

    __slots__ = ("_block", "_place")

    def __init__(self, block: Block, place: int) -> None:
        self._block = block
        self._place = place

    @classmethod
    def pack(cls, curves: Mapping[str, Curve]) -> PackedCurves:
        """Those curves, packed. Raises ValueError for a value that JSON lacks."""
        if isinstance(curves, PackedCurves):
            return curves
        return cls(Block([json.dumps(dict(curves), sort_keys=True, allow_nan=False)]), 0)

    @classmethod
    def pack_texts(cls, texts: Sequence[str]) -> list[PackedCurves]:
        """One for each JSON text."""
        packed = []
        for start in range(0, len(texts), TEXTS_PER_BLOCK):
            some = texts[start : start + TEXTS_PER_BLOCK]
            block = Block(some)
            packed += [cls(block, place) for place in range(len(some))]
        return packed

    @property
    def text(self) -> str:
        """The curves as JSON."""
        return self._block.text(self._place)

    def __getitem__(self, name: str) -> Curve:
        return _parsed(self._block, self._place)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_parsed(self._block, self._place))

    def __len__(self) -> int:
        return len(_parsed(self._block, self._place))

    def __repr__(self) -> str:
        return repr(_parsed(self._block, self._place))

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_text, (self.text,)


def _from_text(text: str) -> PackedCurves:
    return PackedCurves(Block([text]), 0)


@lru_cache(maxsize=512)
def _parsed(block: Block, place: int) -> dict[str, Curve]:
    curves = json.loads(block.text(place))
    return {name: [(int(step), float(value)) for step, value in points] for name, points in curves.items()}
