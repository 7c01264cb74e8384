"""Finds personal data in a text: e-mail addresses, phone, card and IP numbers, access keys, @names."""

import ipaddress
import re
from itertools import accumulate, combinations_with_replacement
from string import ascii_letters, digits

from text.vocabulary import UNSPACED

CARD_DIGITS = (13, 19)  # fewest and most; ISO/IEC 7812
PHONE_DIGITS = (8, 15)  # fewest and most: ITU-T E.164 allows 15; with fewer than 8 it is a date or a version
ABROAD_DIGITS = 12  # fewest after 00; with fewer it is the number of a ticket or of a piece of luggage
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
EARLIER_HANDLE = re.compile(r"(?<![\w@.])@\w{2,}")
# a name ends where a script without spaces begins, unless it begins in one; ＠ may stand before a place there, and
# either sign before a quantity, as 3人
SPACED = rf"[^\W{UNSPACED}]"
HANDLE = re.compile(rf"(?<!{SPACED})(?<![@＠.])(?![@＠]\d+[{UNSPACED}])(?:[@＠]{SPACED}{{2,}}|@\w{{2,}})")
IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])[0-9a-fA-F:]{2,39}(?![\w:])")  # candidates; `is_address` decides
# two cards side by side have 38 digits; in earlier sets a run had 23 at most
DIGITS, EARLIER_DIGITS = (
    re.compile(rf"(?<![\w.])\+?\(?\d(?:[ ()./-]{{0,2}}\d){{6,{most}}}(?!\w)") for most in (40, 22)
)
DATE = re.compile(r"\b(?:(?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d)\b")
OTHER = re.compile(f"{DATE.pattern}|{IPV4.pattern}")
# parts of a run of digits that can be a phone number: all of it, from one + or ( to the next, between spaces or slashes
PHONE_PARTS = (re.compile(r".+"), re.compile(r"[+(]?[^+(]+"), re.compile(r"[^ /]+"))
# two groups that begin with 0; no decimals and no part of a path
IN_TWO = re.compile(r"(?<![\w.,-])(?<!\D/)(0\d{1,5})(?:[ \u00a0]| ?[-/\u2010-\u2013] ?)([1-9]\d{3,10})(?!\w|[.,-]\d)")
KEY = re.compile(r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|sk-[\w-]{20,}|xox[abpr]-[\w-]{10,}|[0-9a-fA-F]{32,})\b")
# what typesetters put between the groups of a number: white space of all widths, hyphens and dashes
SPACES, HYPHENS = (0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), (*range(0x2010, 0x2016), 0x2212)
TYPED = dict.fromkeys(SPACES, " ") | dict.fromkeys(HYPHENS, "-")  # as keyboards have them
UNSPACED_LETTER = re.compile(rf"(?=[^\W\d])[{UNSPACED}]")
# as wide as a Chinese character -> as keyboards have it
WIDE_LETTERS, WIDE_SIGNS = ({0xFEE0 + ord(c): c for c in typed} for typed in (ascii_letters + digits, "@()+-./_"))
# what opens no code of a place or country may open years: 漱石（1867-1916）
OPENING = re.compile(r"(?:(?<=\0)\(|（)(?![+＋]?\d{1,6}[)）])")
Span = tuple[int, int]


def personal(text: str, *, typographic: bool = True, side_by_side: bool = True, unspaced: bool = True) -> list[Span]:
    """Spans (start, end) of e-mail addresses, phone, IP and card numbers, and access or hexadecimal keys.

    With `typographic`, groups of a number may stand apart by any space, hyphen or dash; with `side_by_side`, two
    numbers may be apart by no more than their groups are; with `unspaced`, letters of scripts without spaces may touch
    them, and they may be in full-width forms.
    """
    readings = plain_forms(text) if unspaced else {text}  # mostly one
    found = [m.span() for reading in readings for pattern in (EMAIL, KEY) for m in pattern.finditer(reading)]
    ip = ((pattern, reading) for pattern in (IPV4, IPV6) for reading in readings)
    found += [m.span() for pattern, reading in ip for m in pattern.finditer(reading) if is_address(m.group())]
    begins = {start for start, _ in found}
    # addresses with letters of such a script, unless one without them is a part of it
    found += [m.span() for m in EMAIL.finditer(text) if begins.isdisjoint(range(*m.span()))]
    if typographic:
        readings = readings | {reading.translate(TYPED) for reading in readings}
    return sorted({*found, *(span for reading in readings for span in numbers_in(reading, side_by_side))})


def plain_forms(text: str) -> set[str]:
    """A text without letters of scripts that have no spaces, and the same with full-width signs as keyboards have them.

    Both, since a sign between two words may look like a part of a number. Every character stays at its place.
    """
    text = OPENING.sub("\0", UNSPACED_LETTER.sub("\0", text)).translate(WIDE_LETTERS)
    return {text, text.translate(WIDE_SIGNS)}


def numbers_in(text: str, side_by_side: bool) -> list[Span]:
    """Spans of card and phone numbers in a text."""
    text = OTHER.sub(lambda m: "\0" * len(m.group()), text)  # a date or address beside a number must not hide it
    runs = (DIGITS if side_by_side else EARLIER_DIGITS).finditer(text)
    found = [(run.start() + a, run.start() + b) for run in runs for a, b in numbers(run.group(), side_by_side)]
    return found + [m.span() for m in IN_TWO.finditer(text) if is_phone_in_two(*m.groups())]


def numbers(digits: str, side_by_side: bool) -> list[Span]:
    """Spans of card numbers (whole groups of a run of digits) and of phone numbers: its PHONE_PARTS, or two of it."""
    groups = [m.span() for m in re.finditer(r"\d+", digits)]
    starts, ends = zip(*groups, strict=True)
    before = list(accumulate((b - a for a, b in groups), initial=0))  # how many digits stand before each group
    cards = [
        (starts[i], ends[j])
        for i, j in combinations_with_replacement(range(len(groups)), 2)
        if CARD_DIGITS[0] <= before[j + 1] - before[i] <= CARD_DIGITS[1] and is_card(digits[starts[i] : ends[j]])
    ]
    pairs = [((0, end), (start, len(digits))) for end, start in zip(ends, starts[1:], strict=False)]
    two = [span for pair in pairs if all(is_phone(digits[a:b]) for a, b in pair) for span in pair]
    parts = [m.span() for part in PHONE_PARTS for m in part.finditer(digits) if is_phone(m.group())]
    return cards + parts + two * side_by_side


def is_address(text: str) -> bool:
    """Whether this is a valid IP address with at least one digit; without one, `a::b` may be C++."""
    if not any(character.isdigit() for character in text):
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_card(text: str) -> bool:
    """Whether as many digits as a card has pass the Luhn checksum, as those of all payment cards do."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0 and any(digits)


def is_phone(text: str) -> bool:
    """Whether digits are grouped like a phone number or begin with + or (; a plain number is none."""
    groups = re.findall(r"\d+", text)
    signed = text.startswith(("+", "("))
    in_threes = len(groups) >= 3 and max(map(len, groups)) >= 3
    in_pairs = len(groups) == 5 and all(len(group) == 2 for group in groups) and text.startswith("0")  # 06 12 34 56 78
    enough = PHONE_DIGITS[0] <= len("".join(groups)) <= PHONE_DIGITS[1]
    return enough and (signed or in_threes or in_pairs)


def is_phone_in_two(first: str, second: str) -> bool:
    """Whether two groups of digits are a phone number: that of a place, 030 1234567, or of a country, 0049 30123456.

    Only one that begins with 0 tells itself from a quantity or a range. One number of 4 and 4 digits is an ISSN, of 5
    and 4 a ZIP code, and eight digits after two may be a day.
    """
    length = len(first + second)
    if first.startswith("00"):
        return 4 <= len(first) <= 5 and first[2] != "0" and ABROAD_DIGITS <= length <= PHONE_DIGITS[1]
    if len(first) == 2:
        return first != "00" and len(second) == 8 and not second.startswith(("19", "20"))
    return PHONE_DIGITS[0] <= length and len(second) <= 8 and (len(first), len(second)) not in ((4, 4), (5, 4))


def handles(text: str, *, unspaced: bool = True) -> list[Span]:
    """Spans of @names; with `unspaced`, letters of scripts without spaces may touch them."""
    return [m.span() for m in (HANDLE if unspaced else EARLIER_HANDLE).finditer(text)]
