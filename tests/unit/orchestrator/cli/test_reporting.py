"""`ablate report` and `ablate compare`, on studies that were never trained."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.common.errors import AblateError
from tests.unit.results.factories import manifest, study_records, write_study


@pytest.fixture
def runs(tmp_path):
    study = manifest()
    records = study_records(study)
    write_study(tmp_path / "runs" / "digits", study, records)
    worse = [
        dataclasses.replace(r, metrics={**r.metrics, "test_error": r.metrics["test_error"] + 3})
        if r.phase == "evaluate" and r.arm == "fixmatch"
        else r
        for r in records
    ]
    write_study(tmp_path / "runs" / "other", dataclasses.replace(study, study="other"), worse)
    return tmp_path / "runs"


def ablate(*arguments):
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_report_in_a_style_and_as_json(runs):
    shown = json.loads(ablate("report", "digits", "--runs", runs, "--style", "std", "--decimals", "3", "--json").stdout)
    assert any(path.endswith("report/report.html") for path in shown["files"])
    assert shown["verdict"]
    table = (runs / "digits" / "report" / "table.md").read_text(encoding="utf-8")
    assert "mean ± std" in table
    assert "Difference to" not in table.partition("| :--")[0]


def test_report_of_single_parts(runs):
    done = ablate("report", "digits", "--runs", runs, "--only", "effects", "--only", "table")
    files = {p.name for p in (runs / "digits" / "report").rglob("*") if p.is_file()}
    assert files == {f"effects.{k}" for k in ("svg", "pdf", "csv")} | {
        f"table.{k}" for k in ("md", "tex", "csv", "parquet", "json")
    }
    assert done.stdout.count("report/") == len(files)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "efects"), "--only: no table or figure 'efects' in this report; did you mean 'effects'?"),
        (("--style", "papr"), "--style: no preset or column 'papr'; did you mean 'paper'?"),
        (("--style", "error,hlm"), "did you mean 'holm'?"),
    ],
)
def test_what_is_not_there_is_refused_with_the_nearest_name(runs, arguments, said):
    with pytest.raises(AblateError) as refused:
        ablate("report", "digits", "--runs", runs, *arguments)
    assert said in str(refused.value)
    assert not (runs / "digits" / "report").exists()


def test_options_that_exclude_each_other(runs):
    assert ablate("report", "digits", "--runs", runs, "--watch", "--address", "http://127.0.0.1:1").exit_code == 2
    assert ablate("report", "digits", "--runs", runs, "--watch", "--json").exit_code == 2


def test_compare_says_what_moved(runs):
    done = ablate("compare", "digits", "other", "--runs", runs)
    assert "From digits to other" in done.stdout
    found = json.loads(ablate("compare", "digits", runs / "other", "--runs", runs, "--json").stdout)
    moved = {cell["arm"]: cell["difference"] for cell in found["cells"] if cell["difference"]}
    assert moved == {"fixmatch": pytest.approx(3.0)}
    assert "Nothing moved" in ablate("compare", "digits", "digits", "--runs", runs).stdout


def test_a_commit_that_never_ran_is_refused(runs):
    with pytest.raises(AblateError, match="no evaluated trial at commit 'ffff'"):
        ablate("compare", "digits@ffff", "digits", "--runs", runs)
