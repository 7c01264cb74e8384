"""The fonts that pictures are drawn with: DejaVu Sans Mono, and for characters that it lacks what the machine has."""

import contextlib
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.font_manager import findSystemFonts
from matplotlib.ft2font import FT2Font
from PIL import ImageDraw, ImageFont

from nft.layout import CHARACTER_WIDTH, shown

OWN = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf"  # matplotlib brings it to every system
SMALLEST = 6  # pixels, of a character that is made to fit its cell


@cache
def font(size: int, path: Path = OWN) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@cache
def characters_of(path: Path) -> frozenset[int]:
    """The code points that a font can draw at any size; none of a font of bitmaps, or a damaged one."""
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: FreeType cannot read it
        ImageFont.truetype(path, SMALLEST)
        return frozenset(FT2Font(str(path)).get_charmap())
    return frozenset()


@cache
def fonts_of_the_machine() -> list[Path]:
    """The installed fonts, always in the same order."""
    return sorted(map(Path, findSystemFonts()), key=lambda path: (path.name, path))


@cache
def font_of(character: str) -> Path | None:
    """The font that draws a character: our own, else the first of the machine that has it; None if none has."""
    code = ord(shown(character))
    return next((path for path in (OWN, *fonts_of_the_machine()) if code in characters_of(path)), None)


def others(text: str) -> dict[str, Path | None]:
    """The characters of a text that our own font lacks, and the font that draws each; None where a box is drawn."""
    return {c: found for c in sorted({*text} - {*"\t\n\r"}) if (found := font_of(c)) != OWN}


def draw_line(draw: ImageDraw.ImageDraw, place: tuple[float, float], line: str, ink: int, size: int) -> None:
    """Draw a line of text with its upper left corner at a place."""
    if not others(line):
        draw.text(place, line, ink, font(size))
        return
    for column, character in enumerate(line):
        draw_character(draw, (place[0] + column * CHARACTER_WIDTH * size, place[1]), character, ink, size)


def draw_character(draw: ImageDraw.ImageDraw, place: tuple[float, float], character: str, ink: int, size: int) -> None:
    """Draw a character into its cell; one of another font in the middle, and small enough for it."""
    path = font_of(character) or OWN
    if path == OWN:
        draw.text(place, character, ink, font(size))
        return
    width = CHARACTER_WIDTH * size
    fitting = max(SMALLEST, int(size * min(1, width / max(font(size, path).getlength(character), 1))))
    middle, baseline = place[0] + width / 2, place[1] + font(size).getmetrics()[0]
    draw.text((middle, baseline), character, ink, font(fitting, path), anchor="ms")
