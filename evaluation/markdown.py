"""Text of others in a Markdown page: a sample, a name or a file shows as itself and is never taken for markup."""

import os
import re
from collections.abc import Iterable
from urllib.parse import quote

from command.messages import printable
from text.vocabulary import one_line

MARKUP = re.compile(r"([\\`*\[\]<>|&~#!$])")  # not _ and -, which names hold and which mean nothing inside a word


def backticks(text: str, least: int) -> str:
    """A run of backticks that is longer than any in the text, and no shorter than this."""
    return "`" * max([least, *(1 + len(run) for run in re.findall("`+", text))])


def fenced(texts: Iterable[str]) -> list[str]:
    """The lines of a block that shows texts as they are."""
    shown = printable("\n".join(texts))
    fence = backticks(shown, 3)
    return [fence, shown, fence]


def code(text: str) -> str:
    """A text inside a line, as it is; newlines show as \\n."""
    shown = printable(one_line(text))
    ticks = backticks(shown, 1)
    return f"{ticks} {shown} {ticks}" if "`" in shown or not shown.strip() else f"{ticks}{shown}{ticks}"


def escaped(text: str) -> str:
    """A name or another short text inside a line or a cell of a table."""
    return MARKUP.sub(r"\\\1", printable(one_line(text)))


def address(file: str) -> str:
    """The address of a file, by its path from the page's own folder."""
    return quote(os.fsencode(file))
