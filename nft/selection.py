"""Reads a file of chosen tokens: ids and ranges of ids, as a person or the contact sheet wrote them."""

import re
from pathlib import Path

from utils import UserError, read_text

MOST_TOKENS = 1_000_000  # of a set, and in one range of ids: a typing error must not fill the disk or the memory
TO = r"(?:[-\u2010-\u2015\u2212\ufe58\ufe63\uff0d]+|\.\.+|\u2026|to)"  # of a range: dashes, dots, or the word
TOKEN_RANGE = re.compile(rf"(\d+)(?:[^\S\n]*{TO}[^\S\n]*(\d+))?", re.IGNORECASE)
LONGEST_ID = 10  # digits that are read: no set has such a token
UNCLEAR = re.compile(r"\d(?:[^\s\d,;\"']+\d)+")  # numbers with something between them that makes no ids of them


def token_ids(path: Path) -> set[int]:
    """The token ids that a file names, alone or as ranges (3-7, 3 – 7, 3 to 7); words between them are ignored."""
    text = read_text(path)
    without_ranges = TOKEN_RANGE.sub(lambda found: "0" if found[2] else found[0], text)
    if unclear := UNCLEAR.search(without_ranges):
        line = text.split("\n")[without_ranges.count("\n", 0, unclear.start())].strip()
        raise UserError(f"{path}: {line[:100]!r} is neither token ids nor a range; write 3 7 or 3-7")
    ranges = [(int(low[:LONGEST_ID]), int((high or low)[:LONGEST_ID])) for low, high in TOKEN_RANGE.findall(text)]
    for low, high in ranges:
        if not 0 <= high - low < MOST_TOKENS:
            raise UserError(f"{path}: {low}-{high} must run upwards, over {MOST_TOKENS:,} tokens at most")
    found = {token for low, high in ranges for token in range(low, high + 1)}
    if not found:
        raise UserError(f"{path}: names no token; token ids or ranges (3-7) are expected, as index.html saves them")
    return found
