"""The contact sheet of a set: one HTML page, without other files, to browse and mark tokens and save a selection."""

from html import escape
from pathlib import Path

from nft.metadata import STATEMENT
from nft.store import Edition
from nft.templates import filled, script_json
from utils import hash_json

TEMPLATE = Path(__file__).with_name("contact_sheet.html")


def contact_sheet(edition: Edition) -> str:
    """The page: the template filled with the title and the tokens. A browser never reads a token's text as HTML."""
    data = [
        {"number": n, "id": r["token_id"], "text": r["text"], "flags": r["flags"], "traits": t, "bits": round(b, 2)}
        for (n, r, t), b in zip(edition.numbered, edition.bits, strict=True)
    ]
    identity = hash_json([edition.info[key] for key in ("identity", "seed", "sampler")])
    contents = {
        "<!--TITLE-->": escape(edition.info["title"]),
        "<!--STATEMENT-->": escape(STATEMENT),
        "<!--IDENTITY-->": identity[:16],
        "/*TOKENS*/[]": script_json(data),
    }
    return filled(TEMPLATE, contents)
