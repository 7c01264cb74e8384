"""The fonts that pictures are drawn with: DejaVu Sans Mono, and for characters that it lacks what the machine has."""

import contextlib
import unicodedata
from functools import cache
from pathlib import Path

import matplotlib
from fontTools.ttLib import TTFont
from matplotlib.font_manager import findSystemFonts
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageChops, ImageDraw, ImageFont

from nft.layout import CHARACTER_WIDTH, shown

OWN = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf"  # matplotlib brings it to every system
SMALLEST = 6  # pixels, of a character that is made to fit its cell
BITMAP_SIZES = (109, 160, 136, 128, 96, 64)  # pixels that fonts of coloured bitmaps have; Noto's 109, Apple's 160
PALEST = 64  # ink of 255 for what is as light as the ground, so that it still stands out from it
RIGHT_TO_LEFT = ("R", "AL", "AN")  # bidirectional classes
LAID_OUT = ("Mn", "Mc", "Me", "Cf")  # categories of marks and of what is not seen
OF_BOXES = ("LastResort",)  # macOS's, which has a box for every character
UNSEEN = ("Z", "C", "M")  # categories of spaces, of controls and of marks, whose glyphs may be empty


@cache
def font(size: int, path: Path = OWN) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@cache
def bitmaps(path: Path) -> ImageFont.FreeTypeFont | None:
    """A font of coloured bitmaps, as most of emoji are, at the size that it has; None of any other font."""
    for size in (SMALLEST, *BITMAP_SIZES):
        with contextlib.suppress(OSError):  # it has no such size
            return None if (found := font(size, path)).size == SMALLEST else found
    return None


@cache
def characters_of(path: Path) -> frozenset[int]:
    """The code points that a font says it can draw; none of a damaged one."""
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: FreeType cannot read it
        font(SMALLEST, path)
        return frozenset(FT2Font(str(path)).get_charmap())
    if bitmaps(path):  # which FT2Font does not open; of a damaged one fontTools raises nearly anything
        with contextlib.suppress(Exception), TTFont(path, fontNumber=0, lazy=True) as found:
            return frozenset(found.getBestCmap() or ())
    return frozenset()


def draws(path: Path, character: str) -> bool:
    """Whether a font shows a character: glyphs that are only coloured layers stay empty here."""
    if ord(character) not in characters_of(path):
        return False
    with contextlib.suppress(OSError):
        found = bitmaps(path) or font(SMALLEST, path)
        return unicodedata.category(character).startswith(UNSEEN) or bool(found.getmask(character).getbbox())
    return False


@cache
def fonts_of_the_machine() -> list[Path]:
    """The installed fonts, always in the same order."""
    found = (path for path in map(Path, findSystemFonts()) if path.stem not in OF_BOXES)
    return sorted(found, key=lambda path: (path.name, path))


@cache
def font_of(character: str) -> Path | None:
    """The font that draws a character: our own, else the first of the machine that has it; None if none has."""
    return next((path for path in (OWN, *fonts_of_the_machine()) if draws(path, shown(character))), None)


def in_other_fonts(text: str) -> dict[str, Path | None]:
    """The characters of a text that our own font lacks, and the font that draws each; None where a box is drawn."""
    return {c: found for c in sorted({*text} - {*"\t\n\r"}) if (found := font_of(c)) != OWN}


def depends_on_machine(text: str) -> bool:
    """Whether machines may draw a text otherwise: in fonts of their own, or with and without FriBiDi."""
    return bool(in_other_fonts(text)) or any(map(is_laid_out, text))


def is_laid_out(character: str) -> bool:
    """Whether FriBiDi places a character by others: one written from right to left, a mark, or an invisible one."""
    return unicodedata.bidirectional(character) in RIGHT_TO_LEFT or unicodedata.category(character) in LAID_OUT


def draw_line(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], line: str, ink: int, size: int, *, light: bool
) -> None:
    """Draw a line of text, its upper left corner at a place; `light`: whether ink is lighter than the ground."""
    if not in_other_fonts(line):
        draw.text(place, line, ink, font(size))
        return
    for column, character in enumerate(line):
        there = (place[0] + column * CHARACTER_WIDTH * size, place[1])
        draw_character(draw, there, character, ink, size, light=light)


def draw_caption(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], caption: str, ink: int, size: int, *, light: bool
) -> None:
    """Draw a line of text on a baseline that begins at a place."""
    draw_line(draw, (place[0], place[1] - font(size).getmetrics()[0]), caption, ink, size, light=light)


def draw_character(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], character: str, ink: int, size: int, *, light: bool
) -> None:
    """Draw a character into its cell; one of another font in the middle, and small enough for it."""
    path = font_of(character) or OWN
    if path == OWN:
        draw.text(place, character, ink, font(size))
        return
    width = CHARACTER_WIDTH * size
    middle, baseline = place[0] + width / 2, place[1] + font(size).getmetrics()[0]
    if coloured := bitmaps(path):
        mask = inked(character, coloured, light)
        mask.thumbnail((width, size))
        draw.bitmap((round(middle - mask.width / 2), round(baseline - mask.height)), mask, ink)
        return
    fitting = max(SMALLEST, int(size * min(1, width / max(font(size, path).getlength(character), 1))))
    draw.text((middle, baseline), character, ink, font(fitting, path), anchor="ms")


def inked(character: str, coloured: ImageFont.FreeTypeFont, light: bool) -> Image.Image:
    """(H, W) ink of 0-255 of a coloured character: more of it the more its colours differ from the ground."""
    _, _, width, height = map(int, coloured.getbbox(character))
    colours = Image.new("RGBA", (width, height))
    ImageDraw.Draw(colours).text((0, 0), character, font=coloured, embedded_color=True)
    lightness = colours.convert("L")
    ink = lightness if light else ImageChops.invert(lightness)
    strong = ink.point([PALEST + level * (255 - PALEST) // 255 for level in range(256)])
    return ImageChops.multiply(strong, colours.getchannel("A"))
