"""The sample of a validation in the terminal, played as it was written: a line below the bars of the trainings."""

import time

from rich.text import Text

from generation.course import Change
from generation.watch import UNWRITTEN
from text.vocabulary import one_line

PER_SECOND = 4  # network calls that are played
MOST_CHARACTERS = 160  # of the sample that stays


class Preview:
    """A sample that is being played. Its finished line is handed out by `finished`, once."""

    def __init__(self) -> None:
        self.whose, self.text, self.course, self.began = "", "", list[Change](), 0.0

    def play(self, whose: str, text: str, course: list[Change]) -> None:
        """Begin to show how a text was written; `whose` stands before it."""
        self.whose, self.text, self.course, self.began = whose, text, course, time.monotonic()

    def finished(self) -> str:
        """The line of the sample that was played, for the lines above; "" if there is none, or it was had before."""
        line, self.text = self.text and self.whose + one_line(self.text)[:MOST_CHARACTERS], ""
        return line

    def __rich__(self) -> Text:
        step = int((time.monotonic() - self.began) * PER_SECOND)
        return Text(self.whose + self.at(step), style="dim", no_wrap=True, overflow="crop", end="")

    def at(self, step: int) -> str:
        """The text after a step: what is not written yet is a dot."""
        written = {
            place: character
            for change in self.course
            if change.step <= step
            for place, character in zip(change.positions, change.characters, strict=True)
        }
        return one_line("".join(written.get(place, UNWRITTEN) for place in range(len(self.text))))
