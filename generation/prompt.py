"""The form that documents are asked to have: a prefix, a suffix, a template, a length."""

from dataclasses import dataclass

import numpy as np

from command.messages import counted
from config.schema import RunConfig
from text.lengths import Lengths
from text.vocabulary import Vocabulary, nfc
from utils import UserError

GIVEN = ("prefix", "suffix", "template")  # fields of text
BLANK = "_"  # stands in a template for one character to be written


@dataclass(frozen=True)
class Prompt:
    """How documents must begin and end, or a template with blanks to fill, and how long they may be."""

    prefix: str = ""
    suffix: str = ""
    template: str = ""
    shortest: int = 1
    longest: int | None = None

    def __post_init__(self) -> None:
        for name in GIVEN:  # macOS writes é in file names as e and an accent: composed, as reading a text does
            object.__setattr__(self, name, nfc(getattr(self, name)))

    def pattern(self, length: int) -> tuple[str, np.ndarray]:
        """A document of this length with its given characters in place, and (length,) bool which they are."""
        if self.template:
            return self.template, np.array([character != BLANK for character in self.template])
        free = length - len(self.prefix) - len(self.suffix)
        given = [True] * len(self.prefix) + [False] * free + [True] * len(self.suffix)
        return self.prefix + BLANK * free + self.suffix, np.array(given)

    def draw_length(self, lengths: Lengths, longest: int, uniform: float) -> int:
        """A length from the corpus's distribution, within what the form allows; `uniform` is in [0, 1)."""
        if self.template:
            return len(self.template)
        shortest = max(self.shortest, len(self.prefix) + len(self.suffix) + 1)
        if self.longest is None:
            lengths = lengths.capped(longest)
        return lengths.within(shortest, self.longest or max(int(lengths.values[-1]), shortest)).draw(uniform)

    def check(self, run: RunConfig, vocabulary: Vocabulary, model: str) -> None:
        """Raise a UserError for what the model of this file name cannot write."""
        for name in GIVEN:
            for character in getattr(self, name):
                blank = name == "template" and character == BLANK
                frame = character == "\n" and not run.data.stream
                if frame or not (blank or character in vocabulary.characters):
                    known = counted(len(vocabulary.characters) - (not run.data.stream), "character")
                    raise UserError(f"--{name} holds {character!r}, which is not among the {known} of {model}")
        taken = len(self.prefix) + len(self.suffix)
        if self.longest is not None and taken >= self.longest:
            raise UserError(f"--length {self.longest}: prefix and suffix already take {counted(taken, 'character')}")
        if self.template and (self.prefix or self.suffix or self.longest is not None):
            raise UserError("--template says what is given and how long; it takes no --prefix, --suffix or --length")
        if self.template and BLANK not in self.template:
            raise UserError(f"--template {self.template!r} has no {BLANK} to fill")


ANYTHING = Prompt()
