"""What a set of documents sounds like, in figures with intervals, beside the text it should sound like.

Each document gives its counts once; every figure is a function of weights over documents, so that the bootstrap redraws
weights and nothing else. Knows nothing of networks: samples and real text are measured alike.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from acceptance import folded
from corpus import Corpus, Split
from ngram import MatchFinder, NgramModel, framed, lookup
from utils import Vocabulary, numpy_generator

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
REFERENCE_CHARACTERS = 4_000_000  # of training text that statistics are taken from, a random sample of documents
CALIBRATION_DOCUMENTS = 2000  # held-out, and as many training, documents whose own matches set the bound of a copy
CALIBRATION_QUANTILE = 0.999
MOSTLY_COPIED = 0.5  # a document of which another holds this share is no new text, and does not set the bound
TAUGHT_DOCUMENTS = 3000  # training documents kept for a fingerprint to learn from
BOOTSTRAPS = 200
Z95 = 1.96
OPENING, ENDING = 3, 2  # characters that count as how a document begins and how it ends

Documents = list[np.ndarray]  # ids of each, without frames
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


def sample_documents(split: Split, rng: np.random.Generator) -> Documents:
    """All documents of a split, in random order; they stay on the disk where they are."""
    return [np.asarray(split.document(int(i))) for i in rng.permutation(len(split.lengths))]


class Reference:
    """What a corpus's training text is like, and its held-out documents, whose figures are the ceiling."""

    def __init__(self, corpus: Corpus, context: int) -> None:
        rng = numpy_generator("reference")
        self.vocabulary = corpus.vocabulary
        train, held_out = corpus.train, corpus.held_out
        if corpus.stream:  # continuous text is judged in pieces as long as its samples
            train, held_out = pieces(train, context), pieces(held_out, context)
        whole = sample_documents(train, rng)
        documents = whole[: int(np.searchsorted(np.cumsum([len(d) for d in whole]), REFERENCE_CHARACTERS)) + 1]
        self.held_out, self.sampled = sample_documents(held_out, rng), documents[:TAUGHT_DOCUMENTS]
        self.lengths = np.sort([len(document) for document in documents])
        text = framed(documents)
        self.words: set[str] = set()
        self.lines: set[str] = set()  # folded; a stream has none
        for document in whole:
            line = self.vocabulary.decode(document)
            self.words.update(words(line))
            if not corpus.stream:
                self.lines.add(folded(line))
        self.unigrams = np.bincount(text, minlength=self.vocabulary.size)
        self.trigrams = Histogram.of(trigrams(document, self.vocabulary) for document in documents)
        self.openings = Histogram.of(opening(document, self.vocabulary) for document in documents)
        self.endings = Histogram.of(ending(document, self.vocabulary) for document in documents)
        self.model = NgramModel(text, self.vocabulary.size)
        # held-out documents may be few; training documents against all the others tell as much
        aside = min(CALIBRATION_DOCUMENTS, len(whole) // 2)
        strangers = self.held_out[:CALIBRATION_DOCUMENTS] + whole[:aside]
        rest = MatchFinder(framed(whole[aside:]))
        own = rest.longest(strangers)
        new = own <= MOSTLY_COPIED * np.array([len(document) for document in strangers])
        own = own[new] if new.any() else own
        self.copy_bound, self.calibrated_on = int(np.ceil(np.quantile(own, CALIBRATION_QUANTILE))), len(own)
        # a stream's pieces were cut for measuring; a match may run across them
        self.finders = (
            [MatchFinder(corpus.train.document(0))] if corpus.stream else [rest, MatchFinder(framed(whole[:aside]))]
        )

    def are_lines(self, documents: Documents) -> list[bool]:
        """Whether each document is, from end to end and white space aside, one of the training text's."""
        return [folded(self.vocabulary.decode(document)) in self.lines for document in documents]

    def copied(self, documents: Documents, matches: np.ndarray) -> np.ndarray:
        """(documents,) whether each holds a longer match than new real text does, or is a whole line."""
        return (matches > self.copy_bound) | np.array(self.are_lines(documents), dtype=bool)

    def matches(self, documents: Documents) -> np.ndarray:
        """(documents,) characters of each one's longest verbatim match with the training text."""
        return np.max([finder.longest(documents) for finder in self.finders], axis=0)


def pieces(split: Split, length: int) -> Split:
    """A stream's text as documents of one length, the last one shorter."""
    starts = np.arange(split.starts[0], split.starts[0] + split.lengths[0], length)
    return Split(split.tokens, starts, np.diff([*starts, split.starts[0] + split.lengths[0]]))


@dataclass(frozen=True)
class Histogram:
    """Counts of integer keys, keys ascending."""

    keys: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, parts) -> "Histogram":
        return cls(*np.unique(np.concatenate(list(parts)), return_counts=True))


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _key(ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """(..., n) ids -> (...) one integer each."""
    return ids @ (vocabulary.size ** np.arange(ids.shape[-1]))


def trigrams(document: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    return _key(np.lib.stride_tricks.sliding_window_view(framed([document]), 3), vocabulary)


def opening(document: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    return _key(np.pad(document[:OPENING], (0, OPENING - len(document[:OPENING])))[None], vocabulary)


def ending(document: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    return _key(np.pad(document[-ENDING:], (ENDING - len(document[-ENDING:]), 0))[None], vocabulary)


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
