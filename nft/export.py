"""Every file of a set that follows from its tokens, in one list: what is published, and what `verify` recomputes."""

import shutil
from collections.abc import Iterator
from typing import NamedTuple

from nft import image
from nft.contact_sheet import contact_sheet
from nft.metadata import caption, contract, csv_table, erc721, erc1155, metaplex, one_line, rarity_table
from nft.provenance import provenance
from nft.store import Edition, SetFolder, readable

FOLDERS = ("json", "erc1155", "metaplex", "images")  # each holds a file a token, and nothing else


class File(NamedTuple):
    """A file of a set: its path in the set's folder, and its bytes."""

    path: str
    content: bytes
    exact: bool = True  # whether every version of the libraries makes the same bytes; Pillow's PNG may differ


def files(edition: Edition) -> Iterator[File]:
    """All files of a set, each a pure function of the published tokens."""
    for path, text in texts(edition):
        yield File(path, text.encode("utf-8"))
    for number, record, _ in edition.numbered:
        yield File(f"images/{number}.png", image.png(record["text"], caption(edition, number)), exact=False)


def texts(edition: Edition) -> Iterator[tuple[str, str]]:
    """(path in the set's folder, content) of the files that are text."""
    yield f"{edition.info['name']}.txt", "".join(one_line(record["text"]) + "\n" for record in edition.records)
    yield "tokens.csv", csv_table(edition)
    yield "rarity.csv", rarity_table(edition)
    yield "traits.json", readable(edition.bands)
    yield "contract.json", readable(contract(edition))
    yield "json/_metadata.json", readable([erc721(edition, *token) for token in edition.numbered])
    for number, record, traits in edition.numbered:
        yield f"json/{number}.json", readable(erc721(edition, number, record, traits))
        yield f"erc1155/{number:064x}.json", readable(erc1155(edition, number, record, traits))
        yield f"metaplex/{number - 1}.json", readable(metaplex(edition, number, record, traits))
        yield f"images/{number}.svg", image.svg(record["text"], caption(edition, number))
    yield "provenance.json", readable(provenance(edition))
    yield "index.html", contact_sheet(edition)


def write_files(folder: SetFolder) -> None:
    """Write all files of a set anew."""
    edition = folder.edition()  # before anything goes: a damaged set keeps its files
    for name in FOLDERS:
        shutil.rmtree(folder.path / name, ignore_errors=True)
        (folder.path / name).mkdir(exist_ok=True)
    for file in files(edition):
        (folder.path / file.path).write_bytes(file.content)
