"""How messages show things: counts with nouns, figures, and text without characters that would steer a terminal."""

import errno
import math
import os
import re
import shlex
import subprocess
from pathlib import Path

PLAIN_WORD = re.compile(r"[\w.:\\/+=-]*")  # one that no shell of Windows reads otherwise
LONGEST_LINE = 1000  # characters of a message: what comes from a file, or is a path, may be of any length
MOST_SHOWN = 1e6  # a figure from here on is shown by its power of ten, which takes a few characters
MOST_SECONDS = 100 * 86_400  # that a time still to go is given as
# control characters, which a terminal obeys (not tab and newline), marks that reverse the order of what follows, and
# surrogates: bytes of a file name that are not UTF-8
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def argument(value: str | Path) -> str:
    """A value, a path say, as it is typed in this machine's shell: quoted if the shell would change it."""
    if os.name != "nt":
        return shlex.quote(str(value))
    typed = subprocess.list2cmdline([str(value)])  # quotes only what holds white space
    if typed.startswith('"') or PLAIN_WORD.fullmatch(typed):
        return typed
    return '"' + re.sub(r"(\\+)$", r"\1\1", typed) + '"'  # a quotation mark halves the backslashes before it


def counted(count: float, noun: str) -> str:
    """A count with its noun in the right number: "1 document", "2,000 documents", "0.5 minutes"."""
    shown = f"{count:g}" if isinstance(count, float) else f"{count:,}"
    return f"{shown} {noun}" + "s" * (count != 1)


def number(value: float, form: str) -> str:
    """A number in this format, or with a power of ten if it is large; "-" if it is not finite."""
    if not math.isfinite(value):
        return "-"
    return format(value, form if abs(value) < MOST_SHOWN else f"{form[: form.index('.')]}.1e")


def with_error(value: float, error: float) -> str:
    """For example 0.912 ± 0.013; "-" where there is no value, or no error: of one document alone it is 0."""
    return f"{number(value, '.3f')} ± {number(error or math.nan, '.3f')}" if math.isfinite(value) else "-"


def clock(seconds: float) -> str:
    """Seconds -> "1h05m", "3m20s"; "?" if it is not finite; "over 100 days" for more."""
    if not math.isfinite(seconds):
        return "?"
    if seconds > MOST_SECONDS:
        return f"over {MOST_SECONDS // 86_400} days"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02d}m" if minutes >= 60 else f"{minutes}m{rest:02d}s"


def around(text: str, start: int, end: int, margin: int) -> str:
    """A part of a text, with so many characters on either side; dots stand where something is left out."""
    first, last = max(0, start - margin), end + margin
    return ("..." if first else "") + text[first:last] + ("..." if last < len(text) else "")


def printable(text: str) -> str:
    r"""The text with characters that would steer a terminal as escapes: \x1b for Escape."""
    return STEERING.sub(lambda found: repr(found[0])[1:-1], text)


def shorter(line: str) -> str:
    """The line, without its middle if it is far longer than a message needs: its end may say what to do."""
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]}...{line[-half:]}"


def error_text(error: Exception, place: str = "") -> str:
    """What an error says: one of a file names the file first, or else `place`; one without words is named."""
    if isinstance(error, OSError) and (file := error.filename or place):
        return f"{file}: {error.strerror or error}"
    return str(error) or type(error).__name__


def is_of_system(error: BaseException) -> bool:
    """Whether the system failed, as a disk does, and not the reading of a file's content.

    EINVAL is of the content: a damaged file makes programs seek to places that no file has.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def say(text: str) -> None:
    """Print a line that can neither steer the terminal nor pass for several lines."""
    print(shorter(printable(text).replace("\n", "\\n")))
