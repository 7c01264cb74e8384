"""The list of all files that follow from the tokens of a set; writes them, and nothing that is not the set's own."""

import contextlib
import operator
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from command.console import progress
from command.outputs import OutputRecord
from command.places import is_link, is_protected, is_regular
from config.data_file import is_of_a_system
from nft import fonts, image
from nft.animated_svg import animated_svg
from nft.animation import WRITERS, Frames, frames, same_animation
from nft.contact_sheet import contact_sheet
from nft.edition import Edition
from nft.metadata import contract, csv_table, erc721, erc1155, metaplex, picture_caption, rarity_table
from nft.player import player
from nft.provenance import provenance
from nft.store import LOCK, SOURCES, SetFolder, indented_json
from nft.traits import Record
from pages.themes import Theme
from text.vocabulary import one_line
from utils import UserError, hash_file

FOLDERS = ("json", "erc1155", "metaplex", "images")
# the names that a token's files have: what a record names otherwise, a stranger wrote into it
OF_A_TOKEN = re.compile(
    r"json/[0-9]+\.json|erc1155/[0-9a-f]{64}\.json|metaplex/[0-9]+\.json|images/[0-9]+\.[a-z0-9]+", re.ASCII
)
RECORD = ".written.jsonl"  # of the files that were written
ROOM = 4  # times the size of a file that another packer's may have
BATCH = 100  # files that are made before they are written together


class File(NamedTuple):
    """A file of a set: its path in the set's folder, and what makes its bytes."""

    path: str
    content: Callable[[], bytes]
    same: Callable[[bytes, bytes], bool] = operator.eq  # the bytes of a picture depend on the version of Pillow
    alike: bool = True  # False where other fonts or FriBiDi take part, so that machines may draw other letters

    @property
    def exact(self) -> bool:
        """Whether the bytes are the same with every version of the libraries."""
        return self.same is operator.eq


def files(edition: Edition) -> Iterator[File]:
    """All files of a set, each a function of the published tokens and their courses alone."""
    for path, text in text_files(edition):
        yield File(path, partial(str.encode, text, "utf-8"))
    yield from pictures(edition)


def pictures(edition: Edition) -> Iterator[File]:
    """The picture of each token, and what plays how it was written, but for what is text."""
    for number, record, _ in edition.numbered:
        look = (picture_caption(edition, number), edition.theme)
        content = partial(image.png, record["text"], *look, set_format=edition.info.format)  # drawn where it is wanted
        alike = not fonts.depends_on_machine(record["text"] + look[0])
        yield File(f"images/{number}.png", content, image.same_picture, alike)
        if kinds := [kind for kind in edition.pieces(record) if kind in WRITERS]:
            course = edition.course(record)
            written = "".join(change.characters for change in course)  # that the text may lack
            alike = alike and not fonts.depends_on_machine(written)
            drawn = cache(partial(frames, record["text"], course, *look, set_format=edition.info.format))  # once
            for kind in kinds:
                yield File(f"images/{number}.{kind}", partial(film, kind, drawn, edition.theme), same_animation, alike)


def film(kind: str, drawn: Callable[[], Frames], theme: Theme) -> bytes:
    """The file of one of WRITERS that shows these frames."""
    return WRITERS[kind](drawn(), theme)


def text_files(edition: Edition) -> Iterator[tuple[str, str]]:
    """Path in the set's folder and content of each file that is text."""
    yield f"{edition.info.name}.txt", "".join(one_line(record["text"]) + "\n" for record in edition.records)
    yield "tokens.csv", csv_table(edition)
    yield "rarity.csv", rarity_table(edition)
    yield "traits.json", indented_json(edition.bands)
    yield "contract.json", indented_json(contract(edition))
    yield "json/_metadata.json", indented_json([erc721(edition, *token) for token in edition.numbered])
    for number, record, traits in edition.numbered:
        yield f"json/{number}.json", indented_json(erc721(edition, number, record, traits))
        yield f"erc1155/{number:064x}.json", indented_json(erc1155(edition, number, record, traits))
        yield f"metaplex/{number - 1}.json", indented_json(metaplex(edition, number, record, traits))
        yield from pages(edition, number, record)
    yield "provenance.json", indented_json(provenance(edition))
    yield "index.html", contact_sheet(edition)


def pages(edition: Edition, number: int, record: Record) -> Iterator[tuple[str, str]]:
    """The picture of a token as SVG, which moves where its course is known, and the page that plays it."""
    look, kinds = (picture_caption(edition, number), edition.theme), edition.pieces(record)
    text, course = record["text"], edition.course(record)
    svg = partial(animated_svg, text, course) if "svg" in kinds else partial(image.svg, text)
    yield f"images/{number}.svg", svg(*look, set_format=edition.info.format)
    if "html" in kinds:
        yield f"images/{number}.html", player(text, course, *look)


def is_made_of(file: File, path: Path) -> bool:
    """Whether a file is what the tokens make of it; of a picture, the same pixels are enough."""
    try:
        content = file.content()
    except UserError:  # a film, without ffmpeg
        return False
    return file.same(compared_part(path, content), content)


def compared_part(path: Path, content: bytes) -> bytes:
    """As much of a file as is compared with this content: another packer's may have more bytes than it."""
    return beginning(path, max(ROOM * len(content), image.LARGEST) + 1)


def holds(path: Path, content: bytes) -> bool:
    """Whether a file holds these bytes and no more."""
    return beginning(path, len(content) + 1) == content


def beginning(path: Path, size: int) -> bytes:
    """At most so many bytes of a file, which a stranger may have made larger than the memory."""
    with path.open("rb") as file:
        return file.read(size)


def known_files(folder: SetFolder, *, growing: bool = False) -> OutputRecord:
    """The record of the files that were written, to be read before the set is changed.

    A set of an earlier version has no record, nor has one that was copied without its hidden files: the files that its
    tokens make are taken up. Raises UserError where `write_files` could not write the set again; but a set that is
    `growing` may still lack tokens that it publishes.
    """
    record = OutputRecord(folder.path / RECORD)
    for path in (folder.path / name for name in FOLDERS):
        if is_link(path) or (path.exists() and not path.is_dir()):
            raise UserError(f"{path}: not a folder of this set; move it away")
    known = record.path.exists()
    if not folder.has("samples.jsonl") or (known and growing):
        return record
    try:
        edition = folder.edition()
        for file in () if known else files(edition):
            path = folder.path / file.path
            if is_regular(path) and is_made_of(file, path):
                record.add(file.path, hash_file(path))
    except UserError:
        if growing and folder.info().courses:  # its courses may still be mended, and tokens drawn that it publishes
            return record
        raise
    if not known:
        record.close(record.hashes)
    return record


def write_files(folder: SetFolder, edition: Edition, record: OutputRecord) -> list[str]:
    """Write all files of a set again, and remove those of earlier runs that no token has now; -> what is left as it is.

    What the record does not know is a person's: it stays, whatever its name, as does what was made read-only.
    """
    for name in FOLDERS:
        (folder.path / name).mkdir(exist_ok=True)
    expected: set[str] = set()
    left: list[str] = []
    batch: dict[str, bytes] = {}
    with progress("files of tokens written", len(edition.records)) as advance:
        for file in files(edition):
            expected.add(file.path)
            content = file.content()
            if record.is_foreign(file.path, content) or is_kept(folder.path / file.path, content):
                left.append(file.path)
            else:
                batch[file.path] = content
            if len(batch) == BATCH:
                record.write(batch)
                batch = {}
            advance(file.path.endswith(".png"))
    record.write(batch)
    for path in record.hashes.keys() - expected:
        there = folder.path / path
        if OF_A_TOKEN.fullmatch(path) and is_regular(there) and record.knows(path):
            if is_protected(there):
                left.append(path)
            else:
                there.unlink()
    record.close(expected - {*left} | {path for path in left if record.knows(path)})
    return list(dict.fromkeys(left + strangers_in(folder, expected)))


def hashes_of_pictures(record: OutputRecord) -> dict[str, set[str]]:
    """The hashes of the pictures and pieces that a record knows, by their paths."""
    return {path: {*hashes} for path, hashes in record.hashes.items() if path.startswith("images/")}


def is_kept(path: Path, content: bytes) -> bool:
    """Whether somebody made a file of other content read-only."""
    return is_protected(path) and not (is_regular(path) and holds(path, content))


def strangers_in(folder: SetFolder, expected: set[str]) -> list[str]:
    """What lies in the folders of a set and belongs to no token. Raises OSError for a folder that may not be listed."""
    there = [name for name in FOLDERS if (folder.path / name).is_dir()]
    present = [f"{name}/{file.name}" for name in there for file in (folder.path / name).iterdir()]
    return sorted(path for path in {*present} - expected if not is_of_a_system(folder.path / path))


def beside(folder: SetFolder, expected: set[str]) -> list[str]:
    """What lies beside the folders of a set and is none of its files."""
    undeclared = set() if folder.info().courses else {"courses.jsonl"}
    known = {*expected, *FOLDERS, *SOURCES, LOCK} - undeclared
    with contextlib.suppress(UserError):  # of what this program cannot have written
        known.add(OutputRecord(folder.path / RECORD).path.name)
    present = (path for path in folder.path.iterdir() if path.name not in known)
    return sorted(path.name for path in present if not is_of_a_system(path))
