"""Reads plain text as tables of its lines, its paragraphs, or the whole of each file."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from command.messages import counted
from config.data_file import MOST_LINE
from sources.tables import Table, table_of
from utils import UserError

MOST_LINES = 1000  # of a file that is taken for one document though nobody says so


def open_text(path: Path, name: str, unit: str) -> Table:
    """A plain text whose documents are its lines, its paragraphs (between blank lines), or the whole.

    `unit` "": the whole, if short.
    """
    return table_of(["text"], lambda _: ({"text": text} for text in UNIT_READERS[unit](path, name)))


def lines_of(path: Path, name: str) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\r\n")


def paragraphs_of(path: Path, name: str) -> Iterator[str]:
    for blank, lines in itertools.groupby(lines_of(path, name), lambda line: not line.strip()):
        if not blank:
            yield "\n".join(held(lines, f"{name}: a paragraph"))


def whole_of(path: Path, name: str) -> Iterator[str]:
    yield "\n".join(held(lines_of(path, name), f"{name}: a file"))


def short_whole_of(path: Path, name: str) -> Iterator[str]:
    """As `whole_of`, but UserError for many lines, as --unit was not given."""
    for text in whole_of(path, name):
        if (lines := text.count("\n")) > MOST_LINES:
            rule = f"{counted(lines, 'line')} are seldom one document; say which they are"
            raise UserError(f"{name}: {rule}: --unit line, --unit paragraph or --unit file")
        yield text


def held(lines: Iterator[str], what: str) -> Iterator[str]:
    """The lines of a document; raises UserError if it has no end."""
    size = 0
    for line in lines:
        size += len(line) + 1
        if size > MOST_LINE:
            raise UserError(f"{what} of more than {MOST_LINE >> 20} MB is no document; choose another --unit")
        yield line


UNIT_READERS = {"line": lines_of, "paragraph": paragraphs_of, "file": whole_of, "": short_whole_of}
