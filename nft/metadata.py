"""A finished set's files, each a pure function of its tokens: what marketplaces read. Draws nothing, writes nothing."""

import csv
import io
import re
from typing import Any

from nft.store import Edition

STATEMENT = "Machine-generated text: written by a character-level discrete diffusion model, by no person."
METAPLEX_NAME, METAPLEX_SYMBOL = 32, 10  # bytes, the limits of Metaplex' Token Metadata program
MARKDOWN = re.compile(r"([\\`*_\[\]<>#~|!])")  # what marketplaces might read as such in a description


def one_line(text: str) -> str:
    r"""A stream's token may hold newlines, which a line shows as \n."""
    return text.replace("\n", "\\n")


def caption(edition: Edition, number: int) -> str:
    return f"{edition.info['title']} #{number}"


def rows(header: list[str], content: list[list[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([header, *content])
    return buffer.getvalue()


def csv_table(edition: Edition) -> str:
    keys = ("token_id", "seed", "attempt", "text", "chars", "sha256")
    content = [
        [number, *(record[key] for key in keys), " ".join(record["flags"]), *traits.values()]
        for number, record, traits in edition.numbered
    ]
    return rows(["number", *keys, "flags", *edition.bands], content)


def rarity_table(edition: Edition) -> str:
    """Tokens by falling information content, their traits beside it."""
    tokens, bits = edition.numbered, edition.bits
    order = sorted(range(len(tokens)), key=lambda i: (-bits[i], i))
    content = [
        [rank, tokens[i][0], tokens[i][1]["token_id"], f"{bits[i]:.4f}", *tokens[i][2].values()]
        for rank, i in enumerate(order, start=1)
    ]
    return rows(["rank", "number", "token_id", "bits", *edition.bands], content)


def attributes(traits: dict[str, str]) -> list[dict[str, str]]:
    return [{"trait_type": name, "value": value} for name, value in traits.items()]


def properties(edition: Edition, record: dict[str, Any]) -> dict[str, Any]:
    """What a token says of itself wherever it is shown: its text, where it comes from, that a machine wrote it."""
    own = {key: record[key] for key in ("text", "token_id", "seed", "attempt", "sha256", "model_sha256", "flags")}
    return {**own, "machine_generated": True, "curated": edition.info["curated"], "license": edition.info["license"]}


def description(edition: Edition, record: dict[str, Any]) -> str:
    chosen = "Chosen by hand from a larger set." if edition.info["curated"] else "Not chosen by hand."
    text = MARKDOWN.sub(r"\\\1", record["text"])
    return f"{text}\n\n{STATEMENT} {chosen}"


def cut(text: str, size: int) -> str:
    """The beginning of a text that takes up at most so many bytes of UTF-8."""
    return text.encode("utf-8")[:size].decode("utf-8", errors="ignore")


def shown(edition: Edition, number: int, record: dict[str, Any], traits: dict[str, str]) -> dict[str, Any]:
    """What every kind of metadata says of a token."""
    return {
        "name": caption(edition, number),
        "description": description(edition, record),
        "image": edition.image(number),
        "attributes": attributes(traits),
        "properties": properties(edition, record),
    }


def erc721(edition: Edition, number: int, record: dict[str, Any], traits: dict[str, str]) -> dict[str, Any]:
    """EIP-721's metadata with the attributes that OpenSea shows and the edition number that HashLips' tools read."""
    return {**shown(edition, number, record, traits), "edition": number}


def erc1155(edition: Edition, number: int, record: dict[str, Any], traits: dict[str, str]) -> dict[str, Any]:
    """EIP-1155's metadata; its file is named by the token's number in 64 hexadecimal digits."""
    return {**shown(edition, number, record, traits), "decimals": 0}


def metaplex(edition: Edition, number: int, record: dict[str, Any], traits: dict[str, str]) -> dict[str, Any]:
    """Metaplex's non-fungible standard; numbers start at 0 there."""
    common, title, tail = shown(edition, number, record, traits), edition.info["title"], f" #{number}"
    files = [{"uri": common["image"], "type": "image/png"}]
    return {
        **common,
        "name": cut(title, METAPLEX_NAME - len(tail)) + tail,
        "symbol": cut("".join(filter(str.isalnum, title)).upper(), METAPLEX_SYMBOL),
        "properties": {**common["properties"], "category": "image", "files": files},
    }


def contract(edition: Edition) -> dict[str, Any]:
    """What is said of the whole collection, as OpenSea reads it, and where the texts that taught it come from."""
    info = edition.info
    return {
        "name": info["title"],
        "description": info["description"] or f"{len(edition.records)} texts after {info['name']}. {STATEMENT}",
        "image": edition.image(1, "images"),
        "machine_generated": True,
        "curated": info["curated"],
        "tokens": len(edition.records),
        "chosen_from": info["chosen_from"],
        "license": info["license"],
        "source": info["source"],
    }
