"""Text file -> documents -> memory-mapped token store. Knows nothing of frames, batches or noise.

Reading streams: a file of any size is encoded in three passes of some megabytes at a time. What is dropped or changed
on the way is counted in the corpus's Report, never silently repaired.
"""

import hashlib
import json
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config import DataConfig, RunConfig
from utils import UNICODE_SIZE, UserError, Vocabulary, codepoints, derive_seed, hash_json, mix64, numpy_generator

STORE_FORMAT = 2
CHUNK_BYTES = 1 << 19  # what a chunk becomes on its way, 8 bytes a character, still fits into the caches
LINE_BREAKS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # what some reader takes for a line end, besides "\n"
LAST_SPACE = 0x3000  # no code point above it is white space
BOM = b"\xef\xbb\xbf"
NEWLINE = ord("\n")

IS_SPACE = np.zeros(UNICODE_SIZE, dtype=bool)
IS_SPACE[[c for c in range(LAST_SPACE + 1) if chr(c).isspace()]] = True
IS_BREAK = np.zeros(UNICODE_SIZE, dtype=bool)
IS_BREAK[codepoints(LINE_BREAKS)] = True


@dataclass
class Report:
    """What reading found: how many documents were kept, and what was dropped or changed."""

    documents: int = 0
    characters: int = 0
    empty: int = 0
    duplicates: int = 0
    not_sampled: int = 0
    invalid_lines: int = 0
    normalised_lines: int = 0
    folded_breaks: int = 0
    unknown_characters: int = 0
    distinct_characters: int = 0

    def losses(self) -> str:
        """The nonzero counts of what was left out or changed, for one line of output."""
        names = {
            "duplicates": "duplicates dropped",
            "empty": "empty lines dropped",
            "not_sampled": "documents over max_documents left out",
            "invalid_lines": "lines of invalid UTF-8",
            "normalised_lines": "lines normalised to NFC",
            "folded_breaks": "line breaks inside documents made spaces",
            "unknown_characters": "characters outside the vocabulary made <unk>",
        }
        return ", ".join(f"{getattr(self, key):,} {text}" for key, text in names.items() if getattr(self, key))


def read_lines(path: Path, config: DataConfig, report: Report) -> Iterator[np.ndarray]:
    """Yield code points (uint32) of whole lines, each closed by its newline, some megabytes at a time."""
    parts: list[bytes] = []
    line = 1
    with path.open("rb") as file:
        if file.read(len(BOM)) != BOM:
            file.seek(0)
        while block := file.read(CHUNK_BYTES):
            cut = block.rfind(b"\n") + 1
            if cut:
                data = b"".join(parts) + block[:cut]
                yield from _decode(data, line, path, config, report)
                line += data.count(b"\n")
                parts = []
            parts.append(block[cut:])
    if any(parts):
        yield from _decode(b"".join(parts) + b"\n", line, path, config, report)


def _decode(data: bytes, first_line: int, path: Path, config: DataConfig, report: Report) -> Iterator[np.ndarray]:
    """UTF-8 lines -> an array of code points, none if no line is left: CRLF as LF, NFC, stray line breaks as spaces."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        if config.invalid_utf8 == "error":
            raise UserError(
                f"{path} line {line}: byte 0x{data[error.start]:02x} is not UTF-8; "
                "save the file as UTF-8, or set data.invalid_utf8 to skip or replace"
            ) from None
        text = _mend(data, config.invalid_utf8, report)
    text = text.replace("\r\n", "\n")
    if not (text.isascii() or unicodedata.is_normalized("NFC", text)):
        text = _normalised(text, report)
    codes = codepoints(text)
    breaks = IS_BREAK[codes]
    if breaks.any():
        report.folded_breaks += int(breaks.sum())
        codes = np.where(breaks, np.uint32(ord(" ")), codes)
    if len(codes):
        yield codes


def _normalised(text: str, report: Report) -> str:
    lines = text.split("\n")
    odd = [i for i, line in enumerate(lines) if not (line.isascii() or unicodedata.is_normalized("NFC", line))]
    for i in odd:
        lines[i] = unicodedata.normalize("NFC", lines[i])
    report.normalised_lines += len(odd)
    return "\n".join(lines)


def _mend(data: bytes, policy: str, report: Report) -> str:
    lines = []
    for line in data.split(b"\n"):
        text = line.decode("utf-8", errors="replace")
        valid = "\ufffd" not in text or text.encode() == line
        report.invalid_lines += not valid
        if valid or policy == "replace":
            lines.append(text)
    return "\n".join(lines)


def _spans(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Code points of whole lines -> start and length (int32) of each, the newline left out."""
    ends = np.flatnonzero(codes == NEWLINE)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    return starts, (ends - starts).astype(np.int32)


class DocumentHasher:
    """64-bit fingerprints of lines: sum of mix(character) * key(position) mod 2^64, keys drawn once.

    Multilinear hashing: two different lines collide with probability near 2^-64, ten million about once in 3e5 files.
    """

    def __init__(self) -> None:
        self.mixed = mix64(np.arange(UNICODE_SIZE, dtype=np.uint64))
        self.keys = np.zeros(0, dtype=np.uint64)

    def __call__(self, codes: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        longest = int(lengths.max(initial=0)) + 1
        if longest > len(self.keys):
            keys = numpy_generator("document hash").integers(0, 2**64, size=longest, dtype=np.uint64, endpoint=False)
            self.keys = keys | np.uint64(1)
        position = np.arange(len(codes)) - np.repeat(starts, lengths + 1)
        return np.add.reduceat(self.mixed[codes] * self.keys[position], starts)


@dataclass(frozen=True)
class Split:
    """Documents as spans of a memory-mapped array of ids, without their frames."""

    tokens: np.ndarray  # (characters,) uint16, the whole corpus
    starts: np.ndarray  # (documents,) int64
    lengths: np.ndarray  # (documents,) int32

    def document(self, index: int) -> np.ndarray:
        return self.tokens[self.starts[index] : self.starts[index] + self.lengths[index]]


@dataclass(frozen=True)
class Corpus:
    """An encoded text file: its vocabulary, its two splits, and what reading it found."""

    vocabulary: Vocabulary
    train: Split
    held_out: Split
    report: Report
    sha256: str  # of the file's bytes
    stream: bool


def load_corpus(run: RunConfig) -> Corpus:
    """Encode the run's text file into `<datasets>/.cache`, or open what an earlier run encoded from the same bytes."""
    path = run.data_file()
    if not path.is_file():
        raise UserError(f"{path}: no such file; put one document per line there, or set datasets.{run.name}.data.file")
    sha256 = hash_file(path)
    key = hash_json([STORE_FORMAT, sha256, run.seed, run.data.model_dump(exclude={"file"})])[:16]
    folder = Path(run.paths.datasets) / ".cache" / run.name
    store = folder / key
    if not (store / "info.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            encode_file(path, run, sha256, Path(temporary))
            for old in folder.iterdir():
                if old.name != Path(temporary).name:  # stores of earlier bytes or settings
                    shutil.rmtree(old)
            shutil.copytree(temporary, store, copy_function=os.replace)
    return open_store(store, run.data.format == "stream")


def hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def open_store(store: Path, stream: bool) -> Corpus:
    info = json.loads((store / "info.json").read_text(encoding="utf-8"))
    tokens = np.memmap(store / "tokens.bin", dtype=np.uint16, mode="r")
    lengths, held_out = np.load(store / "lengths.npy"), np.load(store / "held_out.npy")
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    train, rest = (Split(tokens, starts[chosen], lengths[chosen]) for chosen in (~held_out, held_out))
    return Corpus(Vocabulary(info["characters"]), train, rest, Report(**info["report"]), info["sha256"], stream)


def encode_file(path: Path, run: RunConfig, sha256: str, store: Path) -> None:
    """Three streaming passes over the file: choose and split documents, count characters, write ids."""
    plan = plan_stream if run.data.format == "stream" else plan_lines
    lengths, kept, held_out, report = plan(path, run)
    counts = np.zeros(UNICODE_SIZE, dtype=np.int64)
    for codes in _codes_of(path, run, lengths, kept & ~held_out):
        found = np.bincount(codes)
        counts[: len(found)] += found
    vocabulary = build_vocabulary(counts, run.data.vocab_size)
    with (store / "tokens.bin").open("wb") as file:
        for codes in _codes_of(path, run, lengths, kept):
            ids = vocabulary.ids_of_codepoints[codes]
            report.unknown_characters += int((ids == vocabulary.unk).sum())
            file.write(ids.tobytes())
    if hash_file(path) != sha256:
        raise UserError(f"{path}: the file changed while it was read; start again")
    report.distinct_characters = int((counts > 0).sum())
    report.documents, report.characters = int(kept.sum()), int(lengths[kept].sum())
    np.save(store / "lengths.npy", lengths[kept])
    np.save(store / "held_out.npy", held_out[kept])
    info = {"characters": vocabulary.characters, "report": vars(report), "sha256": sha256}
    (store / "info.json").write_text(json.dumps(info), encoding="utf-8")


def _codes_of(path: Path, run: RunConfig, lengths: np.ndarray, chosen: np.ndarray) -> Iterator[np.ndarray]:
    """The code points of the chosen documents, some megabytes at a time."""
    done = 0  # lines read so far; characters in a stream
    ends = np.cumsum(lengths) if run.data.format == "stream" else lengths
    for codes in read_lines(path, run.data, Report()):
        if run.data.format == "stream":
            document = np.searchsorted(ends, done + np.arange(len(codes)), side="right")
            yield codes[chosen[document]]
            done += len(codes)
        else:
            sizes = _spans(codes)[1]
            yield codes[np.repeat(chosen[done : done + len(sizes)], sizes + 1) & (codes != NEWLINE)]
            done += len(sizes)


class Plan(NamedTuple):
    """One entry a document of the file: its characters, whether it is kept, and whether it is held out."""

    lengths: np.ndarray
    kept: np.ndarray
    held_out: np.ndarray
    report: Report


def plan_lines(path: Path, run: RunConfig) -> Plan:
    """Which lines are kept, and which of them are held out: both follow from each line's own hash and the seed."""
    report, hasher = Report(), DocumentHasher()
    lengths: list[np.ndarray] = [np.zeros(0, np.int32)]
    hashes: list[np.ndarray] = [np.zeros(0, np.uint64)]
    blank: list[np.ndarray] = [np.zeros(0, bool)]
    for codes in read_lines(path, run.data, report):
        starts, sizes = _spans(codes)
        lengths.append(sizes)
        hashes.append(hasher(codes, starts, sizes))
        blank.append(np.logical_and.reduceat(IS_SPACE[codes], starts))
    length, digest, empty = joined(lengths), joined(hashes), joined(blank)
    first = first_occurrences(digest)
    kept = first & ~empty
    report.empty, report.duplicates = int(empty.sum()), int((~first & ~empty).sum())
    if run.data.max_documents and kept.sum() > run.data.max_documents:
        rank = mix64(digest ^ np.uint64(derive_seed(run.seed, "subsample")))
        bound = np.partition(rank[kept], run.data.max_documents - 1)[run.data.max_documents - 1]
        report.not_sampled = int((kept & (rank > bound)).sum())
        kept &= rank <= bound
    if kept.sum() < 2:
        raise UserError(
            f"{path}: {int(kept.sum())} distinct documents, but one to learn from and one to hold out are needed; "
            "one document a line, or set data.format to stream for continuous text"
        )
    rank = mix64(digest ^ np.uint64(derive_seed(run.seed, "held out")))
    held_out = kept & (rank < np.uint64(run.data.held_out * 2**64))
    if not held_out.any() or held_out.sum() == kept.sum():  # a handful of documents: the lowest rank alone is held out
        held_out = kept & (rank == rank[kept].min())
    return Plan(length, kept, held_out, report)


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """One array of many, which are let go: a large file has millions of lines."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def first_occurrences(values: np.ndarray) -> np.ndarray:
    """(N,) whether a value has not come before; as np.unique, without its copies of everything."""
    order = values.argsort(kind="stable")
    ordered = values[order]
    first = np.ones(len(values), dtype=bool)
    first[order[1:]] = ordered[1:] != ordered[:-1]
    return first


def plan_stream(path: Path, run: RunConfig) -> Plan:
    """Continuous text, newlines included, as two documents: what is learnt from, and the last part, held out."""
    report = Report()
    total = sum(len(codes) for codes in read_lines(path, run.data, report))
    if total < 2:
        raise UserError(
            f"{path}: a stream needs at least 2 characters, one to learn from and one to hold out; it has {total}"
        )
    held_out = min(max(round(run.data.held_out * total), 1), total - 1)
    return Plan(np.array([total - held_out, held_out]), np.ones(2, dtype=bool), np.array([False, True]), report)


def build_vocabulary(counts: np.ndarray, limit: int) -> Vocabulary:
    """The newline, then the most frequent other characters, at most `limit` in all; ties by code point."""
    counts = counts.copy()
    counts[NEWLINE] = 0
    present = np.flatnonzero(counts)
    ranked = present[np.argsort(-counts[present], kind="stable")][: limit - 1]
    return Vocabulary("\n" + "".join(map(chr, ranked)))
