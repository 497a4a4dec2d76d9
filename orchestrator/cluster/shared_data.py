"""A study's images in Ray's object store: put there once, when the first trial that needs them is handed out."""

from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ray.exceptions import RayError

from trainables.data.datasets import DatasetDamaged, DatasetMissing
from trainables.data.made_elsewhere import made_fingerprints
from trainables.data.pools import PoolSpec, pool_path, read_pool
from trainables.data.seed_block import block_pools, load_dataset
from trainables.data.shared_images import SharedBlock, sealed
from trainables.specs import DataSpec, TrialSpec

POOLS_SHARE = 0.5
"""Synthetic pools fill at most so much of the smallest object store before the one that was used longest ago is let go."""
_log = logging.getLogger(__name__)


class SharedData:
    """Puts datasets and synthetic pools into the object store, and hands out references to them, trial by trial.

    The driver owns the objects, so they live as long as it holds the references and is alive. Nothing here can fail a study:
    a trial without references, or with some that are lost, reads the files.

    Args:
        cache: Folder of synthetic pools; what is not there yet is not shared.
        ray: The connected module.
    """

    def __init__(self, cache: Path, ray: Any) -> None:
        self._cache, self._ray = cache, ray
        self._datasets: dict[str, tuple[Any, Any]] = {}
        self._blocks: dict[tuple[DataSpec, int], list[PoolSpec]] = {}
        self._pools: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._broken = False
        stores = [n["Resources"].get("object_store_memory", 0) for n in ray.nodes() if n["Alive"]]
        self._room = POOLS_SHARE * min(stores, default=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all objects; the store frees each once no process reads it any more."""
        self._datasets.clear()
        self._pools.clear()

    def block(self, spec: TrialSpec) -> SharedBlock | None:
        """References for this trial, to the test part only if it is an evaluation; None where it must read files."""
        if self._broken:
            return None
        try:
            return self._block(spec)
        except (
            DatasetMissing,
            DatasetDamaged,
            FileNotFoundError,
        ) as problem:  # the trial makes it, or says what is wrong
            _log.info("images are not shared: %s", problem)
        except (RayError, OSError) as problem:
            self._broken = True
            _log.warning("images are not shared, every process reads the files: %s", problem)
        return None

    def _block(self, spec: TrialSpec) -> SharedBlock:
        data, seed = spec.data, spec.seed
        train, test = self._dataset(data.dataset)
        if (data, seed) not in self._blocks:
            self._blocks[data, seed] = block_pools(data, seed)
        pools = [self._pool(pool) for pool in self._blocks[data, seed]]
        allowed = test if spec.phase == "evaluate" else None
        found = SharedBlock(train=train, pools=pools, test=allowed, made=made_fingerprints(data))
        self._make_room({pool.key for pool in self._blocks[data, seed]})
        return found

    def _dataset(self, name: str) -> tuple[Any, Any]:
        if name not in self._datasets:
            train, official, fingerprint = load_dataset(name)
            train, test = sealed(name, train, official)
            self._datasets[name] = (self._ray.put((train, fingerprint)), self._ray.put(test))
        return self._datasets[name]

    def _pool(self, pool: PoolSpec) -> Any:
        if pool.key not in self._pools:
            images = read_pool(pool_path(self._cache, pool))
            self._pools[pool.key] = (self._ray.put(images), images.images.nbytes)  # with its fingerprint, known by now
        self._pools.move_to_end(pool.key)
        return self._pools[pool.key][0]

    def _make_room(self, needed: set[str]) -> None:
        total = sum(size for _, size in self._pools.values())
        for key in [k for k in self._pools if k not in needed]:
            if total <= self._room:
                return
            total -= self._pools.pop(key)[1]
