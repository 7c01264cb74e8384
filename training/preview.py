"""The sample of a validation: written fast, and in the terminal played as it was written, below the bars."""

import time
from dataclasses import replace

from rich.text import Text

from command.messages import printable
from generation.course import Change, without_gaps, written_after
from generation.draft import Written
from generation.watch import UNWRITTEN
from generation.writer import Writer, written_documents
from text.vocabulary import one_line

PER_SECOND = 4  # network calls that are played
SETTINGS = {"steps": 16, "stretch": 16, "revisions": 5}  # of a sampler
MOST_CHARACTERS = 160  # of the sample that stays


def sample_of(writer: Writer, number: int) -> Written:
    """A document of one window: a long one would take longer to write than the validation takes."""
    writer = replace(writer, lengths=writer.lengths.capped(writer.run.model.context - 2))
    return written_documents(writer, writer.run.seed, [number], replace(writer.settings(), **SETTINGS))[0]


class Preview:
    """A sample that is being played. Its finished line is handed out by `take_line`, once."""

    def __init__(self) -> None:
        self.whose, self.text, self.course, self.began = "", "", list[Change](), 0.0

    def play(self, whose: str, text: str, course: list[Change]) -> None:
        """Begin to show how a text was written; `whose` stands before it."""
        self.whose, self.text, self.course, self.began = whose, text, without_gaps(course), time.monotonic()

    def take_line(self) -> str:
        """The line of the sample that was played, for the lines above; "" if there is none, or it was taken before."""
        line = self.whose + one_line(self.text)[:MOST_CHARACTERS] if self.text else ""
        self.text = ""
        return line

    def __rich__(self) -> Text:
        step = int((time.monotonic() - self.began) * PER_SECOND)
        return Text(printable(self.whose + self.at(step)), style="dim", no_wrap=True, overflow="crop", end="")

    def at(self, step: int) -> str:
        """The text after a step: what is not written yet is a dot."""
        written = written_after(self.course, step)
        return one_line("".join(written.get(place, UNWRITTEN) for place in range(len(self.text))))
