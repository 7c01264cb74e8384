"""The section `collection` of config.yaml: which texts a set accepts, and what its tokens look like."""

from os.path import expanduser
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from config.errors import one_of
from config.section import Section
from pages.themes import PIECES, THEMES

ACTIONS = ("keep", "flag", "drop")  # what a rule does with a text: nothing, mark it, or have another text drawn
ACTIONS_WITH_MASK = (*ACTIONS, "mask")  # or cover the part of the text that the rule found


class Rules(Section):
    """Which texts a set accepts, rule by rule."""

    attempts: int = Field(default=8, ge=1, le=1000)
    duplicates: Annotated[str, one_of(ACTIONS)] = "drop"
    near_duplicates: Annotated[str, one_of(ACTIONS)] = "drop"
    similarity: float = Field(default=0.9, gt=0, le=1)
    degenerate: Annotated[str, one_of(ACTIONS)] = "drop"
    copies: Annotated[str, one_of(ACTIONS)] = "drop"
    personal: Annotated[str, one_of(ACTIONS_WITH_MASK)] = "drop"
    handles: Annotated[str, one_of(ACTIONS_WITH_MASK)] = "keep"
    words: Annotated[str, one_of(ACTIONS_WITH_MASK)] = "flag"
    word_list: str = ""

    def word_file(self) -> Path | None:
        """The file with one word a line, if there is one; ~ is the home folder."""
        return Path(expanduser(self.word_list)) if self.word_list else None  # noqa: PTH111  as of paths


class CollectionConfig(Rules):
    """The rules, and what the tokens of a set look like, which may change after they are drawn."""

    pieces: list[Annotated[str, one_of(PIECES)]] = Field(default_factory=lambda: ["svg", "html"])
    theme: Annotated[str, one_of(THEMES)] = "paper"

    @field_validator("pieces")
    @classmethod
    def check_pieces(cls, found: list[str]) -> list[str]:
        """Each once, in the order of PIECES."""
        return [piece for piece in PIECES if piece in found]

    def rules(self) -> dict[str, Any]:
        """The rules alone, as plain values."""
        return self.model_dump(include=set(Rules.model_fields))
