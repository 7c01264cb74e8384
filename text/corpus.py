"""Encodes a text file as character ids, and opens the result: the corpus that a model learns from.

Three passes over the file, half a megabyte at a time: choose the documents (`survey`), count their characters for the
vocabulary, and write their ids. The result is a *store*: a folder of `stores_of(run)` with memory-mapped ids.
"""

import contextlib
import io
import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from command.disk import flush_to_disk, patiently
from command.lock import exclusive_lock
from command.places import is_link, is_regular
from config.data_file import CACHE, CHANGED, is_of_a_system, no_data
from config.schema import RunConfig
from text.lengths import Lengths
from text.reader import ReadingLog, read_lines, spans
from text.survey import survey
from text.vocabulary import NEWLINE, UNICODE_SIZE, Vocabulary, build_vocabulary, text_of_codepoints
from utils import UserError, hash_file, hash_json

STORE_FORMAT = 3  # part of a store's name: files of an older format are encoded again
STORE_NAME = re.compile(r"[0-9a-f]{16}(\.part)?")  # the key that `_encoded` makes; .part while the store is written
STORE_FILES = {"tokens.bin", "lengths.npy", "held_out.npy", "info.json"}
JUDGED = "judged"  # the folder of stores that judging a model needs: its settings may be a stranger's
STORE_ERRORS = (OSError, ValueError, LookupError, TypeError, RecursionError)  # raised where a file is none of a store


@dataclass(frozen=True)
class Split:
    """Some documents of a corpus, as spans of its memory-mapped ids; frames are not included."""

    ids: np.ndarray  # (characters,) uint16, the whole corpus
    starts: np.ndarray  # (documents,) int64
    lengths: np.ndarray  # (documents,) int32
    stream: bool = False  # continuous text, which no newlines frame

    @classmethod
    def whole(cls, ids: np.ndarray, lengths: np.ndarray, *, stream: bool = False) -> "Split":
        """All of (characters,) ids, as documents of these lengths, one behind the other."""
        return cls(ids, np.cumsum(lengths, dtype=np.int64) - lengths, lengths, stream)

    @property
    def frames(self) -> int:
        """How many newlines frame a document."""
        return 0 if self.stream else 2

    def document(self, index: int) -> np.ndarray:
        """(length,) ids of one document."""
        return self.ids[self.starts[index] : self.starts[index] + self.lengths[index]]

    def __iter__(self) -> Iterator[np.ndarray]:
        """The ids of each document."""
        return map(self.document, range(len(self.lengths)))

    def chosen(self, which: np.ndarray) -> "Split":
        """The documents for which (documents,) bool is True."""
        return Split(self.ids, self.starts[which], self.lengths[which], self.stream)


@dataclass(frozen=True)
class Corpus:
    """An encoded text file: its vocabulary, its two splits, and a log of what was dropped or changed."""

    vocabulary: Vocabulary
    train: Split
    held_out: Split
    reading_log: ReadingLog
    sha256: str  # of the file's bytes

    @property
    def stream(self) -> bool:
        """Whether it is continuous text instead of one document per line."""
        return self.train.stream

    @property
    def documents_text(self) -> str:
        """How many documents there are, for a table; a stream has none."""
        return "-" if self.stream else f"{self.reading_log.documents:,}"

    def lengths_to_write(self, context: int) -> Lengths:
        """The lengths of new documents; of continuous text, which has none, that of the context."""
        return Lengths.of(np.array([context]) if self.stream else self.train.lengths)


def load_corpus(run: RunConfig) -> Corpus:
    """Encode the run's text file; a store that holds just that already is opened as it is.

    Raises UserError if the file is missing, changes while it is read, or holds too few documents.
    """
    path = run.data_file()
    if not path.is_file():
        missing = f"{path}: no such file; put one document per line there, or set datasets.{run.name}.data.file"
        raise UserError(no_data(path, missing))
    return _encoded(run, hash_file(path))


def load_trained_corpus(run: RunConfig, sha256: str, model: Path) -> Corpus:
    """The corpus that `model` was trained on. Raises UserError, and encodes nothing, if the file has another hash."""
    if not sha256:
        raise UserError(f"{model}: does not say which text it learnt, as imported models do not; it cannot be judged")
    path, wanted = run.data_file(), f"the text that {model} was trained on"
    if not path.is_file():
        raise UserError(no_data(path, f"{path}: no such file; name {wanted} with --data"))
    if hash_file(path) != sha256:
        of_all = f"with --all as datasets.{run.name}.data.file"
        raise UserError(f"{path}: not {wanted}; name that with --data, {of_all}, or train anew")
    return _encoded(run, sha256, JUDGED)


def _encoded(run: RunConfig, sha256: str, place: str = "") -> Corpus:
    """Open the store of a text file with this hash; if there is none, it is made first, in this place among the stores.

    A new store removes the old ones of its place alone, so that each place holds one at most.
    """
    key = hash_json([STORE_FORMAT, sha256, run.seed, run.data.model_dump(exclude={"file"})])[:16]
    store, stream = stores_of(run) / key, run.data.stream
    if not store.exists():
        store = stores_of(run) / place / key
    if holds_encoding(store, run, sha256):
        with contextlib.suppress(OSError):  # of one that another process, with other settings, deletes meanwhile
            return open_store(store, stream)
    with exclusive_lock(store.parent / ".lock", "", seconds=-1):  # one process encodes, the others wait
        if not holds_encoding(store, run, sha256):
            encode_into(store, run, sha256)
        return open_store(store, stream)


def stores_of(run: RunConfig) -> Path:
    """The folder of a dataset's stores."""
    return Path(run.paths.datasets) / CACHE / run.name


def holds_encoding(store: Path, run: RunConfig, sha256: str) -> bool:
    """Whether a store holds what encoding the run's text gives, and nothing else.

    The text is encoded to compare: whoever changes a store, or passes one on, can make its hashes fit too.
    """
    if not holds_store_files_alone(store):
        return False
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):  # of a file that is missing
        files = {name: stack.enter_context((store / name).open("rb")) for name in STORE_FILES}
        alike = all(files[name].read(len(part)) == part for name, part in encoding(run, sha256))
        return alike and not any(file.read(1) for file in files.values())
    return False


def encode_into(store: Path, run: RunConfig, sha256: str) -> None:
    """Encode the file into a folder beside `store`, which takes its name when complete; older stores are deleted."""
    part = store.with_suffix(".part")
    for left in (store, part):  # of this very key, but cut short
        if left.is_symlink() or left.exists():
            if not holds_store_files_alone(left):
                raise UserError(f"{left}: holds files that are not this program's; move it away")
            shutil.rmtree(left)
    part.mkdir()
    try:
        for name, content in encoding(run, sha256):
            with (part / name).open("ab") as file:
                file.write(content)
        for old in store.parent.iterdir():
            if old != part and is_store(old):
                with contextlib.suppress(OSError):  # Windows does not rename what another process reads
                    shutil.rmtree(old if old.suffix == ".part" else old.rename(old.with_suffix(".part")))
        for file in part.iterdir():
            flush_to_disk(file)
        patiently(lambda: part.replace(store))
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
    if is_link(folder) or not folder.is_dir():
        return False
    return all(file.name in STORE_FILES and is_regular(file) for file in folder.iterdir() if not is_of_a_system(file))


def encoding(run: RunConfig, sha256: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, part) of a store's files in three passes: choose documents, count characters, make ids.

    Only documents to train on are counted: the vocabulary must not depend on held-out text.
    """
    path = run.data_file()
    lengths, kept, held_out, reading_log = survey(run)
    vocabulary, reading_log.distinct_characters = vocabulary_of(run, lengths, kept & ~held_out)
    for codes in _codes_of(run, lengths, kept):
        ids = vocabulary.ids_of_codepoints[codes]
        reading_log.unknown_characters += int((ids == vocabulary.unk).sum())
        yield "tokens.bin", ids.tobytes()
    if hash_file(path) != sha256:
        raise UserError(CHANGED.format(path))
    reading_log.documents, reading_log.characters = int(kept.sum()), int(lengths[kept].sum())
    yield "lengths.npy", array_bytes(lengths[kept])
    yield "held_out.npy", array_bytes(held_out[kept])
    info = {"characters": vocabulary.characters, "report": vars(reading_log), "sha256": sha256}
    yield "info.json", json.dumps(info).encode()


def vocabulary_of(run: RunConfig, lengths: np.ndarray, learnt: np.ndarray) -> tuple[Vocabulary, int]:
    """The vocabulary of the documents of a run's file that are learnt; -> also how many characters they consist of."""
    counts = np.zeros(UNICODE_SIZE, dtype=np.int64)
    for codes in _codes_of(run, lengths, learnt):
        found = np.bincount(codes)
        counts[: len(found)] += found
    return build_vocabulary(counts, run.data.vocab_size), int((counts > 0).sum())


def texts_of(run: RunConfig, lengths: np.ndarray, chosen: np.ndarray, most: float = math.inf) -> list[str]:
    """The chosen documents of a run's file as they are read, in the file's order: about so many characters at most."""
    parts, characters = [np.zeros(0, np.uint32)], 0
    for codes in _codes_of(run, lengths, chosen):
        parts.append(codes)
        characters += len(codes)
        if characters >= most:
            break
    text = text_of_codepoints(np.concatenate(parts))
    ends = np.cumsum(lengths[chosen]).tolist()
    return [text[end - length : end] for end, length in zip(ends, lengths[chosen].tolist(), strict=True)]


def array_bytes(array: np.ndarray) -> bytes:
    """An array as NumPy's file of it."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _codes_of(run: RunConfig, lengths: np.ndarray, chosen: np.ndarray) -> Iterator[np.ndarray]:
    """Read the file again, and yield code points of the chosen documents, a chunk at a time."""
    done, stream = 0, run.data.stream  # lines read so far; characters in a stream
    ends = np.cumsum(lengths)
    for codes in read_lines(run.data_file(), run.data, ReadingLog()):
        sizes = spans(codes)[1]
        read = len(codes) if stream else len(sizes)
        if done + read > (ends[-1] if stream else len(lengths)):  # more than the first pass saw
            raise UserError(CHANGED.format(run.data_file()))
        if stream:
            yield codes[np.where(np.arange(done, done + read) < ends[0], *chosen)]
        else:
            yield codes[np.repeat(chosen[done : done + read], sizes + 1) & (codes != NEWLINE)]
        done += read


def open_store(store: Path, stream: bool) -> Corpus:
    """Open a store that `holds_encoding`."""
    info = json.loads((store / "info.json").read_text(encoding="utf-8"))
    ids = np.memmap(store / "tokens.bin", dtype=np.uint16, mode="r")
    lengths, held_out = np.load(store / "lengths.npy"), np.load(store / "held_out.npy")
    whole = Split.whole(ids, lengths, stream=stream)
    train, rest = (whole.chosen(which) for which in (~held_out, held_out))
    return Corpus(Vocabulary(info["characters"]), train, rest, ReadingLog(**info["report"]), info["sha256"])


def all_text(corpus: Corpus, run: RunConfig) -> tuple[Split, Split]:
    """The whole file as two splits: what is not held out, with what data.max_documents leaves out; and what is.

    A character outside the vocabulary has the id of one that reads the same.
    """
    if not (corpus.reading_log.unknown_characters or corpus.reading_log.not_sampled):
        return corpus.train, corpus.held_out
    own, unlimited = survey(run), run.data.model_copy(update={"max_documents": 0})
    whole = survey(run.model_copy(update={"data": unlimited})) if corpus.reading_log.not_sampled else own
    ids = [corpus.vocabulary.ids_of_alike[codes] for codes in _codes_of(run, whole.lengths, whole.kept)]
    if hash_file(run.data_file()) != corpus.sha256:
        raise UserError(CHANGED.format(run.data_file()))
    documents = Split.whole(np.concatenate(ids), whole.lengths[whole.kept], stream=corpus.stream)
    learnt = (~whole.held_out | own.kept) & ~own.held_out  # a tiny sample may hold out others than the whole
    return documents.chosen(learnt[whole.kept]), documents.chosen(own.held_out[whole.kept])
