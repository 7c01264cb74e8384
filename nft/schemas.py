"""The schemas of a set's files: set.json, a line of samples.jsonl, and selection.json; they are checked when read."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from config.errors import first_problem, one_of, shown
from config.names import Name
from config.origin import LONGEST
from config.schema import LONGEST_DOCUMENT, SamplingConfig, stored_sampling
from config.sets import Rules
from diffusion.sampler_settings import SamplerSettings
from diffusion.samplers import settings_read
from generation.checkpoint import Hash, Start
from nft.formats import LIST_MAY_MOVE
from nft.traits import TRAITS
from pages.themes import PIECES, THEMES
from sources.cleaning import misfit
from utils import UserError

# fields of set.json that may change after the tokens are drawn
PRESENTATION = ("title", "description", "base_uri", "live", "pieces", "theme")
LEFT_OUT_IF_NONE = ("start", "courses", "live", "pieces", "theme")  # earlier sets lack them, and some have no use
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://\S+")
NOT_IN_ADDRESS = {"base_uri": "?#", "live": "#"}  # the name of a file is put behind the first, a query behind the other
LARGEST = 2**53  # of a stored number: up to here JSON's numbers are exact in every program
IDENTITY = {"model_sha256", "config_sha256", "data_sha256", "version", "device"}  # keys of SetInfo.identity


def canonical_json(value: Any) -> str:
    """The only JSON text of a value, to be hashed: keys sorted, no white space, characters not escaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sampler_with_defaults(sampler: dict[str, Any]) -> SamplerSettings:
    """The sampler settings of a set or token; those that an earlier version did not have get their defaults.

    Raises ValueError where a setting is unknown or out of bounds.
    """
    unknown = sampler.keys() - {field.name for field in fields(SamplerSettings)}
    if unknown:
        raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
    try:
        return SamplingConfig.model_validate(stored_sampling(sampler)).sampler_settings()
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None


def rules_with_defaults(rules: dict[str, Any]) -> Rules:
    """The rules of a set; those that an earlier version did not have get their defaults. Raises ValueError likewise."""
    try:
        return Rules.model_validate(rules)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None


def checked_by(read: Callable[[dict[str, Any]], object]) -> AfterValidator:
    """Accepts a dictionary that `read` can read, and keeps it as it stands in the file."""

    def check(found: dict[str, Any]) -> dict[str, Any]:
        read(found)
        return found

    return AfterValidator(check)


StoredSampler = Annotated[dict[str, Any], checked_by(sampler_with_defaults)]
StoredRules = Annotated[dict[str, Any], checked_by(rules_with_defaults)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Number = Annotated[int, Field(ge=1, le=LARGEST)]
Share = Annotated[float, Field(ge=0, le=1), AfterValidator(abs)]  # -0.0 becomes 0.0: a value has one text
RuleName = Literal["degenerate", "copies", "personal", "handles", "words", "duplicates", "near_duplicates"]
Line = Annotated[str, Field(max_length=1000)]  # a picture is drawn with the title, however long
Text = Annotated[str, Field(max_length=LONGEST)]


class SetFile(BaseModel):
    """What a file of a set holds: strict types, no unknown keys, no infinite numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Selection(SetFile):
    """selection.json: the token ids that are published."""

    kept: Annotated[list[Number], Field(min_length=1)]


class SetInfo(SetFile):
    """set.json: what the tokens were drawn with, where the text is from, and how the set is presented."""

    format: Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]  # up to SET_FORMAT
    name: Name  # a file of the set is called by it
    seed: Annotated[int, Field(ge=0)]
    sampler: StoredSampler
    rules: StoredRules
    word_list_sha256: Hash | Literal[""]
    copy_bound: Count
    identity: dict[str, Line]  # hashes of model, config and data; versions; the machine, as nft.tokens names it
    model_file: Text
    license: Text
    source: Text
    title: Line
    description: Text
    base_uri: Text
    start: Start | None = None  # the model that the training of the one that wrote this set started from
    courses: Literal[True] | None = None  # whether courses.jsonl holds how each token was written
    live: Text | None = None  # address of a page of export.py page, which shows token k at ?token=k
    pieces: list[Annotated[str, one_of(PIECES)]] | None = None  # files of each token that show it being written
    theme: Annotated[str, one_of(THEMES)] | None = None  # what pictures and pieces look like

    @field_validator("identity")
    @classmethod
    def check_identity(cls, found: dict[str, str]) -> dict[str, str]:
        if found.keys() != IDENTITY:
            raise ValueError(f"its keys must be {', '.join(sorted(IDENTITY))}")
        return found

    def plain(self) -> dict[str, Any]:
        """What set.json holds: the fields of LEFT_OUT_IF_NONE only if they say something."""
        return self.model_dump(exclude={key for key in LEFT_OUT_IF_NONE if getattr(self, key) is None})

    def sampler_settings(self) -> SamplerSettings:
        return sampler_with_defaults(self.sampler)

    def lasting_rules(self) -> dict[str, Any]:
        """The rules as set.json holds them, without the path of the list of words, which may move."""
        moves = {"word_list"} if self.format >= LIST_MAY_MOVE else set()
        return {key: value for key, value in self.rules.items() if key not in moves}

    def drawn_with(self) -> dict[str, Any]:
        """Everything the tokens depend on; settings that an earlier version did not have get their defaults."""
        own = self.model_dump(include={"name", "seed", "word_list_sha256", "copy_bound", "identity"})
        rules = rules_with_defaults(self.rules).model_dump(exclude={"word_list"})  # whose hash tells, wherever it lies
        return {**own, "sampler": settings_read(self.sampler_settings()), "rules": rules}


class StoredCourse(SetFile):
    """A line of courses.jsonl: the changes of a token's course, see generation/course.py; none if it is not known."""

    token_id: Number
    course: list[tuple[Count, list[Count], str]]


class StoredToken(SetFile):
    """A line of samples.jsonl. A token that is not accepted has no text, only the hash of what was drawn."""

    token_id: Number
    seed: Annotated[int, Field(ge=0)]
    attempt: Count
    accepted: bool
    text: Annotated[str, Field(max_length=LONGEST_DOCUMENT)]
    sha256: Hash
    drawn_sha256: Hash  # of the text before any of it was masked
    flags: list[RuleName]
    dropped: list[RuleName]
    chars: Count
    longest_match: Count
    novelty: Share
    invented: Share
    confidence: Share
    settling: Count
    corrections: Count
    traits: dict[str, Annotated[int | float, Field(ge=0, le=LARGEST)] | str]
    sampler: StoredSampler
    model_sha256: Line
    config_sha256: Line
    data_sha256: Line
    version: Line
    device: Line

    @field_validator("traits")
    @classmethod
    def check_traits(cls, found: dict[str, int | float | str]) -> dict[str, int | float | str]:
        if found.keys() != TRAITS.keys():
            raise ValueError(f"its keys must be {', '.join(TRAITS)}")
        for name, (_, labels) in TRAITS.items():
            if isinstance(found[name], str) == bool(labels):
                raise ValueError(f"{name} must be {'a number' if labels else 'a word'}")
        return found


Model = TypeVar("Model", bound=BaseModel)


def info_of(content: dict[str, Any]) -> SetInfo:
    """What a set.json is to hold; UserError if it could not be read again."""
    try:
        return SetInfo.model_validate(content)
    except ValidationError as error:
        raise UserError(f"set.json cannot hold this {first_problem(error)}") from None


def check_presentation(values: Mapping[str, Any], named: Callable[[str], str]) -> None:
    """Raise UserError for a text of a set that none of its files may show; `named` names its place."""
    for key in ("title", "description", "base_uri", "live", "license", "source"):
        if (value := values.get(key)) is None:
            continue
        lone_surrogate = any("\ud800" <= character <= "\udfff" for character in value)  # bytes that are no UTF-8
        if lone_surrogate or (key == "title" and not value.strip()):
            rule = "must be UTF-8 text" + ", and not empty" * (key == "title")
            raise UserError(f"{named(key)} {value!r}: {rule}")
        if key == "title" and (what := misfit(value)):  # it stands on one line, under pictures too
            raise UserError(f"{named(key)} {shown(value)}: holds {what}")
        refused = NOT_IN_ADDRESS.get(key, "")
        if refused and value and (not ADDRESS.fullmatch(value) or set(value) & set(refused)):
            rule = f"must be an address without {' and '.join(refused)}, as ipfs://CID or https://example.org/set"
            raise UserError(f"{named(key)} {shown(value)}: {rule}")


def parse(model: type[Model], data: bytes, where: str) -> Model:
    """A record from JSON; UserError that names `where` if it is damaged."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise UserError(f"{where}: damaged: {first_problem(error)}") from None
