"""Shows documents in the terminal while they are written: what stands there now, and what is done above it."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from rich.live import Live
from rich.text import Text

from command.console import PlainConsole, on_terminal
from command.messages import printable
from generation.draft import Draft
from generation.writer import Writer
from text.vocabulary import one_line

PER_SECOND = 12  # pictures of what is being written, at most
UNWRITTEN = "\u00b7"  # shown for a character that is not written yet
MOST_SHOWN = 12  # documents that are being written and shown at once


class Watcher:
    """Draws the documents that several threads write: the unfinished ones in place, each finished one as a line."""

    def __init__(self, writer: Writer, console: PlainConsole, live: Live) -> None:
        self.writer, self.console, self.live = writer, console, live
        self.lock, self.drawn = threading.Lock(), 0.0
        self.now: dict[int, str] = {}  # the text of each draft that is being written

    def __call__(self, drafts: list[Draft], ids: np.ndarray) -> None:
        """Take the state of these drafts' windows, (B, L) ids; draw it if the last picture is old enough."""
        if not self.console.is_terminal or time.monotonic() - self.drawn < 1 / PER_SECOND:
            return
        with self.lock:
            self.drawn = time.monotonic()
            self.now |= {id(draft): self.text(draft, row) for draft, row in zip(drafts, ids, strict=False)}
            width, most = self.console.width, min(MOST_SHOWN, self.console.height - 2)
            lines = [printable(line)[-width:] for line in list(self.now.values())[-most:]]
            self.live.update(Text("\n".join(lines), style="dim"))

    def text(self, draft: Draft, window: np.ndarray) -> str:
        """A draft as it stands, with its window in this state."""
        ids, size = draft.ids.copy(), self.writer.vocabulary.size
        ids[draft.final :] = size  # no character: not written yet
        end = min(draft.start + len(window), len(ids))
        ids[draft.start : end] = window[: end - draft.start]
        inside = ids[draft.edge : len(ids) - draft.edge]
        letters = self.writer.vocabulary.decode(np.minimum(inside, size - 1))
        return one_line("".join(c if i < size else UNWRITTEN for c, i in zip(letters, inside, strict=True)))

    def done(self, drafts: Iterable[Draft]) -> None:
        """Say the texts of finished drafts, each on a line of its own."""
        with self.lock:
            for draft in drafts:
                self.now.pop(id(draft), None)
                if draft.finished:
                    self.console.print(one_line(draft.written(self.writer.vocabulary).text))


@contextmanager
def watching(writer: Writer) -> Iterator[Watcher]:
    """A watcher on standard output; without a terminal it only prints a line per document."""
    console = PlainConsole()
    live = Live(console=console, auto_refresh=True, refresh_per_second=PER_SECOND, transient=True)
    with on_terminal(live):
        yield Watcher(writer, console, live)
