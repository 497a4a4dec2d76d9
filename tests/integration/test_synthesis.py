"""Images from a text-to-image pipeline: a tiny one with random weights, made here and read from disk as any other."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from rich.console import Console

from orchestrator.check.loading import LoadedStudy, load_study
from orchestrator.cli.app import main
from orchestrator.ssl import synthesis
from orchestrator.ssl.synthesis import SynthesisFailed, SynthesisOptions, synthesize
from trainables.data import DATASETS
from trainables.data.image_folder import read_class_folders

pytestmark = pytest.mark.filterwarnings("ignore")
CLASSES = DATASETS["digits"].classes


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion of a few thousand random weights, saved as safetensors."""
    diffusers = pytest.importorskip("diffusers", reason="the extra `diffusers` is not installed")
    transformers = pytest.importorskip("transformers", reason="the extra `diffusers` is not installed")
    import torch

    folder = tmp_path_factory.mktemp("pipeline")
    tokens = ["<|startoftext|>", "<|endoftext|>", *"abcdefghijklmnopqrstuvwxyz0123456789"]
    tokens += [f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    torch.manual_seed(0)
    made = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(block_out_channels=[8, 8], norm_num_groups=4, down_block_types=["DownEncoderBlock2D"] * 2,
                                    up_block_types=["UpDecoderBlock2D"] * 2, latent_channels=4),
        text_encoder=transformers.CLIPTextModel(
            transformers.CLIPTextConfig(vocab_size=len(tokens), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                                        num_attention_heads=2, max_position_embeddings=77, bos_token_id=0, eos_token_id=1)
        ),
        tokenizer=transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77),
        unet=diffusers.UNet2DConditionModel(
            sample_size=16, block_out_channels=[8, 16], layers_per_block=1, norm_num_groups=4, cross_attention_dim=16,
            attention_head_dim=4, down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"],
            up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
        ),
        scheduler=diffusers.DDIMScheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    made.save_pretrained(folder / "tiny", safe_serialization=True)
    return folder / "tiny"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def study(folder: Path, **data: Any) -> LoadedStudy:
    """A study that names the folder which is to be made."""
    given = {"dataset": "digits", "labels_per_class": 2, "contamination": 0.02, "generators": ["folder:made"], **data}
    path = folder / "s.yaml"
    text = {"study": "s", "question": "q", "method": "rsmatch", "data": given}
    path.write_text(yaml.safe_dump(text), encoding="utf-8")
    return load_study(path, need_data=False)


def make(tmp_path: Path, pipeline: Path | str, **options: Any) -> str:
    """Make images below tmp_path/made; returns what was printed."""
    output = io.StringIO()
    given: dict[str, Any] = {"per_class": 2, "steps": 1, "batch": 8, "resolution": 32, **options}
    chosen = SynthesisOptions(**{"folder": tmp_path / "made", "pipeline": str(pipeline), **given})
    synthesize(study(tmp_path), chosen, tmp_path / "runs", Console(file=output, width=300))
    return output.getvalue()


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.png"))}


def test_a_study_takes_the_images_that_were_made_for_it(pipeline: Path, tmp_path: Path) -> None:
    said = make(tmp_path, pipeline)
    assert f'20 images made, 20 in all; a study takes them with `generators: ["folder:{tmp_path / "made"}"]`' in said
    images = read_class_folders(tmp_path / "made", CLASSES, (1, 8, 8))
    assert len(images) == 20
    assert len({i.tobytes() for i in images.images}) == 20, "each has noise of its own"
    assert load_study(tmp_path / "s.yaml").spec.data.generators == (f"folder:{tmp_path / 'made'}",)
    (settings,) = json.loads((tmp_path / "made" / "synthesis.json").read_text(encoding="utf-8"))
    assert settings["pipeline"] == str(pipeline)
    assert settings["prompt"] == "a photo of {class}"


def test_what_is_there_stays_and_what_is_missing_is_made_as_it_would_have_been(pipeline: Path, tmp_path: Path) -> None:
    make(tmp_path, pipeline)
    first = files(tmp_path / "made")
    kept = tmp_path / "made" / "3" / "000000.png"
    Image.new("L", (8, 8), 7).save(kept)
    drawn = kept.read_bytes()
    (tmp_path / "made" / "5" / "000001.png").unlink()
    left = tmp_path / "made" / "6" / ".tmp-99999999-half.png"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    said = make(tmp_path, pipeline, batch=1)
    assert "19 images are there and stay" in said
    assert "1 images made, 20 in all" in said
    again = files(tmp_path / "made")
    assert again.pop("3/000000.png") == drawn
    del first["3/000000.png"]
    assert again == first
    assert make(tmp_path, "nowhere").count("images are there and stay") == 1, "with nothing to do, nothing is loaded"
    (tmp_path / "made" / "9").rename(tmp_path / "made" / "NINE")
    shutil.rmtree(tmp_path / "made" / "NINE")
    make(tmp_path, pipeline, per_class=1)
    assert len(files(tmp_path / "made")) == 19


def test_seed_and_prompt_decide(pipeline: Path, tmp_path: Path) -> None:
    def one(name: str, **options: Any) -> dict[str, bytes]:
        make(tmp_path, pipeline, folder=tmp_path / name, per_class=1, **options)
        return files(tmp_path / name)

    first = one("a")
    assert one("b") == first
    assert one("c", seed=1) != first
    assert one("d", prompt="zebra {class}") != first


def test_prompts_of_a_class_take_turns(pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts: dict[str, Any] = {name: f"number {name}" for name in CLASSES}
    prompts["4"] = ["four", "quattro", "vier"]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(prompts), encoding="utf-8")
    asked: list[str] = []
    load = synthesis._load

    def spy(name: str) -> Any:
        loaded = load(name)

        class Spied:
            def __call__(self, prompt: list[str], **others: Any) -> Any:
                assert others["num_inference_steps"] == 1
                asked.extend(prompt)
                return loaded(prompt=prompt, **others)

        return Spied()

    monkeypatch.setattr(synthesis, "_load", spy)
    make(tmp_path, pipeline, prompt=str(tmp_path / "p.yaml"), per_class=4)
    assert asked[16:20] == ["four", "quattro", "vier", "four"]
    assert asked[:4] == ["number 0"] * 4
    assert len(asked) == 40


def test_what_a_safety_checker_withholds_is_not_written(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answer:
        def __init__(self, n: int) -> None:
            self.images = [Image.new("RGB", (32, 24), (200, 0, 0))] * n
            self.nsfw_content_detected = [True] + [False] * (n - 1)

    monkeypatch.setattr(synthesis, "_load", lambda name: lambda prompt, **_: Answer(len(prompt)))
    with pytest.raises(SynthesisFailed, match="withheld 3 images; ask again with another --seed"):
        make(tmp_path, pipeline)
    assert len(files(tmp_path / "made")) == 17


def hostile(folder: Path, place: str, witness: Path) -> None:
    """Put a pickle that runs code in the place of a component's weights."""
    import torch

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (witness,)

    for path in (folder / place).glob("*.safetensors"):
        path.unlink()
        name = {"text_encoder": "pytorch_model.bin"}.get(place, "diffusion_pytorch_model.bin")
        torch.save({"weight": Payload()}, path.with_name(name))


@pytest.mark.parametrize("place", ["unet", "vae", "text_encoder"])
def test_weights_that_are_no_safetensors_are_refused_and_not_run(place: str, pipeline: Path, tmp_path: Path) -> None:
    shutil.copytree(pipeline, tmp_path / "pipeline")
    hostile(tmp_path / "pipeline", place, tmp_path / "witness")
    with pytest.raises(SynthesisFailed, match=r"cannot be loaded .* its weights as safetensors"):
        make(tmp_path, tmp_path / "pipeline")
    assert not (tmp_path / "witness").exists()
    assert not files(tmp_path / "made")


def test_code_beside_a_pipeline_is_not_run(pipeline: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pipeline"
    shutil.copytree(pipeline, folder)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index["unet"] = ["mine", "Mine"]
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "unet" / "mine.py").write_text(
        f"import pathlib; pathlib.Path({str(tmp_path / 'witness')!r}).touch()\nclass Mine: pass\n", encoding="utf-8"
    )
    with pytest.raises(SynthesisFailed, match="cannot be loaded"):
        make(tmp_path, folder)
    assert not (tmp_path / "witness").exists()


def test_a_pipeline_that_is_not_there_or_does_other_things_is_a_sentence(pipeline: Path, tmp_path: Path) -> None:
    with pytest.raises(SynthesisFailed, match=r"--pipeline .*nowhere: cannot be loaded \(\w+: .*expected a folder"):
        make(tmp_path, tmp_path / "nowhere")
    with pytest.raises(SynthesisFailed, match="--resolution may help"):
        make(tmp_path, pipeline, resolution=33)
    (tmp_path / "made2").write_text("x", encoding="utf-8")
    with pytest.raises(SynthesisFailed, match="not a folder"):
        make(tmp_path, pipeline, folder=tmp_path / "made2")


def test_without_the_extra_the_command_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(synthesis, "NEEDED", ("diffusers_of_nobody",))
    study(tmp_path)
    monkeypatch.chdir(tmp_path)

    def ablate(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ablate", "data", "s.yaml", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(str(end.value.code)), capsys.readouterr().err

    status, said = ablate("--synthesize", "made", "--pipeline", "tiny")
    assert status == 2
    assert "needs diffusers_of_nobody, which this Python does not have; `pip install 'rs-ablate[diffusers]'`" in said
    for arguments in (["--synthesize", "made"], ["--pipeline", "x"], ["--steps", "3"], ["--seed", "0"]):
        status, said = ablate(*arguments)
        assert status == 2
        assert "go together" in said
    status, said = ablate("--synthesize", "made", "--pipeline", "x", "--prompt", "a photo")
    assert status == 2
    assert said.startswith("--prompt: 'a photo' has no {class}")
