"""What proves a set: a hash for each token, one for all, a Merkle root. Knows nothing of how tokens are drawn."""

import hashlib
from typing import Any

from nft.metadata import STATEMENT
from nft.store import Edition, canonical
from utils import sha256

LEAF, NODE = b"\0", b"\1"  # told apart, so that no inner node can pass for a token (RFC 6962, section 2.1)


def merkle_root(leaves: list[bytes]) -> str:
    """Of SHA-256, as RFC 6962 has it: the left half is the largest power of two below the number of leaves."""

    def root(part: list[bytes]) -> bytes:
        if len(part) == 1:
            return hashlib.sha256(LEAF + part[0]).digest()
        middle = 1 << (len(part) - 1).bit_length() - 1
        return hashlib.sha256(NODE + root(part[:middle]) + root(part[middle:])).digest()

    return root(leaves).hex() if leaves else hashlib.sha256(b"").hexdigest()


def provenance(edition: Edition) -> dict[str, Any]:
    """Each token's hash is over the canonical JSON of its record; the provenance hash over these, joined in order."""
    records = [canonical(record) for record in edition.records]
    hashes = [sha256(record) for record in records]
    info = edition.info
    return {
        "statement": STATEMENT,
        "name": info["name"],
        "tokens": len(records),
        "curated": info["curated"],
        "chosen_from": info["chosen_from"],
        "license": info["license"],
        "source": info["source"],
        **info["identity"],
        "provenance_sha256": sha256("".join(hashes)),
        "merkle_root": merkle_root([record.encode("utf-8") for record in records]),
        "token_sha256": hashes,
    }
