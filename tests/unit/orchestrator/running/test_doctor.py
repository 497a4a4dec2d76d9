"""The doctor says what is missing and what to do about it, what every study needs first."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections import namedtuple

import pytest
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.running import doctor
from trainables.data import DATASETS

Usage = namedtuple("Usage", "total used free")


def by_name(findings):
    return {f["name"]: f for f in findings}


def test_a_machine_with_everything_has_nothing_that_must_be_fixed():
    findings = doctor.examine()
    assert {f["name"] for f in findings if f["required"]} == {"Python", "packages", "folder", "machine"}
    assert not [fix for fix in doctor.to_fix(findings) if fix["required"]]
    assert doctor.remedies(findings)[-1].startswith("Studies can run here")


def test_what_every_study_needs_comes_first(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # no datasets here
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "mlflow", "not-there"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 2**40, 2**20))
    findings = doctor.examine()
    fixes = doctor.to_fix(findings)
    assert [fix["name"] for fix in fixes[:2]] == ["packages", "machine"]
    assert [fix["required"] for fix in fixes] == sorted((fix["required"] for fix in fixes), reverse=True)
    assert {f"dataset {d.name}" for d in DATASETS.values() if d.missing()} <= {fix["name"] for fix in fixes}
    lines = doctor.remedies(findings)
    assert lines[0] == "To fix, in this order:"
    assert lines[1].startswith("1. packages: `")
    assert lines[2].startswith("2. machine: ")
    assert ", if you need it: " in lines[3]
    assert lines[-1] == "A study needs all that is not marked `if you need it`."


def test_a_folder_that_cannot_be_written_is_named(monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    finding = by_name(doctor.examine())["folder"]
    assert not finding["ok"]
    assert "chmod u+rwx" in finding["remedy"]


@pytest.mark.parametrize(
    ("names", "extra", "expected"),
    [
        (["mlflow"], "", {"mlflow[auth]"}),
        (["torch", "ray"], "", {"torch", "ray[tune]"}),
        ([], "dashboard", {"optuna-dashboard"}),
        ([], "cluster", {"ray[default]"}),
    ],
)
def test_commands_install_what_this_package_asks_for(names, extra, expected):
    command = shlex.split(doctor._install(names, extra).strip("`"))
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert {word.partition(">=")[0] for word in command[4:]} == expected
    assert all(">=" in word for word in command[4:])


def test_an_extra_that_is_not_here_says_what_it_is_for(monkeypatch):
    monkeypatch.setattr(doctor, "EXTRAS", {"dashboard": ("no_such_module", "for `ablate dashboard`")})
    finding = by_name(doctor.examine())["extra dashboard"]
    assert (finding["ok"], finding["required"]) == (False, False)
    assert "for `ablate dashboard`" in finding["found"]
    assert "optuna-dashboard" in finding["remedy"]


def test_programs_get_the_same(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["doctor", "--json"])
    told = json.loads(result.stdout)
    assert told["to_fix"] == doctor.to_fix(told["findings"])
    shown = CliRunner().invoke(app, ["doctor"]).stdout
    for number, fix in enumerate(told["to_fix"], start=1):
        assert f"{number}. {fix['name']}" in shown


def test_without_what_is_required_the_status_is_1(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("not-there",))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "pip install not-there" in result.stdout
