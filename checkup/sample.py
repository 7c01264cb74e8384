"""Reads a sample of a text for its checkup: documents as they stand, how often each character occurs, what is alike."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from config.schema import RunConfig
from text.reader import IS_SPACE, DocumentHasher, mix64, read_stretches, spans
from text.survey import first_occurrences
from text.vocabulary import NEWLINE, UNICODE_SIZE, is_letter, text_of_codepoints
from utils import size_of

MOST_BYTES = 1 << 26  # of a file that are read, in stretches; a checkup of a larger one takes no longer
DOCUMENTS, CHARACTERS = 4000, 4_000_000  # kept as texts, at most
LONGEST = 10_000  # characters of a document that are kept: of a longer one half of them from its end


@dataclass(frozen=True)
class Sample:
    """What was read of a text. Documents are lines that are not blank, each counted once however often it stands there.

    In a stream, whose newlines are characters, they are its lines.
    """

    texts: list[str]  # some of the documents, spread evenly over what was read
    alike: np.ndarray  # (texts,) how many documents have the same letters in the same order, the text itself included
    documents: int  # that were read
    near: int  # of these, how many have the letters of an earlier one, but other marks, digits or capitals
    counts: np.ndarray  # (UNICODE_SIZE,) how often each character was read
    bytes: int  # that were read
    whole: bool  # whether that is all of the file


@cache
def letters() -> np.ndarray:
    """(UNICODE_SIZE,) uint32: each letter's small form, the newline itself, and 0 for all else."""
    table = np.zeros(UNICODE_SIZE, dtype=np.uint32)
    for code in range(UNICODE_SIZE):
        if is_letter(chr(code)):
            table[code] = ord(chr(code).lower()[0])
    table[NEWLINE] = NEWLINE
    return table


def read_sample(run: RunConfig) -> Sample:
    """Read the sample of a run's text; the same file gives the same sample.

    It takes 8 bytes of memory for a document and its letters each.
    """
    path, hasher = run.data_file(), DocumentHasher()
    size, counts = size_of(path), np.zeros(UNICODE_SIZE, dtype=np.int64)
    lines: list[np.ndarray] = [np.zeros(0, np.uint64)]
    by_letters: list[np.ndarray] = [np.zeros(0, np.uint64)]
    kept: dict[int, tuple[str, int]] = {}  # hash that decides whether a line stays -> its text and number
    most, number = 2**64 - 1, 0
    for codes in read_stretches(path, run.data, MOST_BYTES):
        found = np.bincount(codes)
        counts[: len(found)] += found
        starts, lengths = spans(codes)
        told = np.flatnonzero(~np.logical_and.reduceat(IS_SPACE[codes], starts))
        whole = hasher(codes, starts, lengths)[told]
        lines.append(whole)
        by_letters.append(hashes_by_letters(hasher, codes, told, whole))
        drawn = mix64(whole)  # by hash, not by place: lines that alternate count alike
        for i in np.flatnonzero(drawn <= np.uint64(most)):
            if int(drawn[i]) not in kept:  # lines that are the same draw the same
                line = codes[starts[told[i]] :][: lengths[told[i]]]
                kept[int(drawn[i])] = text_of_codepoints(both_ends(line)), number + int(i)
        number += len(told)
        while len(kept) > DOCUMENTS or sum(len(text) for text, _ in kept.values()) > CHARACTERS:
            most //= 2
            kept = {draw: line for draw, line in kept.items() if draw <= most}
    distinct = first_occurrences(np.concatenate(lines))
    groups = np.concatenate(by_letters)
    keys, sizes = np.unique(groups[distinct], return_counts=True)
    places = [place for _, place in kept.values()]
    alike = sizes[np.searchsorted(keys, groups[places])] if kept else np.zeros(0, dtype=int)
    return Sample(
        [text for text, _ in kept.values()], alike, int(distinct.sum()), int(distinct.sum()) - len(keys), counts,
        min(size, MOST_BYTES), size <= MOST_BYTES,
    )  # fmt: skip


def both_ends(line: np.ndarray) -> np.ndarray:
    """A line of codes, or of a very long one its beginning and its end."""
    half = LONGEST // 2
    return line if len(line) <= LONGEST else np.concatenate([line[:half], line[-half:]])


def hashes_by_letters(hasher: DocumentHasher, codes: np.ndarray, told: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Hashes of the letters of the lines `told`; those of `whole` for a line without letters."""
    small = letters()[codes]
    small = small[small > 0]
    starts, lengths = spans(small)
    return np.where(lengths[told] > 0, hasher(small, starts, lengths)[told], whole)
