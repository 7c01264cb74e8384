"""Longest verbatim matches of documents with a text, found by rolling hashes."""

from collections.abc import Iterator

import numpy as np

from text.reader import mix64
from text.vocabulary import FRAME

MATCH_BASE = 0x9E3779B97F4A7C15  # odd, so that its powers have inverses mod 2^64
TABLE_BITS = 22  # a table of 4 MB fits a cache; a sorted list of the wanted hashes is slower to look up
SHIFT = np.uint64(64 - TABLE_BITS)  # leaves a hash's high bits, which in a product mod 2^64 depend on all lower ones
LONGEST_MATCH = (1 << 13) - 1  # characters; a longer match is a copy in any case
PIECE = 1 << 16  # positions that are hashed at a time, so that intermediate arrays stay in cache


class MatchFinder:
    """Finds longest verbatim matches with one text of (characters,) ids.

    Memory is linear in the text. Wrong only if two different substrings share a 64-bit hash.
    """

    def __init__(self, text: np.ndarray) -> None:
        self.text = PrefixHashes(text)
        self.frames = np.flatnonzero(text == FRAME)  # between the documents of the text

    def longest(self, samples: list[np.ndarray]) -> np.ndarray:
        """(samples,) characters of each sample's longest substring that occurs in the text, LONGEST_MATCH at most."""
        return self.find(samples)[0]

    def find(self, samples: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """(samples,) lengths as of `longest`, and (samples,) where in the text such a substring begins, -1 for none."""
        sizes = np.array([len(sample) for sample in samples])
        found, places = np.zeros(len(samples), dtype=np.int64), np.full(len(samples), -1)
        joined, starts = PrefixHashes(np.concatenate(samples)), np.cumsum(sizes) - sizes
        step = 1 << int(min(LONGEST_MATCH, max(sizes, default=1))).bit_length()
        while step := step // 2:  # bit by bit: where a length matches, all shorter ones do
            trial = found + step
            for length in np.unique(trial[trial <= sizes]):
                chosen = np.flatnonzero((trial == length) & (trial <= sizes))
                counts = sizes[chosen] - length + 1
                owner = np.repeat(chosen, counts)
                inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
                at = self._places(joined.hashes(starts[owner] + inside, int(length)), int(length))
                occurs = at >= 0
                found[owner[occurs]], places[owner[occurs]] = length, at[occurs]
        return found, places

    def _places(self, wanted: np.ndarray, length: int) -> np.ndarray:
        """(windows,) where a substring of this length with each of the wanted hashes begins in the text, -1 if none."""
        table = np.zeros(1 << TABLE_BITS, dtype=bool)
        table[wanted >> SHIFT] = True
        candidates: list[np.ndarray] = [np.zeros(0, dtype=np.uint64)]
        starts: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
        for piece in slices(len(self.text.prefix) - length):
            hashes = self.text.hashes(piece, length)
            there = np.flatnonzero(table[hashes >> SHIFT])
            candidates.append(hashes[there])
            starts.append(there + piece.start)
        known, first = np.unique(np.concatenate(candidates), return_index=True)
        if not len(known):
            return np.full(len(wanted), -1)
        nearest = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[nearest] == wanted, np.concatenate(starts)[first[nearest]], -1)

    def document_at(self, place: int) -> tuple[int, int]:
        """Where the document of the text that this place lies in begins and ends."""
        number = int(np.searchsorted(self.frames, place, side="right"))
        first = int(self.frames[number - 1]) + 1 if number else 0
        return first, int(self.frames[number]) if number < len(self.frames) else len(self.text.prefix) - 1


def slices(size: int) -> Iterator[slice]:
    """Slices of PIECE positions that cover this size, the last one shorter."""
    return (slice(first, min(first + PIECE, size)) for first in range(0, size, PIECE))


class Powers:
    """base^k mod 2^64 for k up to a size, from two short tables; one full table would take 8 bytes per character."""

    def __init__(self, base: int, size: int) -> None:
        factors = np.full(PIECE, base, dtype=np.uint64)
        factors[0] = 1
        self.small = np.cumprod(factors)
        self.large = np.array([pow(base, k * PIECE, 1 << 64) for k in range(size // PIECE + 1)], dtype=np.uint64)

    def __getitem__(self, k: np.ndarray | slice) -> np.ndarray:
        """Powers at positions k, or at a slice of at most PIECE positions that begins at a multiple of PIECE."""
        if isinstance(k, slice):
            return self.small[: k.stop - k.start] * self.large[k.start // PIECE]
        return self.small[k % PIECE] * self.large[k // PIECE]


class PrefixHashes:
    """Hashes of all substrings of (characters,) ids: prefix sums of mix(id) base^position mod 2^64 (Rabin and Karp).

    The difference of two prefix sums, times base^-start, depends on the substring alone.
    """

    def __init__(self, text: np.ndarray) -> None:
        powers, self.inverse = (Powers(base, len(text)) for base in (MATCH_BASE, pow(MATCH_BASE, -1, 1 << 64)))
        self.prefix = np.zeros(len(text) + 1, dtype=np.uint64)
        for piece in slices(len(text)):
            terms = mix64(text[piece].astype(np.uint64)) * powers[piece]
            self.prefix[1:][piece] = self.prefix[piece.start] + np.cumsum(terms)

    def hashes(self, starts: np.ndarray | slice, length: int) -> np.ndarray:
        """(starts,) hash of the substring of this length at each start; equal substrings have equal hashes."""
        if isinstance(starts, slice):
            ends: np.ndarray | slice = slice(starts.start + length, starts.stop + length)
        else:
            ends = starts + length
        return (self.prefix[ends] - self.prefix[starts]) * self.inverse[starts]
