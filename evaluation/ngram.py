"""Character statistics of plain text: an n-gram model and verbatim matches, in NumPy. Knows nothing of networks.

Texts are arrays of ids of one vocabulary, framed by the newline as in training.
"""

from dataclasses import dataclass

import numpy as np

from text.vocabulary import FRAME

ORDER = 5


def framed(documents: list[np.ndarray]) -> np.ndarray:
    """Documents' ids -> one array: newline, document, newline, document, ..., newline."""
    frame = np.array([FRAME], dtype=np.uint16)  # as ids are stored: a long text stays small
    return np.concatenate([frame, *(part for document in documents for part in (document, frame))])


@dataclass(frozen=True)
class Level:
    """Counts of one order: contexts and grams as sorted keys, how often each occurs, distinct followers of contexts."""

    contexts: np.ndarray
    totals: np.ndarray
    followers: np.ndarray
    grams: np.ndarray
    counts: np.ndarray


class NgramModel:
    """Interpolated n-gram model with Witten-Bell smoothing (Chen and Goodman 1996): the baseline a voice should beat.

    p_n(c | h) = (count(hc) + followers(h) p_{n-1}(c | h')) / (count(h) + followers(h)), down to p_0 = 1/V.
    An alphabet of thousands makes do with a lower order, so that an n-gram is one 64-bit integer.
    """

    def __init__(self, text: np.ndarray, characters: int, order: int = ORDER) -> None:
        self.characters, self.levels = characters, []
        for n in range(1, min(order, int(63 / np.log2(characters))) + 1):
            grams, counts = np.unique(self._keys(text, n), return_counts=True)
            contexts, first = np.unique(grams // characters, return_index=True)
            self.levels.append(
                Level(contexts, np.add.reduceat(counts, first), np.diff([*first, len(grams)]), grams, counts)
            )

    def _keys(self, text: np.ndarray, n: int) -> np.ndarray:
        """(length,) ids -> one integer per n characters that end at each position from the second on, frames before."""
        padded = np.concatenate([np.full(n - 1, FRAME), text])
        key = np.zeros(len(text) - 1, dtype=np.int64)
        for i in range(n):
            key = key * self.characters + padded[i + 1 : i + len(text)]
        return key

    def nats(self, text: np.ndarray) -> np.ndarray:
        """(length,) framed ids -> (length - 1,) negative log-probability of each character after the first."""
        p = np.full(len(text) - 1, 1 / self.characters)
        for n, level in enumerate(self.levels, start=1):
            key = self._keys(text, n)
            count = lookup(level.grams, level.counts, key)
            total = lookup(level.contexts, level.totals, key // self.characters)
            followers = lookup(level.contexts, level.followers, key // self.characters)
            p = np.where(total > 0, (count + followers * p) / np.maximum(total + followers, 1), p)
        return -np.log(p)


def lookup(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values at sorted keys, 0 where a key is absent."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
