"""Reads and writes the folder of a set: its tokens, the settings they were drawn with, and which are published.

samples.jsonl holds one line of canonical JSON a token; lines are only ever added. All other files of the folder follow
from samples.jsonl, set.json and selection.json.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nft.schemas import Selection, SetInfo, Token, parse
from nft.traits import Bands, bands_of, rarity, traits_of
from utils import UserError, check_writable, exclusive_lock, sha256, write_atomic

LINK = "a link; a set holds its files itself"


@dataclass(frozen=True)
class Edition:
    """The published tokens of a set, in order, and what holds for all of them."""

    info: dict[str, Any]  # set.json, with `curated`, `chosen_from` (how many are accepted) and `samples_sha256`
    records: list[dict[str, Any]]
    bands: Bands  # from all accepted tokens, published or not

    @cached_property
    def numbered(self) -> list[tuple[int, dict[str, Any], dict[str, str]]]:
        """(number from 1, record, traits) of each token."""
        traits = [traits_of(record["traits"], self.bands) for record in self.records]
        return list(zip(range(1, len(traits) + 1), self.records, traits, strict=True))

    @cached_property
    def bits(self) -> list[float]:
        """The rarity of each token, in bits."""
        return rarity([traits for *_, traits in self.numbered])

    def image_uri(self, number: int, relative: str = "../images") -> str:
        """The address of a token's picture: under the base URI, or `relative` to its metadata if there is none."""
        return f"{(self.info['base_uri'] or relative).rstrip('/')}/{number}.png"


def canonical_json(value: Any) -> str:
    """The only JSON text of a value, to be hashed: keys sorted, no white space, characters not escaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def indented_json(value: Any) -> str:
    """JSON for people to read."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def is_writable(folder: Path) -> bool:
    """Whether files can be put into a folder."""
    try:
        check_writable(folder)
    except UserError:
        return False
    return True


class SetFolder:
    """The folder of a set; `opened` locks it, so that no other process changes it."""

    def __init__(self, path: Path) -> None:
        self.path, self.samples = path, path / "samples.jsonl"

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path, *, new: bool = False, to_read: bool = False) -> "Iterator[SetFolder]":
        """Open and lock a set; a new one needs an empty folder, because files in a set's folder are overwritten.

        One that is only to be read is not locked where the folder cannot be written to.
        """
        if not (path / "set.json").is_file():
            if not new:
                raise UserError(f"{path}: no set is here; set.json is missing")
            if path.exists() and any(not file.name.startswith(".") for file in path.iterdir()):
                raise UserError(f"{path}: holds files but no set; give --out an empty or a new folder")
        for name in ("set.json", "samples.jsonl", "selection.json"):
            if (path / name).is_symlink():  # it would be cut and added to wherever it leads
                raise UserError(f"{path / name}: {LINK}")
        lock = exclusive_lock(path / ".lock", f"{path}: another process is at work on this set")
        with contextlib.nullcontext() if to_read and not is_writable(path) else lock:
            yield cls(path)

    def info(self) -> SetInfo:
        """What set.json holds."""
        return parse(SetInfo, self.read_file("set.json"), str(self.path / "set.json"))

    def read_file(self, name: str) -> bytes:
        """The bytes of a file of the set; UserError if it is missing."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            raise UserError(f"{self.path}: no set is here, or it is not finished: {name} is missing") from None

    def write_info(self, info: SetInfo) -> None:
        """Write set.json."""
        write_atomic(self.path / "set.json", indented_json(info.plain()))

    def begin(self, wanted: SetInfo) -> SetInfo:
        """Write set.json of a new set, or check that an existing one was drawn with the same settings; -> set.json.

        Title, description and base URI may change. UserError names the first setting that differs.
        """
        if (self.path / "set.json").is_file():
            found = self.info()
            if (old := found.drawn_with()) != (new := wanted.drawn_with()):
                key = next(key for key in old if old[key] != new[key])
                what = first_difference(key, old[key], new[key])
                raise UserError(f"{self.path}: its tokens were drawn with another {what}; give another --out")
            # kept as an earlier version wrote them: index.html depends on the stored sampler
            kept = found.model_dump(include={"format", "sampler", "rules"})
            wanted = wanted.model_copy(update=kept)
        self.write_info(wanted)
        return wanted

    def drop_partial_line(self) -> None:
        """Remove a last line that an interruption cut short; its token is drawn again."""
        if self.samples.is_file():
            data = self.samples.read_bytes()
            with self.samples.open("rb+") as file:
                file.truncate(data.rfind(b"\n") + 1)

    def records(self) -> list[dict[str, Any]]:
        """The tokens drawn so far, accepted or not; UserError names a damaged line."""
        data = self.read_file("samples.jsonl") if self.samples.is_file() else b""
        if data and not data.endswith(b"\n"):
            raise UserError(f"{self.samples}: its last line is cut short; run make again")
        found = []
        for number, line in enumerate(data.split(b"\n")[:-1], start=1):
            token = parse(Token, line, f"{self.samples} line {number}")
            if token.token_id != number:
                raise UserError(f"{self.samples} line {number}: damaged: holds token {token.token_id}")
            found.append(token.model_dump())
        return found

    def edition(self) -> Edition:
        """The published tokens: all accepted ones, or those of selection.json if there is one."""
        accepted = {record["token_id"]: record for record in self.records() if record["accepted"]}
        kept = self.selection()
        if unknown := [str(token) for token in kept or () if token not in accepted]:
            raise UserError(f"{self.path / 'selection.json'}: the set has no token {', '.join(unknown[:10])}")
        chosen = [record for token, record in accepted.items() if kept is None or token in kept]
        info = {
            **self.info().plain(),
            "chosen_from": len(accepted),
            "curated": kept is not None,
            "samples_sha256": sha256(self.read_file("samples.jsonl")),
        }
        return Edition(info, chosen, bands_of([record["traits"] for record in accepted.values()]))

    def selection(self) -> set[int] | None:
        """The token ids of selection.json; None if there is no such file."""
        path = self.path / "selection.json"
        return set(parse(Selection, self.read_file(path.name), str(path)).kept) if path.is_file() else None


def first_difference(key: str, found: Any, wanted: Any) -> str:
    """The first setting in which two values differ, as "rules.similarity (0.9, not 0.5)"."""
    if isinstance(found, dict):
        name = next(name for name in {**found, **wanted} if found.get(name) != wanted.get(name))
        return first_difference(f"{key}.{name}", found.get(name), wanted.get(name))
    return f"{key} ({found}, not {wanted})"
