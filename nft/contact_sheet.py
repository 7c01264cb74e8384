"""The contact sheet of a set: one HTML page, without other files, to browse and mark tokens and save a selection."""

import json
import re
from html import escape
from pathlib import Path

from nft.metadata import STATEMENT
from nft.store import Edition
from utils import hash_json

TEMPLATE = Path(__file__).with_name("contact_sheet.html")


def contact_sheet(edition: Edition) -> str:
    """The page: the template filled with the title and the tokens. A browser never reads a token's text as HTML."""
    data = [
        {"number": n, "id": r["token_id"], "text": r["text"], "flags": r["flags"], "traits": t, "bits": round(b, 2)}
        for (n, r, t), b in zip(edition.numbered, edition.bits, strict=True)
    ]
    # "<" becomes \u003c, because only "</script" can end a script
    inlined = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    identity = hash_json([edition.info[key] for key in ("identity", "seed", "sampler")])
    contents = {
        "<!--TITLE-->": escape(edition.info["title"]),
        "<!--STATEMENT-->": escape(STATEMENT),
        "<!--IDENTITY-->": identity[:16],
        "/*TOKENS*/[]": inlined,
    }
    places = re.compile("|".join(map(re.escape, contents)))  # all at once: a title or a text may hold such a place
    return places.sub(lambda place: contents[place[0]], TEMPLATE.read_text(encoding="utf-8"))
