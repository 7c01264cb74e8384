"""The contact sheet of a set: a page to browse its tokens, watch them being written, mark them, save a selection."""

from html import escape
from pathlib import Path

from nft.edition import Edition
from nft.formats import MARKS_BY_LIST
from nft.metadata import STATEMENT
from nft.schemas import SetInfo
from nft.selection import COMMENT, OF_SHEET, THOUSANDS, TOKEN_RANGE, UNCLEAR
from pages.template import filled, script_json
from utils import hash_json

TEMPLATE = Path(__file__).with_name("contact_sheet.html")
FIGURES = ("text", "flags", "novelty", "confidence")  # of a record, that the page shows
PLAYABLE = ("svg", "html")  # pieces that the page plays, from the folder images beside it


def sheet_identity(info: SetInfo) -> str:
    """What tells a sheet's marks and selections from another set's: a hash of all that the set is drawn with."""
    words = [info.word_list_sha256] if info.format >= MARKS_BY_LIST else []
    return hash_json([info.identity, info.seed, info.sampler, info.lasting_rules(), *words])[:16]


def contact_sheet(edition: Edition) -> str:
    """The page: the template filled with the title and the tokens. A browser never reads a token's text as HTML."""
    data = [
        {
            "number": number, "id": record["token_id"], **{key: record[key] for key in FIGURES}, "traits": traits,
            "bits": round(bits, 2), "rank": rank, "pieces": [k for k in edition.pieces(record) if k in PLAYABLE],
        }
        for (number, record, traits), bits, rank in zip(edition.numbered, edition.bits, edition.ranks, strict=True)
    ]  # fmt: skip
    info = edition.info
    script = {
        "/*TOKENS*/[]": script_json(data),
        "/*BANDS*/{}": script_json({name: parts["labels"] for name, parts in edition.bands.items()}),
        "/*SELECTION*/[]": script_json([each.pattern for each in (TOKEN_RANGE, COMMENT, THOUSANDS, UNCLEAR, OF_SHEET)]),
        "<!--IDENTITY-->": sheet_identity(info),
        "<!--NAME-->": info.name,
    }
    contents = {
        "<!--TITLE-->": escape(info.title),
        "<!--NAME-->": info.name,
        "<!--STATEMENT-->": escape(STATEMENT),
        "/*STYLE*/\n": TEMPLATE.with_suffix(".css").read_text(encoding="utf-8"),
        "/*SCRIPT*/\n": filled(TEMPLATE.with_suffix(".js"), script),
    }
    return filled(TEMPLATE, contents)
