"""Chooses the documents of a text file, the first pass over it: which are used, and which of them are held out."""

from typing import NamedTuple

import numpy as np

from command.messages import counted
from config.schema import RunConfig
from text.reader import IS_SPACE, DocumentHasher, ReadingLog, check_line_ends, mix64, read_lines, spans
from utils import UserError, derive_seed


class Survey(NamedTuple):
    """The first pass: every document of the file in order, which are used, and which are held out."""

    lengths: np.ndarray  # (documents,) characters
    kept: np.ndarray  # (documents,) bool: part of the corpus
    held_out: np.ndarray  # (documents,) bool: not trained on, only for measuring
    reading_log: ReadingLog


def survey(run: RunConfig) -> Survey:
    """Choose among the documents of a run's file."""
    return (survey_stream if run.data.stream else survey_lines)(run)


def learnt_before(run: RunConfig, earlier: RunConfig) -> int:
    """How many documents a run holds out that an earlier run on the same file trained on; of a stream, characters."""
    data = earlier.data.model_copy(update={"file": run.data.file})
    before_run = run.model_copy(update={"seed": earlier.seed, "data": data})
    if not split_differs(run, before_run):
        return 0
    now, before = survey(run), survey(before_run)
    if data.format != run.data.format or len(now.kept) != len(before.kept):
        # no document of one is one of the other: all may have been learnt
        return int(now.lengths[now.held_out].sum() if run.data.stream else now.held_out.sum())
    if data.stream:
        return max(int(now.lengths[now.held_out].sum() - before.lengths[before.held_out].sum()), 0)
    return int((now.held_out & before.kept & ~before.held_out).sum())


def split_differs(run: RunConfig, other: RunConfig) -> str:
    """The first setting that may have the two runs hold out other documents of one file, as "seed 7, not 5"; or ""."""
    mine, theirs = (
        {"seed": each.seed, **{f"data.{key}": value for key, value in each.data if key not in ("file", "vocab_size")}}
        for each in (run, other)
    )
    return next((f"{key} {mine[key]}, not {theirs[key]}" for key in mine if mine[key] != theirs[key]), "")


def survey_lines(run: RunConfig) -> Survey:
    """Choose among the lines of a file, one document each: blank lines and repetitions are dropped.

    Of more than max_documents lines a random sample is kept, and a random share of what is kept is held out. Both
    choices follow from the lines' hashes and the seed, not from the order of the lines in the file.
    Raises UserError for fewer than two distinct documents.
    """
    path, reading_log = run.data_file(), ReadingLog()
    lengths, hashes, blank = _measure_lines(run, reading_log)
    first = first_occurrences(hashes)
    kept = first & ~blank
    reading_log.empty, reading_log.duplicates = int(blank.sum()), int((~first & ~blank).sum())
    if run.data.max_documents and kept.sum() > run.data.max_documents:
        rank = mix64(hashes ^ np.uint64(derive_seed(run.seed, "subsample")))
        bound = np.partition(rank[kept], run.data.max_documents - 1)[run.data.max_documents - 1]
        reading_log.not_sampled = int((kept & (rank > bound)).sum())
        kept &= rank <= bound
    if kept.sum() < 2:
        check_line_ends(path)
        raise UserError(
            f"{path}: {counted(int(kept.sum()), 'distinct document')}, but one to learn from and one to hold out are "
            "needed; one document a line, or set data.format to stream for continuous text"
        )
    rank = mix64(hashes ^ np.uint64(derive_seed(run.seed, "held out")))
    held_out = kept & (rank < np.uint64(run.data.held_out * 2**64))
    if not held_out.any() or held_out.sum() == kept.sum():  # a handful of documents: hold out the one of lowest rank
        held_out = kept & (rank == rank[kept].min())
    return Survey(lengths, kept, held_out, reading_log)


def _measure_lines(run: RunConfig, reading_log: ReadingLog) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Length (int32), hash (uint64) and blankness (bool) of every line of a file."""
    hasher = DocumentHasher()
    lengths: list[np.ndarray] = [np.zeros(0, np.int32)]
    hashes: list[np.ndarray] = [np.zeros(0, np.uint64)]
    blank: list[np.ndarray] = [np.zeros(0, bool)]
    for codes in read_lines(run.data_file(), run.data, reading_log):
        starts, sizes = spans(codes)
        lengths.append(sizes)
        hashes.append(hasher(codes, starts, sizes))
        blank.append(np.logical_and.reduceat(IS_SPACE[codes], starts))
    return joined(lengths), joined(hashes), joined(blank)


def survey_stream(run: RunConfig) -> Survey:
    """Split continuous text into two documents: one to train on, and the last part, which is held out."""
    path, reading_log = run.data_file(), ReadingLog()
    total = sum(len(codes) for codes in read_lines(path, run.data, reading_log))
    if total < 2:
        raise UserError(
            f"{path}: a stream needs at least 2 characters, one to learn from and one to hold out; it has {total}"
        )
    held_out = min(max(round(run.data.held_out * total), 1), total - 1)
    return Survey(np.array([total - held_out, held_out]), np.ones(2, dtype=bool), np.array([False, True]), reading_log)


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Concatenate arrays and empty their list, which frees memory: a large file has millions of lines."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def first_occurrences(values: np.ndarray) -> np.ndarray:
    """(N,) values -> (N,) bool: whether a value occurs for the first time. It needs less memory than np.unique."""
    order = values.argsort(kind="stable")
    ordered = values[order]
    first = np.ones(len(values), dtype=bool)
    first[order[1:]] = ordered[1:] != ordered[:-1]
    return first
