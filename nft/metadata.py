"""Token metadata for marketplaces (ERC-721, ERC-1155, Metaplex) and CSV tables, as functions of a set's tokens."""

import csv
import io
import re
from collections.abc import Callable
from typing import Any

from nft.edition import Edition
from nft.formats import (
    INDENTS,
    LINE_BREAKS,
    LIVE_LISTED,
    MORE_MARKDOWN,
    PLAINER_MARKDOWN,
    PLURALS,
    SHARED_SYMBOL,
    SHORT_TITLES,
    TEXT_OF,
    WHOLE_LETTERS,
)
from nft.layout import WIDE
from nft.schemas import SetInfo
from nft.traits import Record

STATEMENT = "Machine-generated text: written by a character-level discrete diffusion model, by no person."
METAPLEX_NAME, METAPLEX_SYMBOL = 32, 10  # bytes, the limits of Metaplex' Token Metadata program
# how a cell begins that a spreadsheet runs as a formula, also behind a tab or line break; wide signs count in East Asia
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
# the same behind a delimiter inside a cell: a spreadsheet that parts cells by ; parts ours there too, quoted or not. A
# smiley, ;-), stays
INSIDE = re.compile('(?<=[;|\t\r\n])("*)(?=[=+\\-@\uff1d\uff0b\uff0d\uff20](?!\\)))')
# marketplaces show a description as Markdown. Within a line few characters mean something; at its beginning they may
# make a heading, a list, a quotation, a table or a heading's underline
WITHIN = r"[\\`*\[<~]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])"  # no underscore amid letters and digits
MARKDOWN = re.compile(rf"({WITHIN}|^[^\S\n]*(?:[-+=>#|]|:(?=-))|^[^\S\n]*\d+[.)](?=\s|$))", re.MULTILINE)
MORE_ESCAPED = re.compile(r"([\\`*_\[\]<>#~|!&]|^[^\S\n]*[-+=]|^[^\S\n]*\d+[.)])", re.MULTILINE)
INDENT = re.compile("^(?= {4}| {0,3}\t)[ \t]", re.MULTILINE)  # of a line that would be code
BREAK = re.compile(r"(?<=\S)[^\S\n]*\n(?=[^\n])")  # of a line within a paragraph
EARLIER_MARKDOWN = re.compile(r"([\\`*_\[\]<>#~|!])")
SHOWN_TITLE = 60  # narrow characters of a caption in a picture, which has room for a few more


# by Metaplex's non-fungible standard
MEDIA_TYPES = {
    "png": "image/png", "svg": "image/svg+xml", "html": "text/html", "gif": "image/gif", "webp": "image/webp",
    "apng": "image/apng", "mp4": "video/mp4",
}  # fmt: skip
CATEGORIES = {"": "image", "html": "html", "mp4": "video"}


def caption(edition: Edition, number: int) -> str:
    return f"{edition.info.title} #{number}"


def picture_caption(edition: Edition, number: int) -> str:
    """The caption as pictures show it: of a long title the beginning, and always the number."""
    whole, title, tail = caption(edition, number), edition.info.title, f"\u2026 #{number}"
    if edition.info.format < SHORT_TITLES or width_in_cells(whole) <= SHOWN_TITLE:
        return whole
    while width_in_cells(title + tail) > SHOWN_TITLE:
        title = title[:-1]
    return title.rstrip() + tail


def width_in_cells(text: str) -> int:
    """How many narrow characters are as wide as a text where it is one line."""
    return len(text) + len(WIDE.findall(text))


def no_formula_begins(cell: str) -> str:
    """A cell with an apostrophe before it where it begins like a formula; as earlier versions wrote it."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def no_formula(cell: str) -> str:
    """A cell with an apostrophe before what begins like a formula, there or where another delimiter would part it."""
    return no_formula_begins(INSIDE.sub(r"\1'", cell))


def csv_text(header: list[str], content: list[list[Any]], safe: Callable[[str], str] = no_formula) -> str:
    """A table in which a spreadsheet takes no word for a formula: its cells are made `safe`."""

    def line(row: list[Any]) -> str:
        buffer = io.StringIO()
        cells = [safe(cell) if isinstance(cell, str) else cell for cell in row]
        csv.writer(buffer).writerow(cells)  # with its own line end, or it would not quote a cell that holds \r
        return buffer.getvalue().removesuffix("\r\n") + "\n"

    return "".join(map(line, [header, *content]))


def csv_table(edition: Edition, safe: Callable[[str], str] = no_formula) -> str:
    """tokens.csv: a row for each token, with its text, hash, flags and traits."""
    keys = ("token_id", "seed", "attempt", "text", "chars", "sha256")
    content = [
        [number, *(record[key] for key in keys), " ".join(record["flags"]), *traits.values()]
        for number, record, traits in edition.numbered
    ]
    return csv_text(["number", *keys, "flags", *edition.bands], content, safe)


def rarity_table(edition: Edition) -> str:
    """rarity.csv: the tokens with their traits, from the most information content to the least."""
    content = [
        [rank, number, record["token_id"], f"{bits:.4f}", *traits.values()]
        for rank, bits, (number, record, traits) in zip(edition.ranks, edition.bits, edition.numbered, strict=True)
    ]
    return csv_text(["rank", "number", "token_id", "bits", *edition.bands], sorted(content))


def properties(edition: Edition, record: Record) -> dict[str, Any]:
    """The properties in every kind of metadata: the text, how it was drawn, and that a machine wrote it."""
    own = {key: record[key] for key in ("text", "token_id", "seed", "attempt", "sha256", "model_sha256", "flags")}
    info = edition.info
    texts = {"training_text": origin_of(info)} if info.format >= TEXT_OF else {"license": info.license}
    common = {"machine_generated": True, "curated": edition.curated, **texts}
    return {**own, **common, **({"started_from": start.name} if (start := info.start) else {})}


def origin_of(info: SetInfo) -> dict[str, str]:
    """Licence and source of the training text."""
    return {"license": info.license, "source": info.source}


def description(edition: Edition, record: Record) -> str:
    """The text with Markdown escaped, and the statement.

    An indented line begins with a no-break space, which looks the same and makes no code of it. Two spaces end a line,
    or the next one would follow it on the same line.
    """
    set_format, text = edition.info.format, record["text"]
    earlier = EARLIER_MARKDOWN if set_format < MORE_MARKDOWN else MORE_ESCAPED
    pattern = earlier if set_format < PLAINER_MARKDOWN else MARKDOWN
    text = pattern.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", text)
    text = text if set_format < INDENTS else INDENT.sub("\u00a0", text)
    text = text if set_format < LINE_BREAKS else BREAK.sub("  \n", text)
    return f"{text}\n\n{statement(edition)}"


def statement(edition: Edition) -> str:
    """That a machine wrote a text, and whether it was chosen by hand."""
    return f"{STATEMENT} {'Chosen by hand from a larger set.' if edition.curated else 'Not chosen by hand.'}"


def truncate(text: str, size: int) -> str:
    """The beginning of a text, at most `size` bytes of UTF-8, with no character cut in two."""
    return text.encode("utf-8")[:size].decode("utf-8", errors="ignore")


def moving_kind(edition: Edition, record: Record) -> str:
    """Which piece of a token marketplaces show as its animation, a page or a film; "" for none."""
    return next((kind for kind in ("html", "mp4") if kind in edition.pieces(record)), "")


def common_metadata(edition: Edition, number: int, record: Record, traits: dict[str, str]) -> dict[str, Any]:
    """The fields that every kind of metadata holds."""
    moving, live = moving_kind(edition, record), edition.info.live
    address = edition.image_uri(number, kind=moving)
    if live:
        address = f"{live}{'&' if '?' in live else '?'}token={record['token_id']}"
    return {
        "name": caption(edition, number),
        "description": description(edition, record),
        "image": edition.image_uri(number),
        **({"animation_url": address} if live or moving else {}),
        "attributes": [{"trait_type": name, "value": value} for name, value in traits.items()],
        "properties": properties(edition, record),
    }


def erc721(edition: Edition, number: int, record: Record, traits: dict[str, str]) -> dict[str, Any]:
    """ERC-721 metadata (EIP-721), with the attributes that OpenSea shows and the edition number of HashLips' tools."""
    return {**common_metadata(edition, number, record, traits), "edition": number}


def erc1155(edition: Edition, number: int, record: Record, traits: dict[str, str]) -> dict[str, Any]:
    """ERC-1155 metadata (EIP-1155); the name of its file is the token's number in 64 hexadecimal digits."""
    return {**common_metadata(edition, number, record, traits), "decimals": 0}


def metaplex(edition: Edition, number: int, record: Record, traits: dict[str, str]) -> dict[str, Any]:
    """Metadata of Metaplex's non-fungible standard; its files are numbered from 0."""
    common, title, tail = common_metadata(edition, number, record, traits), edition.info.title, f" #{number}"
    info, moving = edition.info, "html" if edition.info.live else moving_kind(edition, record)
    plain = {"description": f"{record['text']}\n\n{statement(edition)}"} if info.format >= PLAINER_MARKDOWN else {}
    picture, *pieces = (
        {"uri": edition.image_uri(number, kind=kind), "type": MEDIA_TYPES[kind]}
        for kind in ("png", *edition.pieces(record))
    )
    listed = info.live and info.format >= LIVE_LISTED
    live = [{"uri": common["animation_url"], "type": MEDIA_TYPES["html"]}] if listed else []
    return {
        **common,
        **plain,
        "name": truncate(title, METAPLEX_NAME - len(tail)) + tail,
        "symbol": symbol(title, info.format),
        "properties": {**common["properties"], "category": CATEGORIES[moving], "files": [picture, *live, *pieces]},
    }


def symbol(title: str, set_format: int) -> str:
    """Metaplex' symbol: of a title that is too long the beginning of each word, up to METAPLEX_SYMBOL bytes in all."""
    title = title.upper()
    words = re.findall(r"[^\W_]+", title) if set_format >= SHARED_SYMBOL else ["".join(filter(str.isalnum, title))]
    if words and len("".join(words).encode()) > METAPLEX_SYMBOL:
        share = METAPLEX_SYMBOL // len(words)
        least = [len(word[0].encode()) if set_format >= WHOLE_LETTERS else 1 for word in words]
        words = [truncate(word, max(size, share)) for word, size in zip(words, least, strict=True)]
    return truncate("".join(words), METAPLEX_SYMBOL)


def contract(edition: Edition) -> dict[str, Any]:
    """Metadata of the whole collection as OpenSea reads it, with licence and source of the training text."""
    info, count = edition.info, len(edition.records)
    texts = f"{count} text" + "s" * (count != 1 or info.format < PLURALS)
    return {
        "name": info.title,
        "description": info.description or f"{texts} after {info.name}. {STATEMENT}",
        **({"image": edition.image_uri(1, "images")} if edition.records else {}),
        "machine_generated": True,
        "curated": edition.curated,
        "tokens": len(edition.records),
        "chosen_from": edition.chosen_from,
        **({"training_text": origin_of(info)} if info.format >= TEXT_OF else origin_of(info)),
    }
