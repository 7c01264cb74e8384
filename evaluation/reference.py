"""What real text of a corpus is like: the reference that samples are compared with."""

import re
from dataclasses import dataclass

import numpy as np

from evaluation.matches import MatchFinder
from evaluation.ngram import NgramModel, framed
from text.corpus import Corpus, Split
from text.vocabulary import Vocabulary, fold
from utils import numpy_generator

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
REFERENCE_CHARACTERS = 4_000_000  # of training text that statistics are taken from, a random sample of documents
CALIBRATION_DOCUMENTS = 2000  # held-out, and as many training, documents whose own matches set the bound of a copy
CALIBRATION_QUANTILE = 0.999
MOSTLY_COPIED = 0.5  # a document of which another holds this share is no new text, and does not set the bound
TAUGHT_DOCUMENTS = 3000  # training documents kept for a fingerprint to learn from
OPENING, ENDING = 3, 2  # characters that count as how a document begins and how it ends
Documents = list[np.ndarray]  # ids of each, without frames


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
                self.lines.add(fold(line))
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
        return [fold(self.vocabulary.decode(document)) in self.lines for document in documents]

    def copied(self, documents: Documents, matches: np.ndarray) -> np.ndarray:
        """(documents,) whether each holds a longer match than new real text does, or is a whole line."""
        return (matches > self.copy_bound) | np.array(self.are_lines(documents), dtype=bool)

    def matches(self, documents: Documents) -> np.ndarray:
        """(documents,) characters of each one's longest verbatim match with the training text."""
        return np.max([finder.longest(documents) for finder in self.finders], axis=0)


def pieces(split: Split, length: int) -> Split:
    """A stream's text as documents of one length, the last one shorter."""
    starts = np.arange(split.starts[0], split.starts[0] + split.lengths[0], length)
    return Split(split.ids, starts, np.diff([*starts, split.starts[0] + split.lengths[0]]))


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
