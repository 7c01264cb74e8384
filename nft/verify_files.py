"""Verifies the files of a set: texts byte for byte, pictures pixel for pixel, and that no others are among them."""

import re
from pathlib import Path

import matplotlib
import numpy as np
from PIL import features

from command.console import progress
from command.messages import counted
from command.places import is_link, is_regular
from config.errors import listed
from nft.animation import Shown, pictures_of
from nft.edition import Edition
from nft.files import FOLDERS, File, beside, compared_part, files, holds, strangers_in
from nft.findings import Findings
from nft.image import pixels_of
from nft.metadata import csv_table, no_formula_begins
from nft.store import LINK, SetFolder
from pages.themes import Theme
from utils import UserError

TABLE, PAGE = "tokens.csv", ".html"
PAGES = (PAGE, ".svg")
# format: ends of files that its versions wrote differently: up to 2, wide characters covered their neighbours; the
# contact sheet changed within the formats 3 to 6 and with format 10, and all pages with format 11
WRITTEN_OTHERWISE = {1: (*PAGES, TABLE), 2: PAGES, **dict.fromkeys(range(3, 11), (PAGE,))}
FILM, MOVING = ".mp4", (".gif", ".webp", ".apng")
PACKERS = {".apng": ".png"}  # both by zlib; each other kind by a library of its own
PART = re.compile(r"\..+\.part")  # what a write that was killed left
BLOCK = 50  # pixels; how much ink blocks of this side hold shows which text it is, not how its edges are drawn
TICK = 10  # milliseconds, by which GIF counts
MOST_APART = 0.15  # share of the ink that may lie in other blocks where another version drew the same text


def check_files(found: Findings, folder: SetFolder, edition: Edition) -> None:
    """Compare every file with the one that the tokens give, and name files that belong to no token."""
    expected: set[str] = set()
    earlier: list[str] = []
    pictures = Pictures(edition.theme)
    for name in FOLDERS:
        if is_link(folder.path / name):
            found.differs(f"{name}: {LINK}")
    with progress("tokens' files compared", len(edition.records)) as advance:
        for file in files(edition):
            expected.add(file.path)
            path = folder.path / file.path
            if path.is_symlink():
                found.differs(f"{file.path}: {LINK}")
            elif not path.is_file():
                found.differs(f"{file.path}: missing")
            elif not file.exact:
                pictures.compare(file, path)
            elif not holds(path, file.content()):
                if may_be_earlier(folder, file, edition):
                    earlier.append(file.path)
                else:
                    found.differs(f"{file.path}: not what its tokens make of it")
            advance(file.path.endswith(".png"))
    if earlier:
        what = "written by an earlier version, or changed since; export writes all files again"
        found.not_checked(f"{listed(earlier)}: {what}")
    pictures.report(found)
    check_extra(found, folder, expected)


def may_be_earlier(folder: SetFolder, file: File, edition: Edition) -> bool:
    """Whether a text file of other bytes may be one that an earlier version wrote."""
    if file.path.endswith(WRITTEN_OTHERWISE.get(edition.info.format, ())):
        return True
    return file.path == TABLE and holds(folder.path / TABLE, csv_table(edition, no_formula_begins).encode())


def check_extra(found: Findings, folder: SetFolder, expected: set[str]) -> None:
    """Name what lies in the set's own folders, or beside them, and does not follow from its tokens."""
    inside = strangers_in(folder, expected)
    for path in [*beside(folder, expected), *inside]:
        if PART.fullmatch(Path(path).name) and is_regular(folder.path / path):
            found.not_checked(f"{path}: left by a write that was killed; it may be deleted")
        elif path in inside:
            found.differs(f"{path}: belongs to no token")
        else:
            found.not_checked(f"{path}: no file of a set")


class Pictures:
    """Compares pictures with those drawn here; another version of a library may draw edges differently."""

    def __init__(self, theme: Theme) -> None:
        self.theme = theme
        self.same: set[str] = set()  # libraries by which one file shows the same as here
        self.alike: set[str] = set()  # ends of files of which one is the same, byte for byte
        self.packed: list[str] = []  # animations that show the same in other bytes
        self.similar: list[str] = []
        self.foreign: list[str] = []  # that show another text
        self.unlike = 0  # that other machines draw otherwise
        self.films = 0  # that are not drawn here

    def compare(self, file: File, path: Path) -> None:
        """Sort a picture by its pixels: the same, similar enough for another version's drawing, or another picture."""
        kind = path.suffix
        try:
            drawn_here = file.content()
        except UserError:  # without ffmpeg
            self.films += 1
            return
        data = compared_part(path, drawn_here)
        if data == drawn_here:
            self.alike.add(PACKERS.get(kind, kind))
        if file.same(data, drawn_here):
            self.same.add(library_of(file.path))
            if data != drawn_here and kind in MOVING:  # their other bytes may hold anything
                self.packed.append(file.path)
        elif not (SIMILAR if file.alike else WHOLE)[kind](data, drawn_here, self.theme):
            self.foreign.append(file.path)
        elif file.alike:
            self.similar.append(file.path)
        else:
            self.unlike += 1

    def report(self, found: Findings) -> None:
        """Report what differs. A version draws all pictures alike: if one is the same, all others must be."""
        forged = [path for path in self.similar if library_of(path) in self.same]
        forged += [path for path in self.packed if PACKERS.get(end := Path(path).suffix, end) in self.alike]
        for path in self.foreign + forged:
            found.differs(f"{path}: not the picture of its text")
        if count := self.unlike:
            what = "characters that DejaVu Sans Mono lacks, marks on letters, or text from right to left"
            found.not_checked(f"{counted(count, 'picture')} with {what}, which other machines may have drawn otherwise")
        if left := [path for path in self.packed if path not in forged]:
            found.not_checked(f"the bytes of {counted(len(left), 'animation')}: here they would be packed otherwise")
        unknown = [path for path in self.similar if path not in forged]
        films = [path for path in unknown if path.endswith(FILM)]
        if count := self.films + len(films):
            found.not_checked(f"what is seen in {counted(count, 'film')}: no ffmpeg is here that writes the same bytes")
        if left := len(unknown) - len(films):
            bidi = f"FriBiDi {features.version('fribidi')}" if features.check("fribidi") else "no FriBiDi"
            here = f"Pillow {features.version('pil')}, FreeType {features.version('freetype2')}, {bidi}"
            found.not_checked(
                f"the pixels of {counted(left, 'picture')}: no picture is the same as here, with {here} and "
                f"matplotlib {matplotlib.__version__}, so others drew them; they were compared roughly"
            )


def is_similar(data: bytes, drawn_here: bytes, theme: Theme) -> bool:
    """Whether two pictures have their ink in the same blocks, as the same text has, whatever version drew it."""
    pixels, own = pixels_of(data), pixels_of(drawn_here)
    return pixels is not None and own is not None and similar_ink(pixels, own, theme)


def similar_ink(pixels: np.ndarray, own: np.ndarray, theme: Theme) -> bool:
    """Whether two (H, W, 3) pictures have their ink in the same blocks."""
    high, wide = (size // BLOCK for size in own.shape[:2])
    shape = (high, BLOCK, wide, BLOCK, 3)
    found, wanted = (
        np.abs(np.array(theme.ground) - rgb[: high * BLOCK, : wide * BLOCK]).reshape(shape).sum((1, 3, 4))
        for rgb in (pixels, own)
    )
    return bool(np.abs(found - wanted).sum() <= MOST_APART * wanted.sum())


def in_rows(frame: Shown) -> np.ndarray:
    """(H, W, 3) of a frame."""
    width, height = frame.size
    return np.frombuffer(frame.rgb, np.uint8).reshape(height, width, 3)


def library_of(path: str) -> str:
    """Which library has written a picture: pictures of one version of it are all the same, or all others."""
    return "ffmpeg" if path.endswith(FILM) else "Pillow"


def has_similar_frames(data: bytes, drawn_here: bytes, theme: Theme) -> bool:
    """Whether two animations have frames of the same size and time, with their ink in the same blocks."""
    frames, own = pictures_of(data), pictures_of(drawn_here)
    if [(frame.size, frame.milliseconds) for frame in frames] != [(frame.size, frame.milliseconds) for frame in own]:
        return False
    return all(similar_ink(in_rows(one), in_rows(other), theme) for one, other in zip(frames, own, strict=True))


def is_picture(data: bytes, *_: object) -> bool:
    return pixels_of(data) is not None


def plays_alike(data: bytes, drawn_here: bytes, _: Theme) -> bool:
    """Whether two animations are as large and as long; which frames Pillow joins depends on what they show."""
    frames, own = pictures_of(data), pictures_of(drawn_here)
    length, own_length = (sum(frame.milliseconds for frame in shown) for shown in (frames, own))
    sizes = {frame.size for frame in frames} == {frame.size for frame in own}
    return sizes and abs(length - own_length) <= TICK * len(own)


def is_film(data: bytes, drawn_here: bytes, _: Theme) -> bool:
    """Whether a file begins as an MP4 does: other versions of ffmpeg write other bytes."""
    return data[4:8] == drawn_here[4:8]


# whether a file shows the same text as one that is drawn here; and, where machines draw it otherwise, what it is at all
SIMILAR = {".png": is_similar, **dict.fromkeys(MOVING, has_similar_frames), FILM: is_film}
WHOLE = {".png": is_picture, **dict.fromkeys(MOVING, plays_alike), FILM: is_film}
