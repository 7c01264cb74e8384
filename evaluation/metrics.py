"""Metrics of written documents against real text, each with a confidence interval from bootstraps."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse
from scipy.stats import t as student_t

from command.messages import with_error
from evaluation.likelihood import NATS_PER_BIT
from evaluation.ngram import framed, lookup
from evaluation.reference import CopyKinds, Documents, Histogram, Reference, ending, opening, trigrams, words
from utils import numpy_generator

BOOTSTRAPS = 200  # redrawn sets of documents per interval
Statistic = Callable[[np.ndarray], float]  # (documents,) weights, how often each document counts -> value


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % confidence interval: nan of one document. All are nan where there is nothing to measure."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """For example 0.912 ± 0.013."""
        return with_error(self.value, (self.high - self.low) / 2)

    @property
    def measured(self) -> bool:
        return math.isfinite(self.value)

    @property
    def certain(self) -> bool:
        """Whether its interval is known."""
        return math.isfinite(self.high - self.low)

    def agrees(self, other: "Interval") -> bool:
        """Whether two values differ by no more than chance: the root of the summed squares of their half-widths."""
        half = np.hypot(self.high - self.low, other.high - other.low) / 2
        return bool(abs(self.value - other.value) <= half + 1e-12)


def bootstrap(figure: Statistic, documents: int, rng: np.random.Generator) -> Interval:
    """A figure of so many documents with its 95 % interval, of Student's t: some two standard errors, which come from
    redrawing documents with replacement.

    Not from percentiles: a divergence of redrawn documents is biased upwards, and percentiles would show that bias.
    """
    value = float(figure(np.ones(documents)))
    if documents == 1:
        return Interval(value, math.nan, math.nan)
    weights = rng.multinomial(documents, np.full(documents, 1 / documents), size=BOOTSTRAPS)
    redrawn = [figure(row) for row in weights]
    spread = float(np.std([other for other in redrawn if math.isfinite(other)] or [math.nan]))
    # redrawing n documents gives (n-1) / n of the variance
    half = float(student_t.ppf(0.975, documents - 1)) * math.sqrt(documents / (documents - 1)) * spread
    return Interval(value, value - half, value + half)


def counts_of_each(parts: list[np.ndarray]) -> tuple[np.ndarray, scipy.sparse.csr_matrix]:
    """Integer keys of each document -> the (K,) distinct ones, and (documents, K) how often each document has each."""
    keys, column = np.unique(np.concatenate(parts), return_inverse=True)
    row = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return keys, scipy.sparse.csr_matrix((np.ones(len(row)), (row, column)), shape=(len(parts), len(keys)))


def divergence(parts: list[np.ndarray], reference: Histogram) -> Statistic:
    """Jensen-Shannon divergence of all documents' keys from the reference, in bits: 0 if equal, 1 if disjoint.

    `parts` holds the integer keys of each document.
    """
    keys, counts = counts_of_each(parts)
    q = lookup(reference.keys, reference.counts, keys) / reference.counts.sum()

    def figure(weights: np.ndarray) -> float:
        p = weights @ counts
        p = p / p.sum()
        middle = (p + q) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            of_documents = np.where(p > 0, p * np.log2(p / middle), 0).sum()
            of_reference = np.where(q > 0, q * np.log2(q / middle), 0).sum()
        # a key that the documents lack adds q log2(q / (q / 2)) = q
        return float(of_documents + of_reference + (1 - q.sum())) / 2

    return figure


def ratio(above: np.ndarray, below: np.ndarray) -> Statistic:
    """The sum over documents of (documents,) `above`, over that of `below`; nan where that is 0."""
    return lambda weights: float(weights @ above / (weights @ below or math.nan))


def length_distance(lengths: np.ndarray, reference: np.ndarray) -> Statistic:
    """Kolmogorov-Smirnov distance of (documents,) lengths from the reference's, which are ascending: 0 to 1."""
    values = np.unique(np.concatenate([lengths, reference]))
    cdf = np.searchsorted(reference, values, side="right") / len(reference)
    order = np.argsort(lengths)
    place = np.searchsorted(lengths[order], values, side="right")

    def figure(weights: np.ndarray) -> float:
        cumulative = np.concatenate([[0], np.cumsum(weights[order])])
        return float(np.abs(cumulative[place] / cumulative[-1] - cdf).max())

    return figure


def entropy(documents: Documents) -> Statistic:
    """Entropy of the distribution of characters in all documents, in bits per character."""
    _, counts = counts_of_each(documents)

    def figure(weights: np.ndarray) -> float:
        p = weights @ counts
        p = p[p > 0] / p.sum()
        return float((p * np.log2(1 / p)).sum())

    return figure


@dataclass(frozen=True)
class DocumentGroup:
    """Documents that are measured together; what several metrics need of them is computed once."""

    documents: Documents
    reference: Reference

    @cached_property
    def matches(self) -> np.ndarray:
        """(documents,) length of each one's longest match with the training text, in characters."""
        return self.reference.matches(self.documents)

    @cached_property
    def copies(self) -> CopyKinds:
        """Which documents are copies, and of which kind."""
        return self.reference.copies(self.documents, self.matches)

    @cached_property
    def texts(self) -> list[str]:
        return [self.reference.vocabulary.decode(document) for document in self.documents]

    @cached_property
    def lengths(self) -> np.ndarray:
        return np.array([len(document) for document in self.documents])

    def mean(self, values: np.ndarray) -> Statistic:
        """The mean over documents of (documents,) values."""
        return ratio(values.astype(float), np.ones(len(self.documents)))


def known_words(group: DocumentGroup) -> Statistic:
    """Share of words that occur in the training text."""
    words_of_each = [words(text) for text in group.texts]
    known = [sum(word in group.reference.words for word in found) for found in words_of_each]
    return ratio(np.array(known, dtype=float), np.array([len(found) for found in words_of_each], dtype=float))


def key_divergence(group: DocumentGroup, keys_of: Callable[..., np.ndarray]) -> Statistic:
    """Divergence of the keys that `keys_of` (trigrams, opening or ending) finds in each document."""
    keys = [keys_of(document, group.reference.vocabulary) for document in group.documents]
    return divergence(keys, group.reference.histograms[keys_of])


def ngram_bits(group: DocumentGroup) -> Statistic:
    """Bits per character under the n-gram model of the training text; a line's closing frame counts too."""
    model, stream = group.reference.model, group.reference.stream
    texts = [np.append(model.unknown, document) if stream else framed([document]) for document in group.documents]
    nats = np.array([model.nats(text).sum() for text in texts])
    return ratio(nats / NATS_PER_BIT, group.lengths + float(not stream))


def duplicates(group: DocumentGroup) -> Statistic:
    """Share of documents that are the same as an earlier one."""
    first = {text: number for number, text in reversed([*enumerate(group.texts)])}
    return group.mean(np.array([first[text] != number for number, text in enumerate(group.texts)]))


@dataclass(frozen=True)
class Metric:
    """One row of a report: its name, what it means to a reader, and how it is computed."""

    name: str
    meaning: str
    function: Callable[[DocumentGroup], Statistic]


# new metrics go to the end: bootstraps are drawn in this order from one generator, so another order changes intervals
METRICS = (
    Metric("known words", "share of words that occur in the training text; the ceiling is real text's", known_words),
    Metric(
        "trigram divergence",
        "how far the three-character habits are from the source's, bits; near real text's is best",
        lambda group: key_divergence(group, trigrams),
    ),
    Metric(
        "length distance",
        "how far the lengths are from the source's, 0 to 1; real text's or less is good",
        lambda group: length_distance(group.lengths, group.reference.lengths),
    ),
    Metric(
        "5-gram bits/char",
        "how surprising a simple model of the source finds the text; near real text's is best",
        ngram_bits,
    ),
    Metric(
        "character entropy",
        "how varied the characters are, bits; near real text's is best",
        lambda group: entropy(group.documents),
    ),
    Metric(
        "openings divergence",
        "how far the first three characters are from the source's habits, bits",
        lambda group: key_divergence(group, opening),
    ),
    Metric(
        "endings divergence",
        "how far the last two characters are from the source's habits, bits",
        lambda group: key_divergence(group, ending),
    ),
    Metric("duplicates", "share of documents that repeat an earlier one", duplicates),
    Metric(
        "copies",
        "share of documents that are lines of the training text, nearly recite it, or share longer passages",
        lambda group: group.mean(group.copies.all),
    ),
    Metric(
        "longest match",
        "mean length of the longest verbatim match with the training text, characters",
        lambda group: group.mean(group.matches),
    ),
)


def figures(group: DocumentGroup) -> dict[str, Statistic]:
    """Every metric of METRICS for these documents, by name."""
    return {metric.name: metric.function(group) for metric in METRICS}


def measure(group: DocumentGroup) -> dict[str, Interval]:
    """Every metric's value with its interval, by name; the same documents give the same intervals."""
    rng = numpy_generator("bootstrap")
    return {name: bootstrap(figure, len(group.documents), rng) for name, figure in figures(group).items()}
