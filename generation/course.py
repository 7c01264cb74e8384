"""The course of a document: which characters each step of the sampler wrote, from the first step to the last."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch

from diffusion.processes import TINY
from text.vocabulary import Vocabulary


class Change(NamedTuple):
    """The characters that one step wrote, or wrote anew.

    Steps count on through the windows of a long document. Step 0 holds what stood there before the first network call:
    a prompt, or the random characters of the uniform process.
    """

    step: int
    positions: list[int]  # from the start of the text, ascending
    characters: str  # one for each position


def text_after(course: Iterable[Change]) -> str:
    """The text that a whole course leads to."""
    written = written_after(course)
    return "".join(written[place] for place in sorted(written))


def written_after(course: Iterable[Change], step: float = math.inf) -> dict[int, str]:
    """The character at each place that is written after a step, by default after the last."""
    reached = (change for change in course if change.step <= step)
    return {place: c for change in reached for place, c in zip(change.positions, change.characters, strict=True)}


def without_gaps(course: Iterable[Change]) -> list[Change]:
    """The same course, its steps counted anew without those that wrote nothing: `surest` numbers more than it makes."""
    course = list(course)
    steps = {step: number for number, step in enumerate(sorted({0, *(change.step for change in course)}))}
    return [change._replace(step=steps[change.step]) for change in course]


class Changes(NamedTuple):
    """What steps wrote into one row of a batch: (N,) each, in the order of the steps."""

    steps: np.ndarray
    positions: np.ndarray
    ids: np.ndarray

    def course(self, vocabulary: Vocabulary) -> list[Change]:
        """These changes step by step, with their characters."""
        starts = np.flatnonzero(np.diff(self.steps, prepend=-1))
        groups = zip(*(np.split(values, starts[1:]) for values in self), strict=True)
        return [Change(int(s[0]), p.tolist(), vocabulary.decode(i)) for s, p, i in groups if len(s)]


class ChangeRecorder:
    """Watches the (B, L) states of a sampler: which step wrote which character, and how likely it was then.

    A mask put over a character is no change yet; writing another character there is.
    """

    def __init__(self, given: torch.Tensor, characters: int) -> None:
        """(B, L) bool which positions are given, and the size of the alphabet, above which ids are masks."""
        self.given, self.characters = given, characters
        self.log_p = torch.zeros(given.shape, dtype=torch.float64, device=given.device)  # when a character was written
        self.seen: list[np.ndarray] = []  # (4, N) step, row, position, id of each change

    def __call__(self, step: int, x: torch.Tensor, p: torch.Tensor | None) -> None:
        written = x < self.characters
        if p is None:  # the prior
            self.text, changed = x, written & ~self.given
        else:
            changed = written & (x != self.text)
            self.log_p = torch.where(changed | (step == 1), p.clamp_min(TINY).log(), self.log_p)
            self.text = torch.where(written, x, self.text)
        rows, positions = changed.nonzero(as_tuple=True)
        self.seen.append(torch.stack([torch.full_like(rows, step), rows, positions, x[rows, positions]]).cpu().numpy())

    def by_row(self) -> list[Changes]:
        """The changes of each row."""
        seen = np.concatenate(self.seen, 1)
        return [Changes(*seen[:, seen[1] == row][[0, 2, 3]]) for row in range(len(self.given))]
