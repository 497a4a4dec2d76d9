"""What commands say: tables and sentences on standard output, notes and complaints on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from results.analysis.main_table import MainTable
    from results.report.writing import Report
    from results.words.columns import TableStyle


def plain_console(**options: Any) -> Console:
    """A rich console that shows text as it is: a path or a title with brackets or colons in it is no markup.

    Every console of the program comes from here. `options` are those of `rich.console.Console`.
    """
    return Console(**{"markup": False, "emoji": False, "highlight": False, **options})


def new_console() -> Console:
    """Standard output; wide enough for a table where it is no terminal."""
    console = plain_console()
    return console if console.is_terminal else plain_console(width=max(console.width, 120))


def warn(sentences: Iterable[str]) -> None:
    """Notes, a line each."""
    console = plain_console(stderr=True)
    for sentence in sentences:
        console.print(Text(f"note: {sentence}", style="yellow"), soft_wrap=True)


def complain(sentence: str) -> None:
    """What went wrong, in one line."""
    plain_console(stderr=True).print(Text(sentence, style="red"), soft_wrap=True)


def print_json(value: Any) -> None:
    """For programs to read."""
    typer.echo(json.dumps(value, indent=1, sort_keys=True))


def show_report(
    folder: Path,
    console: Console,
    *,
    written: Report | None,
    again: bool = False,
    style: TableStyle | None = None,
) -> None:
    """Print table, verdict and where the page is.

    Args:
        folder: The study's.
        console: Where to.
        written: The report that was just written, if one was.
        again: Write one also where there is one.
        style: Columns and decimals of the table; None for the usual ones.
    """
    from results.report.terminal import render_terminal
    from results.report.writing import load_table, write_report
    from results.words.columns import AS_USUAL

    page = folder / "report" / "report.html"
    if written is None and (again or not page.exists()):
        written = write_report(folder)
    table = written.table if written else load_table(folder)
    for view in render_terminal(table, style or AS_USUAL):
        console.print(view)
    _print_answer(console, table)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)


def show_verdict(folder: Path, *, written: Report | None) -> None:
    """Print a study's answer in words and nothing else."""
    from results.report.writing import load_table

    _print_answer(new_console(), written.table if written else load_table(folder))


def _print_answer(console: Console, table: MainTable) -> None:
    """The answer in words, each of its headings once."""
    from results.words.verdict import answers

    for title, passages in answers(table):
        if title:
            console.print(Text(f"\n{title}", style="bold underline"))
        for one in passages:
            if one.heading:
                console.print(Text(one.heading, style="bold"))
            for sentence in one.sentences:
                console.print(Text(sentence))
