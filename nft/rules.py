"""Which texts may become tokens: the rules of a set, each a search in a text. Knows nothing of networks or images."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from config.schema import CollectionConfig
from text.personal import Span, handles, personal
from text.vocabulary import fold
from utils import UserError

BLOT = "\u2588"  # what mask puts in a character's place
LONGEST_RUN = 12  # equal characters in a row from which a text is degenerate; rules of real texts are shorter
SHORTEST_LOOP, LOOP_REPEATS = 24, 4  # characters and repeats from which a loop is one
RUN = re.compile(rf"(\S)\1{{{LONGEST_RUN - 1},}}")
LOOP = re.compile(rf"(.{{2,60}}?)\1{{{LOOP_REPEATS - 1},}}", re.DOTALL)


class Candidate(NamedTuple):
    """A text as drawn, its longest verbatim match with the training text, and whether it is a whole line of it."""

    text: str
    match: int
    line: bool


def whole(text: str) -> list[Span]:
    return [(0, len(text))]


def degenerate(text: str) -> list[Span]:
    """Runs of one character, loops, and texts without a letter or digit."""
    if not any(character.isalnum() for character in text):
        return whole(text)
    loops = [m.span() for m in LOOP.finditer(text) if m.end() - m.start() >= SHORTEST_LOOP]
    return [m.span() for m in RUN.finditer(text)] + loops


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

    def judge(self, candidate: Candidate, *, text_only: bool = False) -> Verdict:
        """What the rules say of a text; `text_only`: only those that do not depend on the set."""
        verdict = apply(self.own_rules(), candidate, [])
        if text_only or verdict.dropped:
            return verdict
        return apply(self.set_rules(), candidate._replace(text=verdict.text), verdict.flags)

    def accept(self, text: str) -> None:
        self.known.add(fold(text))
        self.accepted.append(fold(text).casefold())

    def copied(self, candidate: Candidate) -> list[Span]:
        return whole(candidate.text) if candidate.line or candidate.match > self.copy_bound else []

    def words(self, candidate: Candidate) -> list[Span]:
        return [m.span() for m in self.listed.finditer(candidate.text)] if self.listed else []

    def repeated(self, candidate: Candidate) -> list[Span]:
        return whole(candidate.text) if fold(candidate.text) in self.known else []

    def nearly_repeated(self, candidate: Candidate) -> list[Span]:
        """By edit similarity, 1 - distance / the longer one's length; letters' case does not count."""
        wanted, least = fold(candidate.text).casefold(), self.config.similarity
        found = process.extractOne(wanted, self.accepted, scorer=Levenshtein.normalized_similarity, score_cutoff=least)
        return whole(candidate.text) if found else []
