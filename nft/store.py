"""A set on disk: its tokens, what they were drawn with, which are published. Knows nothing of how they are made.

samples.jsonl is only ever added to, a canonical line a token. All else in the folder follows from it, from set.json and
from selection.json.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from config.schema import CollectionConfig, SamplingConfig, stored_sampling
from diffusion.samplers import SamplerSettings
from nft.traits import Bands, bands_of, rarity, traits_of
from utils import UserError, exclusive_lock, write_atomic

IDENTITY = {"model_sha256", "config_sha256", "data_sha256", "version", "device"}


class Selection(BaseModel):
    """selection.json: the token ids that are published."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kept: list[int]


class SetInfo(BaseModel):
    """set.json: what the tokens were drawn with, and what is said of them."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal[1]
    name: str
    seed: int
    sampler: dict[str, Any]
    rules: dict[str, Any]
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

    @field_validator("sampler", "rules")
    @classmethod
    def check_settings(cls, found: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        try:
            completed(found) if info.field_name == "sampler" else CollectionConfig.model_validate(found)
        except ValidationError as error:
            raise ValueError(first_problem(error)) from None
        return found

    def sampler_settings(self) -> SamplerSettings:
        return completed(self.sampler)

    def drawn_with(self) -> dict[str, Any]:
        """What the tokens depend on; what an earlier version did not set has its default."""
        own = self.model_dump(include={"name", "seed", "word_list_sha256", "copy_bound", "identity"})
        rules = CollectionConfig.model_validate(self.rules).model_dump()
        return {**own, "sampler": vars(self.sampler_settings()), "rules": rules}


def completed(sampler: dict[str, Any]) -> SamplerSettings:
    """The sampler of a set or token, of this version or an earlier one: settings that were new later have defaults."""
    strangers = sampler.keys() - {field.name for field in fields(SamplerSettings)}
    if strangers:
        raise ValueError(f"no such setting: {', '.join(sorted(strangers))}")
    return SamplingConfig.model_validate(stored_sampling(sampler)).sampler_settings()


class Token(BaseModel):
    """A line of samples.jsonl. Of a token that is not accepted the text is not kept, only its hash."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    token_id: int
    seed: int
    attempt: int
    accepted: bool
    text: str
    sha256: str
    drawn_sha256: str  # of the text before anything in it was blotted out
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
    sampler: dict[str, Any]
    model_sha256: str
    config_sha256: str
    data_sha256: str
    version: str
    device: str


Model = TypeVar("Model", bound=BaseModel)


def parsed(model: type[Model], data: bytes, where: str) -> Model:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise UserError(f"{where}: damaged: {first_problem(error)}") from None


def first_problem(error: ValidationError) -> str:
    """Where the first problem lies, and the rule."""
    problem = error.errors()[0]
    place = ".".join(map(str, problem["loc"]))
    return f"{place + ': ' if place else ''}{problem['msg']}"


@dataclass(frozen=True)
class Edition:
    """The tokens of a set that are published, in order, and what is said of all of them."""

    info: dict[str, Any]  # as set.json has it, with `curated` and `chosen_from`, how many were accepted
    records: list[dict[str, Any]]
    bands: Bands  # by all accepted tokens, published or not

    @cached_property
    def numbered(self) -> list[tuple[int, dict[str, Any], dict[str, str]]]:
        """(number in the edition from 1, token, its traits) of each."""
        traits = [traits_of(record["traits"], self.bands) for record in self.records]
        return list(zip(range(1, len(traits) + 1), self.records, traits, strict=True))

    @cached_property
    def bits(self) -> list[float]:
        """Rarity of each token."""
        return rarity([traits for *_, traits in self.numbered])

    def image(self, number: int, beside: str = "../images") -> str:
        """Where a token's picture lies: under the base URI, else from where its metadata lie."""
        return f"{(self.info['base_uri'] or beside).rstrip('/')}/{number}.png"


def canonical(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no white space, characters as they are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def readable(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


class SetFolder:
    """A set on disk, held against other processes while it is open."""

    def __init__(self, path: Path) -> None:
        self.path, self.samples = path, path / "samples.jsonl"

    @classmethod
    @contextlib.contextmanager
    def held(cls, path: Path, *, new: bool = False) -> "Iterator[SetFolder]":
        """The set in a folder. A new one needs an empty folder: much in a set's folder is overwritten."""
        if not (path / "set.json").is_file():
            if not new:
                raise UserError(f"{path}: no set is here; set.json is missing")
            if path.exists() and any(not file.name.startswith(".") for file in path.iterdir()):
                raise UserError(f"{path}: holds files but no set; give --out an empty or a new folder")
        with exclusive_lock(path / ".lock", f"{path}: another process is at work on this set"):
            yield cls(path)

    def info(self) -> SetInfo:
        return parsed(SetInfo, self.bytes("set.json"), str(self.path / "set.json"))

    def bytes(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            raise UserError(f"{self.path}: no set is here, or it is not finished: {name} is missing") from None

    def say(self, info: SetInfo) -> None:
        write_atomic(self.path / "set.json", readable(info.model_dump()))

    def begin(self, wanted: SetInfo) -> None:
        """Start a set, or go on with one that was drawn with the same; what is said of it may change."""
        if (self.path / "set.json").is_file():
            found = self.info()
            if (own := found.drawn_with()) != (asked := wanted.drawn_with()):
                key = next(key for key in own if own[key] != asked[key])
                what = difference(key, own[key], asked[key])
                raise UserError(f"{self.path}: its tokens were drawn with another {what}; give another --out")
            wanted = wanted.model_copy(update={"sampler": found.sampler, "rules": found.rules})
        self.say(wanted)

    def mend(self) -> None:
        """Take away a last line that an interruption cut short; it will be drawn again."""
        if self.samples.is_file():
            data = self.samples.read_bytes()
            with self.samples.open("rb+") as file:
                file.truncate(data.rfind(b"\n") + 1)

    def records(self) -> list[dict[str, Any]]:
        """The tokens so far."""
        data = self.bytes("samples.jsonl") if self.samples.is_file() else b""
        if data and not data.endswith(b"\n"):
            raise UserError(f"{self.samples}: its last line is cut short; run make again")
        found = []
        for number, line in enumerate(data.splitlines(), start=1):
            token = parsed(Token, line, f"{self.samples} line {number}")
            if token.token_id != number:
                raise UserError(f"{self.samples} line {number}: damaged: holds token {token.token_id}")
            found.append(token.model_dump())
        return found

    def edition(self) -> Edition:
        """The tokens that are published: accepted, and kept if there is a selection."""
        records = [record for record in self.records() if record["accepted"]]
        selection = self.path / "selection.json"
        curated = selection.is_file()
        kept = set(parsed(Selection, self.bytes("selection.json"), str(selection)).kept) if curated else None
        chosen = [record for record in records if kept is None or record["token_id"] in kept]
        info = {**self.info().model_dump(), "chosen_from": len(records), "curated": curated}
        return Edition(info, chosen, bands_of([record["traits"] for record in records]))


def difference(key: str, found: Any, asked: Any) -> str:
    """ "rules.similarity (0.9, not 0.5)": the first thing in which two values differ."""
    if isinstance(found, dict):
        name = next(name for name in {**found, **asked} if found.get(name) != asked.get(name))
        return difference(f"{key}.{name}", found.get(name), asked.get(name))
    return f"{key} ({found}, not {asked})"
