"""All text that a model has learnt from: its own, and that of the models its training started from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from config.loader import Config
from config.schema import DataConfig, RunConfig
from generation.aside import kept_aside
from generation.checkpoint import Checkpoint, Start
from text.corpus import Corpus, Split, all_text, load_trained_corpus
from text.reader import ReadingLog, read_lines, spans, with_ends
from text.vocabulary import NEWLINE, Vocabulary
from utils import UserError, hash_file


def corpus_of(checkpoint: Checkpoint, file: Path) -> Corpus:
    """The text that a model was trained on, if it is read as it was then; else UserError."""
    corpus = load_trained_corpus(checkpoint.run, checkpoint.data_sha256, file)
    if corpus.vocabulary != checkpoint.vocabulary:  # an earlier version learnt control characters too
        raise UserError(f"{file}: learnt other characters than are read of {checkpoint.run.data_file()}; train it anew")
    return corpus


@dataclass(frozen=True)
class Seen:
    """Text that a model has learnt from, in which copies are sought."""

    text: Split  # as ids of its vocabulary: its own, without what is held out, and the texts of its start that are here
    own: float  # where in its ids the texts of its start begin: all before is its own
    twins: np.ndarray  # (documents,) bool: documents of a start that equal one of its own without unknown characters
    missing: list[str]  # the models whose texts are not where config.yaml says, or not as they were
    held_out: int  # how many held-out documents are in the texts of its start too

    @property
    def apart(self) -> tuple[Split, Split | None]:
        """The text without its twins, and these, if there are any."""
        return (self.text.chosen(~self.twins), self.text.chosen(self.twins)) if self.twins.any() else (self.text, None)


def seen_text(corpus: Corpus, run: RunConfig, start: Start | None, config: Config, *, same_split: bool = False) -> Seen:
    """What a model that began with this start has learnt from.

    `same_split`: every earlier training on this very text held out the same documents.
    """
    if start and same_split:
        start = start.model_copy(update={"texts": [text for text in start.texts if text.sha256 != corpus.sha256]})
    own, held_out = all_text(corpus, run)
    texts, missing, read = [], [], set()
    for text in dict.fromkeys(start.texts if start else []):
        if text.sha256 in read:  # a file may name a text again and again
            continue
        other = config.merged(text.name, {})
        if file := file_with(text.sha256, other.data_file()):
            texts.append(without(lines_of(file, other.data, corpus.vocabulary), own))
            read.add(text.sha256)
        else:
            missing.append(text.name)
    known = known_parts(corpus) if texts else set()
    twins = [np.zeros(len(own.lengths), dtype=bool), *(are_among(text, known) for text in texts)]
    text, learnt = joined([own, *texts]), held_out_in(corpus, held_out, texts, start)
    return Seen(text, len(own.ids), np.concatenate(twins), missing, learnt)


def known_parts(corpus: Corpus) -> set[bytes]:
    """Training documents that hold unknown characters, as bytes of ids without these, as a base learnt them."""
    unk = corpus.vocabulary.unk
    return {document[document != unk].tobytes() for document in corpus.train if (document == unk).any()}


def are_among(split: Split, documents: set[bytes]) -> np.ndarray:
    """(documents,) bool: which documents of a split are among these, given as bytes of their ids."""
    return np.array([document.tobytes() in documents for document in split], dtype=bool)


def file_with(sha256: str, file: Path) -> Path | None:
    """The text file with this hash: that of a dataset, or one that was kept aside when another took its name."""
    return next((path for path in (file, *kept_aside(file)) if path.is_file() and hash_file(path) == sha256), None)


def held_out_in(corpus: Corpus, held_out: Split, texts: list[Split], start: Start | None) -> int:
    """How many held-out documents are in these texts of a start too: it may have learnt them, by another seed."""
    if corpus.stream:
        return int(any(text.sha256 == corpus.sha256 for text in (start.texts if start else [])))
    mine = {document.tobytes() for document in held_out}
    learnt = {found for text in texts for document in text if (found := document.tobytes()) in mine}
    return int(are_among(held_out, learnt).sum())


def without(split: Split, other: Split) -> Split:
    """The documents of a split that are not in the other too."""
    return split.chosen(~are_among(split, {document.tobytes() for document in other}))


def lines_of(file: Path, read_as: DataConfig, vocabulary: Vocabulary) -> Split:
    """Every line of a text file, as ids of another vocabulary, or else of what reads the same."""
    ids, sizes = [np.empty(0, vocabulary.ids_of_alike.dtype)], [np.empty(0, np.int64)]  # a text may hold no line
    for codes in with_ends(read_lines(file, read_as, ReadingLog())):
        ids.append(vocabulary.ids_of_alike[codes[codes != NEWLINE]])
        sizes.append(spans(codes)[1])
    return Split.whole(np.concatenate(ids), np.concatenate(sizes))


def joined(parts: list[Split]) -> Split:
    """Splits as one, if there are several: a copy of all their text in memory."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(part.ids) for part in parts[:-1])])
    starts = np.concatenate([part.starts + offset for part, offset in zip(parts, offsets, strict=True)])
    return Split(np.concatenate([part.ids for part in parts]), starts, np.concatenate([part.lengths for part in parts]))
