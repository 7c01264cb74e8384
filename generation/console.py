"""What commands print on: a console for plain text, and how far a long job is."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress

FILE_WIDTH = 120  # columns of a table where no terminal limits them
SECONDS_A_LINE = 10


class PlainConsole(Console):
    """A console for plain text. A full disk is ignored; a reader (`| head`) that has left raises BrokenPipeError."""

    def on_broken_pipe(self) -> None:  # rich would end the program here
        raise BrokenPipeError

    def print(self, *what: Any, **options: Any) -> None:
        try:
            super().print(*what, **options)
        except BrokenPipeError:
            raise
        except OSError:  # a full disk, or a terminal that was closed: no reason to stop a training
            pass


def make_console() -> Console:
    made = PlainConsole(highlight=False, soft_wrap=True, markup=False)
    if not made.is_terminal:
        made.width = FILE_WIDTH
    return made


@contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show on stderr how much of `total` is done: a bar on a terminal, a line now and then elsewhere.

    Yields a function to call with how many more are done. A job goes on when nobody can read what it says.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task(what, total=total, completed=done)
            yield lambda more: bar.advance(task, more)
        return
    said = time.monotonic()

    def advance(more: int) -> None:
        nonlocal done, said
        done += more
        if time.monotonic() - said < SECONDS_A_LINE:
            return
        said = time.monotonic()
        try:
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)
        except OSError:  # a full disk, or a reader that has left: nothing more is said, also not at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())

    yield advance
