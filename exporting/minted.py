"""A set of collection.py as its page needs it: seed, sampler, and which attempt became each token."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from config.schema import SamplingConfig, stored_sampling
from diffusion.samplers import SamplerSettings
from exporting.proof import Key
from utils import UserError, read_text

INFO, TOKENS = "set.json", "samples.jsonl"


class Minted(NamedTuple):
    """The tokens of a set: how they were drawn, which attempts were not the first, and what each text was."""

    seed: int
    settings: SamplerSettings
    attempts: dict[int, int]  # by token, from 1; those above 0
    hashes: dict[Key, str]  # SHA-256 of each accepted token's text, as the model wrote it


def read_set(folder: Path) -> Minted:
    """The tokens of a set's folder. Raises UserError for any other folder."""
    info_file, tokens_file = folder / INFO, folder / TOKENS
    fix = "name the folder of a set, as collection.py make --out"
    info_text, lines = read_text(info_file, fix), read_text(tokens_file, fix).splitlines()
    try:
        info = json.loads(info_text)
        settings = SamplingConfig.model_validate(stored_sampling(info["sampler"])).sampler_settings()
        accepted = [drawn_of(token) for token in map(json.loads, lines) if token["accepted"]]
        if not accepted:
            raise ValueError
        attempts = {index + 1: attempt for (index, attempt), _ in accepted if attempt}
        return Minted(int(info["seed"]), settings, attempts, dict(accepted))
    except (ValueError, LookupError, TypeError, RecursionError, ValidationError):
        raise UserError(
            f"{folder}: {INFO} or {TOKENS} is damaged or holds no token; see collection.py verify"
        ) from None


def drawn_of(token: dict[str, Any]) -> tuple[Key, str]:
    """Index and attempt of a token, and the hash of its text as the model wrote it."""
    return (int(token["token_id"]) - 1, int(token["attempt"])), str(token["drawn_sha256"])
