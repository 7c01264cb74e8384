"""How messages show things: a count with its noun, and text without characters that would steer a terminal."""

import re

# control characters, which a terminal obeys, and marks that reverse the order of what follows; not tab and newline
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def counted(count: float, noun: str) -> str:
    """A count with its noun in the right number: "1 document", "2,000 documents", "0.5 minutes"."""
    number = f"{count:,}" if isinstance(count, int) else f"{count:g}"
    return f"{number} {noun}" + "s" * (count != 1)


def printable(text: str) -> str:
    r"""The text with characters that would steer a terminal as escapes: \x1b for Escape."""
    return STEERING.sub(lambda found: repr(found[0])[1:-1], text)
