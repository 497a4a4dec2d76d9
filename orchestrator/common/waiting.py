"""What a person sees of work that takes seconds and is no trial: ending Ray, writing the report, catching up with MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text


@contextmanager
def phase(console: Console, what: str, details: Callable[[], str] = lambda: "") -> Iterator[Callable[[str], None]]:
    """Say what is being done for the length of the block: in a terminal a line that moves and then goes, elsewhere one that stays.

    Args:
        console: Where to.
        what: In a few words.
        details: How far it is, asked at every refresh.

    Yields a function that may be told which part comes next.
    """
    if not console.is_terminal or console.quiet:
        console.print(Text(f"{what} …"), soft_wrap=True)
        yield lambda part: None
        return
    spinner, parts = Spinner("dots"), [""]

    def render() -> Spinner:
        spinner.update(text=Text(f"{': '.join(filter(None, (what, parts[-1] or details())))} …", overflow="ellipsis"))
        return spinner

    with Live(get_renderable=render, console=console, refresh_per_second=8, transient=True):
        yield parts.append
