"""Every file of a set that follows from its tokens: one list."""

import shutil
from collections.abc import Iterator

from nft import image as card
from nft.contact_sheet import sheet
from nft.metadata import caption, contract, erc721, erc1155, metaplex, one_line, rarity_table, table
from nft.provenance import provenance
from nft.store import Edition, SetFolder, readable

FOLDERS = ("json", "erc1155", "metaplex", "images")  # holding a file a token each


def files(edition: Edition) -> Iterator[tuple[str, str]]:
    """(path in the set's folder, content) of what marketplaces and people read."""
    name = edition.info["name"]
    yield f"{name}.txt", "".join(one_line(record["text"]) + "\n" for record in edition.records)
    yield "tokens.csv", table(edition)
    yield "rarity.csv", rarity_table(edition)
    yield "traits.json", readable(edition.bands)
    yield "contract.json", readable(contract(edition))
    yield "json/_metadata.json", readable([erc721(edition, *token) for token in edition.numbered])
    for number, record, traits in edition.numbered:
        yield f"json/{number}.json", readable(erc721(edition, number, record, traits))
        yield f"erc1155/{number:064x}.json", readable(erc1155(edition, number, record, traits))
        yield f"metaplex/{number - 1}.json", readable(metaplex(edition, number, record, traits))
        yield f"images/{number}.svg", card.svg(record["text"], caption(edition, number))


def images(edition: Edition) -> Iterator[tuple[str, bytes]]:
    """(path in the set's folder, PNG) of every token; its bytes may differ between versions of Pillow."""
    for number, record, _ in edition.numbered:
        yield f"images/{number}.png", card.png(record["text"], caption(edition, number))


def write_files(folder: SetFolder) -> None:
    """Everything that follows from the tokens, anew."""
    edition = folder.edition()
    for name in FOLDERS:
        shutil.rmtree(folder.path / name, ignore_errors=True)
        (folder.path / name).mkdir(exist_ok=True)
    for path, content in texts(edition):
        (folder.path / path).write_bytes(content.encode("utf-8"))
    for path, content in images(edition):
        (folder.path / path).write_bytes(content)


def texts(edition: Edition) -> Iterator[tuple[str, str]]:
    yield from files(edition)
    yield "provenance.json", readable(provenance(edition))
    yield "index.html", sheet(edition)
