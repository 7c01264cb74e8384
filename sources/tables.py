"""Reads tables of text, CSV and TSV, with Python's csv: which delimiter, which quotes, and whether a row is whole."""

import csv
import io
import itertools
import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.data_file import MOST_LINE
from sources.header import names_columns
from sources.log import SourceLog
from text.disguise import DELIMITERS
from utils import UserError

Row = Sequence[str | None]
Rows = Generator[Row, None, None]  # which closes its file when it is closed
QUOTES_ARE_TEXT = "\t|"  # where these delimit, quotation marks are often text
NO_DELIMITER = "\x1f"  # of a table of one column, whose commas are text
HEAD = 1 << 20  # characters of a file that tell how it is written
MOST_COLUMNS = 2000
SAMPLED = 1000  # first rows of a table that tell what it holds
AGAIN = 8  # times the size of a table that its lines may be read again
NO_END = "unexpected end"  # what csv says of a quotation mark that is never closed
TOO_LONG = "field limit"  # what it says of a cell that is too long, and we of a row
LONE_CR = re.compile(r"\r(?!\n|\Z)")  # which csv would take for the end of a row
SEPARATOR = re.compile(r"sep=(.)\r?\n")  # a first line that tells Excel the delimiter
PAIR = re.compile(r'\\(["\\\r\n])?')  # a backslash, and what it escapes
CELL = re.compile(r'(?:^|(?<=[,;\t|]))"[^"]*"')  # one in quotes
BACKSLASH = re.compile(r'\\"(?![,;\t|\r\n])')  # a quote inside a text, written as in C


@dataclass(frozen=True)
class Table:
    """The columns of a source, and a function that reads some of them, by number, as often as it is called."""

    columns: list[str]
    read: Callable[[Sequence[int], SourceLog], Rows]  # rows that are none are counted there


def check_width(name: str, columns: int) -> None:
    """Raise UserError for more columns than a table of texts has."""
    if columns > MOST_COLUMNS:
        raise UserError(f"{name}: has more than {MOST_COLUMNS:,} columns; is it a table of texts?")


def table_of(columns: Sequence[str], rows: Callable[[SourceLog], Iterator[dict[str, str]]]) -> Table:
    """A table of rows that name their values."""

    def read(wanted: Sequence[int], log: SourceLog) -> Rows:
        names = [columns[number] for number in wanted]
        for row in rows(log):
            yield [row.get(name) for name in names]

    return Table([*columns], read)


def open_csv(path: Path, name: str, delimiters: str = DELIMITERS) -> Table:
    """A CSV file; `name` is what messages call it. Rows that are not whole are left out.

    Python's csv rather than a database's reader: it is as fast for text, and it loses no row in silence.
    """
    csv.field_size_limit(MOST_LINE)
    with path.open(encoding="utf-8", newline="\n") as file:
        head = file.read(HEAD)
    cut = len(head) == HEAD
    if told := SEPARATOR.match(head):
        head, delimiters = head[told.end() :], told[1]
    dialect = dialect_of(head[: head.rfind("\n") + 1] if cut else head, delimiters, cut)
    rows = [row for row in rows_of(head, dialect) if row]
    first = rows[0] if rows else []
    check_width(name, len(first))
    below = [row for row in rows if len(row) == len(first) and row != first]  # a header may stand in the middle too
    named = names_columns(first, below)
    columns = distinct([cell.strip() for cell in first] if named else [""] * len(first))

    def read(wanted: Sequence[int], log: SourceLog) -> Rows:
        with path.open(encoding="utf-8", newline="\n") as file:
            file.read(told.end() if told else 0)
            lines = Lines(file, AGAIN * os.fstat(file.fileno()).st_size, 2 if told else 1)
            for row in itertools.islice(whole_rows(lines, dialect, len(columns), name, log), int(named), None):
                yield [row[number] for number in wanted]

    return Table(columns, read)


def open_tsv(path: Path, name: str) -> Table:
    return open_csv(path, name, "\t")


def dialect_of(head: str, delimiters: str, cut: bool) -> dict[str, Any]:
    """How a table is written that begins so: which of its first line's delimiters and quotes leave most rows whole."""
    first = CELL.sub("", head.lstrip("\r\n")).split("\n", 1)[0]  # a cell of it may hold a line break
    present = sorted(filter(first.count, delimiters), key=first.count, reverse=True) or [NO_DELIMITER]
    quotes: list[dict[str, Any]] = [{"quotechar": '"'}]
    if BACKSLASH.search(head):
        quotes.append({"quotechar": '"', "escapechar": "\\"})
    bare = {"quotechar": None, "quoting": csv.QUOTE_NONE}
    dialects = [
        {"delimiter": delimiter, "strict": True, **each}
        for delimiter in present
        for each in [*quotes, *[bare] * (delimiter in QUOTES_ARE_TEXT)]
    ]
    return max(dialects, key=lambda dialect: whole_share(head, dialect, cut))


def whole_share(head: str, dialect: dict[str, Any], cut: bool) -> float:
    """The share of rows that have as many columns as the first; where the head is cut, its last row may be none."""
    rows = list(rows_of(head, dialect))
    if cut and rows[-1:] == [None]:
        rows.pop()
    return sum(row is not None and len(row) == len(rows[0] or ()) for row in rows) / max(len(rows), 1)


class Lines:
    """The lines of a table as csv reads them. What a row took that is not its own is given back, to be read again.

    A CR within a line becomes a space, as in a text. A row of more than MOST_LINE characters is an error.
    """

    def __init__(self, file: Iterable[str], most: int, first: int = 1) -> None:
        self.source = iter(file)
        self.row: list[str] = []  # the lines of the row that is read
        self.size = 0  # characters of it
        self.number = first  # of the first of them
        self.again: list[str] = []  # given back, the last first
        self.most = most  # characters that may be given back: of no file all lines are read again and again

    def __iter__(self) -> Iterator[str]:
        while (line := self.again.pop() if self.again else next(self.source, None)) is not None:
            line = LONE_CR.sub(" ", line)
            self.row.append(line)
            self.size += len(line)
            if self.size > MOST_LINE:
                raise csv.Error(TOO_LONG)
            yield line

    def rows(self, dialect: dict[str, Any]) -> Iterator[list[str] | csv.Error]:
        """The rows; in place of one that cannot be read, the error."""
        reader = csv.reader(map(whole_backslashes, self) if "escapechar" in dialect else self, **dialect)
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                row = error
            if row is None:
                return
            yield row
            self.number += len(self.row)
            self.row.clear()
            self.size = 0

    def are_rows(self, dialect: dict[str, Any], width: int) -> bool:
        """Whether each line of this row has all columns: then two quotation marks of texts made a cell of all between.

        No real text has exactly that many tabs in each of its lines.
        """
        return all(line.count(dialect["delimiter"]) == width - 1 for line in self.row)

    def hide_rows(self, dialect: dict[str, Any], width: int) -> bool:
        """Whether most lines of this row but its first have all columns: a stray quotation mark made a cell of them."""
        taken = [line.count(dialect["delimiter"]) == width - 1 for line in self.row[1:]]
        return 2 * sum(taken) > len(taken)

    def give_back(self) -> None:
        """Have all lines of this row but its first read once more: a stray quotation mark takes them into its cell."""
        size = sum(map(len, self.row[1:]))
        if size <= self.most:
            self.most -= size
            self.again += self.row[:0:-1]
            del self.row[1:]


def rows_of(text: str, dialect: dict[str, Any]) -> Iterator[list[str] | None]:
    """The rows of a text; None for one that cannot be read. Blank lines are none."""
    lines = Lines(io.StringIO(text, newline="\n"), AGAIN * len(text))
    for row in lines.rows(dialect):
        if isinstance(row, csv.Error):
            if NO_END not in str(row):
                lines.give_back()
            yield None
        elif row:
            yield row


def whole_backslashes(line: str) -> str:
    r"""A line in which a backslash stays, as in `C:\temp`, unless it escapes a mark, another or a line's end."""
    return PAIR.sub(lambda pair: pair[0] if pair[1] else r"\\", line)


def distinct(names: Sequence[str]) -> list[str]:
    """The names, made distinct: an empty one is called by its number, a repeated one numbered."""
    found: dict[str, None] = {}
    for number, name in enumerate(names, 1):
        free = name = name or f"column{number}"
        again = 2
        while free in found:
            free, again = f"{name}_{again}", again + 1
        found[free] = None
    return [*found]


def whole_rows(lines: Lines, dialect: dict[str, Any], width: int, name: str, log: SourceLog) -> Iterator[list[str]]:
    """The rows of a file that have this many columns; the others are counted. Blank lines are none."""
    for row in lines.rows(dialect):
        if isinstance(row, csv.Error):
            count_unread(lines, str(row), name, log)
            continue
        while len(row) > width and not row[-1]:  # some programs end rows with a delimiter
            row.pop()
        if len(lines.row) > 1 and dialect["delimiter"] in QUOTES_ARE_TEXT and lines.are_rows(dialect, width):
            yield from (line.rstrip("\r\n").split(dialect["delimiter"]) for line in lines.row)
        elif len(row) == width:
            yield row
        elif row:
            if 2 < width > len(row) and lines.hide_rows(dialect, width):  # a comma a line is what prose has too
                lines.give_back()
            last = lines.number + len(lines.row) - 1
            place = f"line {last}" if last == lines.number else f"lines {lines.number}-{last}"
            reason = "too few columns" if len(row) < width else "too many columns"
            log.bad_row(f"with {reason}", f"{name} {place}: {len(row)} of {width} columns")


def count_unread(lines: Lines, what: str, name: str, log: SourceLog) -> None:
    """Count a row that cannot be read, by its first line, and have the others read again.

    Raises UserError for a quotation mark that takes all the rest of a file, or more than any row.
    """
    place = f"{name} line {lines.number}"
    if NO_END in what:
        raise UserError(f"{place}: a quotation mark is opened here and never closed")
    if TOO_LONG in what:
        much = f"a row of more than {MOST_LINE >> 20} MB begins here"
        raise UserError(f"{place}: {much}; is a quotation mark not closed?")
    lines.give_back()
    for number in range(lines.number, lines.number + len(lines.row)):
        log.bad_row("that cannot be read", f"{name} line {number}: {what}")
