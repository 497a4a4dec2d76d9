"""What is made of images before trials start (generators, synthetic pools), as Ray tasks that say how far they are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from orchestrator.cluster.watch import lost_cluster
from orchestrator.common.signals import end_if_told
from orchestrator.running.live_view import PLAIN_SECONDS
from orchestrator.storage.pool_cache import PoolCache
from trainables.data.base import DatasetDamaged, DatasetMissing
from trainables.data.datasets import dataset_of
from trainables.data.fitted import FitSpec, fit_path
from trainables.data.pools import Report, pool_path
from trainables.data.seed_block import block_pools, missing_fits
from trainables.specs import DataSpec

REPORT_SECONDS = 0.5
"""Between two reports of a task."""
LOOK_SECONDS = 0.25
"""Between two looks at what the tasks report."""
MOST_LINES = 8
"""Tasks that a terminal shows by name."""

Stages = dict[str, tuple[str, int, int]]
"""By task: what it is doing, how much of that is done, and how much there is."""


class Board:
    """What running tasks last said; an actor, to which they all write."""

    def __init__(self) -> None:
        self._stages: Stages = {}

    def tell(self, task: str, doing: str, done: int, total: int) -> None:
        """Note how far a task is."""
        self._stages[task] = (doing, done, total)

    def end(self, task: str) -> None:
        """Note that a task is over."""
        self._stages.pop(task, None)

    def read(self) -> Stages:
        """The last word of each running task."""
        return self._stages


@contextmanager
def reporting(board: Any, task: str) -> Iterator[Report]:
    """In a task: a function that tells the board, now and then, how far `task` is."""
    last = -REPORT_SECONDS

    def report(doing: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_SECONDS:
            last = time.monotonic()
            board.tell.remote(task, doing, done, total)

    try:
        yield report
    finally:
        board.end.remote(task)


class BuildView:
    """Progress of tasks: a live list in a terminal, elsewhere a line now and then.

    Args:
        console: Where to write.
        total: Pieces that are to be made.
        word: What a piece is, in the plural.
    """

    def __init__(self, console: Console, total: int, word: str) -> None:
        self._console, self._total, self._word = console, total, word
        self._done = 0
        self._stages: Stages = {}
        self._printed = time.monotonic()

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Keep the list on the screen for the length of the block."""
        if not self._console.is_terminal:
            yield
            return
        with Live(get_renderable=self._render, console=self._console, refresh_per_second=4, transient=True):
            yield

    def update(self, done: int, stages: Stages) -> None:
        """Show that so many pieces are done, and what the running tasks say."""
        more = done > self._done
        self._done, self._stages = done, stages
        if more:
            self._line(f"  {done}/{self._total} {self._word}")
        elif not self._console.is_terminal and stages and time.monotonic() - self._printed >= PLAIN_SECONDS:
            self._line(f"  {done}/{self._total} {self._word}; {'; '.join(self._lines())}")

    def _line(self, text: str) -> None:
        self._printed = time.monotonic()
        self._console.print(text, highlight=False, soft_wrap=True)

    def _lines(self) -> list[str]:
        return [
            f"{task}: {doing} {100 * done // max(total, 1)}%" for task, (doing, done, total) in self._stages.items()
        ]

    def _render(self) -> Group:
        lines = self._lines()
        more = [Text(f"  and {len(lines) - MOST_LINES} more", style="dim")] if len(lines) > MOST_LINES else []
        return Group(
            ProgressBar(total=max(self._total, 1), completed=self._done, width=60),
            *(Text(f"  {line}") for line in lines[:MOST_LINES]),
            *more,
        )


def wait_for(ray: Any, tasks: Sequence[Any], board: Any, view: BuildView) -> None:
    """Wait for all tasks, and show how far they are. What a task raises about images is raised here as it was there."""
    waiting = list(tasks)
    with view.showing():
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1, timeout=LOOK_SECONDS)
            end_if_told()
            if lost := lost_cluster():
                raise lost
            try:
                ray.get(done)
            except ray.exceptions.RayTaskError as problem:
                if isinstance(problem.cause, DatasetMissing | DatasetDamaged):
                    raise problem.cause from None
                raise
            stages: Stages = {}
            with suppress(ray.exceptions.RayError):  # progress is a kindness; what it is about goes on without it
                stages = ray.get(board.read.remote(), timeout=5)
            view.update(len(tasks) - len(waiting), stages)


def build_pools(
    ray: Any, jobs: Sequence[tuple[DataSpec, int]], cache: PoolCache, *, gpus: float, console: Console
) -> None:
    """Make the synthetic pools of these seed blocks side by side, and say how far they are.

    Each generator is trained once, in a task of its own; the pools of all sizes that are drawn from it wait for that.
    """
    if not jobs:
        return

    @ray.remote(num_cpus=1, num_gpus=gpus, max_retries=3)  # type: ignore[untyped-decorator]
    def fit(
        fit_values: Mapping[str, Any], spec_json: str, cache: PoolCache, started_in: str, name: str, board: Any
    ) -> None:
        from trainables.data.seed_block import make_fit

        device, wanted = prepare_task(started_in), FitSpec(**fit_values)
        with reporting(board, name) as report, cache.opened([fit_path(Path(), wanted).name]) as folder:
            make_fit(wanted, DataSpec.model_validate_json(spec_json), folder, device=device, report=report)

    @ray.remote(num_cpus=1, num_gpus=gpus, max_retries=3)  # type: ignore[untyped-decorator]
    def build(spec_json: str, seed: int, cache: PoolCache, started_in: str, name: str, board: Any, *fits: None) -> None:
        from trainables.data.seed_block import make_pools

        device, spec = prepare_task(started_in), DataSpec.model_validate_json(spec_json)
        with reporting(board, name) as report, cache.opened(cache_names(spec, seed)) as folder:
            make_pools(spec, seed, folder, device=device, report=report)

    board = ray.remote(Board).options(num_cpus=0).remote()
    started_in = str(Path.cwd())
    trained: dict[FitSpec, Any] = {}
    blocks = []
    for spec, seed in jobs:
        text, title = spec.model_dump_json(), f"{dataset_of(spec.dataset).title}, seed {seed}"
        fits = missing_fits(spec, seed, cache.folder)
        for wanted in fits:
            if wanted not in trained:
                name = f"{title}, {wanted.generator}"
                trained[wanted] = fit.remote(wanted.__dict__, text, cache, started_in, name, board)
        name = f"{title}, {spec.contamination:.0%} synthetic"
        blocks.append(build.remote(text, seed, cache, started_in, name, board, *(trained[f] for f in fits)))
    training = f", training {len(trained)} generators" if trained else ""
    console.print(f"making synthetic images for {len(jobs)} seed blocks{training} …", highlight=False)
    wait_for(ray, blocks, board, BuildView(console, len(jobs), "seed blocks"))
    cache.bring(name for spec, seed in jobs for name in cache_names(spec, seed))


def recognise_pools(
    ray: Any, jobs: Sequence[tuple[DataSpec, int]], cache: PoolCache, *, gpus: float, console: Console
) -> None:
    """Find out how well a classifier of real images recognises these seed blocks' pools, and say how far that is.

    Blocks that share a generator part are one task, for they share the classifier.
    """
    if not jobs:
        return

    @ray.remote(num_cpus=1, num_gpus=gpus, max_retries=3)  # type: ignore[untyped-decorator]
    def look(specs: Sequence[str], seed: int, cache: PoolCache, started_in: str, name: str, board: Any) -> None:
        from trainables.data.recognition import recognise

        device = prepare_task(started_in)
        wanted = [DataSpec.model_validate_json(text) for text in specs]
        names = [name for spec in wanted for name in cache_names(spec, seed)]
        with reporting(board, name) as report, cache.opened(names) as folder:
            for spec in wanted:
                recognise(spec, seed, folder, device=device, report=report)

    board = ray.remote(Board).options(num_cpus=0).remote()
    together: dict[tuple[str, int], list[str]] = {}
    for spec, seed in jobs:
        together.setdefault((spec.dataset, seed), []).append(spec.model_dump_json())
    console.print(f"training {len(together)} classifiers on real images, to see what they recognise …", highlight=False)
    started_in = str(Path.cwd())
    tasks = [
        look.remote(specs, seed, cache, started_in, f"{dataset_of(dataset).title}, seed {seed}", board)
        for (dataset, seed), specs in together.items()
    ]
    wait_for(ray, tasks, board, BuildView(console, len(tasks), "classifiers"))


def cache_names(spec: DataSpec, seed: int) -> list[str]:
    """The files that a seed block's synthetic images are in, and the generators that they are drawn from."""
    pools = block_pools(spec, seed)
    return [pool_path(Path(), p).name for p in pools] + [fit_path(Path(), p.fit).name for p in pools]


def prepare_task(started_in: str) -> str:
    """In a task: look for datasets from where the study was started, with one thread; returns the device to compute on."""
    import torch

    from trainables.data.base import look_from

    look_from(Path(started_in))
    torch.set_num_threads(1)
    return "cuda" if torch.cuda.is_available() else "cpu"
