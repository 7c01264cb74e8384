"""Longest verbatim matches of samples with the training text."""

from collections.abc import Iterator

import numpy as np

from utils import mix64

MATCH_BASE = 0x9E3779B97F4A7C15  # odd, so that its powers have inverses mod 2^64
TABLE_BITS = 22  # a 4 MB table of candidate hashes, which fits a cache far better than a sorted list
SHIFT = np.uint64(64 - TABLE_BITS)  # the table is addressed by a hash's high bits, which depend on all of the text's
SCAN = 1 << 16  # positions of the text hashed at a time, in pieces that stay in cache


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
