"""A set of collection.py as its page needs it: seed, sampler, and which attempt became each token."""

from pathlib import Path
from typing import NamedTuple

from diffusion.sampler_settings import SamplerSettings
from exporting.proof import Place
from nft.store import SetFolder
from utils import UserError


class Minted(NamedTuple):
    """The tokens of a set: how they were drawn, which attempts were not the first, and what each text was."""

    title: str
    theme: str
    seed: int
    settings: SamplerSettings
    attempts: dict[int, int]  # by token, from 1; those above 0
    hashes: dict[Place, str]  # SHA-256 of each accepted token's text, as the model wrote it
    trained: tuple[str, str]  # hashes of its model's training and text
    size: int  # tokens, accepted or not
    withheld: int  # tokens of which the set publishes nothing, or not what the model wrote


def read_set(folder: Path) -> Minted:
    """The tokens of a set's folder. Raises UserError for any other folder, for a damaged set, and for an empty one."""
    with SetFolder.opened(folder, to_read=True) as found:
        info, records, chosen = found.info(), found.records(), found.selection()
    accepted = [record for record in records if record["accepted"]]
    if not accepted:
        raise UserError(f"{folder}: the set holds no token; run collection.py make first")
    published = [record for record in accepted if chosen is None or record["token_id"] in chosen]
    return Minted(
        title=info.title,
        theme="auto" if info.theme in (None, "paper") else info.theme,  # paper: night where that is preferred
        seed=info.seed,
        settings=info.sampler_settings(),
        attempts={record["token_id"]: record["attempt"] for record in accepted if record["attempt"]},
        hashes={(record["token_id"] - 1, record["attempt"]): record["drawn_sha256"] for record in accepted},
        trained=(info.identity["config_sha256"], info.identity["data_sha256"]),
        size=len(records),
        withheld=len(records) - sum(record["sha256"] == record["drawn_sha256"] for record in published),
    )
