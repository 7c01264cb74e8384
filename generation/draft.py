"""A document while it is written: its length, its frames, and the windows that are written one after another."""

from typing import NamedTuple, Protocol

import numpy as np

from config.schema import RunConfig
from dataset_loader import BUCKET, bucket_length
from diffusion.draws import GOLDEN_RATIO
from generation.course import Change, Changes
from generation.prompt import Prompt
from text.lengths import Lengths
from text.vocabulary import FRAME, Vocabulary
from utils import numpy_generator


class Source(Protocol):
    """What of a writer a draft follows from."""

    @property
    def run(self) -> RunConfig: ...
    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def lengths(self) -> Lengths: ...


class Written(NamedTuple):
    """A finished document, and how it was written."""

    text: str
    confidence: float  # geometric mean of each character's probability when it was written
    settling: int  # the step after which nothing changed, in the window that took longest
    corrections: int  # how often a character was changed again after it had been written
    course: list[Change]


class Draft:
    """A document being written: its framed ids, which are given, how many are final, and its random numbers."""

    def __init__(self, writer: Source, prompt: Prompt, seed: int, index: int, attempt: int) -> None:
        self.rng = numpy_generator(writer.run.name, seed, index, attempt)
        self.context, self.overlap = writer.run.model.context, writer.run.sampling.overlap
        # steps of the golden ratio, a Kronecker sequence: the lengths follow the corpus's more closely than random ones
        start = numpy_generator(writer.run.name, seed, "lengths").random()
        uniform = self.rng.random() if attempt else (start + index * GOLDEN_RATIO) % 1
        length = prompt.draw_length(writer.lengths, writer.run.sampling.max_length, uniform)
        text, given = prompt.pattern(length)
        ids = np.where(given, writer.vocabulary.encode(text), FRAME).astype(np.int64)
        self.edge = 0 if writer.run.data.stream else 1  # frames at each end; continuous text has none
        self.ids, self.given = np.pad(ids, self.edge), np.pad(given, self.edge, constant_values=True)
        self.final = self.edge  # ids before it change no more
        self.log_p: list[float] = []
        self.settling, self.corrections = 0, 0
        self.steps = 0  # of the windows that are written
        (places,) = given.nonzero()
        self.changes = [Changes(np.zeros_like(places), places, ids[places])]

    @property
    def finished(self) -> bool:
        return self.final >= len(self.ids)

    @property
    def to_write(self) -> int:
        """How many positions are left to write, with the closing frame."""
        return len(self.ids) - self.final

    @property
    def left(self) -> float:
        """Which share of it is left to write."""
        return self.to_write / (len(self.ids) - self.edge)

    @property
    def start(self) -> int:
        """Where the next window begins: `overlap` characters before what is left; the last one ends with the text."""
        if self.final == self.edge:
            return 0
        return min(self.final - self.overlap, len(self.ids) - self.context)

    @property
    def window_length(self) -> int:
        """Positions of the next window: lines are padded with frames, streams never, as in training."""
        return int(bucket_length(len(self.ids) - self.start, self.context, BUCKET if self.edge else 1))

    def window(self) -> tuple[np.ndarray, np.ndarray]:
        """The next window: (L,) ids, and (L,) bool which are given or final; frames fill it up behind the text."""
        length = self.window_length
        ids, given = np.full(length, FRAME), np.ones(length, dtype=bool)
        inside = slice(self.start, min(self.start + length, len(self.ids)))
        size = inside.stop - inside.start
        ids[:size] = self.ids[inside]
        given[:size] = self.given[inside] | (np.arange(inside.start, inside.stop) < self.final)
        return ids, given

    def remember(self, log_p: np.ndarray, changes: Changes) -> None:
        """Keep what ChangeRecorder saw of the next window, before `take`; (L,) log_p."""
        _, given = self.window()
        self.log_p += log_p[~given].tolist()
        written = changes.positions[changes.steps > 0]
        self.settling = max(self.settling, int(changes.steps.max(initial=0)))
        self.corrections += len(written) - len(np.unique(written))
        steps, positions = changes.steps + self.steps, changes.positions + (self.start - self.edge)
        self.changes.append(Changes(steps, positions, changes.ids))
        self.steps = int(steps.max(initial=self.steps))

    def take(self, ids: np.ndarray) -> None:
        """Take the next window as it was written; windows behind it in which all is given are passed over."""
        end = min(self.start + len(ids), len(self.ids))
        self.ids[self.start : end] = ids[: end - self.start]
        self.final = end
        while not self.finished and self.window()[1].all():  # the closing frame alone, or a part of a long prefix
            self.final = min(self.start + self.window_length, len(self.ids))

    def written(self, vocabulary: Vocabulary) -> Written:
        text = vocabulary.decode(self.ids[self.edge : len(self.ids) - self.edge])
        confidence = float(np.exp(np.mean(self.log_p))) if self.log_p else 1.0
        changes = Changes(*map(np.concatenate, zip(*self.changes, strict=True)))
        order = np.lexsort((changes.positions, changes.steps))  # what was given stands among the noise of step 0
        course = Changes(*(values[order] for values in changes)).course(vocabulary)
        return Written(text, confidence, self.settling, self.corrections, course)
