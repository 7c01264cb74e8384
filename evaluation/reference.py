"""Statistics of a corpus's real text, which samples are compared with, and the bound beyond which a match is a copy."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from evaluation.matches import MatchFinder
from evaluation.near_copies import NEIGHBOURS, RECITED, Chance, shares_in_one
from evaluation.ngram import NgramModel, framed
from text.corpus import Corpus, Split
from text.vocabulary import FRAME, Vocabulary, fold, is_visible, marks
from utils import numpy_generator

REFERENCE_CHARACTERS = 4_000_000  # of training text that statistics are taken from, a random sample of documents
CALIBRATION_DOCUMENTS = 2000  # at most, of each split, whose own matches set the bound of a copy
CALIBRATION_QUANTILE = 0.999
MOSTLY_COPIED = 0.5  # a document that shares more of itself with other text is not new and does not set the bound
RECITATION_DOCUMENTS = 1000  # held-out ones, at most, that say how often real text is nearly recited
TAUGHT_DOCUMENTS = 3000  # training documents kept for a classifier to learn from
OPENING, ENDING = 3, 2  # characters that count as how a document begins and how it ends
Documents = list[np.ndarray]  # ids of each, without frames


class Reference:
    """Statistics of a corpus's training text, and its held-out documents, whose figures are the ceiling.

    A stream is cut into documents of `context` characters, which are about as long as its samples. Copies are sought in
    `sought`, or else in the training text, and in `twins`, the same documents without unknown characters.
    With `visible_only`, only known characters that show anything are compared, regardless of case. Neither `twins` nor
    documents of `sought` from the place `own` on, which are of other texts, set the bound of a copy.
    """

    def __init__(
        self,
        corpus: Corpus,
        context: int,
        sought: Split | None = None,
        twins: Split | None = None,
        *,
        own: float = np.inf,
        visible_only: bool = False,
    ) -> None:
        splits = (corpus.train, corpus.held_out)
        train, held_out = (cut_stream(split, context) for split in splits) if corpus.stream else splits
        rng = numpy_generator("reference")
        training, self.held_out = shuffled_documents(train, rng), shuffled_documents(held_out, rng)
        self.vocabulary, self.visible_only = corpus.vocabulary, visible_only
        self.one_case, self.visible = one_case(self.vocabulary), visible_ids(self.vocabulary)
        self.spoken = spoken_ids(self.vocabulary)
        self.visible[FRAME] = not corpus.stream  # between lines, where no match may run on; white space of a stream
        self.words = {word for document in training for word in words(self.vocabulary.decode(document))}
        taken, self.stream = first_documents(training, REFERENCE_CHARACTERS), corpus.stream
        # a stream's own text: between its pieces, in random order, it has no newlines
        text = np.asarray(corpus.train.document(0)[:REFERENCE_CHARACTERS]) if self.stream else framed(taken)
        self._count(taken, text)
        others: Documents = []
        if sought and sought is not corpus.train:
            whole = cut_stream(sought, context) if corpus.stream else sought
            mine = whole.starts < own
            training, others = (shuffled_documents(whole.chosen(which), rng) for which in (mine, ~mine))
        self._calibrate(training, others)
        again = [*(twins or ())]
        lines = [] if corpus.stream else [*training, *others, *again]
        self.lines = {*map(self._line, lines)} - {""}  # of a line that shows nothing, no sample is a copy
        if corpus.stream:  # as one text: a match may run across the cuts, and from one line of another text to the next
            text = sought or corpus.train
            documents = [*text]
            self.finders = [MatchFinder(self._ids(framed(documents)[1:-1] if documents[1:] else documents[0]))]
        if again:
            self.finders.append(MatchFinder(self._ids(framed(again))))

    def _line(self, document: np.ndarray) -> str:
        """A document as whole lines are compared."""
        if not self.visible_only:
            return fold(self.vocabulary.decode(document))
        ids = self._ids(document)
        spoken = ids[self.spoken[ids]]  # a line with other marks is the same line, but marks alone may be a line too
        return fold(self.vocabulary.decode(spoken if len(spoken) else ids)).casefold()

    def _ids(self, ids: np.ndarray) -> np.ndarray:
        """Ids as passages are compared."""
        return self.one_case[ids[self.visible[ids]]] if self.visible_only else ids

    def _count(self, documents: Documents, text: np.ndarray) -> None:
        """Statistics of training documents and of their text: lengths, characters."""
        self.text = text
        self.sampled = documents[:TAUGHT_DOCUMENTS]
        self.lengths = np.sort([len(document) for document in documents])
        self.unigrams = np.bincount(text, minlength=self.vocabulary.size)
        self.taken = documents

    @cached_property
    def histograms(self) -> "dict[Callable[..., np.ndarray], Histogram]":
        """How often each key occurs in the training documents, by the function that finds it; no set needs that."""
        return {
            keys_of: Histogram.of(keys_of(document, self.vocabulary) for document in self.taken)
            for keys_of in (trigrams, opening, ending)
        }

    @cached_property
    def model(self) -> NgramModel:
        """Counts of five characters in the training text; no set needs these either."""
        return NgramModel(self.text, self.vocabulary.size)

    def _calibrate(self, training: Documents, others: Documents) -> None:
        """Set the longest match that is no copy, from documents that are no part of the text they are compared with.

        Copies are sought in all of that text together, `others` among it, which are of other texts.
        """
        # held-out documents may be few, so some training documents are compared with the rest of the training text too
        aside = min(CALIBRATION_DOCUMENTS, len(training) // 2)
        new = [self._ids(document) for document in self.held_out[:CALIBRATION_DOCUMENTS] + training[:aside]]
        rest = MatchFinder(self._ids(framed([*training[aside:], *others])))
        self.copy_bound, self.calibrated_on = copy_bound(new, rest.longest(new))
        self.finders = [rest, MatchFinder(self._ids(framed(training[:aside])))]
        self.aside = training[:NEIGHBOURS][:aside], [rest]  # some documents, and text that they are no part of

    @cached_property
    def chance(self) -> Chance:
        """How often real text that is no copy otherwise is nearly recited; by more text where little is held out."""
        sides = [(self.held_out[:RECITATION_DOCUMENTS], self.finders)]
        if len(self.held_out) < NEIGHBOURS and self.aside[0]:
            sides.append(self.aside)
        lengths, recited = [], []
        for documents, finders in sides:
            compared = [self._ids(document) for document in documents]
            new = longest_matches(compared, finders) <= self.copy_bound
            if finders is self.finders:
                new &= ~np.array(self.are_lines(documents))
            lengths.append(np.array([len(document) for document in compared])[new])
            recited.append((shares_in_one(compared, finders) >= RECITED)[new])
        return Chance.of(np.concatenate(lengths), np.concatenate(recited))

    def are_lines(self, documents: Documents) -> list[bool]:
        """Whether each whole document is a line of the training text, as `_line` compares them."""
        return [self._line(document) in self.lines for document in documents]

    def copies(self, documents: Documents, matches: np.ndarray) -> "CopyKinds":
        """Which documents are copies, and of which kind, from their (documents,) longest matches."""
        lines = np.array(self.are_lines(documents), dtype=bool)
        passages = (matches > self.copy_bound) & ~lines
        rest = np.flatnonzero(~(lines | passages))
        compared = [self._ids(documents[i]) for i in rest]
        recited = shares_in_one(compared, self.finders) >= RECITED if len(rest) else np.zeros(0, dtype=bool)
        nearly, beyond = np.zeros(len(documents), dtype=bool), 0.0
        if recited.any():
            lengths = np.array([len(document) for document in compared])
            nearly[rest], beyond = self.chance.judge(lengths, recited)
        return CopyKinds(lines, passages, nearly, beyond)

    def matches(self, documents: Documents) -> np.ndarray:
        """(documents,) length of each one's longest verbatim match with the training text, in characters."""
        compared = [self._ids(document) for document in documents]
        return longest_matches(compared, self.finders)


def longest_matches(documents: Documents, finders: list[MatchFinder]) -> np.ndarray:
    """(documents,) length of each one's longest match with any of the texts."""
    return np.max([finder.longest(documents) for finder in finders], axis=0)


@dataclass(frozen=True)
class CopyKinds:
    """(documents,) bool: which documents copy, each in one way at most."""

    lines: np.ndarray  # is a line of the training text
    passages: np.ndarray  # holds more of it in a row than new real text
    nearly: np.ndarray  # nearly recites one of its documents, see evaluation.near_copies
    beyond: float  # how many more nearly recite one than chance allows

    @property
    def all(self) -> np.ndarray:
        return self.lines | self.passages | self.nearly


def cut_stream(split: Split, length: int) -> Split:
    """A stream's text, and other text beside it, as documents of one length; the last one of each text is shorter."""
    ends = split.starts + split.lengths
    starts = [np.arange(start, end, length) for start, end in zip(split.starts, ends, strict=True)]
    cuts = np.concatenate(starts)
    return Split(split.ids, cuts, np.minimum(length, np.repeat(ends, list(map(len, starts))) - cuts))


def shuffled_documents(split: Split, rng: np.random.Generator, characters: float = np.inf) -> Documents:
    """Documents of a split in random order, as views of its file, which is not read into memory.

    As many as hold so many characters, or all.
    """
    order = rng.permutation(len(split.lengths))
    enough = int(np.searchsorted(np.cumsum(split.lengths[order]), characters)) + 1
    return [np.asarray(split.document(int(i))) for i in order[:enough]]


def first_documents(documents: Documents, characters: int) -> Documents:
    """The first documents: as many as hold this many characters, or all."""
    return documents[: int(np.searchsorted(np.cumsum([len(d) for d in documents]), characters)) + 1]


def one_case(vocabulary: Vocabulary) -> np.ndarray:
    """(size,) uint16: the id of each character's small letter, where the vocabulary has both; else its own."""
    known = {character: number for number, character in enumerate(vocabulary.characters)}
    # casefold: of the two small sigmas a capital stands for either
    table = [known.get(c.casefold(), known.get(c.lower(), number)) for c, number in known.items()]
    return np.array([*table, vocabulary.unk][: vocabulary.size], dtype=np.uint16)


def visible_ids(vocabulary: Vocabulary) -> np.ndarray:
    """(size,) bool: whether each id is a known character that shows anything; `<unk>` is none."""
    return np.array([*map(is_visible, vocabulary.characters), False][: vocabulary.size])


def spoken_ids(vocabulary: Vocabulary) -> np.ndarray:
    """(size,) bool: whether each id is a letter, a part of one, or a digit."""
    return np.array([*(unicodedata.category(c)[0] in "LMN" for c in vocabulary.characters), False][: vocabulary.size])


def copy_bound(documents: Documents, matches: np.ndarray) -> tuple[int, int]:
    """Documents and their longest matches -> the longest match that is no copy, and how many new ones say so."""
    sizes = np.array([len(document) for document in documents])
    new = (matches <= MOSTLY_COPIED * sizes) & (sizes > 0)
    matches = matches[new] if new.any() else matches
    return int(np.ceil(np.quantile(matches, CALIBRATION_QUANTILE))), int(new.sum())


@dataclass(frozen=True)
class Histogram:
    """How often each integer key occurs, keys ascending."""

    keys: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, parts: Iterable[np.ndarray]) -> "Histogram":
        """Counts over the keys of all documents, one array each."""
        return cls(*np.unique(np.concatenate(list(parts)), return_counts=True))


@cache
def word_pattern() -> re.Pattern[str]:
    """A run of letters and the marks on them, as the vowels of Hindi are, with apostrophes inside."""
    return re.compile(rf"[^\W\d_]+(?:[{marks()}]+[^\W\d_]*|['’][^\W\d_]+)*")


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return word_pattern().findall(text.lower())


def _key(ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """(..., n) ids -> (...) keys: one integer for n characters."""
    return ids @ (vocabulary.size ** np.arange(ids.shape[-1]))


def trigrams(document: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Keys of every three characters in a row, frames included."""
    return _key(np.lib.stride_tricks.sliding_window_view(framed([document]), 3), vocabulary)


def opening(document: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """(1,) key of the first OPENING characters."""
    return _key(np.pad(document[:OPENING], (0, OPENING - len(document[:OPENING])))[None], vocabulary)


def ending(document: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """(1,) key of the last ENDING characters."""
    return _key(np.pad(document[-ENDING:], (ENDING - len(document[-ENDING:]), 0))[None], vocabulary)
