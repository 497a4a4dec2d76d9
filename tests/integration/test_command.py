"""The `ablate` command as a user meets it: output, exit status, and no traceback for a mistake."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.integration.studies import ablate, environment, write_study

BAD_FILES = {
    "unknown key": ("study: a\nquestoin: b\nmethod: rsmatch\ndata: {dataset: digits}\n", "did you mean 'question'"),
    "unknown component": (
        "study: a\nquestion: b\nmethod: rsmatch\ndata: {dataset: digits}\ncomponents: {queu: off}\n",
        "did you mean 'queue'",
    ),
    "wrong type": (
        "study: a\nquestion: b\nmethod: rsmatch\ndata: {dataset: digits}\nsearch: {trials: six}\n",
        "expected a whole number",
    ),
    "out of range": (
        "study: a\nquestion: b\nmethod: rsmatch\ndata: {dataset: digits, contamination: 1.5}\n",
        "contamination",
    ),
    "negative seed": (
        "study: a\nquestion: b\nmethod: rsmatch\ndata: {dataset: digits}\nevaluate: {seeds: [-1, 2, 3, 4, 5, 6]}\n",
        "seed",
    ),
    "needed component": (
        "study: a\nquestion: b\nmethod: rsmatch\ndata: {dataset: digits}\ncomponents: {detector: off}\n",
        "need it",
    ),
    "unknown dataset": ("study: a\nquestion: b\nmethod: rsmatch\ndata: {dataset: digts}\n", "did you mean 'digits'"),
    "syntax": ("study: [a\nquestion: b\n", ":"),
    "object tag": ("study: !!python/object/apply:os.system ['echo hi']\n", "tag"),
    "name that climbs": ("study: ../x\nquestion: b\nmethod: rsmatch\ndata: {dataset: digits}\n", "names a folder"),
    "empty": ("", "is empty"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_wrong_input_ends_with_status_2_and_sentences(case, tmp_path):
    text, expected = BAD_FILES[case]
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    result = ablate("plan", "bad.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert expected in result.stderr
    assert all(line.startswith("bad.yaml") for line in result.stderr.strip().splitlines())
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "bad.yaml").write_bytes(bytes(range(256)))
    result = ablate("run", "bad.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_all_problems_at_once_and_before_anything_heavy_is_imported(tmp_path):
    (tmp_path / "bad.yaml").write_text(
        "study: ../x\nmethod: rsmatch\nquestoin: why\ndata: {dataset: cifar11}\nsearch: {trials: six}\n",
        encoding="utf-8",
    )
    code = (
        "import sys\nfrom orchestrator.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    status = end.code\n"
        "heavy = {'torch', 'ray', 'optuna', 'mlflow', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "print(status, sorted(heavy))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "plan", "bad.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert result.stdout.strip() == "2 []"
    assert len(result.stderr.strip().splitlines()) == 4


def test_a_dataset_that_is_not_there_says_how_to_get_it(tmp_path):
    study = write_study(tmp_path, data={"dataset": "fashion-mnist"})
    code = (
        "from trainables.data.datasets import FashionMNIST\nFashionMNIST.folders = ()\n"
        "from orchestrator.cli.app import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "run", str(study)], cwd=tmp_path, capture_output=True, text=True, env=environment()
    )
    assert result.returncode == 2
    assert "torchvision.datasets.FashionMNIST" in result.stderr


def test_plan_says_what_would_run_and_takes_overrides(tmp_path):
    study = write_study(tmp_path)
    plain = json.loads(ablate("plan", study, "--json", cwd=tmp_path).stdout)
    assert plain["trials"] == plain["to_run"] == 21
    assert [c["arm"] for c in plain["cells"]] == ["rsmatch", "rsmatch-without-queue", "fixmatch"]
    assert plain["smallest_p"] == 0.5
    more = ablate("plan", study, "--json", "--set", "evaluate.seeds=7", "--set", "search.trials=0", cwd=tmp_path)
    assert json.loads(more.stdout)["trials"] == 21
    wrong = ablate("plan", study, "--set", "evaluate.sedes=7", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "--set evaluate.sedes=7" in wrong.stderr
    assert "did you mean 'seeds'" in wrong.stderr


def test_studies_that_never_ran_are_named(tmp_path):
    for verb in ("status", "report", "sync"):
        result = ablate(verb, "nothing", cwd=tmp_path)
        assert result.returncode == 2, verb
        assert "no study has run" in result.stderr


def test_list_and_doctor(tmp_path):
    listed = ablate("list", cwd=tmp_path)
    assert listed.returncode == 0
    for name in ("rsmatch", "class-wise", "fashion-mnist", "flow", "loss-weights"):
        assert name in listed.stdout
    for line in ablate("list", "algorithms", cwd=tmp_path).stdout.splitlines()[2:]:
        assert ("oracle, a baseline only" in line) == line.startswith("oracle-")
    wrong = ablate("list", "algoritms", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean 'algorithms'" in wrong.stderr
    doctor = ablate("doctor", "--json", cwd=tmp_path)
    assert doctor.returncode == 0
    assert {"Python", "packages", "machine"} <= {f["name"] for f in json.loads(doctor.stdout)["findings"]}


def test_an_unknown_option_is_a_usage_error(tmp_path):
    result = ablate("run", "--frobnicate", cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_data_shows_counts_hashes_and_what_is_recognised_and_finds_it_out_once(tmp_path):
    study = write_study(
        tmp_path,
        data={"generators": ["pca"]},
        search={"trials": 0},
        conditions={"data.contamination": [0.0, 0.3]},
    )
    first = ablate("data", study, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "making synthetic images for 2 seed blocks, training 2 generators …" in first.stdout
    assert "  2/2 classifiers" in first.stdout
    rows = [line for line in first.stdout.splitlines() if "synthetic, pca" in line]
    assert len(rows) == 2
    for row in rows:
        number, _, share = row.split()[-3:]
        assert int(number) > 100
        assert 20 < float(share) <= 100
    assert first.stdout.count("validation, real") == 4
    again = ablate("data", study, cwd=tmp_path)
    assert [line for line in again.stdout.splitlines() if "synthetic, pca" in line] == rows
    assert "training" not in again.stdout.split("recognised:")[0]
    told = json.loads(ablate("data", study, "--json", cwd=tmp_path).stdout)
    assert len(told["blocks"]) == 4
    pools = [part for block in told["blocks"] for part in block["parts"] if part["images"] == "synthetic, pca"]
    assert [f"{100 * pool['recognised']:.1f}" for pool in pools] == [row.split()[-1] for row in rows]
    assert [block["test"] is None for block in told["blocks"]] == [block["phase"] == "tune" for block in told["blocks"]]
    assert (tmp_path / told["picture"]).is_file()
