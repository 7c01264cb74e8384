"""Character statistics of plain text: an n-gram model and verbatim matches, in NumPy. Knows nothing of networks.

Texts are arrays of ids of one vocabulary, framed by the newline as in training.
"""

from dataclasses import dataclass

import numpy as np

from utils import FRAME, mix64

ORDER = 5
MATCH_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that its powers have inverses mod 2^64
TABLE_BITS = 22  # a 4 MB table of candidate hashes, which fits a cache far better than a sorted list
SHIFT = np.uint64(64 - TABLE_BITS)  # the table is addressed by a hash's high bits, which depend on all of the text's
SCAN = 1 << 16  # positions of the text hashed at a time


def framed(documents: list[np.ndarray]) -> np.ndarray:
    """Documents' ids -> one array: newline, document, newline, document, ..., newline."""
    parts = [np.array([FRAME])]
    for document in documents:
        parts += [document.astype(np.int64), np.array([FRAME])]
    return np.concatenate(parts)


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


class MatchFinder:
    """Longest verbatim matches with a text, by rolling hashes: linear in memory, exact but for 2^-64 collisions."""

    def __init__(self, text: np.ndarray) -> None:
        self.text = Rolling.of(text)

    def longest(self, samples: list[np.ndarray], limit: int = 1 << 12) -> np.ndarray:
        """(samples,) the length of each sample's longest substring that occurs in the text, up to the limit."""
        sizes = np.array([len(sample) for sample in samples])
        found = np.zeros(len(samples), dtype=np.int64)
        joined, starts = Rolling.of(np.concatenate(samples)), np.cumsum(sizes) - sizes
        step = 1 << int(min(limit, max(sizes, default=1))).bit_length()
        while step := step // 2:  # the length is found bit by bit: a match of one length holds all shorter ones
            trial = found + step
            for length in np.unique(trial[trial <= sizes]):
                chosen = np.flatnonzero((trial == length) & (trial <= sizes))
                counts = sizes[chosen] - length + 1
                owner = np.repeat(chosen, counts)
                inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
                hit = self._occur(joined.hashes(starts[owner] + inside, int(length)), int(length))
                found[owner[hit]] = length
        return found

    def _occur(self, wanted: np.ndarray, length: int) -> np.ndarray:
        """(windows,) whether each hash of a substring of this length is that of one of the text's."""
        table = np.zeros(1 << TABLE_BITS, dtype=bool)
        table[wanted >> SHIFT] = True
        candidates: list[np.ndarray] = [np.zeros(0, dtype=np.uint64)]
        for first in range(0, len(self.text.prefix) - length, SCAN):  # in pieces that stay in cache
            own = self.text.hashes(slice(first, min(first + SCAN, len(self.text.prefix) - length)), length)
            candidates.append(own[table[own >> SHIFT]])
        return np.isin(wanted, np.concatenate(candidates))


@dataclass(frozen=True)
class Rolling:
    """Prefix sums of mix(id) base^position mod 2^64, and base^-position: what hashes any substring at once."""

    prefix: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of(cls, text: np.ndarray) -> "Rolling":
        size = len(text) + 1
        power = np.cumprod(np.full(size, MATCH_BASE, dtype=np.uint64))
        inverse = np.cumprod(np.full(size, np.uint64(pow(int(MATCH_BASE), -1, 1 << 64)), dtype=np.uint64))
        prefix = np.zeros(size, dtype=np.uint64)
        np.cumsum(mix64(text.astype(np.uint64)) * power[:-1], out=prefix[1:])
        return cls(prefix, inverse)

    def hashes(self, starts: np.ndarray | slice, length: int) -> np.ndarray:
        """Hash of the substring of this length at each start; equal ones have equal hashes, wherever they stand."""
        if isinstance(starts, slice):
            ends: np.ndarray | slice = slice(starts.start + length, starts.stop + length)
        else:
            ends = starts + length
        return (self.prefix[ends] - self.prefix[starts]) * self.inverse[starts]
