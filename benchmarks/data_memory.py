"""What a second and a third process on one node add to memory for the data.

    python benchmarks/data_memory.py [--images 60000] [--json]

A local Ray, a made-up dataset of 3×32×32 pixels, a synthetic pool a third of the unlabelled images, and one, two, three actors
that each train twelve steps of FixMatch on it with `trainables.trainable.AblationTrainable`, as `ablate run` has them do. Counted
is each process's own memory (`Private_Dirty` in /proc/PID/smaps_rollup, which leaves out the object store and the code of
libraries), before its trial and with the trial in motion, and the most in between, after a trial on a tiny dataset. The same with a
second tiny trial is subtracted, so that what is left is there for the data.

`store` reads the images from the object store, `files` is every process on its own. `added_share` is the most that a process other
than the first one keeps for the data, by the bytes of the dataset (training and test images, the pool not counted);
`added_share_peak` is the most that it ever held.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from orchestrator.cluster.connection import cluster
from orchestrator.cluster.shared_data import SharedData
from trainables.algorithms import ALGORITHMS
from trainables.data import Dataset, Images
from trainables.data.pools import pool_path
from trainables.data.seed_block import block_pools, load_dataset
from trainables.source import source_of
from trainables.specs import DataSpec, TrainingSpec, TrialSpec
from trainables.trainable import AblationTrainable

MIB = 2**20
TINY = 2000
ACTORS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory that processes add for the data", allow_abbrev=False)
    parser.add_argument("--images", type=int, default=60_000, help="training images of the large dataset")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    options = parser.parse_args()
    sizes = (TINY, options.images)
    with tempfile.TemporaryDirectory(prefix="ablate-memory-") as folder, local_ray(sizes) as ray:
        found = {
            (way, n): measure(ray, Path(folder), n, store=way == "store") for way in ("store", "files") for n in sizes
        }
    result = summary(found, options.images)
    if options.json:
        print(json.dumps(result))
        return
    Console(width=110).print(table(result))
    print(f"added_share: {100 * result['added_share']:.2f}% of {result['dataset_mib']:.0f} MiB")


def dataset_bytes(n: int) -> int:
    """Of training and test images."""
    return (n + n // 6) * 3 * 32 * 32


def summary(found: dict[tuple[str, int], list[dict[str, float]]], n: int) -> dict[str, Any]:
    """MiB that each actor has for the data, and the shares that the first one's successors add."""
    ways: dict[str, Any] = {}
    for way in ("store", "files"):
        tiny, large = found[way, TINY], found[way, n]
        for key in ("kept", "peak"):
            ways[f"{way}_{key}_mib"] = [(a[key] - b[key]) / MIB for a, b in zip(large, tiny, strict=True)]
    size = dataset_bytes(n) / MIB
    return {
        "added_share": max(ways["store_kept_mib"][1:]) / size,
        "added_share_peak": max(ways["store_peak_mib"][1:]) / size,
        "added_share_files": max(ways["files_kept_mib"][1:]) / size,
        "dataset_mib": size,
        **ways,
        "seconds_to_first_report": {way: [round(a["seconds"], 2) for a in found[way, n]] for way in ("store", "files")},
    }


def table(result: dict[str, Any]) -> Table:
    """One row an actor."""
    shown = Table(title="Private memory for the data, MiB", box=None, padding=(0, 2, 0, 0))
    for heading in ("", "store, kept", "store, most", "s", "files, kept", "files, most", "s"):
        shown.add_column(heading, justify="left" if not heading else "right")
    for i in range(ACTORS):
        cells = []
        for way in ("store", "files"):
            cells += [f"{result[f'{way}_{key}_mib'][i]:.1f}" for key in ("kept", "peak")]
            cells.append(f"{result['seconds_to_first_report'][way][i]:.1f}")
        shown.add_row(f"actor {i + 1}", *cells)
    return shown


@contextmanager
def local_ray(sizes: tuple[int, ...]) -> Iterator[Any]:
    """A local cluster like that of `ablate run`, in all processes of which the made-up datasets are known."""
    made = [made_up(n) for n in sizes]

    def register() -> None:
        from trainables.data import DATASETS  # of the process; a global of this script would be a copy of it

        DATASETS.update({dataset.name: dataset for dataset in made})

    register()
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "include_dashboard": False}
    environment = {"worker_process_setup_hook": register}
    ray.init(address="local", num_cpus=ACTORS, _node_ip_address="127.0.0.1", runtime_env=environment, **options)
    try:
        with cluster() as connected:
            yield connected
    finally:
        ray.shutdown()


def made_up(n: int) -> Dataset:
    """Noise, a sixth of it the official test part."""

    class MadeUp(Dataset):
        name = title = f"made-up-{n}"
        classes = tuple("0123456789")
        image_shape = (3, 32, 32)
        size = n
        test_size = n // 6
        official_test = True
        flip = True
        generator_size = n // 6

        def missing(self) -> str | None:
            return None

        def load(self) -> tuple[Images, Images | None]:
            return noise(n, 0), noise(n // 6, 1)

    return MadeUp()


def noise(n: int, seed: int) -> Images:
    rng = np.random.default_rng(seed)
    return Images(images=rng.integers(0, 256, (n, 3, 32, 32), np.uint8), labels=np.arange(n) % 10)


def trial(cache: Path, n: int, seed: int) -> TrialSpec:
    """A trial on the made-up dataset, whose synthetic pool lies in the cache afterwards."""
    data = DataSpec(dataset=f"made-up-{n}", labels_per_class=25, contamination=1 / 3, generators=("vae",))
    for pool in block_pools(data, seed):
        images = noise(pool.count, 2)
        if not (path := pool_path(cache, pool)).exists():
            np.savez(path, images=images.images, labels=images.labels, fingerprint=np.array(images.fingerprint))
    return TrialSpec(
        algorithm="fixmatch",
        hyperparameters=ALGORITHMS["fixmatch"].Config().values(),
        data=data,
        training=TrainingSpec(steps=24, reports=2),
        seed=seed,
        phase="evaluate",
        fingerprint=load_dataset(data.dataset)[2],
        source=source_of("fixmatch"),
    )


class Watched(AblationTrainable):
    """Tells its memory, its largest too."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin with a tiny trial, so that all is loaded."""
        self.most = 0
        super().setup({**config, "spec": config["warm"]})
        while not self.step()["done"]:
            pass
        self.reset_config(config)

    def begin(self) -> dict[str, Any]:
        """The first half of the trial."""
        ended = threading.Event()
        watch = threading.Thread(target=self.watch, args=(ended,))
        give_back()
        before = private_bytes()
        started = time.perf_counter()
        watch.start()
        result = self.step()["ablate"][0]
        ended.set()
        watch.join()
        give_back()
        if "failed" in result:
            raise RuntimeError(result["traceback"])
        return {
            "seconds": time.perf_counter() - started,
            "kept": private_bytes() - before,
            "peak": self.most - before,
        }

    def watch(self, ended: threading.Event) -> None:
        """Look a hundred times a second."""
        while not ended.wait(0.01):
            self.most = max(self.most, private_bytes())


def give_back() -> None:
    """What is free goes back to the system; else it would stay with the process or not, as chance has it."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def private_bytes() -> int:
    """Of this process alone."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    return int(rollup.partition("Private_Dirty:")[2].split()[0]) * 1024


def measure(ray: Any, folder: Path, n: int, *, store: bool) -> list[dict[str, float]]:
    """Bytes that one actor after another took, each with those before it still there."""
    cache = folder / "pools"
    cache.mkdir(exist_ok=True)
    spec = trial(cache, n, 0)
    config: dict[str, Any] = {
        "warm": trial(cache, TINY, 1).model_dump_json(),
        "cache": str(cache),
        "spec": spec.model_dump_json(),
    }
    found, actors = [], []
    with SharedData(cache, ray) as shared:
        for _ in range(ACTORS):
            config["checkpoints"] = tempfile.mkdtemp(dir=folder)  # else it would go on where the one before it is
            if store:
                config["shared"] = shared.block(spec)
            actors.append(ray.remote(num_cpus=1)(Watched).remote(config=config))
            found.append(ray.get(actors[-1].begin.remote()))
    for actor in actors:
        ray.kill(actor)
    return found


if __name__ == "__main__":
    main()
