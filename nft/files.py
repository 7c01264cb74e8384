"""The list of all files that follow from the tokens of a set: export writes them, verify recomputes them."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from nft import image
from nft.contact_sheet import contact_sheet
from nft.metadata import caption, contract, csv_table, erc721, erc1155, metaplex, rarity_table
from nft.provenance import provenance
from nft.store import Edition, SetFolder, indented_json
from text.vocabulary import one_line
from utils import write_atomic

# these folders hold the files listed here and no others: write_files empties them, verify names what does not belong
FOLDERS = ("json", "erc1155", "metaplex", "images")


class File(NamedTuple):
    """A file of a set: its path in the set's folder, and what makes its bytes."""

    path: str
    content: Callable[[], bytes]
    exact: bool = True  # whether the bytes are the same with every library version; those of a PNG depend on Pillow's


def files(edition: Edition) -> Iterator[File]:
    """All files of a set, each a function of the published tokens alone."""
    for path, text in text_files(edition):
        yield File(path, partial(str.encode, text, "utf-8"))
    for number, record, _ in edition.numbered:
        content = partial(image.png, record["text"], caption(edition, number))  # drawn only where it is wanted
        yield File(f"images/{number}.png", content, exact=False)


def text_files(edition: Edition) -> Iterator[tuple[str, str]]:
    """Path in the set's folder and content of each file that is text."""
    yield f"{edition.info['name']}.txt", "".join(one_line(record["text"]) + "\n" for record in edition.records)
    yield "tokens.csv", csv_table(edition)
    yield "rarity.csv", rarity_table(edition)
    yield "traits.json", indented_json(edition.bands)
    yield "contract.json", indented_json(contract(edition))
    yield "json/_metadata.json", indented_json([erc721(edition, *token) for token in edition.numbered])
    for number, record, traits in edition.numbered:
        yield f"json/{number}.json", indented_json(erc721(edition, number, record, traits))
        yield f"erc1155/{number:064x}.json", indented_json(erc1155(edition, number, record, traits))
        yield f"metaplex/{number - 1}.json", indented_json(metaplex(edition, number, record, traits))
        yield f"images/{number}.svg", image.svg(record["text"], caption(edition, number))
    yield "provenance.json", indented_json(provenance(edition))
    yield "index.html", contact_sheet(edition)


def write_files(folder: SetFolder) -> None:
    """Write all files of a set again."""
    edition = folder.edition()  # read before anything is deleted: a damaged set keeps its files
    for name in FOLDERS:
        shutil.rmtree(folder.path / name, ignore_errors=True)
        (folder.path / name).mkdir(exist_ok=True)
    for file in files(edition):
        write_atomic(folder.path / file.path, file.content())
