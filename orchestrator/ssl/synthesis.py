"""`ablate data STUDY --synthesize FOLDER`: images of each class from a text-to-image pipeline, for studies to use."""

from __future__ import annotations

import importlib.util
import io
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from orchestrator.check.loading import LoadedStudy
from orchestrator.common.errors import AblateError
from orchestrator.common.folders import StudyFolders
from orchestrator.common.library_output import quiet_output
from orchestrator.running.live_view import PLAIN_SECONDS
from orchestrator.ssl.prompts import Prompts, read_prompts
from trainables.data import Dataset, dataset_of
from trainables.data.image_folder import SUFFIXES
from trainables.files import remove_temporary_files, write_atomically
from trainables.seeds import stream_seed

if TYPE_CHECKING:
    from PIL import Image

NEEDED = ("diffusers", "transformers")
INSTALL = "pip install 'rs-ablate[diffusers]'"
RECORD_NAME = "synthesis.json"
"""Beside the classes: with which settings images were made."""


class SynthesisFailed(AblateError):
    """A pipeline that cannot be had, or that does not do what it is asked for."""


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """What to make, and with what."""

    folder: Path
    pipeline: str
    """A folder, or a name on the hub."""
    prompt: str = "a photo of {class}"
    per_class: int = 100
    seed: int = 0
    steps: int | None = None
    """Of the pipeline's sampler; its own default unless given."""
    batch: int = 4
    resolution: int | None = None
    """Side in pixels at which the pipeline works; its own default unless given."""


@dataclass(frozen=True)
class _Wanted:
    """An image that is to be made."""

    name: str
    """Of the class."""
    number: int
    path: Path


def synthesize(loaded: LoadedStudy, options: SynthesisOptions, runs: Path, console: Console) -> None:
    """Make the images that the folder lacks. Image n of a class has its own noise, whatever else is made beside it.

    Images are written in the size and the colours of the study's dataset, so that `generators: [folder:FOLDER]` takes them.
    Raises SynthesisFailed, and InputError for a file of prompts that does not fit.
    """
    dataset = dataset_of(loaded.spec.data.dataset)
    prompts = read_prompts(options.prompt, dataset.classes)
    if options.folder.exists() and not options.folder.is_dir():
        raise SynthesisFailed(f"--synthesize {options.folder}: not a folder; name another place")
    wanted, there = _wanted(options, dataset.classes)
    if there:
        console.print(f"{options.folder}: {there} images are there and stay", highlight=False, soft_wrap=True)
    withheld = 0
    if wanted:
        _check_installed()
        folders = StudyFolders(runs, loaded.spec.study)
        folders.log.mkdir(parents=True, exist_ok=True)
        log = folders.log / "synthesis.log"
        note = f"loading {options.pipeline} (from the hub, unless it is a folder; its own messages go to {log}) …"
        console.print(note, highlight=False, soft_wrap=True)
        with quiet_output(log, console) as terminal:
            _record(options)
            withheld = _make(options, wanted, prompts, dataset, terminal)
    made = len(wanted) - withheld
    console.print(
        f"{options.folder}: {made} images made, {there + made} in all; a study takes them with "
        f'`generators: ["folder:{options.folder}"]`',
        highlight=False,
        soft_wrap=True,
    )
    if withheld:
        raise SynthesisFailed(
            f"{options.folder}: the pipeline's safety checker withheld {withheld} images; ask again with another --seed or "
            "--prompt, what is there stays"
        )


def _wanted(options: SynthesisOptions, classes: Sequence[str]) -> tuple[list[_Wanted], int]:
    """Images to make, class after class, and how many are there."""
    remove_temporary_files(options.folder)
    folders = {p.name.casefold(): p for p in options.folder.glob("*") if p.is_dir()}
    wanted, there = [], 0
    for name in classes:
        folder = folders.get(name.casefold(), options.folder / name)
        found = {p.name for p in folder.glob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")}
        there += len(found)
        number, left = 0, options.per_class - len(found)
        while left > 0:
            path = folder / f"{number:06}.png"
            if path.name not in found:
                wanted.append(_Wanted(name, number, path))
                left -= 1
            number += 1
    return wanted, there


def _check_installed() -> None:
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise SynthesisFailed(
            f"--synthesize needs {' and '.join(absent)}, which this Python does not have; `{INSTALL}`"
        )


def _record(options: SynthesisOptions) -> None:
    """Add the settings to those under which earlier images were made."""
    path = options.folder / RECORD_NAME
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items() if k != "folder"}
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        earlier = []
    earlier = earlier if isinstance(earlier, list) else []
    if settings not in earlier:
        write_atomically(path, json.dumps([*earlier, settings], indent=1).encode())


def _make(
    options: SynthesisOptions, wanted: Sequence[_Wanted], prompts: Prompts, dataset: Dataset, console: Console
) -> int:
    """Make and write images; returns how many the pipeline withheld."""
    import torch

    pipeline = _load(options.pipeline)
    sizes: dict[str, int] = {}
    if options.resolution is not None:
        sizes |= {"height": options.resolution, "width": options.resolution}
    if options.steps is not None:
        sizes["num_inference_steps"] = options.steps
    withheld = 0
    with _progress(console, len(wanted)) as tell:
        for start in range(0, len(wanted), options.batch):
            part = wanted[start : start + options.batch]
            asked = [prompts[w.name][w.number % len(prompts[w.name])] for w in part]
            noise = [
                torch.Generator("cpu").manual_seed(stream_seed(options.seed, "synthesize", w.name, w.number))
                for w in part
            ]
            try:
                answer = pipeline(prompt=asked, generator=noise, **sizes)
            except (
                Exception
            ) as problem:  # a pipeline raises most kinds of exception where it does not like what it is asked
                raise SynthesisFailed(_refusal(options, problem)) from problem
            flags = getattr(answer, "nsfw_content_detected", None) or [False] * len(part)
            for image, flagged, one in zip(answer.images, flags, part, strict=True):
                if flagged:
                    withheld += 1
                else:
                    write_atomically(one.path, _png(image, dataset.image_shape))
            tell(start + len(part))
    return withheld


def _load(name: str) -> Any:
    """The pipeline, on the device that this machine has. Only safetensors are read, and no code of a pipeline is run."""
    import torch
    from diffusers import AutoPipelineForText2Image

    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        pipeline = AutoPipelineForText2Image.from_pretrained(
            name,
            torch_dtype=torch.float16 if cuda else torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
        )
        pipeline = pipeline.to(device)
    except Exception as problem:  # files of others: whatever the loaders raise
        raise SynthesisFailed(
            f"--pipeline {name}: cannot be loaded ({_first_line(problem)}); expected a folder or a name on the hub with a "
            "text-to-image pipeline in the layout of diffusers, its weights as safetensors"
        ) from problem
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _refusal(options: SynthesisOptions, problem: Exception) -> str:
    import torch

    if isinstance(problem, torch.OutOfMemoryError):
        return f"--batch {options.batch}: out of memory; lower it, or --resolution, and go on: what is there stays"
    return (
        f"--pipeline {options.pipeline}: does not make images so ({_first_line(problem)}); other --steps or another "
        "--resolution may help"
    )


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0] if lines else 'no message'}"


def _png(image: Image.Image, shape: tuple[int, int, int]) -> bytes:
    """The image in the dataset's colours and size [C, H, W], as a PNG: cut to its proportions, then averaged down."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    fitted = ImageOps.fit(
        image.convert("L" if shape[0] == 1 else "RGB"), (shape[2], shape[1]), Pillow.Resampling.BICUBIC
    )
    content = io.BytesIO()
    fitted.save(content, "PNG")
    return content.getvalue()


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Any]:
    """A function to call with how many images are done: a bar in a terminal, elsewhere a line now and then."""
    if console.is_terminal:
        columns = (TextColumn("making images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    printed = time.monotonic()

    def tell(done: int) -> None:
        nonlocal printed
        if time.monotonic() - printed >= PLAIN_SECONDS:
            printed = time.monotonic()
            console.print(f"  {done}/{total} images", highlight=False)

    yield tell
