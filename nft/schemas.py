"""The schemas of a set's files: set.json, a line of samples.jsonl, and selection.json; they are checked when read."""

from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, field_validator

from config.schema import CollectionConfig, SamplingConfig, stored_sampling
from diffusion.samplers import SamplerSettings, settings_read
from utils import UserError

SET_FORMAT = 1  # of set.json
IDENTITY = {"model_sha256", "config_sha256", "data_sha256", "version", "device"}  # keys of SetInfo.identity


def first_problem(error: ValidationError) -> str:
    """The place of the first problem, and the rule it breaks."""
    problem = error.errors()[0]
    place = ".".join(map(str, problem["loc"]))
    return f"{place + ': ' if place else ''}{problem['msg']}"


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


def rules_with_defaults(rules: dict[str, Any]) -> CollectionConfig:
    """The rules of a set; those that an earlier version did not have get their defaults. Raises ValueError likewise."""
    try:
        return CollectionConfig.model_validate(rules)
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


class Selection(BaseModel):
    """selection.json: the token ids that are published."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kept: list[int]


class SetInfo(BaseModel):
    """set.json: what the tokens were drawn with; then licence, source, title, description, address of the images."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal[1]
    name: str
    seed: int
    sampler: StoredSampler
    rules: StoredRules
    word_list_sha256: str
    copy_bound: int
    identity: dict[str, str]  # hashes of model, config and data; version and device
    model_file: str
    license: str
    source: str
    title: str
    description: str
    base_uri: str

    @field_validator("identity")
    @classmethod
    def check_identity(cls, found: dict[str, str]) -> dict[str, str]:
        if found.keys() != IDENTITY:
            raise ValueError(f"its keys must be {', '.join(sorted(IDENTITY))}")
        return found

    def sampler_settings(self) -> SamplerSettings:
        return sampler_with_defaults(self.sampler)

    def drawn_with(self) -> dict[str, Any]:
        """Everything the tokens depend on; settings that an earlier version did not have get their defaults."""
        own = self.model_dump(include={"name", "seed", "word_list_sha256", "copy_bound", "identity"})
        rules = rules_with_defaults(self.rules).model_dump()
        return {**own, "sampler": settings_read(self.sampler_settings()), "rules": rules}


class Token(BaseModel):
    """A line of samples.jsonl. A token that is not accepted has no text, only the hash of what was drawn."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    token_id: int
    seed: int
    attempt: int
    accepted: bool
    text: str
    sha256: str
    drawn_sha256: str  # of the text before any of it was masked
    flags: list[str]
    dropped: list[str]
    chars: int
    longest_match: int
    novelty: float
    invented: float
    confidence: float
    settling: int
    corrections: int
    traits: dict[str, int | float | str]
    sampler: StoredSampler
    model_sha256: str
    config_sha256: str
    data_sha256: str
    version: str
    device: str


Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], data: bytes, where: str) -> Model:
    """A record from JSON; UserError that names `where` if it is damaged."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise UserError(f"{where}: damaged: {first_problem(error)}") from None
