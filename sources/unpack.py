"""Makes a plain UTF-8 file of a source: unpacked, decoded, within bounds, with the SHA-256 of what it came from."""

import bz2
import codecs
import contextlib
import gzip
import hashlib
import itertools
import lzma
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import IO, Any

from command.disk import patiently
from command.libraries import library
from config.data_file import CHANGED, MOST_LINE
from sources.encodings import BINARY, MIXED, decoded, encoding_of, fix_of, is_utf8, mark_of
from sources.files import Found, clear_errors, open_archive
from sources.scratch import writing_bytes
from utils import UserError, bad_byte, foreign, hash_file

BLOCK_BYTES = 1 << 20
MOST_UNPACKED = 1 << 30  # bytes, or characters of text, that a packed file holds, or
MOST_RATIO = 200  # times its size, if that is more: text is seldom packed to less than a fiftieth
# what a packed file holds -> what to do about too much of it
FIXES = {"unpacks to": "unpack it yourself if you trust it", "holds text of": "no text is packed so small"}
MOST_WINDOW = 1 << 31  # bytes that xz and zstd may look back: the largest dumps ask for so many
PACKED_BYTES = 1 << 12  # that are unpacked at a time: in zstd they may hold thirty thousand times as many
LINES = ("csv", "tsv", "text")  # kinds whose lines are bounded; a file of another may be a single line
TABLES = ("csv", "tsv", "json", "parquet")  # kinds in whose place a login page may have been saved
PAGE, PARQUET = (b"<!doctype html", b"<html"), b"PAR1"  # how a page of a website and a file of Parquet begin
ZEROS = 0.25  # share of NUL bytes above which a text is UTF-16 or UTF-32
HEAD = 1 << 10  # bytes of a file that hold its mark and what it declares


@dataclass(frozen=True)
class Plain:
    """A file of plain UTF-8 (or Parquet), and what it was made from."""

    path: Path
    found: Found
    version: str  # SHA-256 of the file at found.path; of a repository its newest commit
    bytes: int  # of that file; 0 of a repository


class Held:
    """What each packed file has held so far, all members of an archive together, in two kinds: see FIXES."""

    def __init__(self) -> None:
        self.sizes = Counter[tuple[Path, str]]()

    def count(self, found: Found, kind: str, size: int, packed_bytes: int) -> None:
        """Count so many more. Raises UserError for more than any text is packed from."""
        most = max(MOST_UNPACKED, MOST_RATIO * packed_bytes)
        self.sizes[found.path, kind] += size
        if self.sizes[found.path, kind] > most:
            limit = f"{most / 1e9:,.1f} GB, {MOST_RATIO} times its size or {MOST_UNPACKED / 1e9:,.1f} GB"
            raise UserError(f"{replace(found, member='').name}: {kind} more than {limit}; {FIXES[kind]}")


def fingerprint(path: Path) -> tuple[int, int]:
    """What changes when a file is written to: its size and its time."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns


@cache
def hash_once(path: Path, _fingerprint: tuple[int, int]) -> str:
    """SHA-256 of a file: once, however many members of an archive are read."""
    return hash_file(path)


@lru_cache(maxsize=1)
def archive_at(path: Path, _fingerprint: tuple[int, int]) -> zipfile.ZipFile:
    """An archive whose list of files is read once, not for each of its files; it is closed when another is opened."""
    return open_archive(path)


@contextlib.contextmanager
def plain_file(found: Found, scratch: Path, encoding: str, held: Held) -> Iterator[Plain]:
    """The plain file of a source, in `scratch` if it must be made; it goes at the end.

    `encoding`, where it is not "", is that of a text without a mark; what does not fit it becomes U+FFFD. `held` counts
    what is unpacked. Raises UserError for what is damaged, not UTF-8, or beyond the bounds, and at the end if the
    source has changed meanwhile.
    """
    made, digest, packed = scratch / "plain", hashlib.sha256(), bool(found.packing or found.member)
    with unchanged(found) as before, contextlib.ExitStack() as stack:
        stack.callback(patiently, partial(made.unlink, missing_ok=True))
        with opened(found) as blocks:
            first = head_of(blocks)
            blocks = hashed(itertools.chain([first], blocks), digest)
            marked = encoding_of(found, first, encoding, partial(holds_utf8, found, before[0]))
            if packed:
                blocks = bounded(found, blocks, before[0], held)
            elif what := "" if mark_of(first) else misnamed(found.kind, first):
                raise UserError(f"{found.name}: {what}; its name does not say so")
            if marked:
                blocks = decoded(found, blocks, marked, "replace" if encoding else "strict")
            old, blocks = lines_of_today(blocks) if found.kind in LINES else (False, blocks)
            if found.kind not in (*BINARY, *MIXED):
                blocks = checked(found, blocks)
            other = packed or marked or old
            with writing_bytes(made) if other else contextlib.nullcontext() as copy:
                for block in blocks:
                    if copy:
                        copy.write(block)
        version = hash_once(found.path, before) if packed else digest.hexdigest()
        yield Plain(made if other else found.path, found, version, before[0])


def misnamed(kind: str, first: bytes) -> str:
    """What a file of this kind is by its beginning, if that is something else; "" if it may be of the kind."""
    if kind in TABLES and first.lstrip().lower().startswith(PAGE):
        return "is a page of a website; download the file itself"
    return "" if kind == "parquet" and first.startswith(PARQUET) else foreign(first)


@contextlib.contextmanager
def unchanged(found: Found) -> Iterator[tuple[int, int]]:
    """The fingerprint of a source. Raises UserError at the end if it is another then, whatever else seemed wrong."""
    before, changed = fingerprint(found.path), CHANGED.format(found.name)
    try:
        yield before
    except Exception:
        if fingerprint(found.path) != before:
            raise UserError(changed) from None
        raise
    if fingerprint(found.path) != before:
        raise UserError(changed)


def holds_utf8(found: Found, packed_bytes: int) -> bool:
    """Whether all that a source of so many bytes holds is UTF-8, as `is_utf8` tells it."""
    with opened(found) as blocks:
        return is_utf8(bounded(found, blocks, packed_bytes, Held()))


def lines_of_today(blocks: Iterator[bytes]) -> tuple[bool, Iterator[bytes]]:
    """Whether lines end in CR alone, as in files of old programs; -> also the blocks, with LF in place of it.

    The last of several may end in LF: newer editors add it.
    """
    head = head_of(blocks, BLOCK_BYTES)
    blocks = itertools.chain([head], blocks)
    lines = head.rstrip(b"\r\n")
    old = b"\n" not in lines and b"\r" in head[:-1] and (b"\n" not in head or lines.count(b"\r") > 1)
    return old, (block.replace(b"\r", b"\n") for block in blocks) if old else blocks


def head_of(blocks: Iterator[bytes], size: int = HEAD) -> bytes:
    """The first blocks, as many as have so many bytes: those that are needed to tell the encoding."""
    head = b""
    while len(head) < size and (block := next(blocks, None)) is not None:
        head += block
    return head


@contextlib.contextmanager
def opened(found: Found) -> Iterator[Iterator[bytes]]:
    """What a source holds, a block at a time; unpacked where it is packed."""
    damaged = f"{found.name}: damaged or cut short"
    with contextlib.ExitStack() as stack:
        with clear_errors(damaged):
            if found.member:
                archive = archive_at(found.path, fingerprint(found.path))
                info = archive.getinfo(found.member)
                if info.flag_bits & 1:
                    raise UserError(f"{found.name}: needs a password; unpack it first")
                try:
                    file: Any = stack.enter_context(archive.open(info))
                except NotImplementedError:
                    what = "is packed by a method that Python does not read, as Windows' Deflate64 is; unpack it first"
                    raise UserError(f"{found.name}: {what}") from None
            else:
                file = stack.enter_context(found.path.open("rb"))
            if found.packing and not file.peek(1):
                raise EOFError("it has no bytes")
        yield clearly(damaged, UNPACKERS[found.packing](file))


def clearly(damaged: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks. An error in making them becomes a line that begins with `damaged`; one in using them stays."""
    with clear_errors(damaged):
        yield from blocks


def blocks_of(file: Any) -> Iterator[bytes]:
    return iter(partial(file.read, BLOCK_BYTES), b"")


def stream_blocks(decompressor: Callable[[], Any], file: IO[bytes]) -> Iterator[bytes]:
    """The blocks of a file in bzip2's or xz' format, of several streams too. Raises EOFError if it is cut short.

    Python's own readers take a later stream with a damaged beginning for what does not belong to the file, and drop it.
    """
    stream = decompressor()
    while rest := file.read(PACKED_BYTES):
        while rest or not (stream.needs_input or stream.eof):  # it may still hold some of what it was given
            if stream.eof and not (rest := rest.lstrip(b"\0")):  # between streams of xz there may be zeros
                break
            stream = decompressor() if stream.eof else stream
            yield stream.decompress(rest, BLOCK_BYTES)
            rest = stream.unused_data
    if not stream.eof:
        raise EOFError("its last stream has no end")


def zstd_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The blocks of a file in zstd's format, of several frames too. Raises EOFError if it is cut short."""
    zstandard, frame = library("zstandard", "prepare"), None
    while rest := file.read(PACKED_BYTES):
        while rest:
            frame = frame or zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW).decompressobj()
            yield frame.decompress(rest)
            rest, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame:
        raise EOFError("its last frame has no end")


UNPACKERS: dict[str, Callable[[Any], Iterator[bytes]]] = {
    "": blocks_of,
    ".gz": lambda file: blocks_of(gzip.GzipFile(fileobj=file)),
    ".bz2": partial(stream_blocks, bz2.BZ2Decompressor),
    ".xz": partial(stream_blocks, partial(lzma.LZMADecompressor, memlimit=MOST_WINDOW)),
    ".zst": zstd_blocks,
}


def hashed(blocks: Iterator[bytes], digest: Any) -> Iterator[bytes]:
    for block in blocks:
        digest.update(block)
        yield block


def bounded(found: Found, blocks: Iterator[bytes], packed_bytes: int, held: Held) -> Iterator[bytes]:
    """The blocks of a packed file; raises UserError if it holds more than any text is packed from."""
    for block in blocks:
        held.count(found, "unpacks to", len(block), packed_bytes)
        yield block


def checked(found: Found, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks of a text; raises UserError for the first that is not UTF-8, and for a line that has no end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, length = 1, 0
    for block in blocks:
        yield check_block(found, decoder, block, line)
        last = block.rfind(b"\n")
        length = length + len(block) if last < 0 else len(block) - last
        line += block.count(b"\n")
        if found.kind in LINES and length > MOST_LINE:
            raise UserError(f"{found.name} line {line}: has more than {MOST_LINE >> 20} MB; no document is so long")
    try:
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        raise UserError(f"{found.name} line {line}: ends within a character of UTF-8; is it cut short?") from None


def check_block(found: Found, decoder: Any, block: bytes, line: int) -> bytes:
    if block.count(0) > ZEROS * len(block):
        fix = "if it is UTF-16, add --encoding utf-16-le, or utf-16-be"
        raise UserError(f"{found.name}: has the zero bytes of UTF-16, or is no text; {fix}")
    try:
        decoder.decode(block)
    except UnicodeDecodeError as error:
        raise UserError(f"{found.name} {bad_byte(error, line)}; {fix_of(error)}") from None
    return block
