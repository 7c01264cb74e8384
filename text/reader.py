"""Reads a text file as Unicode code points of whole lines, or words of a stream, half a megabyte at a time.

Whatever is dropped or changed on the way is counted in a `ReadingLog` and shown to the user.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from command.messages import argument, counted
from config.data_file import MOST_LINE
from config.schema import DataConfig
from text.disguise import true_name
from text.vocabulary import CONTROL, LINE_BREAKS, NEWLINE, UNICODE_SIZE, codepoints, nfc
from utils import UserError, bad_byte, derive_seed, foreign

CHUNK_BYTES = 1 << 19  # small enough that a chunk's arrays, 8 bytes a character, fit into the processor's caches
LAST_SPACE = 0x3000  # no code point above it is white space
BOM = b"\xef\xbb\xbf"
MAGIC_BYTES = 64  # of a file's begin, which tell text from other things

IS_SPACE = np.zeros(UNICODE_SIZE, dtype=bool)
IS_SPACE[[c for c in range(LAST_SPACE + 1) if chr(c).isspace()]] = True
IS_BREAK = np.zeros(UNICODE_SIZE, dtype=bool)
IS_BREAK[codepoints(LINE_BREAKS)] = True


@dataclass
class ReadingLog:
    """Counts of reading a text file: what was kept, and what was dropped or changed."""

    documents: int = 0
    characters: int = 0
    empty: int = 0
    duplicates: int = 0
    not_sampled: int = 0
    invalid_lines: int = 0
    normalised_lines: int = 0
    folded_breaks: int = 0
    control_characters: int = 0
    unknown_characters: int = 0
    distinct_characters: int = 0

    def losses(self) -> str:
        """One line for the user: the counts above 0 of what was dropped or changed."""
        names = {
            "duplicates": ("duplicate", "dropped"),
            "empty": ("empty line", "dropped"),
            "not_sampled": ("document", "over max_documents left out"),
            "invalid_lines": ("line", "of invalid UTF-8"),
            "normalised_lines": ("line", "normalised to NFC"),
            "folded_breaks": ("line break", "inside documents turned into spaces"),
            "control_characters": ("control character", "dropped"),
            "unknown_characters": ("character", "outside the vocabulary made <unk>"),
        }
        counts = {key: getattr(self, key) for key in names}
        return ", ".join(f"{counted(counts[key], noun)} {what}" for key, (noun, what) in names.items() if counts[key])


def read_lines(path: Path, config: DataConfig, reading_log: ReadingLog) -> Iterator[np.ndarray]:
    """Yield (characters,) uint32 code points of whole lines, each with its newline, a chunk at a time.

    Where a stream has no newline for long, a chunk ends with a space. Counts in `reading_log` what it drops or changes.
    Raises UserError for bytes that are not UTF-8 if config.invalid_utf8 is "error", and for a line that is longer than
    any document, unless the text is a stream.
    """
    parts: list[bytes] = []
    line, size = 1, 0
    with path.open("rb") as file:
        begin = file.read(MAGIC_BYTES)
        if what := foreign(begin):
            raise UserError(f"{path}: {what}{true_name(begin)}")
        file.seek(len(BOM) if begin.startswith(BOM) else 0)
        while block := file.read(CHUNK_BYTES):
            cut = block.rfind(b"\n") + 1
            if not cut and config.stream:
                cut = block.rfind(b" ", 0, -1) + 1  # not the last byte: the end of the file gets a newline
            if cut:
                data = b"".join(parts) + block[:cut]
                yield from _decode(data, line, path, config, reading_log)
                line += data.count(b"\n")
                parts, size = [], 0
            parts.append(block[cut:])
            size += len(parts[-1])
            if size > MOST_LINE and not config.stream:
                check_line_ends(path)
                rule = f"longer than {MOST_LINE >> 20} MB, which no document is"
                raise UserError(f"{path} line {line}: {rule}; set data.format to stream for continuous text")
    if any(parts):
        yield from _decode(b"".join(parts) + b"\n", line, path, config, reading_log)


def with_ends(chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The chunks of `read_lines`, each ended by a newline."""
    for codes in chunks:
        yield codes if codes[-1] == NEWLINE else np.append(codes, np.uint32(NEWLINE))


def check_line_ends(path: Path) -> None:
    """Raise UserError for a file whose lines end in CR alone."""
    if ends_in_cr(path):
        fix = f"python prepare.py {argument(path)} --name OTHER makes a text of it"
        raise UserError(f"{path}: its lines end in CR alone, as old programs wrote them; {fix}")


def ends_in_cr(path: Path) -> bool:
    """Whether the lines of a file end in CR alone: it has some, and no LF."""
    found = False
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            found |= b"\r" in block
            if b"\n" in block:
                return False
    return found


def read_stretches(path: Path, config: DataConfig, most_bytes: int) -> Iterator[np.ndarray]:
    """Yield code points as `read_lines` does, of all the file, or of about so many bytes in stretches spread evenly.

    A stretch has whole lines; where a line is longer than the stretch, a part of it is read as a line.
    """
    size = path.stat().st_size
    if size <= most_bytes:
        yield from with_ends(read_lines(path, config, ReadingLog()))
        return
    with path.open("rb") as file:
        for begin in np.linspace(0, size - CHUNK_BYTES, most_bytes // CHUNK_BYTES).astype(int).tolist():
            file.seek(begin)
            block = file.read(CHUNK_BYTES).removeprefix(b"" if begin else BOM)
            first, last = block.find(b"\n") + 1 if begin else 0, block.rfind(b"\n") + 1
            lines = block[first:last] or block.decode("utf-8", "ignore").encode() + b"\n"  # it may cut a character
            yield from _decode(lines, 1, path, config, ReadingLog())


def _decode(
    data: bytes, first_line: int, path: Path, config: DataConfig, reading_log: ReadingLog
) -> Iterator[np.ndarray]:
    """UTF-8 lines -> one array of code points, or none if no line is left.

    CRLF becomes LF, control characters go, text is normalised to NFC, and line breaks other than LF become spaces.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if config.invalid_utf8 == "error":
            read = f"python prepare.py {argument(path)} --name OTHER tells how it reads in other encodings"
            fix = f"{read}; or set data.invalid_utf8 to skip or replace"
            raise UserError(f"{path} {bad_byte(error, first_line)}; {fix}") from None
        text = _repair(data, config.invalid_utf8, reading_log)
    # before NFC, which joins what they kept apart
    text, dropped = CONTROL.subn("", text.replace("\r\n", "\n"))
    reading_log.control_characters += dropped
    if not (text.isascii() or unicodedata.is_normalized("NFC", text)):
        text = _normalised(text, reading_log)
    codes = codepoints(text)
    breaks = IS_BREAK[codes]
    if breaks.any():
        reading_log.folded_breaks += int(breaks.sum())
        codes = np.where(breaks, np.uint32(ord(" ")), codes)
    if len(codes):
        yield codes


def _normalised(text: str, reading_log: ReadingLog) -> str:
    """Normalise to NFC, line by line, to count the lines that change."""
    lines = text.split("\n")
    odd = [i for i, line in enumerate(lines) if not (line.isascii() or unicodedata.is_normalized("NFC", line))]
    for i in odd:
        lines[i] = nfc(lines[i])
    reading_log.normalised_lines += len(odd)
    return "\n".join(lines)


def _repair(data: bytes, policy: str, reading_log: ReadingLog) -> str:
    """Decode line by line; `policy` skips lines that are not UTF-8, or replaces their invalid bytes by U+FFFD."""
    lines = []
    for line in data.split(b"\n"):
        text = line.decode("utf-8", errors="replace")
        valid = "\ufffd" not in text or text.encode() == line
        reading_log.invalid_lines += not valid
        if valid or policy == "replace":
            lines.append(text)
    return "\n".join(lines)


def spans(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Code points of whole lines -> (lines,) start and (lines,) int32 length of each, without its newline."""
    ends = np.flatnonzero(codes == NEWLINE)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    return starts, (ends - starts).astype(np.int32)


def mix64(x: np.ndarray) -> np.ndarray:
    """uint64 -> uint64, one to one: similar numbers become very different (after SplitMix64, Steele et al. 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


class DocumentHasher:
    """64-bit hashes of lines: sum of mix(character) * key(position) modulo 2^64, with random but fixed keys.

    Multilinear hashing: two different lines collide with a probability near 2^-64. Of ten million lines, any two
    collide in about one of 3e5 files.
    """

    def __init__(self) -> None:
        self.mixed = mix64(np.arange(UNICODE_SIZE, dtype=np.uint64))
        self.keys = np.zeros(0, dtype=np.uint64)

    def __call__(self, codes: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Code points of whole lines and their `spans` -> (lines,) uint64 hashes."""
        longest = int(lengths.max(initial=0)) + 1
        if longest > len(self.keys):
            # the raw stream: the only one that NumPy promises to keep (NEP 19), and splits hang on it for ever
            self.keys = np.random.Philox(derive_seed("document hash")).random_raw(longest) | np.uint64(1)
        position = np.arange(len(codes)) - np.repeat(starts, lengths + 1)
        return np.add.reduceat(self.mixed[codes] * self.keys[position], starts)
