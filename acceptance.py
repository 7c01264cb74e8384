"""Which texts may become tokens: the rules of a set, each a search in a text. Knows nothing of networks or images."""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from config import CollectionConfig
from utils import UserError

BLOT = "\u2588"  # what mask puts in a character's place
LONGEST_RUN = 12  # equal characters in a row from which a text is degenerate; rules of real texts are shorter
SHORTEST_LOOP, LOOP_REPEATS = 24, 4  # characters and repeats from which a loop is one
CARD_DIGITS = (13, 19)  # ISO/IEC 7812
PHONE_DIGITS = (8, 15)  # ITU-T E.164 has 15 at most; under 8 it is a date or a version

RUN = re.compile(rf"(\S)\1{{{LONGEST_RUN - 1},}}")
LOOP = re.compile(rf"(.{{2,60}}?)\1{{{LOOP_REPEATS - 1},}}", re.DOTALL)
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
HANDLE = re.compile(r"(?<![\w@.])@\w{2,}")
IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])[0-9a-fA-F:]{2,39}(?![\w:])")  # whether it is one, ipaddress knows
DIGITS = re.compile(r"(?<![\w.])\+?\(?\d(?:[ ()./-]{0,2}\d){6,22}(?!\w)")
DATE = re.compile(r"\b(?:(?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d)\b")
OTHER = re.compile(f"{DATE.pattern}|{IPV4.pattern}")
# where a phone number may stand in a run of digits: all of it, from a sign to the next, between blanks or slashes
PARTS = (re.compile(r".+"), re.compile(r"[+(]?[^+(]+"), re.compile(r"[^ /]+"))
KEY = re.compile(r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|sk-[\w-]{20,}|xox[abpr]-[\w-]{10,}|[0-9a-fA-F]{32,})\b")

Span = tuple[int, int]


class Candidate(NamedTuple):
    """A text as drawn, its longest verbatim match with the training text, and whether it is a whole line of it."""

    text: str
    match: int
    line: bool


def folded(text: str) -> str:
    """What two texts must share to be the same: NFC, white space of any width as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def whole(text: str) -> list[Span]:
    return [(0, len(text))]


def degenerate(text: str) -> list[Span]:
    """Runs of one character, loops, and texts without a letter or digit."""
    if not any(character.isalnum() for character in text):
        return whole(text)
    loops = [m.span() for m in LOOP.finditer(text) if m.end() - m.start() >= SHORTEST_LOOP]
    return [m.span() for m in RUN.finditer(text)] + loops


def personal(text: str) -> list[Span]:
    """E-mail, phone, IP and card numbers, keys of well-known services and long hexadecimal ones."""
    found = [m.span() for pattern in (EMAIL, KEY) for m in pattern.finditer(text)]
    found += [m.span() for pattern in (IPV4, IPV6) for m in pattern.finditer(text) if is_address(m.group())]
    text = OTHER.sub(lambda m: "\0" * len(m.group()), text)  # what stands beside a number must not hide it
    found += [(run.start() + a, run.start() + b) for run in DIGITS.finditer(text) for a, b in numbers(run.group())]
    return sorted(found)


def numbers(digits: str) -> list[Span]:
    """The card numbers that whole groups of a run of digits make, and the phone numbers among its parts."""
    starts, ends = ([getattr(m, edge)() for m in re.finditer(r"\d+", digits)] for edge in ("start", "end"))
    cards = [(a, b) for i, a in enumerate(starts) for b in ends[i:] if is_card(digits[a:b])]
    return cards + [m.span() for part in PARTS for m in part.finditer(digits) if is_phone(m.group())]


def is_address(text: str) -> bool:
    """Whether it is a valid IP address with a digit in it: `a::b` is C++ as well."""
    if not any(character.isdigit() for character in text):
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_card(text: str) -> bool:
    """Whether the digits satisfy the Luhn checksum, as all payment cards' do."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return CARD_DIGITS[0] <= len(digits) <= CARD_DIGITS[1] and sum(doubled) % 10 == 0 and any(digits)


def is_phone(text: str) -> bool:
    """Whether digits are grouped or signed as phone numbers are; a bare number is not."""
    groups = re.findall(r"\d+", text)
    signed = text.startswith(("+", "("))
    in_threes = len(groups) >= 3 and max(map(len, groups)) >= 3
    in_pairs = len(groups) == 5 and all(len(group) == 2 for group in groups) and text.startswith("0")  # 06 12 34 56 78
    enough = PHONE_DIGITS[0] <= len("".join(groups)) <= PHONE_DIGITS[1]
    return enough and (signed or in_threes or in_pairs)


def handles(text: str) -> list[Span]:
    return [m.span() for m in HANDLE.finditer(text)]


def word_pattern(path: str) -> re.Pattern[str] | None:
    """The words of a file, one a line, as a search for any of them; none without a file."""
    if not path:
        return None
    try:
        words = [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"collection.word_list {path}: cannot be read: {error}") from None
    joined = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True) if word)
    return re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE) if joined else None


@dataclass(frozen=True)
class Verdict:
    """What the rules say: the text, blotted where asked, the rules it broke that were not cause enough to drop it."""

    text: str
    flags: list[str]
    dropped: str = ""  # the first rule that drops it; empty: accepted


Rule = tuple[str, str, Callable[[Candidate], list[Span]]]  # its name, its action, its search


def apply(rules: Iterable[Rule], candidate: Candidate, flags: list[str]) -> Verdict:
    """The rules in turn, up to the first that drops the text."""
    text = candidate.text
    for rule, action, search in rules:
        spans = search(candidate) if action != "keep" else []
        if spans and action == "drop":
            return Verdict(candidate.text, flags, rule)
        flags = [*flags, rule] if spans else flags
        for start, end in spans if action == "mask" else []:
            text = text[:start] + BLOT * (end - start) + text[end:]
    return Verdict(text, flags)


@dataclass
class Judge:
    """The rules of one set, in order, and the texts that it holds so far."""

    config: CollectionConfig
    copy_bound: int  # characters of the longest match that new real text may have
    known: set[str] = field(default_factory=set)  # the tokens so far, folded
    accepted: list[str] = field(default_factory=list)  # the same without case, in order

    def __post_init__(self) -> None:
        self.listed = word_pattern(self.config.word_list)

    def own_rules(self) -> Iterable[Rule]:
        """What a text breaks by itself."""
        config = self.config
        yield "degenerate", config.degenerate, lambda c: degenerate(c.text)
        yield "copies", config.copies, self.copied
        yield "personal", config.personal, lambda c: personal(c.text)
        yield "handles", config.handles, lambda c: handles(c.text)
        yield "words", config.words, self.words

    def set_rules(self) -> Iterable[Rule]:
        """What a text, as it would be published, breaks beside the tokens before it."""
        yield "duplicates", self.config.duplicates, self.repeated
        yield "near_duplicates", self.config.near_duplicates, self.nearly_repeated

    def judge(self, candidate: Candidate, *, alone: bool = False) -> Verdict:
        """What the rules say of a text; `alone`: only those that do not depend on the set."""
        verdict = apply(self.own_rules(), candidate, [])
        if alone or verdict.dropped:
            return verdict
        return apply(self.set_rules(), candidate._replace(text=verdict.text), verdict.flags)

    def accept(self, text: str) -> None:
        self.known.add(folded(text))
        self.accepted.append(folded(text).casefold())

    def copied(self, candidate: Candidate) -> list[Span]:
        return whole(candidate.text) if candidate.line or candidate.match > self.copy_bound else []

    def words(self, candidate: Candidate) -> list[Span]:
        return [m.span() for m in self.listed.finditer(candidate.text)] if self.listed else []

    def repeated(self, candidate: Candidate) -> list[Span]:
        return whole(candidate.text) if folded(candidate.text) in self.known else []

    def nearly_repeated(self, candidate: Candidate) -> list[Span]:
        """By edit similarity, 1 - distance / the longer one's length; letters' case does not count."""
        wanted, least = folded(candidate.text).casefold(), self.config.similarity
        found = process.extractOne(wanted, self.accepted, scorer=Levenshtein.normalized_similarity, score_cutoff=least)
        return whole(candidate.text) if found else []
