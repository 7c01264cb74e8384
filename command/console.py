"""What commands print on: a console for plain text, and how far a long job is."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import Progress
from rich.status import Status
from rich.text import Text

from command.messages import printable, shorter
from command.program import reader_has_left, silence

FILE_WIDTH = 120  # columns of a table where no terminal limits them
SECONDS_A_LINE = 10
PLAIN = {"markup": False, "emoji": False, "highlight": False}  # for rich: :bug: and [bold] are text


class PlainConsole(Console):
    """A console for plain text: it shows all that is in a text, and nothing steers the terminal.

    Of a text beyond LONGEST_LINE the middle is left out.

    A full disk is ignored. A reader (`| head`) that has left raises BrokenPipeError, or, if the console is `patient`,
    sets `reader_left`.
    """

    def __init__(self, *, patient: bool = False, **options: Any) -> None:
        super().__init__(soft_wrap=True, **options)
        self.patient, self.reader_left = patient, False
        if not self.is_terminal:
            self.width = FILE_WIDTH

    def on_broken_pipe(self) -> None:  # rich would end the program here
        self.reader_left = True
        if not self.patient:
            raise BrokenPipeError

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(shorter(printable(text)), **{**options, **PLAIN})

    def print(self, *what: Any, **options: Any) -> None:
        try:
            super().print(*what, **options)
        except BrokenPipeError:
            raise
        except OSError as error:  # else a full disk, or a terminal that was closed: no reason to stop a training
            if reader_has_left(error):
                self.on_broken_pipe()

    def busy(self, what: str) -> AbstractContextManager[object]:
        """Show what is done, on a terminal; nothing elsewhere."""
        return on_terminal(self.status(self.render_str(what))) if self.is_terminal else nullcontext()


@contextmanager
def on_terminal(display: Live | Progress | Status) -> Iterator[None]:
    """Show this on a terminal during a job. A terminal that is closed does not end the job."""
    with suppress(OSError):
        display.start()
    try:
        yield
    finally:
        with suppress(OSError):
            display.stop()


@contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Callable[[float], None]]:
    """Show on stderr how much of `total` is done: a bar on a terminal, a line now and then elsewhere.

    Yields a function to call with how many more are done, or what part of one. A job goes on when nobody can read this.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        bar = Progress(console=console, transient=True)
        task = bar.add_task(what, total=total, completed=done)
        with on_terminal(bar):
            yield lambda more: bar.advance(task, more)
        return
    so_far, said = float(done), time.monotonic()

    def advance(more: float) -> None:
        nonlocal so_far, said
        so_far += more
        if time.monotonic() - said < SECONDS_A_LINE:
            return
        said = time.monotonic()
        try:
            print(f"{what}: {so_far:,.0f} of {total:,}", file=sys.stderr, flush=True)
        except OSError:  # a full disk, or a reader that has left: nothing more is said, also not at exit
            silence(sys.stderr)

    yield advance
