"""Reads XML dumps, mailboxes and plain text as tables."""

import codecs
import email.policy
import itertools
import re
from collections.abc import Iterator
from email.errors import MessageError
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from command.messages import counted
from config.data_file import MOST_LINE
from sources.encodings import unnamed
from sources.log import SourceLog
from sources.tables import SAMPLED, Table, check_width, table_of
from sources.unpack import BLOCK_BYTES
from utils import UserError

ESCAPES = {"idna", "punycode", "unicode-escape", "raw-unicode-escape"}  # Python's own, no encodings of texts, or slow
LONGEST_HEADER = 1 << 13  # characters
LONGEST_PARAMETERS = 1 << 10  # characters of a header of parameters; to parse one takes the square of its length
MOST_COMPARED = 10_000_000  # lines of a message times its boundaries: each line is compared with all that are open
MOST_LINES = 1000  # of a file that is taken for one document though nobody says so
MOST_DEPTH, MOST_NAMES = 100, 10_000  # of elements in XML; of elements and attributes, which its parser keeps
DAYS, MONTHS = b"Mon|Tue|Wed|Thu|Fri|Sat|Sun", b"Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
# of the line before a message: a sender, and in any order a day, a month, a time and a year
DATED = re.compile(rb"From (?=.*\b(?:%s)\b)(?=.*\b(?:%s)\b)(?=.*\b\d\d?:\d\d\b)(?=.*\b\d{4}\b)" % (DAYS, MONTHS))
HEADER = re.compile(rb"[!-9;-~]+:")
BOUNDARY = re.compile(rb"^(?:content-type:|[ \t]).*boundary", re.IGNORECASE | re.MULTILINE)
ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
# what Python's email raises for a hostile message
MISFITS = (
    LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError, RecursionError, MessageError,
)  # fmt: skip


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
    """A parser that adds the attributes of each <row> to a list. It refuses what takes memory, and no dump holds."""
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
        if doctype[-1]:  # it holds declarations
            raise UserError(f"{name}: defines entities or attributes of its own, which no dump needs; it is not read")

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


def open_mbox(path: Path, name: str, encoding: str = "") -> Table:
    """A mailbox: subject, date and text of each message; HTML where it has no plain text. No addresses.

    `encoding` is that of what names none and is not UTF-8.
    """

    def rows(log: SourceLog) -> Iterator[dict[str, str]]:
        with path.open("rb") as file:
            for number, content in enumerate(messages_of(file), 1):
                place = f"{name} message {number}"
                if content is None:
                    log.bad_row(f"of more than {MOST_LINE >> 20} MB", place)
                elif row := message_row(content, place, encoding):
                    yield row
                else:
                    log.bad_row("that is no message with text", place)

    with path.open("rb") as file:
        if not file.read(5) == b"From ":
            raise UserError(f"{name}: is no mailbox; one begins with 'From '")
    return table_of(["subject", "date", "text"], rows)


def messages_of(file: IO[bytes]) -> Iterator[bytes | None]:
    """The messages of a mailbox, without the lines that part them; None for one that is longer than any document.

    Python's mailbox parts at each line that begins with "From ", which may be one of a text, and leaves the > that
    programs write before such a line.
    """
    lines = itertools.chain(iter(partial(file.readline, BLOCK_BYTES), b""), [b""])
    message: list[bytes] = []
    size, blank, whole, dated, first = 0, True, True, False, True
    for line, after in itertools.pairwise(lines):
        if whole and line.startswith(b"From ") and (first or parts(line, after, blank, dated)):
            if first:
                dated = bool(DATED.match(line))
            else:
                yield joined(message, size)
            message, size, first = [], 0, False
        else:
            size += len(line)
            if size <= MOST_LINE:
                message.append(line)
        whole, blank = line.endswith(b"\n"), whole and not line.strip(b"\r\n")
    yield joined(message, size)


def parts(line: bytes, after: bytes, blank: bool, dated: bool) -> bool:
    """Whether a line that begins with "From " begins a message: by its date, and the lines around it.

    In a mailbox whose first such line has no date, a blank line is enough.
    """
    if DATED.match(line):
        return blank or bool(HEADER.match(after))
    return blank and not dated


def joined(message: list[bytes], size: int) -> bytes | None:
    """A message of these lines without the blank one that ends it, and without the > before "From "."""
    if size > MOST_LINE:
        return None
    if message and not message[-1].strip(b"\r\n"):
        message = message[:-1]
    return ESCAPED.sub(rb"\1", b"".join(message))


class Bounded(email.policy.EmailPolicy):
    """How a message is parsed: as today's programs do, but no header that is longer than any is."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        if len(value) > LONGEST_HEADER:
            raise ValueError(name)
        if name.lower().startswith("content-"):  # what kind of part it is stands at its beginning
            value = value[:LONGEST_PARAMETERS]
        return super().header_fetch_parse(name, value)


BOUNDED = Bounded()


def message_row(content: bytes, place: str, encoding: str) -> dict[str, str] | None:
    """Subject, date and text of a message; None if it has no text, or one that no program can read."""
    if content.count(b"\n") * len(BOUNDARY.findall(content)) > MOST_COMPARED:
        return None
    try:
        message = email.message_from_bytes(content, policy=BOUNDED)
        assert isinstance(message, EmailMessage)
        bodies = [body for kind in ("plain", "html") if (body := message.get_body((kind,))) is not None]
        if not bodies:
            return None
        headers = {name: header(message, name, encoding) for name in ("subject", "date")}
        texts = (body_text(body, place, encoding) for body in bodies)
        return {**headers, "text": next(filter(str.strip, texts), "")}
    except MISFITS:
        return None


def header(message: EmailMessage, name: str, encoding: str) -> str:
    """A header of a message, "" if it has none that can be read; bytes that are not ASCII name no encoding."""
    raw = next((value for key, value in message.raw_items() if key.lower() == name), "")
    text = unnamed(raw.encode("utf-8", "surrogateescape"), "", encoding or "utf-8")
    try:
        return str(BOUNDED.header_fetch_parse(name, text))
    except MISFITS:
        return ""


def body_text(body: Any, place: str, encoding: str) -> str:
    """The text of a message in the encoding that it names; many name ASCII, none or an unknown one, and are UTF-8."""
    content, charset = body.get_payload(decode=True), body.get_content_charset("us-ascii")
    try:
        codec = codecs.lookup(charset).name
    except LookupError:
        return unnamed(content, place, encoding or "utf-8")
    if codec in ESCAPES:
        raise LookupError(charset)
    return unnamed(content, place, encoding) if codec == "ascii" else content.decode(charset, "replace")


def open_text(path: Path, name: str, unit: str = "line") -> Table:
    """A plain text whose lines, paragraphs (what stands between blank lines), or whole are documents.

    "": the whole, if it has few lines.
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
    """As `whole_of`, of a file of which nobody has said that it is one document."""
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
