"""A count model that fills in masks: counts predict a masked character from what is visible on both sides.

It answers what the network of an absorbing process answers, so the NELBOs compare.
Texts are (characters,) ids of one vocabulary, framed by newlines; a context is a tuple of offsets from the mask.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from dataset_loader import Batch
from diffusion.objectives import Diffusion
from evaluation.likelihood import held_out_likelihood
from utils import CPU

REACH = 4  # positions on either side that are looked at; more take longer and hardly lower the bits
Context = tuple[int, ...]


def offsets(left: int, right: int) -> Context:
    """The offsets of so many characters before and after a mask."""
    return (*range(-left, 0), *range(1, right + 1))


# Each expert is a path from short contexts to long ones. The first four read runs: before the mask, after it, and on
# both sides; the others one character at a distance. They are multiplied, each to a power, since their contexts overlap
RUNS = [
    BEFORE := [offsets(n, 0) for n in range(REACH + 1)],
    AFTER := [offsets(0, n) for n in range(REACH + 1)],
    [*BEFORE, offsets(1, 1), offsets(2, 1), offsets(2, 2), offsets(3, 2)],
    [*AFTER, offsets(1, 1), offsets(1, 2), offsets(2, 2), offsets(2, 3)],
]
PAIRS = [[offsets(0, 0), (distance,)] for distance in range(-REACH, REACH + 1) if distance]
RUN_POWER, PAIR_POWER = 0.35, 0.45  # the least held-out bits on two corpora


class TwoSidedCounts:
    """The network of an absorbing process over V characters, made of counts: logits of pi at each mask.

    Each expert is smoothed from its shorter contexts to its longer ones by Witten-Bell interpolation, as in ngram.py.
    """

    def __init__(self, text: np.ndarray, characters: int) -> None:
        self.text, self.characters = text.astype(np.int64), characters
        self.longest = int(63 / np.log2(characters)) - 1  # a context and a character fit one 64-bit integer
        self.counted = cache(self._counted)

    def __call__(self, x_t: Tensor, sigma: Tensor, given: Tensor, *, positions: Tensor | None = None) -> Tensor:
        x, fixed = x_t.cpu().numpy(), given.cpu().numpy()
        masked = x == self.characters
        padding = fixed & np.pad(fixed, ((0, 0), (1, 0)))[:, :-1]  # newlines after the closing frame: no text has them
        x = np.where(padding, self.characters, x)  # not known, as a mask; nor is what stands beyond the window
        surroundings = np.pad(x, ((0, 0), (REACH, REACH)), constant_values=self.characters)
        seen = np.lib.stride_tricks.sliding_window_view(surroundings, 2 * REACH + 1, axis=1)[masked]
        logits = np.zeros((*x.shape, self.characters))
        frequencies = self.expert([offsets(0, 0)], seen)
        logits[masked] = np.log(frequencies)
        for experts, power in ((RUNS, RUN_POWER), (PAIRS, PAIR_POWER)):
            for path in experts:
                logits[masked] += power * np.log(self.expert(path, seen) / frequencies)
        answers = torch.from_numpy(logits).float()
        return answers if positions is None else answers[positions.cpu()].unsqueeze(1)

    def expert(self, path: list[Context], seen: np.ndarray) -> np.ndarray:
        """(N, 2 * REACH + 1) ids around masks -> (N, V) probabilities by the longest contexts that are visible."""
        p = np.full((len(seen), self.characters), 1 / self.characters)
        for context in path:
            if len(context) > self.longest:
                continue
            grams, counts = self.counted(context)
            around = seen[:, [offset + REACH for offset in context]]
            key = self._key(around.T, len(seen)) * self.characters
            first, last = np.searchsorted(grams, key), np.searchsorted(grams, key + self.characters)
            followers = np.where((around < self.characters).all(1), last - first, 0)  # a mask hides its context
            row = np.repeat(np.arange(len(seen)), followers)
            gram = np.arange(len(row)) + np.repeat(first - np.cumsum(followers) + followers, followers)
            found = np.zeros_like(p)
            found[row, grams[gram] % self.characters] = counts[gram]
            total, followers = found.sum(1, keepdims=True), followers[:, None]
            p = np.where(total > 0, (found + followers * p) / np.maximum(total + followers, 1), p)
        return p

    def _counted(self, context: Context) -> tuple[np.ndarray, np.ndarray]:
        """Keys of a context with the character it surrounds, ascending, and how often each occurs."""
        before, after = -min((*context, 0)), max((*context, 0))
        size = max(0, len(self.text) - before - after)
        columns = (self.text[before + offset : before + offset + size] for offset in (*context, 0))
        return np.unique(self._key(columns, size), return_counts=True)

    def _key(self, columns: Iterable[np.ndarray], size: int) -> np.ndarray:
        """Arrays of ids, (size,) each -> (size,) integers, one for each combination."""
        key = np.zeros(size, dtype=np.int64)
        for column in columns:
            key = key * self.characters + column
        return key


def two_sided_bits(text: np.ndarray, characters: int, batches: list[Batch], seed: int) -> float:
    """NELBO in bits per character of these batches under counts of a text, by the noise of an absorbing process.

    `seed` is that of noise levels and noise, as for a network's NELBO.
    """
    absorbing = Diffusion.named("absorbing", "log_linear", "x0", characters)
    return held_out_likelihood(absorbing, TwoSidedCounts(text, characters), batches, seed, CPU).bits
