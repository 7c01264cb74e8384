"""Metrics of a set of documents, each with a confidence interval."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from evaluation.ngram import framed, lookup
from evaluation.reference import Documents, Histogram, Reference, ending, opening, trigrams, words
from text.vocabulary import Vocabulary
from utils import numpy_generator

BOOTSTRAPS = 200
Z95 = 1.96
Figure = Callable[[np.ndarray], float]  # weights (documents,) -> value


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """0.912 ± 0.013"""
        return f"{self.value:.3f} ± {(self.high - self.low) / 2:.3f}"

    def agrees(self, other: "Interval") -> bool:
        """Whether two figures differ by no more than chance: within the root of their summed squared half-widths."""
        half = np.hypot(self.high - self.low, other.high - other.low) / 2
        return bool(abs(self.value - other.value) <= half + 1e-12)


def bootstrap(figure: Figure, documents: int, rng: np.random.Generator) -> Interval:
    """Value ± 1.96 standard errors over redrawn documents; percentiles would carry the figures' small-sample bias."""
    value = float(figure(np.ones(documents)))
    weights = rng.multinomial(documents, np.full(documents, 1 / documents), size=BOOTSTRAPS)
    half = Z95 * float(np.std([figure(redrawn) for redrawn in weights]))
    return Interval(value, value - half, value + half)


def divergence(parts: list[np.ndarray], reference: Histogram) -> Figure:
    """Jensen-Shannon divergence in bits of the documents' pooled keys from the reference: 0 alike, 1 disjoint."""
    keys, column = np.unique(np.concatenate(parts), return_inverse=True)
    row = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    counts = scipy.sparse.csr_matrix((np.ones(len(row)), (row, column)), shape=(len(parts), len(keys)))
    q = lookup(reference.keys, reference.counts, keys) / reference.counts.sum()

    def figure(weights: np.ndarray) -> float:
        p = weights @ counts
        p = p / p.sum()
        middle = (p + q) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(p > 0, p * np.log2(p / middle), 0).sum()
            other = np.where(q > 0, q * np.log2(q / middle), 0).sum()
        return float(own + other + (1 - q.sum())) / 2  # keys the documents lack: q log2(q / (q/2)) = q

    return figure


def ratio(above: np.ndarray, below: np.ndarray) -> Figure:
    return lambda weights: float(weights @ above / max(weights @ below, 1e-12))


def length_distance(lengths: np.ndarray, reference: np.ndarray) -> Figure:
    """Kolmogorov-Smirnov distance of weighted lengths from the reference's, both sorted once."""
    values = np.unique(np.concatenate([lengths, reference]))
    cdf = np.searchsorted(reference, values, side="right") / len(reference)
    order = np.argsort(lengths)
    place = np.searchsorted(lengths[order], values, side="right")

    def figure(weights: np.ndarray) -> float:
        own = np.concatenate([[0], np.cumsum(weights[order])])
        return float(np.abs(own[place] / own[-1] - cdf).max())

    return figure


def entropy(documents: Documents, vocabulary: Vocabulary) -> Figure:
    """Bits per character of the documents' pooled characters, order ignored."""
    counts = np.stack([np.bincount(document, minlength=vocabulary.size) for document in documents])

    def figure(weights: np.ndarray) -> float:
        p = weights @ counts
        p = p[p > 0] / p.sum()
        return float(-(p * np.log2(p)).sum())

    return figure


def figures(documents: Documents, matches: np.ndarray, reference: Reference) -> dict[str, Figure]:
    """Every figure of a set of documents and of their longest matches, by name."""
    vocabulary = reference.vocabulary
    texts = [vocabulary.decode(document) for document in documents]
    spoken = [words(text) for text in texts]
    known = np.array([sum(word in reference.words for word in part) for part in spoken], dtype=float)
    lengths = np.array([len(document) for document in documents])
    nats = np.array([reference.model.nats(framed([document])).sum() for document in documents])
    _, first = np.unique(texts, return_index=True)
    repeated = np.ones(len(texts))
    repeated[first] = 0
    ones = np.ones(len(documents))
    return {
        "known words": ratio(known, np.array([len(part) for part in spoken], dtype=float)),
        "trigram divergence": divergence([trigrams(d, vocabulary) for d in documents], reference.trigrams),
        "length distance": length_distance(lengths, reference.lengths),
        "5-gram bits/char": ratio(nats / np.log(2), lengths + 1.0),
        "character entropy": entropy(documents, vocabulary),
        "openings divergence": divergence([opening(d, vocabulary) for d in documents], reference.openings),
        "endings divergence": divergence([ending(d, vocabulary) for d in documents], reference.endings),
        "duplicates": ratio(repeated, ones),
        "copies": ratio(reference.copied(documents, matches).astype(float), ones),
        "longest match": ratio(matches.astype(float), ones),
    }


def measure(documents: Documents, matches: np.ndarray, reference: Reference) -> dict[str, Interval]:
    """Every figure of a set of documents with its interval; the same documents give the same intervals."""
    rng, found = numpy_generator("bootstrap"), figures(documents, matches, reference)
    return {name: bootstrap(figure, len(documents), rng) for name, figure in found.items()}
