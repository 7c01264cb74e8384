"""Reads XML dumps, as those of Stack Exchange, as tables."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from config.data_file import MOST_LINE
from sources.tables import SAMPLED, Table, check_width, table_of
from sources.unpack import BLOCK_BYTES
from utils import UserError

MOST_DEPTH, MOST_NAMES = 100, 10_000  # of elements in XML; of elements and attributes, which its parser keeps


def open_xml(path: Path, name: str) -> Table:
    """An XML dump as Stack Exchange gives them: an element <row> for each row, an attribute for each column."""
    found: dict[str, None] = {}
    for row in itertools.islice(xml_rows(path, name), SAMPLED):
        found |= dict.fromkeys(row)
    if not found:
        raise UserError(f"{name}: holds no element <row>, as a dump of Stack Exchange does; no other XML is read")
    check_width(name, len(found))
    return table_of([*found], lambda _: xml_rows(path, name))


def xml_parser(name: str, rows: list[dict[str, str]]) -> Any:
    """A parser that adds the attributes of each <row> to a list. It refuses what takes memory and no dump needs."""
    open_tags: list[str] = []
    names: set[str] = set()

    def begin(tag: str, attributes: dict[str, str]) -> None:
        open_tags.append(tag)
        names.update(attributes, [tag])
        if len(open_tags) > MOST_DEPTH or len(names) > MOST_NAMES:
            raise UserError(f"{name}: has more than {MOST_DEPTH} elements in one another, or {MOST_NAMES:,} names")
        if tag == "row":
            rows.append(attributes)

    def refuse(*doctype: Any) -> None:
        if doctype[1] or doctype[-1]:  # it names another file, whose entities would vanish, or holds declarations
            what = "defines entities or attributes, or names a file that does"
            raise UserError(f"{name}: {what}, which no dump needs; it is not read")

    parser = expat.ParserCreate("utf-8")  # whatever it declares: it was decoded before
    parser.StartElementHandler, parser.EndElementHandler = begin, lambda _: open_tags.pop()
    parser.StartDoctypeDeclHandler = refuse
    return parser


def xml_rows(path: Path, name: str) -> Iterator[dict[str, str]]:
    """The attributes of each <row>, a piece of the file at a time."""
    rows: list[dict[str, str]] = []
    parser, done = xml_parser(name, rows), 0
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK_BYTES // 4)
            try:
                parser.Parse(block, not block)
            except expat.ExpatError as error:
                raise UserError(
                    f"{name} line {error.lineno}: no well-formed XML: {expat.ErrorString(error.code)}"
                ) from None
            yield from rows
            rows.clear()
            done += len(block)
            if done - max(parser.CurrentByteIndex, 0) > 2 * MOST_LINE:
                raise UserError(f"{name} line {parser.CurrentLineNumber}: a row of more than {MOST_LINE >> 20} MB")
            if not block:
                return
