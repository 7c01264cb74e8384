"""The hashes that prove a set: one for each token, one for all tokens, and a Merkle root."""

import hashlib
from typing import Any

from nft.edition import Edition
from nft.formats import SETTINGS_COVERED
from nft.metadata import STATEMENT
from nft.schemas import PRESENTATION, canonical_json
from utils import sha256

EXCEPTED = (*PRESENTATION, "model_file")  # of set.json's settings, what the provenance does not cover
LEAF, NODE = b"\0", b"\1"  # RFC 6962, section 2.1: with different prefixes no inner node can pass for a token


def merkle_root(leaves: list[bytes]) -> str:
    """The SHA-256 Merkle root of RFC 6962, section 2.1, in hex; the hash of no bytes if there are no leaves."""

    def root(part: list[bytes]) -> bytes:
        """The root of some leaves; the left half is the largest power of two below their number."""
        if len(part) == 1:
            return hashlib.sha256(LEAF + part[0]).digest()
        middle = 1 << (len(part) - 1).bit_length() - 1
        return hashlib.sha256(NODE + root(part[:middle]) + root(part[middle:])).digest()

    return root(leaves).hex() if leaves else hashlib.sha256(b"").hexdigest()


def provenance(edition: Edition) -> dict[str, Any]:
    """provenance.json: each token's hash is SHA-256 of its record as canonical JSON.

    The provenance hash is SHA-256 of these hashes in hex, joined in the order of the tokens. Others cover all of
    samples.jsonl and courses.jsonl, and the settings in set.json as canonical JSON: all but PRESENTATION and the
    paths of the model and of the list of words.
    """
    records = [canonical_json(record) for record in edition.records]
    hashes = [sha256(record) for record in records]
    info, stored = edition.info, edition.info.plain()
    settings = {key: value for key, value in stored.items() if key not in EXCEPTED} | {"rules": info.lasting_rules()}
    samples, courses = (sha256(b"".join(lines)) for lines in (edition.lines, edition.courses))
    covered = {"settings_sha256": sha256(canonical_json(settings)), "samples_sha256": samples}
    covered |= {"courses_sha256": courses} if edition.courses else {}
    return {
        "statement": STATEMENT,
        "name": info.name,
        "tokens": len(records),
        "curated": edition.curated,
        "chosen_from": edition.chosen_from,
        "license": info.license,
        "source": info.source,
        **info.identity,
        **({"start": stored["start"]} if info.start else {}),
        **(covered if info.format >= SETTINGS_COVERED else {}),
        "provenance_sha256": sha256("".join(hashes)),
        "merkle_root": merkle_root([record.encode("utf-8") for record in records]),
        "token_sha256": hashes,
    }
