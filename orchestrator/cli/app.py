"""The `ablate` command. Its commands are in `orchestrator.commands`; here they are put together, and users' mistakes are caught.

Exit status: 0 done, 1 some trials failed or are not done because the machine failed, 2 the input is wrong, 130 interrupted by
Ctrl-C, 143 by SIGTERM, 129 by a closed terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from orchestrator.cli import browsing, planning, reporting, running, starting
from orchestrator.cli.options import DONE, INTERRUPTED, SOME_FAILED, WRONG_INPUT
from orchestrator.common.errors import AblateError, InputError
from orchestrator.common.os_errors import sentence
from orchestrator.common.output_encoding import write_what_fits
from orchestrator.common.printing import complain, plain_console
from orchestrator.common.signals import exit_status, interruptible, received, said

VERSIONED = ("rs-ablate", "ray", "torch", "optuna", "mlflow")


class _FlagsHaveNoType:
    """For commands: help says nothing of the type of an option that takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options and arguments."""
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in found:
            if getattr(parameter, "is_flag", False) and parameter.metavar is None:
                parameter.metavar = ""
        return found


class _Command(_FlagsHaveNoType, TyperCommand):
    pass


class _Group(_FlagsHaveNoType, TyperGroup):
    pass


app = typer.Typer(
    name="ablate",
    cls=_Group,
    help="Which part of a semi-supervised method works, and is the difference more than noise?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

_BY_WORKFLOW: dict[str, dict[str, Callable[..., None]]] = {
    "Begin": {
        "doctor": planning.doctor,
        "init": starting.init,
        "list": planning.list_,
        "schema": planning.schema,
    },
    "Run": {
        "plan": planning.plan,
        "data": planning.data,
        "run": running.run,
        "status": running.status,
        "submit": running.submit,
    },
    "Read": {
        "report": reporting.report,
        "compare": reporting.compare,
        "ui": browsing.ui,
        "sync": browsing.sync,
        "dashboard": browsing.dashboard,
    },
}
for _panel, _commands in _BY_WORKFLOW.items():
    for _name, _command in _commands.items():
        app.command(name=_name, cls=_Command, rich_help_panel=_panel)(_command)


def _show_versions(asked: bool) -> None:
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version  # which imports none of them

    for name in VERSIONED:
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "not installed"
        typer.echo(f"{name} {found}")
    typer.echo(f"python {sys.version.split()[0]}")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_versions, is_eager=True, help="Show this version, and those of what it runs on."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point: users' mistakes are sentences on stderr, never tracebacks."""
    write_what_fits()
    with interruptible():
        sys.exit(_status())


def _status() -> int:
    """Of the command that was asked for."""
    try:
        Path.cwd()
    except FileNotFoundError:
        complain(
            "the folder that you are in was removed, or moved; `cd` to one that is there and give the command again"
        )
        return WRONG_INPUT
    try:
        code = app(standalone_mode=False)
    except typer.Exit as end:
        code = end.exit_code
    except AblateError as problem:
        plain_console(stderr=True).print(Text(str(problem)), soft_wrap=True)
        code = problem.exit_status
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = DONE
    except OSError as problem:
        complain(sentence(problem))
        code = SOME_FAILED
    except Exception as problem:
        code = _usage_error(problem)
    if code == INTERRUPTED and received() is not None:  # Typer has it for every KeyboardInterrupt
        return _interrupted()
    return code if isinstance(code, int) else DONE


def _interrupted() -> int:
    """The status of a command that a signal ended, with a sentence unless the command has said one."""
    if not said():
        with suppress(OSError):  # its terminal may be gone
            complain("interrupted; what was recorded is kept, and the same command goes on from there")
    return exit_status()


def _usage_error(problem: Exception) -> int:
    """Typer's own errors (an unknown option, a missing argument) as it prints them; anything else is a fault of ours."""
    show = getattr(problem, "show", None)
    if show is None:
        raise problem
    show()
    return WRONG_INPUT


__all__ = ["InputError", "app", "main"]
