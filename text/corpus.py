"""Encodes a text file as character ids, once, and opens the result: the corpus that a model learns from.

Three passes over the file, half a megabyte at a time: choose the documents (`Survey`), count their characters for the
vocabulary, and write their ids. The result is a *store*: a folder of `stores_of(run)` with memory-mapped ids.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from config.data_file import no_data
from config.messages import counted
from config.schema import RunConfig
from text.reader import IS_SPACE, DocumentHasher, ReadingLog, read_lines, spans
from text.vocabulary import NEWLINE, UNICODE_SIZE, Vocabulary, build_vocabulary
from utils import UserError, derive_seed, exclusive_lock, flush_to_disk, hash_file, hash_json, mix64

STORE_FORMAT = 3  # part of a store's name: files of an older format are encoded again
STORE_NAME = re.compile(r"[0-9a-f]{16}(\.part)?")  # a key of load_corpus; .part while the store is written
STORE_FILES = {"tokens.bin", "lengths.npy", "held_out.npy", "info.json"}
STORE_ERRORS = (OSError, ValueError, EOFError, LookupError, TypeError)  # raised when a store is missing or incomplete


@dataclass(frozen=True)
class Split:
    """Some documents of a corpus, as spans of its memory-mapped ids; frames are not included."""

    ids: np.ndarray  # (characters,) uint16, the whole corpus
    starts: np.ndarray  # (documents,) int64
    lengths: np.ndarray  # (documents,) int32

    def document(self, index: int) -> np.ndarray:
        """(length,) ids of one document."""
        return self.ids[self.starts[index] : self.starts[index] + self.lengths[index]]


@dataclass(frozen=True)
class Corpus:
    """An encoded text file: its vocabulary, its two splits, and a log of what was dropped or changed."""

    vocabulary: Vocabulary
    train: Split
    held_out: Split
    reading_log: ReadingLog
    sha256: str  # of the file's bytes
    stream: bool  # continuous text instead of one document per line


@dataclass(frozen=True)
class Lengths:
    """The distribution of document lengths, in characters, from which lengths of new documents are drawn."""

    values: np.ndarray  # ascending
    counts: np.ndarray  # how often each length occurs

    @classmethod
    def of(cls, lengths: np.ndarray) -> "Lengths":
        """The distribution of (documents,) lengths."""
        return cls(*np.unique(lengths, return_counts=True))

    def capped(self, longest: int) -> "Lengths":
        """The same distribution, with longer documents counted as `longest`."""
        return Lengths(np.minimum(self.values, longest), self.counts)

    def within(self, shortest: int, longest: int) -> "Lengths":
        """The part of the distribution in this range; if it is empty, all lengths of the range, equally often."""
        inside = (self.values >= shortest) & (self.values <= longest)
        if not inside.any():
            values = np.arange(shortest, longest + 1)
            return Lengths(values, np.ones_like(values))
        return Lengths(self.values[inside], self.counts[inside])

    def draw(self, uniform: float) -> int:
        """A uniform in [0, 1) -> a length, by inverse CDF."""
        cdf = np.cumsum(self.counts)
        return int(self.values[np.searchsorted(cdf, uniform * cdf[-1], side="right")])


def load_corpus(run: RunConfig) -> Corpus:
    """Encode the run's text file, or open the store that an earlier training made of the same bytes and settings.

    Raises UserError if the file is missing, changes while it is read, or holds too few documents.
    """
    path = run.data_file()
    if not path.is_file():
        missing = f"{path}: no such file; put one document per line there, or set datasets.{run.name}.data.file"
        raise UserError(no_data(path, missing))
    return _encoded(run, hash_file(path))


def load_trained_corpus(run: RunConfig, sha256: str, model: Path) -> Corpus:
    """The corpus that `model` was trained on. Raises UserError, and encodes nothing, if the file has another hash."""
    path, wanted = run.data_file(), f"the text that {model} was trained on"
    if not path.is_file():
        raise UserError(no_data(path, f"{path}: no such file; name {wanted} with --data"))
    if hash_file(path) != sha256:
        raise UserError(f"{path}: not {wanted}; name that with --data, or train anew")
    return _encoded(run, sha256)


def _encoded(run: RunConfig, sha256: str) -> Corpus:
    """Open the store of a text file with this hash, which is made first if there is none."""
    key = hash_json([STORE_FORMAT, sha256, run.seed, run.data.model_dump(exclude={"file"})])[:16]
    store, stream = stores_of(run) / key, run.data.format == "stream"
    with contextlib.suppress(*STORE_ERRORS):
        return open_store(store, stream)
    with exclusive_lock(store.parent / ".lock", "", seconds=-1):  # one process encodes, the others wait
        with contextlib.suppress(*STORE_ERRORS):
            return open_store(store, stream)
        encode_into(store, run.data_file(), run, sha256)
        return open_store(store, stream)


def stores_of(run: RunConfig) -> Path:
    """The folder of a dataset's stores. Its name is this program's own: other programs keep files in .cache too."""
    return Path(run.paths.datasets) / ".cache" / "diffusion-gpt-local" / run.name


class Survey(NamedTuple):
    """The first pass: every document of the file in order, which are used, and which are held out."""

    lengths: np.ndarray  # (documents,) characters
    kept: np.ndarray  # (documents,) bool: part of the corpus
    held_out: np.ndarray  # (documents,) bool: not trained on, only for measuring
    reading_log: ReadingLog


def survey_lines(path: Path, run: RunConfig) -> Survey:
    """Choose among the lines of a file, one document each: blank lines and repetitions are dropped.

    Of more than max_documents lines a random sample is kept, and a random share of what is kept is held out. Both
    choices follow from the lines' hashes and the seed, not from the order of the lines in the file.
    Raises UserError for fewer than two distinct documents.
    """
    reading_log = ReadingLog()
    lengths, hashes, blank = _measure_lines(path, run, reading_log)
    first = first_occurrences(hashes)
    kept = first & ~blank
    reading_log.empty, reading_log.duplicates = int(blank.sum()), int((~first & ~blank).sum())
    if run.data.max_documents and kept.sum() > run.data.max_documents:
        rank = mix64(hashes ^ np.uint64(derive_seed(run.seed, "subsample")))
        bound = np.partition(rank[kept], run.data.max_documents - 1)[run.data.max_documents - 1]
        reading_log.not_sampled = int((kept & (rank > bound)).sum())
        kept &= rank <= bound
    if kept.sum() < 2:
        raise UserError(
            f"{path}: {counted(int(kept.sum()), 'distinct document')}, but one to learn from and one to hold out are "
            "needed; one document a line, or set data.format to stream for continuous text"
        )
    rank = mix64(hashes ^ np.uint64(derive_seed(run.seed, "held out")))
    held_out = kept & (rank < np.uint64(run.data.held_out * 2**64))
    if not held_out.any() or held_out.sum() == kept.sum():  # a handful of documents: hold out the one of lowest rank
        held_out = kept & (rank == rank[kept].min())
    return Survey(lengths, kept, held_out, reading_log)


def _measure_lines(path: Path, run: RunConfig, reading_log: ReadingLog) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Length (int32), hash (uint64) and blankness (bool) of every line of a file."""
    hasher = DocumentHasher()
    lengths: list[np.ndarray] = [np.zeros(0, np.int32)]
    hashes: list[np.ndarray] = [np.zeros(0, np.uint64)]
    blank: list[np.ndarray] = [np.zeros(0, bool)]
    for codes in read_lines(path, run.data, reading_log):
        starts, sizes = spans(codes)
        lengths.append(sizes)
        hashes.append(hasher(codes, starts, sizes))
        blank.append(np.logical_and.reduceat(IS_SPACE[codes], starts))
    return joined(lengths), joined(hashes), joined(blank)


def survey_stream(path: Path, run: RunConfig) -> Survey:
    """Split continuous text into two documents: one to train on, and the last part, which is held out."""
    reading_log = ReadingLog()
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


def encode_into(store: Path, path: Path, run: RunConfig, sha256: str) -> None:
    """Encode the file into a folder beside `store`, which takes its name when complete; older stores are deleted."""
    part = store.with_suffix(".part")
    for left in (store, part):  # of this very key, but cut short
        if left.is_symlink() or left.exists():
            if not holds_store_files_alone(left):
                raise UserError(f"{left}: holds files that are not this program's; move it away")
            shutil.rmtree(left)
    part.mkdir()
    try:
        encode_file(path, run, sha256, part)
        for old in store.parent.iterdir():
            if old != part and is_store(old):
                shutil.rmtree(old)
        for file in part.iterdir():
            flush_to_disk(file)
        part.replace(store)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def is_store(folder: Path) -> bool:
    """Whether a folder is provably a store: by its name, its files and, unless it is a part, its info.json."""
    if not STORE_NAME.fullmatch(folder.name) or not holds_store_files_alone(folder):
        return False
    with contextlib.suppress(*STORE_ERRORS):
        return folder.suffix == ".part" or "sha256" in json.loads((folder / "info.json").read_text(encoding="utf-8"))
    return False


def holds_store_files_alone(folder: Path) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all(file.name in STORE_FILES and file.is_file() for file in folder.iterdir())


def encode_file(path: Path, run: RunConfig, sha256: str, store: Path) -> None:
    """Write the files of a store in three passes: choose documents, count characters, write ids.

    Only documents to train on are counted: the vocabulary must not depend on held-out text.
    """
    survey = survey_stream if run.data.format == "stream" else survey_lines
    lengths, kept, held_out, reading_log = survey(path, run)
    counts = np.zeros(UNICODE_SIZE, dtype=np.int64)
    for codes in _codes_of(path, run, lengths, kept & ~held_out):
        found = np.bincount(codes)
        counts[: len(found)] += found
    vocabulary = build_vocabulary(counts, run.data.vocab_size)
    with (store / "tokens.bin").open("wb") as file:
        for codes in _codes_of(path, run, lengths, kept):
            ids = vocabulary.ids_of_codepoints[codes]
            reading_log.unknown_characters += int((ids == vocabulary.unk).sum())
            file.write(ids.tobytes())
    if hash_file(path) != sha256:
        raise UserError(f"{path}: the file changed while it was read; start again")
    reading_log.distinct_characters = int((counts > 0).sum())
    reading_log.documents, reading_log.characters = int(kept.sum()), int(lengths[kept].sum())
    np.save(store / "lengths.npy", lengths[kept])
    np.save(store / "held_out.npy", held_out[kept])
    info = {"characters": vocabulary.characters, "report": vars(reading_log), "sha256": sha256}
    info["check"] = check_of(store, info)
    (store / "info.json").write_text(json.dumps(info), encoding="utf-8")


def check_of(store: Path, info: dict[str, Any]) -> str:
    """The hash of all that a store holds: its info.json, `info`, and its other files."""
    files = [hash_file(store / name) for name in sorted(STORE_FILES - {"info.json"})]
    return hash_json([{**info, "check": ""}, files])


def _codes_of(path: Path, run: RunConfig, lengths: np.ndarray, chosen: np.ndarray) -> Iterator[np.ndarray]:
    """Read the file again, and yield code points of the chosen documents, a chunk at a time."""
    done = 0  # lines read so far; characters in a stream
    ends = np.cumsum(lengths) if run.data.format == "stream" else lengths
    for codes in read_lines(path, run.data, ReadingLog()):
        if run.data.format == "stream":
            document = np.searchsorted(ends, done + np.arange(len(codes)), side="right")
            yield codes[chosen[document]]
            done += len(codes)
        else:
            sizes = spans(codes)[1]
            yield codes[np.repeat(chosen[done : done + len(sizes)], sizes + 1) & (codes != NEWLINE)]
            done += len(sizes)


def open_store(store: Path, stream: bool) -> Corpus:
    """Open a store. Raises one of STORE_ERRORS if it is missing, incomplete or changed."""
    info = json.loads((store / "info.json").read_text(encoding="utf-8"))
    if info["check"] != check_of(store, info):  # earlier versions wrote none
        raise ValueError(f"{store} was changed")
    ids = np.memmap(store / "tokens.bin", dtype=np.uint16, mode="r")
    lengths, held_out = np.load(store / "lengths.npy"), np.load(store / "held_out.npy")
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    train, rest = (Split(ids, starts[chosen], lengths[chosen]) for chosen in (~held_out, held_out))
    return Corpus(Vocabulary(info["characters"]), train, rest, ReadingLog(**info["report"]), info["sha256"], stream)
