"""Reads a file of chosen tokens: ids and ranges of ids, as a person or the contact sheet wrote them."""

import re
from pathlib import Path

from utils import UserError, read_text

MOST_TOKENS = 1_000_000  # of a set, and in a selection: a typing error must not fill the disk or the memory
TO = r"(?:[-\u2010-\u2015\u2212\ufe58\ufe63\uff0d]+|\.\.+|\u2026|to)"  # of a range: dashes, dots, or the word
TOKEN_RANGE = re.compile(rf"(\d+)(?:[^\S\n]*{TO}[^\S\n]*(\d+))?", re.IGNORECASE)
LONGEST_ID = 10  # digits that are read: no set has such a token
COMMENT = re.compile(r"#(?!\d)[^\n]*")  # #3 is a token
OF_SHEET = re.compile(r"(?:^|\n)# [^\n]*, set ([0-9a-f]{16})(?=\n|$)")  # how a contact sheet begins what it saves
# one number with a mark between its thousands, or two ids; of a larger one no set has a token, so it is a list
THOUSANDS = re.compile(r"(?<![\d,])(?:\d{1,3}[,'\u2019\u00a0\u202f]\d{3}|1,000,000)(?!,?\d)")
WORDS = r"(?:and|also|plus|then|keep|tokens?|token_ids?|ids?|numbers?|nos?\.?)"
# what may stand between two ids of a line; with anything else between them, as in "1 through 5", they may be no list
SEPARATOR = rf"""(?:[^\S\n]|[,;&|#"')\[\]{{}}]|\((?=#?\d+\))|\b{WORDS}(?!\w)(?:["']?:)?)"""
UNCLEAR = re.compile(rf"\d(?!{SEPARATOR}*\d)[^\d\n]+\d", re.IGNORECASE)


def token_ids(path: Path, sheet: str = "") -> set[int]:
    """The token ids that a file names, alone or as ranges (3-7, 3 – 7, 3 to 7). `sheet`: the set's own contact sheet.

    Comments are ignored, and words before the first and after the last id of a line.
    """
    read = read_text(path)
    if any(other != sheet for other in OF_SHEET.findall(read)):
        raise UserError(f"{path}: was saved in the contact sheet of another set")
    text = COMMENT.sub("", read)
    without_ranges = TOKEN_RANGE.sub(lambda found: "0" if found[2] else found[0], text)
    for whole, pattern, trouble in (
        (text, THOUSANDS, "may name one number or two; write 1234, or 1 234"),
        (without_ranges, UNCLEAR, "is neither token ids nor a range; write 3 7 or 3-7"),
    ):
        if found := pattern.search(whole):
            line = read.split("\n")[whole.count("\n", 0, found.start())].strip()
            raise UserError(f"{path}: {line[:100]!r} {trouble}")
    ranges = [(int(low[:LONGEST_ID]), int((high or low)[:LONGEST_ID])) for low, high in TOKEN_RANGE.findall(text)]
    for low, high in ranges:
        if not 0 <= high - low < MOST_TOKENS:
            raise UserError(f"{path}: {low}-{high} must run upwards, over {MOST_TOKENS:,} tokens at most")
    if sum(high - low + 1 for low, high in ranges) > MOST_TOKENS:
        raise UserError(f"{path}: its ranges name more than {MOST_TOKENS:,} tokens, and no set has so many")
    found = {token for low, high in ranges for token in range(low, high + 1)}
    if not found:
        raise UserError(f"{path}: names no token; token ids or ranges (3-7) are expected, as index.html saves them")
    return found
