"""Read a study's answer, and compare two."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from orchestrator.cli.completion import studies_and_files
from orchestrator.cli.options import WRONG_INPUT, Address, Json, Runs, StudyName, study_dir, study_name
from orchestrator.common.data_errors import data_errors
from orchestrator.common.errors import AblateError, did_you_mean, quoted
from orchestrator.common.printing import complain, new_console, print_json, show_report

if TYPE_CHECKING:
    from results.report.writing import Report
    from results.sheets.study_comparison import State
    from results.words.columns import TableStyle


def report(
    study: StudyName,
    runs: Runs = Path("runs"),
    address: Address = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="NAME", help="Write only this table or figure, as the page names it; repeatable"
        ),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The main table's columns: full, paper, short, std, or names such as error,holm"
        ),
    ] = None,
    decimals: Annotated[
        int | None, typer.Option(min=0, max=6, help="Of errors and differences; as the intervals justify unless given")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Write again whenever records come in, until Ctrl-C")] = False,
    as_json: Json = False,
) -> None:
    """Write tables and figures again, from the ledger; with --address, bring the ledger from the cluster first."""
    if watch and address is not None:
        complain("--watch follows a ledger on this machine; leave --address out")
        raise typer.Exit(WRONG_INPUT)
    if watch and as_json:
        complain("--watch and --json exclude each other; give one")
        raise typer.Exit(WRONG_INPUT)
    chosen = _style(style, decimals)
    with data_errors():
        if address is not None:
            from orchestrator.cluster.jobs import Jobs

            jobs, name = Jobs(address), study_name(study, runs)
            jobs.fetch(jobs.newest(name), runs / name)
        folder = study_dir(study, runs)
        if watch:
            from orchestrator.common.signals import interruptible
            from orchestrator.running.report_watch import watch_report

            with interruptible(), suppress(KeyboardInterrupt):  # which is how it ends
                watch_report(folder, new_console(), write=lambda: _write(folder, only or (), chosen).files)
        elif as_json:
            written = _write(folder, only or (), chosen)
            print_json({"verdict": list(written.verdict), "files": [str(path) for path in written.files]})
        elif only:
            for path in _write(folder, only, chosen).files:
                new_console().print(str(path), highlight=False, soft_wrap=True)
        else:
            console = new_console()
            with console.status("reading the ledger …") as status:
                written = _write(folder, (), chosen, lambda now: status.update(Text(f"{now} …")))
            show_report(folder, console, written=written, style=chosen)


def compare(
    before: Annotated[
        str,
        typer.Argument(
            metavar="STUDY_A",
            help="A study that has run, its folder, or STUDY@COMMIT",
            autocompletion=studies_and_files,
        ),
    ],
    after: Annotated[
        str,
        typer.Argument(metavar="STUDY_B", help="The same, to compare it with", autocompletion=studies_and_files),
    ],
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """Which cells moved between two studies, or between two commits of one, by how much, and is it noise."""
    from results.sheets.study_comparison import moves, moves_sheet, moves_verdict

    with data_errors():
        found = moves(_state(before, runs), _state(after, runs))
    sheet = moves_sheet(found)
    if as_json:
        print_json({"verdict": moves_verdict(found), "cells": [dict(line.values) for line in sheet.lines]})
        return
    from results.report.terminal import render_sheet

    console = new_console()
    if found.moves:
        console.print(render_sheet(sheet))
    for sentence in moves_verdict(found):
        console.print(sentence, highlight=False)


def _state(text: str, runs: Path) -> State:
    from results.ledger.ledger import Ledger
    from results.records.manifest import MANIFEST_NAME, StudyManifest
    from results.report.writing import LEDGER_FOLDER
    from results.sheets.study_comparison import NoSuchCommit, state_of

    name, _, commit = text.partition("@")
    folder = Path(name) if (Path(name) / MANIFEST_NAME).is_file() else study_dir(name, runs)
    try:
        return state_of(text, StudyManifest.load(folder), Ledger(folder / LEDGER_FOLDER).records(), commit)
    except NoSuchCommit as problem:
        known = f"; its trials ran at {', '.join(problem.known)}" if problem.known else "; its records name no commit"
        raise AblateError(f"{text}: no evaluated trial at commit {quoted(problem.commit)}{known}") from None


def _style(text: str | None, decimals: int | None) -> TableStyle:
    from results.words.columns import StyleError, TableStyle, parse_style

    if text is None:
        return TableStyle(decimals=decimals)
    try:
        return parse_style(text, decimals)
    except StyleError as problem:
        raise AblateError(
            f"--style: no preset or column {quoted(problem.name)}{did_you_mean(problem.name, problem.known)}"
        ) from None


def _write(
    folder: Path, only: Collection[str], style: TableStyle, on_progress: Callable[[str], None] = lambda _: None
) -> Report:
    from results.report.writing import NoSuchPart, write_report

    try:
        return write_report(folder, only, style, on_progress)
    except NoSuchPart as problem:
        raise AblateError(
            "\n".join(
                f"--only: no table or figure {quoted(name)} in this report{did_you_mean(name, problem.known)}"
                for name in problem.unknown
            )
        ) from None
