"""Character statistics of plain text: an n-gram model and verbatim matches, in NumPy. Knows nothing of networks.

Texts are arrays of ids of one vocabulary, framed by the newline as in training.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from utils import FRAME, mix64

ORDER = 5
MATCH_BASE = 0x9E3779B97F4A7C15  # odd, so that its powers have inverses mod 2^64
TABLE_BITS = 22  # a 4 MB table of candidate hashes, which fits a cache far better than a sorted list
SHIFT = np.uint64(64 - TABLE_BITS)  # the table is addressed by a hash's high bits, which depend on all of the text's
SCAN = 1 << 16  # positions of the text hashed at a time, in pieces that stay in cache


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


class MatchFinder:
    """Longest verbatim matches with a text, by rolling hashes: linear in memory, exact but for 2^-64 collisions."""

    def __init__(self, text: np.ndarray) -> None:
        self.text = Rolling(text)

    def longest(self, samples: list[np.ndarray], limit: int = 1 << 12) -> np.ndarray:
        """(samples,) the length of each sample's longest substring that occurs in the text, up to the limit."""
        sizes = np.array([len(sample) for sample in samples])
        found = np.zeros(len(samples), dtype=np.int64)
        joined, starts = Rolling(np.concatenate(samples)), np.cumsum(sizes) - sizes
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
        for piece in scans(len(self.text.prefix) - length):
            own = self.text.hashes(piece, length)
            candidates.append(own[table[own >> SHIFT]])
        return np.isin(wanted, np.concatenate(candidates))


def scans(size: int) -> Iterator[slice]:
    return (slice(first, min(first + SCAN, size)) for first in range(0, size, SCAN))


class Powers:
    """base^k mod 2^64 for any k, from two short tables: a long text's own would take 8 bytes for each character."""

    def __init__(self, base: int, size: int) -> None:
        factors = np.full(SCAN, base, dtype=np.uint64)
        factors[0] = 1
        self.small = np.cumprod(factors)
        self.large = np.array([pow(base, k * SCAN, 1 << 64) for k in range(size // SCAN + 1)], dtype=np.uint64)

    def __getitem__(self, k: np.ndarray | slice) -> np.ndarray:
        """Of these positions, or of a piece: at most SCAN of them, from a multiple of it on."""
        if isinstance(k, slice):
            return self.small[: k.stop - k.start] * self.large[k.start // SCAN]
        return self.small[k % SCAN] * self.large[k // SCAN]


class Rolling:
    """Prefix sums of mix(id) base^position mod 2^64, and base^-position: what hashes any substring at once."""

    def __init__(self, text: np.ndarray) -> None:
        powers, self.inverse = (Powers(base, len(text)) for base in (MATCH_BASE, pow(MATCH_BASE, -1, 1 << 64)))
        self.prefix = np.zeros(len(text) + 1, dtype=np.uint64)
        for piece in scans(len(text)):
            terms = mix64(text[piece].astype(np.uint64)) * powers[piece]
            self.prefix[1:][piece] = self.prefix[piece.start] + np.cumsum(terms)

    def hashes(self, starts: np.ndarray | slice, length: int) -> np.ndarray:
        """Hash of the substring of this length at each start; equal ones have equal hashes, wherever they stand."""
        if isinstance(starts, slice):
            ends: np.ndarray | slice = slice(starts.start + length, starts.stop + length)
        else:
            ends = starts + length
        return (self.prefix[ends] - self.prefix[starts]) * self.inverse[starts]
