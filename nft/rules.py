"""The rules that decide which texts become tokens: loops, copies, duplicates, personal data, listed words."""

import itertools
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from config.sets import Rules
from nft.formats import (
    BESIDE_UNSPACED,
    OWN_CAPITALS,
    SET_FORMAT,
    SIDE_BY_SIDE,
    TYPOGRAPHIC_NUMBERS,
    WHOLE_LOOPS,
    WORDS_APART,
)
from text.personal import Span, handles, personal
from text.vocabulary import UNSPACED, fold, marks, nfc
from utils import read_text

BLOT = "\u2588"  # replaces each character that the action mask hides
SHORTEST_RUN = 12  # equal characters in a row that make a text degenerate; lines of dashes in real texts are shorter
SHORTEST_LOOP, LOOP_REPEATS = 24, 4  # a part that repeats is a loop from this many characters and this many times
RUN = re.compile(rf"(\S)\1{{{SHORTEST_RUN - 1},}}")
LONGEST_PART = 60  # characters
EARLIER_UNSPACED = UNSPACED.removesuffix("\uff66-\uffdc")  # without narrow forms
GREEK_ACCENT = re.compile("(?<=[\u0391-\u03a9])(\u0308?)\u0301")


class Candidate(NamedTuple):
    """A text as the model wrote it, and what it shares with the training text."""

    text: str
    longest_match: int  # characters of its longest verbatim match with the training text
    is_line: bool  # whether it is a whole line of the training text, by what is seen of it


def whole_text(text: str) -> list[Span]:
    return [(0, len(text))]


def loop_pattern() -> re.Pattern[str]:
    """A part that repeats LOOP_REPEATS times or more, a short one until it has SHORTEST_LOOP characters."""
    short = range(2, SHORTEST_LOOP // LOOP_REPEATS)
    parts = [(f"{{{size}}}", math.ceil(SHORTEST_LOOP / size)) for size in short]
    parts.append((f"{{{short.stop},{LONGEST_PART}}}?", LOOP_REPEATS))
    repeated = (rf"(.{size})\{group}{{{times - 1},}}" for group, (size, times) in enumerate(parts, 1))
    return re.compile("|".join(repeated), re.DOTALL)


LOOP = loop_pattern()


def loops_of_earlier_sets(text: str) -> list[Span]:
    """The loops that earlier sets found. A short repeat at the start of a loop hid the loop from them."""
    pattern = rf"(.{{2,{LONGEST_PART}}}?)\1{{{LOOP_REPEATS - 1},}}"
    return [m.span() for m in re.finditer(pattern, text, re.DOTALL) if m.end() - m.start() >= SHORTEST_LOOP]


def degenerate(text: str, *, as_earlier: bool = False) -> list[Span]:
    """Where a text repeats one character or one part; all of a text without a letter or digit."""
    if not any(character.isalnum() for character in text):
        return whole_text(text)
    loops = loops_of_earlier_sets(text) if as_earlier else [m.span() for m in LOOP.finditer(text)]
    return [m.span() for m in RUN.finditer(text)] + loops


def apart(words: Sequence[str], *, beside_unspaced: bool = True) -> str:
    """A pattern of words, the longest first, where none is a part of a longer one.

    In scripts without spaces a word has no borders; with `beside_unspaced` their letters are borders of other words.
    """
    unspaced = re.compile(f"[{UNSPACED if beside_unspaced else EARLIER_UNSPACED}]")
    parts, letter = [], rf"[\w{marks()}]"
    if beside_unspaced:
        letter = rf"(?!{unspaced.pattern}){letter}"

    def edges_of(word: str) -> tuple[bool, bool]:
        """Whether no letter may stand before a word, and behind it."""
        return not unspaced.match(word[0]), not unspaced.match(word[-1])

    # one class of letters for all words of a kind: it is long
    for (before, behind), alike in itertools.groupby(sorted(words, key=lambda w: (-len(w), edges_of(w))), edges_of):
        parts.append(rf"(?<!{letter})" * before + f"(?:{'|'.join(map(re.escape, alike))})" + f"(?!{letter})" * behind)
    return "|".join(parts)


def capitals(word: str) -> str:
    """A word in capitals, without the accents that Greek ones do not have."""
    return nfc(GREEK_ACCENT.sub(r"\1", unicodedata.normalize("NFD", word.upper())))


def word_pattern(path: Path | None, set_format: int = SET_FORMAT) -> re.Pattern[str] | None:
    """A pattern that finds the words of a file with one word a line; None if there is no file or no word."""
    if path is None:
        return None
    text = read_text(path, "in collection.word_list, name a text file with one word a line")
    lines = (line.strip() for line in nfc(text).splitlines())
    words = sorted(filter(None, lines), key=len, reverse=True)
    if set_format >= OWN_CAPITALS:  # of most words the capitals are found regardless of case
        words += [shown for word in words if (shown := capitals(word)).lower() != word.lower()]
    if set_format >= WORDS_APART:
        pattern = apart(words, beside_unspaced=set_format >= BESIDE_UNSPACED)
    else:
        pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)"
    return re.compile(pattern, re.IGNORECASE) if words else None


@dataclass(frozen=True)
class Verdict:
    """What the rules decide about a text."""

    text: str  # with characters masked where a rule says so; unchanged if it is dropped
    flags: list[str]  # the rules that it breaks and that do not drop it
    dropped: str = ""  # the first rule that drops it; empty: accepted


Rule = tuple[str, str, Callable[[Candidate], list[Span]]]  # name, action, function that finds what breaks it


def apply_rules(rules: Iterable[Rule], candidate: Candidate, flags: list[str]) -> Verdict:
    """Apply rules in order, up to the first that drops the text; `flags` are of rules applied before."""
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
    """Judges texts by the rules of one set and by the tokens that were accepted before."""

    config: Rules
    copy_bound: int  # characters; a longer match with the training text is a copy
    set_format: int = SET_FORMAT  # of the set: earlier ones missed some loops and numbers
    accepted: set[str] = field(default_factory=set)  # the accepted texts, folded
    accepted_caseless: list[str] = field(default_factory=list)  # the same, case-folded, in order

    def __post_init__(self) -> None:
        self.word_pattern = word_pattern(self.config.word_file(), self.set_format)

    def text_rules(self) -> Iterable[Rule]:
        """The rules that look at the text alone."""
        config, set_format = self.config, self.set_format
        numbers = {"typographic": set_format >= TYPOGRAPHIC_NUMBERS, "side_by_side": set_format >= SIDE_BY_SIDE}
        unspaced = set_format >= BESIDE_UNSPACED
        yield "degenerate", config.degenerate, lambda c: degenerate(c.text, as_earlier=set_format < WHOLE_LOOPS)
        yield "copies", config.copies, self.find_copy
        yield "personal", config.personal, lambda c: personal(c.text, **numbers, unspaced=unspaced)
        yield "handles", config.handles, lambda c: handles(c.text, unspaced=unspaced)
        yield "words", config.words, self.find_words

    def set_rules(self) -> Iterable[Rule]:
        """The rules that compare a text, as it would be published, with the tokens before it."""
        yield "duplicates", self.config.duplicates, self.find_duplicate
        yield "near_duplicates", self.config.near_duplicates, self.find_near_duplicate

    def judge(self, candidate: Candidate, *, text_only: bool = False) -> Verdict:
        """Judge a text by all rules, or with `text_only` by those that look at the text alone."""
        verdict = apply_rules(self.text_rules(), candidate, [])
        if text_only or verdict.dropped:
            return verdict
        return apply_rules(self.set_rules(), candidate._replace(text=verdict.text), verdict.flags)

    def accept(self, text: str) -> None:
        """Remember a text as a token of the set."""
        self.accepted.add(fold(text))
        self.accepted_caseless.append(fold(text).casefold())

    def find_copy(self, candidate: Candidate) -> list[Span]:
        return whole_text(candidate.text) if candidate.is_line or candidate.longest_match > self.copy_bound else []

    def find_words(self, candidate: Candidate) -> list[Span]:
        return [m.span() for m in self.word_pattern.finditer(candidate.text)] if self.word_pattern else []

    def find_duplicate(self, candidate: Candidate) -> list[Span]:
        return whole_text(candidate.text) if fold(candidate.text) in self.accepted else []

    def find_near_duplicate(self, candidate: Candidate) -> list[Span]:
        """By edit similarity, 1 - Levenshtein distance / length of the longer text; case does not count."""
        text, scorer = fold(candidate.text).casefold(), Levenshtein.normalized_similarity
        least = self.config.similarity
        found = process.extractOne(text, self.accepted_caseless, scorer=scorer, score_cutoff=least)
        return whole_text(candidate.text) if found else []
