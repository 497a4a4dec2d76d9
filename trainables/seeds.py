"""Independent random streams of one seed block, found by name; no stream's draws move another's."""

from __future__ import annotations

import hashlib


def stream_seed(seed: int, *path: str | int) -> int:
    """63-bit seed of the stream at `path` (`"views", 120`) in the block `seed`."""
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
