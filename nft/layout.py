"""Lays out the text of a token on its picture: the font size, the lines, and where each character stands."""

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from nft.formats import LONG_WORDS_SPLIT, SET_FORMAT

SIDE, MARGIN = 1000, 90  # pixels
TEXT_SIDE = SIDE - 2 * MARGIN  # of the square for text and caption
FONT_SIZES = (72, 60, 50, 42, 36, 30, 26, 22, 18, 15, 12, 10)  # pixels; the largest at which all text fits is taken
SMALLEST = 22  # font size of a page that grows with its text instead of a smaller font: 9 pixels on a phone
LINE_HEIGHT = 1.5  # times the font size
CAPTION_SIZE = 22  # font size in pixels
LONG_WORD = 30  # characters; a word longer than this, a web address for example, may be split over lines
CHARACTER_WIDTH = 0.602  # of every DejaVu Sans Mono character, times the font size
# what browsers draw wider than a cell: East Asian wide characters (UAX #11, categories W and F), and all beyond U+FFFF,
# which each font draws in a width of its own
WIDE = re.compile(
    "[\u1100-\u115f\u231a\u231b\u2329\u232a\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693"
    "\u26a1\u26aa\u26ab\u26bd\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728"
    "\u274c\u274e\u2753-\u2755\u2757\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55\u2e80-\u303e\u3041-\u3247"
    "\u3250-\u4dbf\u4e00-\ua4c6\ua960-\ua97c\uac00-\ud7a3\uf900-\ufad9\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60"
    "\uffe0-\uffe6\U00010000-\U0010fffd]"
)
WIDE_SCALE = 0.48  # of the font size: emoji are up to 1.25 times as wide as their font is high
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def shown(text: str) -> str:
    """A text as files hold it: characters that XML cannot hold become U+FFFD."""
    return NOT_XML.sub("\ufffd", text)


def reads_leftward(text: str) -> bool:
    """Whether a text is read from right to left, by its first strong character (UAX #9, P2)."""
    strong = (kind for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL"))
    return next(strong, "L") != "L"


class Page(NamedTuple):
    """A text laid out to be watched: all of it, in a font that can be read, on a page as high as it needs."""

    size: int  # of the font, in pixels
    height: int  # of the page, whose width is SIDE
    cells: list[tuple[int, int] | None]  # row and column of each character; None for white space between lines

    def centre(self, place: int) -> tuple[int, int]:
        """Pixels from the left and from the top to the middle of a character that has a cell, and to its line's top."""
        row, column = self.cells[place] or (0, 0)
        middle = MARGIN + (column + 0.5) * CHARACTER_WIDTH * self.size
        return round(middle), round(MARGIN + row * LINE_HEIGHT * self.size)


def page(text: str, *, set_format: int = SET_FORMAT) -> Page:
    """The page of a text: that of `layout`, unless its font would be smaller than SMALLEST."""
    text = shown(text)
    size, lines = layout(text, set_format=set_format)
    if size < SMALLEST:
        size = SMALLEST
        lines = first_lines(text, grid(size)[0], len(text) + 1)
    height = 2 * MARGIN + 2 * CAPTION_SIZE + round(len(lines) * LINE_HEIGHT * size)
    return Page(size, max(SIDE, height), cells(text, lines))


def cells(text: str, lines: Sequence[str]) -> list[tuple[int, int] | None]:
    """Row and column of each character of a text that is broken into these lines."""
    found: list[tuple[int, int] | None] = [None] * len(text)
    place = 0
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            if character == " " and text[place : place + 1] not in tuple(" \t\r\x0b\x0c"):
                continue  # one of several that a tab became
            while character != " " and text[place] != character:
                place += 1  # white space at which a line was broken
            found[place] = (row, column)
            place += 1
    return found


def layout(text: str, *, set_format: int = SET_FORMAT) -> tuple[int, list[str]]:
    """The font size in pixels and the lines of a text; one too long for the smallest size ends in an ellipsis.

    Characters that XML cannot hold become U+FFFD, so that PNG and SVG show the same.
    """
    text = shown(text)
    size = next((size for size in FONT_SIZES if fits(text, *grid(size), set_format)), FONT_SIZES[-1])
    columns, rows = grid(size)
    lines = first_lines(text, columns, rows + 1)
    if len(lines) > rows:
        lines = [*lines[: rows - 1], lines[rows - 1][: columns - 1] + "\u2026"]
    return size, lines


def grid(size: int) -> tuple[int, int]:
    """How many characters fit in a line, and how many lines fit above the caption."""
    return int(TEXT_SIDE / (CHARACTER_WIDTH * size)), int((TEXT_SIDE - 2 * CAPTION_SIZE) / (LINE_HEIGHT * size))


def fits(text: str, columns: int, rows: int, set_format: int) -> bool:
    """Whether the whole text fits, with no word split except very long ones; in earlier sets only short ones were."""
    if len(first_lines(text, columns, rows + 1)) > rows:
        return False
    words = text.split()
    if set_format < LONG_WORDS_SPLIT:
        return all(len(word) <= max(columns, LONG_WORD) for word in words)
    return all(len(word) <= columns or len(word) > LONG_WORD for word in words)


def first_lines(text: str, columns: int, count: int) -> list[str]:
    """The first lines of a text, at most `count`."""
    return list(islice((line for part in text.split("\n") for line in wrap(part, columns, count)), count))


def wrap(part: str, columns: int, count: int) -> list[str]:
    """The lines of a text without line breaks, as textwrap parts them; the first `count` at least.

    textwrap's time grows with the square of a word's length, so it gets no more than these lines need: enough visible
    characters, and of long white space a part. What is left out of it are whole lines, which are never shown.
    """

    def shortened(white: re.Match[str]) -> str:
        return white[0][:columns] + white[0][-columns - len(white[0]) % columns :]

    long = 3 * columns
    part = re.sub(rf"[ \r]{{{long},}}|[^\S \r]{{{long},}}", shortened, part.expandtabs())
    needed = re.match(rf"\s*(?:\S\s*){{0,{columns * (count + 2)}}}", part)
    return textwrap.wrap(needed[0] if needed else "", columns, break_on_hyphens=False) or [""]
