"""The published tokens of a set, and what follows from all of them together: traits, rarity, how each was written."""

from dataclasses import dataclass, field
from functools import cached_property

from generation.course import Change
from nft.courses import course_of
from nft.formats import ALL_IS_NO_CHOICE, EXACT_RANKS
from nft.schemas import SetInfo
from nft.traits import Bands, Record, ranks, rarity, traits_of
from pages.themes import THEMES, Theme
from utils import UserError


@dataclass(frozen=True)
class Edition:
    """The published tokens of a set, in order, and what holds for all of them."""

    info: SetInfo
    records: list[Record]
    bands: Bands  # from all accepted tokens, published or not
    courses: list[bytes]  # the lines of courses.jsonl, for all tokens; empty if the set has none
    every: list[Record] = field(default_factory=list)  # all tokens, accepted or not
    lines: list[bytes] = field(default_factory=list)  # of samples.jsonl, one for each of them
    selected: bool = False  # whether selection.json names what is published

    @cached_property
    def chosen_from(self) -> int:
        """How many tokens are accepted."""
        return sum(record["accepted"] for record in self.every)

    @cached_property
    def curated(self) -> bool:
        """Whether the tokens were chosen by hand."""
        return self.selected and (self.info.format < ALL_IS_NO_CHOICE or len(self.records) < self.chosen_from)

    @cached_property
    def numbered(self) -> list[tuple[int, Record, dict[str, str]]]:
        """(number from 1, record, traits) of each token."""
        traits = [traits_of(record["traits"], self.bands) for record in self.records]
        return list(zip(range(1, len(traits) + 1), self.records, traits, strict=True))

    @property
    def theme(self) -> Theme:
        """What pictures and pieces look like."""
        return THEMES[self.info.theme or "paper"]

    @cached_property
    def watchable(self) -> set[int]:
        """The ids of the tokens of which it is known how they were written."""
        return {record["token_id"] for record in self.records if self.course(record)}

    def pieces(self, record: Record) -> list[str]:
        """The files that show a token being written; none if that is not known."""
        return self.info.pieces or [] if record["token_id"] in self.watchable else []

    def course(self, record: Record) -> list[Change]:
        """How a token was written; empty if it is not known."""
        return sound_course(self.courses[record["token_id"] - 1], record) if self.courses else []

    @cached_property
    def bits(self) -> list[float]:
        """The rarity of each token, in bits."""
        return rarity([traits for *_, traits in self.numbered])

    @cached_property
    def ranks(self) -> list[int]:
        """The rank of each token among all, from 1, the rarest."""
        return ranks([traits for *_, traits in self.numbered], rounded=self.info.format < EXACT_RANKS)

    def image_uri(self, number: int, relative: str = "../images", kind: str = "png") -> str:
        """The address of a token's picture or piece: under the base URI, or `relative` to its metadata without one."""
        return f"{(self.info.base_uri or relative).rstrip('/')}/{number}.{kind}"


def sound_course(line: bytes, record: Record) -> list[Change]:
    """The course in a token's line of courses.jsonl; UserError that says how to mend it."""
    try:
        return course_of(line, record)
    except UserError as error:
        raise UserError(f"{error}; collection.py draw-courses draws it again") from None
