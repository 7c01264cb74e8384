"""Makes the text of a dataset from downloads: reads rows, cleans documents, takes a sample, and makes the record."""

import contextlib
import random
from array import array
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from command.disk import flush_to_disk
from command.messages import counted
from config.data_file import MOST_LINE
from config.errors import listed
from config.origin import LONGEST
from sources.cleaning import HALF, cleaned, misfit
from sources.columns import NO_ROWS, NoColumn, choose, describe, join, looks_like_prose, number_of, passing_over
from sources.encodings import check_encoding
from sources.engine import open_json, open_parquet
from sources.files import Found
from sources.git import open_git
from sources.log import SourceLog
from sources.mail import open_mbox
from sources.origin import record_of
from sources.plain_text import open_text
from sources.scratch import harmless_path, writing
from sources.tables import SAMPLED, Row, Table, open_csv, open_tsv
from sources.unpack import Held, Plain, plain_file
from sources.where import Filter
from sources.xml_dump import open_xml
from utils import UserError, hash_file

Texts = Generator[str, None, None]
Make = Callable[[Row], str]  # the values of some columns -> the text
READERS: dict[str, Callable[..., Table]] = {
    "csv": open_csv, "tsv": open_tsv, "json": open_json, "parquet": open_parquet, "xml": open_xml, "mbox": open_mbox,
    "text": open_text,
}  # fmt: skip
BY_DUCKDB = ("json", "parquet")  # kinds whose reader takes characters of a path for a pattern
COLUMNS = {"mbox": "text", "git": "message", "text": "text"}  # kinds whose text is known
SAMPLED_CHARACTERS = 1 << 23  # of the rows that are looked at to choose a column
FILTERED, FILTERED_CHARACTERS = 4096, 1 << 22  # rows that --where is asked about at a time
TOLD = 1000  # documents between two reports of progress
MOST_BAD = 0.5  # share of a table's rows that cannot be read, above which it is no such table
SEED = 0  # of the sample that --max-documents takes


@dataclass(frozen=True)
class Request:
    """What is asked for: the options of prepare.py."""

    column: str = ""
    join: str = ""
    where: str = ""
    unit: str = ""
    encoding: str = ""
    keep_html: bool = False
    min_characters: int = 1
    max_characters: int = 0  # 0: no limit
    max_documents: int = 0  # 0: all
    source: str = ""
    license: str = ""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Request":
        """The request of a command line. Raises UserError for options that do not fit."""
        request = cls(**{field.name: options[field.name] for field in fields(cls) if field.name in options})
        check_encoding(request.encoding)
        for option, value in (("source", request.source), ("license", request.license)):
            if len(value) > LONGEST:
                raise UserError(f"--{option}: longer than the {LONGEST:,} allowed, by {len(value) - LONGEST:,}")
            if what := misfit(value):
                raise UserError(f"--{option}: must be one line of text, but holds {what}")
        if half := HALF.search(request.where):
            raise UserError(f"--where: holds {misfit(half[0])}")
        if 0 < request.max_characters < request.min_characters:
            raise UserError(f"--max-characters {request.max_characters}: is less than --min-characters")
        if request.max_documents == 1:
            raise UserError("--max-documents 1: one to learn from and one to hold out are needed")
        return request


@dataclass(frozen=True)
class Made:
    """A text that was made, still in the scratch folder, its record, and what was counted."""

    text: Path
    sha256: str
    record: bytes
    log: SourceLog
    notes: list[str]  # which columns there are, and which was chosen
    encoding: str  # that was named


class Choice:
    """Which columns make a document. If neither options nor kind tell, the first such table decides for all."""

    def __init__(self, request: Request) -> None:
        self.request, self.chosen = request, ""
        self.columns: dict[str, None] = {}  # that were taken
        self.notes: list[str] = []

    def of(self, name: str, kind: str, columns: Sequence[str], sample: Sequence[Row]) -> tuple[list[int], Make]:
        """The numbers of the columns to read, and a function of their values -> the text."""
        if not columns:
            raise UserError(f"{name}: {NO_ROWS}")
        if self.request.join:
            return join(self.request.join, columns, name)
        column = self.request.column or COLUMNS.get(kind) or self.chosen
        if not column:
            number, why = choose(name, columns, sample)
            column = self.chosen = columns[number]
            self.notes = [f"{name}: its first rows", *describe(columns, sample), f"the text is {column!r}: {why}"]
            if kind in ("csv", "tsv") and looks_like_prose(column):
                taken = f"{column!r} stands in the first row, which was taken for names of columns"
                self.notes.append(f"{taken}; if it is a document, put a line of names above it")
        self.columns[column] = None
        number = number_of(column, columns, name, "" if column == self.chosen else "--column ")
        return [number], lambda row: row[0] or ""


def make_text(
    request: Request, found: Sequence[Found], scratch: Path, advance: Callable[[int], None], *, stream: bool = False
) -> Made:
    """Make a text of all the files, in order, within bounded memory. `advance` is told how many bytes are read.

    A document of a `stream` may have any length. Raises UserError for what cannot be read; nothing but the scratch
    folder is changed.
    """
    if request.unit and all(file.kind != "text" for file in found):
        raise UserError(f"--unit {request.unit}: is for plain texts, and none of the files is one")
    log, choice, held = SourceLog(), Choice(request), Held()
    files, hashes, path = [], array("q"), scratch / "text"
    lacking: dict[str, NoColumn] = {}
    with writing(path) as out:
        for file in found:
            with (
                passing_over(file, lacking, named=bool(request.column or request.join)),
                source_table(file, request, scratch, held) as (plain, table),
                contextlib.closing(texts(file, table, request, choice, log)) as every,
                contextlib.closing(metered(every, plain, advance, held)) as told,  # else Windows keeps the file
            ):
                keep = request.keep_html or file.kind == "git"  # a commit that speaks of <div> or &amp; means them
                for document in (cleaned(text, log, keep_html=keep) for text in told):
                    if is_accepted(document, request, log, stream=stream):
                        out.write(document + "\n")
                        hashes.append(hash(document))
                        log.add(document)
                files.append(plain)
    if lacking and not files:
        raise next(iter(lacking.values()))
    if request.max_documents and log.documents > request.max_documents:
        path, hashes = sampled(path, request.max_documents, log)
    if not log.documents:
        raise UserError(f"{listed(file.name for file in found)}: {nothing_left(log)}")
    log.repeated = repeated(hashes)
    flush_to_disk(path)
    sha256 = hash_file(path)
    record = record_of(asdict(request), listed(choice.columns), files, (sha256, path.stat().st_size), log)
    notes = [f"not read, without such a column: {counted(len(lacking), 'file')}: {listed(lacking)}"] * bool(lacking)
    return Made(path, sha256, record, log, [*notes, *choice.notes], request.encoding)


def nothing_left(log: SourceLog) -> str:
    """Why no document is left, in words."""
    why = [*(f"{count:,} {reason}" for reason, count in log.left_out.items()), *log.without_number()]
    return f"no document is left of {counted(log.rows, 'row')}{': ' * bool(why)}{', '.join(why)}"


def texts(file: Found, table: Table, request: Request, choice: Choice, log: SourceLog) -> Texts:
    """The text of each row that --where takes. Raises UserError if most rows of a table are not whole."""
    sample = first_rows(file.name, table)
    numbers, text_of = choice.of(file.name, file.kind, table.columns, sample)
    bad, before = log.bad_rows, log.rows
    taken = Filter(request.where, table.columns, sample, log) if request.where else None
    width = len(numbers)
    with contextlib.closing(table.read([*numbers, *(taken.used if taken else ())], log)) as read:
        rows = counted_rows(read, log)
        if taken:
            while several := next_rows(rows, FILTERED, FILTERED_CHARACTERS):
                kept = taken([row[width:] for row in several])
                log.leave_out("not taken by --where", len(several) - len(kept))
                yield from (text_of(several[number][:width]) for number in kept)
        else:
            yield from map(text_of, rows)
    check_whole(file.name, log, log.bad_rows - bad, log.rows - before)


def check_whole(name: str, log: SourceLog, bad: int, rows: int) -> None:
    """Raise UserError if most rows of a table cannot be read."""
    if bad > MOST_BAD * rows:
        own = [place for places in log.places.values() for place in places if place.startswith(f"{name} ")]
        example = f", as {own[0]}" if own else ""  # of each fault the first places alone are kept
        raise UserError(f"{name}: {bad:,} of {counted(rows, 'row')} cannot be read{example}")


def counted_rows(rows: Iterator[Row], log: SourceLog) -> Iterator[Row]:
    for row in rows:
        log.rows += 1
        yield row


def next_rows(rows: Iterator[Row], most: int, characters: int) -> list[Row]:
    """The next rows, each whole: `most` at most, and no more once they hold over so many characters."""
    found, size = [], 0
    for row in islice(rows, most):
        found.append(row)
        size += sum(len(value or "") for value in row)
        if size > characters:
            break
    return found


def metered(every: Iterator[str], plain: Plain, advance: Callable[[int], None], held: Held) -> Texts:
    """The texts of a source. Tells progress as characters of text, and at the end the bytes that were no text."""
    told = size = 0
    for number, text in enumerate(every):
        size += len(text)
        if plain.bytes:  # a repository has no size that its text could be compared with
            held.count(plain.found, "holds text of", len(text), plain.bytes)
        if number % TOLD == 0:
            more = min(size, plain.bytes) - told
            advance(more)
            told += more
        yield text
    advance(plain.bytes - told)


def is_accepted(document: str, request: Request, log: SourceLog, *, stream: bool) -> bool:
    """Whether a document is as long as is asked for, and can be; one that is not is counted."""
    if not document:
        log.leave_out("empty")
    elif len(document) < request.min_characters:
        log.leave_out("shorter than --min-characters")
    elif request.max_characters and len(document) > request.max_characters:
        log.leave_out("longer than --max-characters")
    elif not stream and len(document) > MOST_LINE // 4 and len(document.encode()) > MOST_LINE:  # 4 bytes a character
        log.leave_out(f"longer than {MOST_LINE >> 20} MB, which training does not read")
    else:
        return True
    return False


def sampled(path: Path, count: int, log: SourceLog) -> tuple[Path, array]:
    """A random sample of the lines of a text, in their order (Knuth's algorithm S), and its hashes; always the same."""
    draw, chosen, hashes, left = random.Random(SEED), path.with_name("sample"), array("q"), log.documents
    log.leave_out("not in the sample of --max-documents", log.documents - count)
    log.documents = log.characters = log.replaced = 0
    with path.open(encoding="utf-8", newline="\n") as lines, writing(chosen) as out:
        for line in lines:
            if draw.random() * left < count - len(hashes):
                out.write(line)
                hashes.append(hash(line))
                log.add(line.removesuffix("\n"))
            left -= 1
    return chosen, hashes


def repeated(hashes: array) -> int:
    """How many documents are equal to an earlier one, by hashes of 64 bits."""
    ordered = np.frombuffer(hashes, dtype=np.int64)
    ordered.sort()
    return int((ordered[1:] == ordered[:-1]).sum())


@contextlib.contextmanager
def source_table(file: Found, request: Request, scratch: Path, held: Held) -> Iterator[tuple[Plain, Table]]:
    """A source as a plain file and as a table of it; `held` is that of `plain_file`."""
    if file.kind == "git":
        commit, table = open_git(file.path, file.name, request.encoding)
        yield Plain(file.path, file, commit, 0), table
        return
    unit = request.unit or ("line" if file.chosen else "")
    more = {"mbox": {"encoding": request.encoding}, "text": {"unit": unit}}.get(file.kind, {})
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(plain_file(file, scratch, request.encoding, held))
        path = plain.path
        if file.kind in BY_DUCKDB:
            path = stack.enter_context(harmless_path(path, scratch))
        yield plain, READERS[file.kind](path, file.name, **more)


def first_rows(name: str, table: Table) -> list[Row]:
    """The first rows of a table, whole; reading them counts nothing. Raises UserError if none of its rows is."""
    log = SourceLog()
    with contextlib.closing(table.read(range(len(table.columns)), log)) as every:
        rows = next_rows(every, SAMPLED, SAMPLED_CHARACTERS)
    if not rows:
        check_whole(name, log, log.bad_rows, log.rows)
    return rows
