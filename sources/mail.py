"""Reads mailboxes as tables."""

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

from config.data_file import MOST_LINE
from sources.encodings import meant, unnamed
from sources.log import SourceLog
from sources.tables import Table, table_of
from sources.unpack import BLOCK_BYTES
from utils import UserError

ESCAPES = {"idna", "punycode", "unicode-escape", "raw-unicode-escape"}  # Python's own, no encodings of texts, or slow
LONGEST_HEADER = 1 << 13  # characters
LONGEST_PARAMETERS = 1 << 10  # characters of a header of parameters; to parse one takes the square of its length
MOST_COMPARED = 10_000_000  # lines of a message times its boundaries: each line is compared with all that are open
DAYS, MONTHS = b"Mon|Tue|Wed|Thu|Fri|Sat|Sun", b"Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
# of the line before a message: a sender, and in any order a day, a month, a time and a year
DATED = re.compile(rb"From (?=.*\b(?:%s)\b)(?=.*\b(?:%s)\b)(?=.*\b\d\d?:\d\d\b)(?=.*\b\d{4}\b)" % (DAYS, MONTHS))
HEADER = re.compile(rb"[!-9;-~]+:")
BOUNDARY = re.compile(rb"^(?:content-type:|[ \t]).*boundary", re.IGNORECASE | re.MULTILINE)
LABEL = re.compile(r"(?<==\?)[A-Za-z0-9_.:-]{1,40}(?=(?:\*[\w-]{1,20})?\?[BbQq]\?)")  # in a header: =?gb2312?b?1uw=?=
ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
# what Python's email raises for a hostile message
MISFITS = (
    LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError, RecursionError, MessageError,
)  # fmt: skip


def open_mbox(path: Path, name: str, encoding: str) -> Table:
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
    """How a message is parsed: as today's programs do, but refusing headers of absurd length."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        if len(value) > LONGEST_HEADER:
            raise ValueError(name)
        if name.lower().startswith("content-"):  # what kind of part it is stands at its beginning
            value = value[:LONGEST_PARAMETERS]
        value = LABEL.sub(lambda label: meant(label[0]), value)
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
    content, charset = body.get_payload(decode=True), meant(body.get_content_charset("us-ascii"))
    try:
        codec = codecs.lookup(charset).name
    except LookupError:
        return unnamed(content, place, encoding or "utf-8")
    if codec in ESCAPES:
        raise LookupError(charset)
    return unnamed(content, place, encoding) if codec == "ascii" else content.decode(charset, "replace")
