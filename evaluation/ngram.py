"""A character n-gram language model in NumPy.

Texts are (characters,) ids of one vocabulary, with a newline before and after each document.
"""

from dataclasses import dataclass

import numpy as np

from text.vocabulary import FRAME

ORDER = 5


def framed(documents: list[np.ndarray]) -> np.ndarray:
    """Documents' ids -> one array: newline, document, newline, document, ..., newline."""
    frame = np.array([FRAME], dtype=np.uint16)  # the type of stored ids, so that a long text stays small
    return np.concatenate([frame, *(part for document in documents for part in (document, frame))])


@dataclass(frozen=True)
class Level:
    """Counts of the n-grams of one order n, whose characters are packed into one integer: the key."""

    contexts: np.ndarray  # keys of the first n - 1 characters, ascending
    totals: np.ndarray  # how often each context occurs
    followers: np.ndarray  # distinct characters after each context
    grams: np.ndarray  # keys of all n characters, ascending
    counts: np.ndarray  # how often each n-gram occurs


class NgramModel:
    """Interpolated n-gram model with Witten-Bell smoothing (Chen and Goodman 1996), which reads from left to right.

    p_n(c | h) = (count(hc) + followers(h) p_{n-1}(c | h')) / (count(h) + followers(h)), down to p_0 = 1/V.
    What stands before a text is unknown, and no count holds it: there a shorter h gives the probability.
    A large alphabet lowers the order, so that an n-gram fits one 64-bit integer: 5 for at most 6,207 characters.
    """

    def __init__(self, text: np.ndarray, characters: int, order: int = ORDER) -> None:
        self.unknown, self.levels = characters, []  # an id beyond all characters
        for n in range(1, min(order, int(63 / np.log2(characters + 1))) + 1):
            grams, counts = np.unique(self._keys(text, n)[max(n - 2, 0) :], return_counts=True)
            contexts, first = np.unique(grams // (characters + 1), return_index=True)
            self.levels.append(
                Level(contexts, np.add.reduceat(counts, first), np.diff(first, append=len(grams)), grams, counts)
            )

    def _keys(self, text: np.ndarray, n: int) -> np.ndarray:
        """(length,) ids -> (length - 1,) keys of the n characters up to each position after the first."""
        padded = np.concatenate([np.full(n - 1, self.unknown), text])
        key = np.zeros(len(text) - 1, dtype=np.int64)
        for i in range(n):
            key = key * (self.unknown + 1) + padded[i + 1 : i + len(text)]
        return key

    def nats(self, text: np.ndarray) -> np.ndarray:
        """(length,) ids -> (length - 1,) negative log-probability of each character after the first.

        The first is a frame, or `unknown` where a text begins within a document.
        """
        p = np.full(len(text) - 1, 1 / self.unknown)
        for n, level in enumerate(self.levels, start=1):
            key = self._keys(text, n)
            count = lookup(level.grams, level.counts, key)
            total = lookup(level.contexts, level.totals, key // (self.unknown + 1))
            followers = lookup(level.contexts, level.followers, key // (self.unknown + 1))
            p = np.where(total > 0, (count + followers * p) / np.maximum(total + followers, 1), p)
        return -np.log(p)


def lookup(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values at sorted keys, 0 where a key is absent."""
    if not len(keys):
        return np.zeros_like(wanted)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
