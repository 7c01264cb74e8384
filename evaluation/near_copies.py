"""Finds documents that nearly recite one training document: passages of it make up almost all of them.

The longest match is not enough: a short document with one letter changed has no longer one than real texts that share
long passages. So it is counted how often real texts of each length are nearly recited: that is chance.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from evaluation.matches import MatchFinder, PrefixHashes

PASSAGE = 8  # characters in a row that count as a passage; two documents of a language share many shorter ones
SHORT_SHARE, SHORTEST = 4, 3  # of a short document a fourth is a passage, if it is so many characters
RECITED = 0.8  # share of a document in passages of one training document from which on it is nearly recited
PARTS = (1, 2, 4)  # a document is sought whole, in halves and in quarters: a change in one leaves the others
NEIGHBOURS = 100  # real documents of about the same length that say how often that is chance
FEWEST = 48  # of them that say, if none is nearly recited, that it is rare: (0 + 1) / (48 + 2) is 2 %
SPREAD = 2.0  # standard errors by which chance may exceed what is expected of it


def passage_length(characters: int) -> int:
    """How many characters in a row count as a passage of a document of so many."""
    return min(PASSAGE, max(SHORTEST, characters // SHORT_SHARE))


def shares_in_one(documents: list[np.ndarray], finders: list[MatchFinder]) -> np.ndarray:
    """(documents,) share of each document's characters in passages of one document of the texts, the one with most."""
    parts = [part for document in documents for part in parts_of(document)]
    shares = np.zeros(len(documents))
    for finder in finders:
        _, places = finder.find(parts)
        for number, at in enumerate(places.reshape(len(documents), -1)):
            shares[number] = max(shares[number], most_shared(documents[number], finder, at[at >= 0]))
    return shares


def parts_of(document: np.ndarray) -> list[np.ndarray]:
    """The document whole, and in equal parts."""
    cuts = [np.linspace(0, len(document), count + 1).astype(int) for count in PARTS]
    return [document[first:end] for cut in cuts for first, end in itertools.pairwise(cut)]


def most_shared(document: np.ndarray, finder: MatchFinder, places: np.ndarray) -> float:
    """The largest share of a document in passages of one of the documents around these places of a text."""
    size, length = len(document), passage_length(len(document))
    if size < length:
        return 0.0
    own = PrefixHashes(document).hashes(np.arange(size - length + 1), length)
    around = set()
    for place in places.tolist():
        first, end = finder.document_at(place)
        # of a long document, what lies around the place
        around.add((max(first, place - size), min(end, place + 2 * size)))
    most = 0
    for first, end in around:
        there = np.isin(own, finder.text.hashes(np.arange(first, max(first, end - length + 1)), length))
        covered = np.zeros(size, dtype=bool)
        for step in range(length):
            covered[step : step + len(own)] |= there
        most = max(most, int(covered.sum()))
    return most / size


@dataclass(frozen=True)
class Chance:
    """How often new real documents are nearly recited, by their length."""

    lengths: np.ndarray  # (real documents,) ascending
    recited: np.ndarray  # (real documents,) bool

    @classmethod
    def of(cls, lengths: np.ndarray, recited: np.ndarray) -> "Chance":
        """Of real documents in any order."""
        order = np.argsort(lengths, kind="stable")
        return cls(lengths[order], recited[order])

    def at(self, lengths: np.ndarray) -> tuple[np.ndarray, int]:
        """(documents,) how many of the n real documents nearest in length to each are nearly recited; -> also n."""
        count = min(NEIGHBOURS, len(self.lengths))
        before = np.concatenate([[0], np.cumsum(self.recited)])
        middle = (np.searchsorted(self.lengths, lengths, "left") + np.searchsorted(self.lengths, lengths, "right")) // 2
        first = np.clip(middle - count // 2, 0, len(self.lengths) - count)
        return before[first + count] - before[first], count

    def judge(self, lengths: np.ndarray, recited: np.ndarray) -> tuple[np.ndarray, float]:
        """(documents,) which nearly recited ones are copies, and how many are beyond chance.

        All nearly recited ones if there are more than chance allows; else those with FEWEST or more real documents of
        about their length, none of which is nearly recited. Chance allows what is expected of real text of these
        lengths, k / n, and of one more such document among all real ones.
        """
        near, count = self.at(lengths)
        expected = float((near / max(count, 1)).sum()) + len(lengths) / (len(self.lengths) + 2)
        beyond = max(float(recited.sum()) - expected - SPREAD * math.sqrt(expected), 0.0)
        return recited if beyond else recited & (near == 0) & (count >= FEWEST), beyond
