"""The `ablate` command. Its commands are in `orchestrator.commands`; here they are put together, and users' mistakes are caught.

Exit status: 0 done, 1 some trials failed, 2 the input is wrong, 130 interrupted.
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.text import Text

from orchestrator.commands import browsing, planning, reporting, running, starting
from orchestrator.commands.options import DONE, INTERRUPTED, SOME_FAILED, WRONG_INPUT
from orchestrator.errors import AblateError, InputError
from orchestrator.printing import complain

app = typer.Typer(
    name="ablate",
    help="Which part of a semi-supervised method works, and is the difference more than noise?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

for _command in (
    starting.init,
    *(running.run, planning.plan, running.submit, running.status, reporting.report, reporting.compare),
    *(browsing.ui, browsing.dashboard, browsing.sync),
    *(planning.data, planning.schema, planning.doctor),
):
    app.command()(_command)
app.command(name="list")(planning.list_)


def main() -> None:
    """Entry point: users' mistakes are sentences on stderr, never tracebacks."""
    try:
        code = app(standalone_mode=False)
    except typer.Exit as end:
        code = end.exit_code
    except AblateError as problem:
        Console(stderr=True).print(Text(str(problem)), soft_wrap=True)
        code = WRONG_INPUT
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = DONE
    except OSError as problem:
        complain(f"{problem.filename or 'ablate'}: {problem.strerror or problem}; what was recorded is kept, run again")
        code = SOME_FAILED
    except Exception as problem:
        code = _usage_error(problem)
    sys.exit(code if isinstance(code, int) else DONE)


def _usage_error(problem: Exception) -> int:
    """Typer's own errors (an unknown option, a missing argument) as it prints them; anything else is a fault of ours."""
    show = getattr(problem, "show", None)
    if show is None:
        raise problem
    show()
    return WRONG_INPUT


__all__ = ["InputError", "app", "main"]
