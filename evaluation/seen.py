"""All text that a model has learnt from: its own, and that of the models its training started from."""

from pathlib import Path

import numpy as np

from config.loader import Config
from config.messages import counted
from config.schema import DataConfig, RunConfig
from evaluation.reference import Reference
from generation.archive import kept_aside
from generation.checkpoint import Checkpoint, Start
from text.corpus import Corpus, Split, all_training_text
from text.reader import ReadingLog, read_lines, spans
from text.vocabulary import NEWLINE, Vocabulary
from utils import hash_file


def seen_text(
    corpus: Corpus, run: RunConfig, start: Start | None, config: Config, *, same_split: bool = False
) -> tuple[Split, list[str], int]:
    """As ids of the model's vocabulary: its text, without what is held out, and the texts of `start` that are here.

    Also -> the names of the models whose texts are not where config.yaml says, or not as they were; and how many
    held-out documents are in the texts of `start` too. `same_split`: every earlier training on this very text held out
    the same documents.
    """
    if start and same_split:
        start = start.model_copy(update={"texts": [text for text in start.texts if text.sha256 != corpus.sha256]})
    own, missing = all_training_text(corpus, run), []
    parts, read = [own], set()
    for text in dict.fromkeys(start.texts if start else []):
        if text.sha256 in read:  # a file may name a text again and again
            continue
        other = config.merged(text.name, {})
        if file := file_with(text.sha256, other.data_file()):
            parts.append(without(lines_of(file, other.data, corpus.vocabulary), own))
            read.add(text.sha256)
        else:
            missing.append(text.name)
    return joined(parts), missing, held_out_in(corpus, parts[1:], start)


def file_with(sha256: str, file: Path) -> Path | None:
    """The text file with this hash: that of a dataset, or one that was kept aside when another took its name."""
    return next((path for path in (file, *kept_aside(file)) if path.is_file() and hash_file(path) == sha256), None)


def held_out_in(corpus: Corpus, texts: list[Split], start: Start | None) -> int:
    """How many held-out documents are in these texts of a start too: it may have learnt them, by another seed."""
    if corpus.stream:
        return int(any(text.sha256 == corpus.sha256 for text in (start.texts if start else [])))
    return len(corpus.held_out.lengths) - len(without(corpus.held_out, joined(texts)).lengths) if texts else 0


def without(split: Split, other: Split) -> Split:
    """The documents of a split that are not in the other too."""
    known = {other.document(i).tobytes() for i in range(len(other.lengths))}
    new = [i for i in range(len(split.lengths)) if split.document(i).tobytes() not in known]
    return Split(split.ids, split.starts[new], split.lengths[new])


def reference_of(corpus: Corpus, checkpoint: Checkpoint, config: Config) -> tuple[Reference, list[str]]:
    """What a set's texts are compared with: what the model learnt from, and names as in `seen_text`."""
    sought, missing = None, []
    if checkpoint.start:
        start, same_split = checkpoint.start, checkpoint.same_split
        sought, missing, _ = seen_text(corpus, checkpoint.run, start, config, same_split=same_split)
    return Reference(corpus, checkpoint.run.model.context, sought), missing


def left_out(corpus: Corpus, checkpoint: Checkpoint) -> str:
    """Of what text of the model's own `reference_of` does not seek copies, in words; "" if it seeks them in all of it.

    A set's figures are of what its model learnt from; a model from elsewhere may have learnt more than it says.
    """
    if checkpoint.start or not (count := corpus.reading_log.not_sampled):
        return ""
    return f"{counted(count, 'document')} of the text, which data.max_documents left out of the model's training"


def lines_of(file: Path, read_as: DataConfig, vocabulary: Vocabulary) -> Split:
    """Every line of a text file, as ids of another vocabulary, or else of what reads the same."""
    ids, sizes = [np.empty(0, vocabulary.ids_of_alike.dtype)], [np.empty(0, np.int64)]  # a text may hold no line
    for codes in read_lines(file, read_as, ReadingLog()):
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
