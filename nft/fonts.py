"""The fonts that pictures are drawn with: DejaVu Sans Mono, and for characters that it lacks what the machine has."""

import contextlib
import re
import unicodedata
from functools import cache
from itertools import groupby
from pathlib import Path

import matplotlib
from fontTools.ttLib import TTFont
from matplotlib.font_manager import findSystemFonts
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageChops, ImageDraw, ImageFont

from nft.layout import CHARACTER_WIDTH, WIDE, reads_leftward, shown
from text.vocabulary import is_visible

OWN = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf"  # matplotlib brings it to every system
PLAIN = OWN.with_name("DejaVuSans.ttf")  # and this one, which looks the same and has more characters
STYLED = re.compile("Bold|Black|Italic|Oblique|Light|Thin|Medium|Condensed|Math")  # names of faces that are not plain
OF_EMOJI = re.compile("emoji|emj", re.IGNORECASE)  # names of fonts of emoji
SMALLEST = 6  # pixels, of a character that is made to fit its cell
BITMAP_SIZES = (109, 160, 136, 128, 96, 64)  # pixels that fonts of coloured bitmaps have; Noto's 109, Apple's 160
PALEST = 64  # ink of 255 for what is as light as the ground, so that it still stands out from it
RIGHT_TO_LEFT = ("R", "AL", "AN")  # bidirectional classes
RIGHT_TO_LEFT_MARK = "\u200f"  # shows nothing; what begins with it is laid out from right to left
LAID_OUT = ("Mn", "Mc", "Me", "Cf")  # categories of marks and of what is not seen
OF_BOXES = ("LastResort",)  # macOS's, which has a box for every character
UNSEEN = ("Z", "C", "M")  # categories of spaces, of controls and of marks, whose glyphs may be empty
SYMBOL = "[\xa9\xae\u203c-\u3299\U0001f000-\U0001faff]"  # where emoji are, among other characters
# what is drawn apart from the text around it: a flag; a key; a symbol that a variation selector, a tone of skin, the
# name of a region, or others joined to it make an emoji; a wide character
APART = re.compile(
    f"([\U0001f1e6-\U0001f1ff]{{2}}|[#*0-9]\ufe0f?\u20e3"
    f"|{SYMBOL}(?:[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]|\u200d{SYMBOL})+|{WIDE.pattern})"
)


@cache
def font(size: int, path: Path = OWN) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def lays_out() -> bool:
    """Whether Pillow found FriBiDi, with which it orders letters, joins them, and sets marks on them."""
    return font(SMALLEST).layout_engine == ImageFont.Layout.RAQM


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
    """PLAIN and the installed fonts, always in the same order: those of emoji first, then plain faces."""
    found = (path for path in map(Path, findSystemFonts()) if path.stem not in OF_BOXES)
    return sorted({PLAIN, *found}, key=rank)


def rank(path: Path) -> tuple[bool, bool, bool, bool, str, Path]:
    """The order of fonts; emoji come first, since some fonts of text have a few of them."""
    name = path.stem
    return not OF_EMOJI.search(name), path != PLAIN, bool(STYLED.search(name)), "Sans" not in name, path.name, path


@cache
def font_of(part: str) -> Path | None:
    """The font that draws a character, or several as a whole: our own, else the first that has all; None if none has.

    For an emoji of several characters those of emoji come before our own, whose heart is a black sign.
    """
    needed = {c for c in shown(part) if is_visible(c) or c.isspace()} or shown(part)
    paths = [OWN, *fonts_of_the_machine()]
    if len(part) > 1 and APART.fullmatch(part):
        paths.sort(key=lambda path: not OF_EMOJI.search(path.stem))
    return next((path for path in paths if all(draws(path, c) for c in needed)), None)


def in_other_fonts(text: str) -> dict[str, Path | None]:
    """The characters of a text that our own font lacks, and the font that draws each; None where a box is drawn."""
    return {c: found for c in sorted({*text} - {*"\t\n\r"}) if (found := font_of(c)) != OWN}


def depends_on_machine(text: str) -> bool:
    """Whether machines may draw a text otherwise: in fonts of their own, or with and without FriBiDi."""
    return bool(in_other_fonts(text)) or any(map(is_laid_out, text))


def is_laid_out(character: str) -> bool:
    """Whether FriBiDi places a character by others: one written from right to left, a mark, or an invisible one."""
    return unicodedata.bidirectional(character) in RIGHT_TO_LEFT or unicodedata.category(character) in LAID_OUT


def drawn_by_others(line: str) -> dict[str, Path | None]:
    """What our own font does not draw of a line, and the font that draws each part; None where a box is drawn."""
    if not in_other_fonts(line):
        return {}
    return {part: path for part in parts(line) if any(map(is_visible, part)) and (path := font_of(part)) != OWN}


def parts(line: str) -> list[str]:
    """The parts of a line that are drawn each as a whole, in the order in which they stand from left to right."""
    found = APART.split(line)
    if not (reads_leftward(line) and lays_out()):
        return [whole for part in found for whole in wholes(part)]
    found = [part if APART.fullmatch(part) else RIGHT_TO_LEFT_MARK + part for part in found if part]
    known = [whole for part in found for whole in wholes(part)]
    runs = [(left, [*run]) for left, run in groupby(known, lambda part: unicodedata.bidirectional(part[0]) == "L")]
    return [part for left, run in reversed(runs) for part in (run if left else reversed(run))]


def wholes(part: str) -> list[str]:
    """A part whole if a font can draw it so; else its words, if they are to be laid out; else its characters."""
    path, laid_out = font_of(part), any(map(is_laid_out, part))
    if path and (path == OWN or APART.fullmatch(part) or (laid_out and not bitmaps(path))):
        return [part] if part else []
    words = re.split(r"(\s+)", part) if laid_out else []
    return [whole for word in words for whole in wholes(word)] if len(words) > 1 else [*part]


def draw_line(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], line: str, ink: int, size: int, *, light: bool
) -> None:
    """Draw a line of text, its upper left corner at a place; `light`: whether ink is lighter than the ground."""
    if not in_other_fonts(line):
        draw.text(place, line, ink, font(size))
        return
    left, top = place
    for part in parts(line):
        left += draw_character(draw, (left, top), part, ink, size, light=light)


def draw_caption(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], caption: str, ink: int, size: int, *, light: bool
) -> None:
    """Draw a line of text on a baseline that begins at a place."""
    draw_line(draw, (place[0], place[1] - font(size).getmetrics()[0]), caption, ink, size, light=light)


def draw_character(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], character: str, ink: int, size: int, *, light: bool
) -> float:
    """Draw a character, or several as a whole, no wider than their cells, nor smaller than one; -> the width taken."""
    cell, path = CHARACTER_WIDTH * size, font_of(character) or OWN
    if not any(map(is_visible, character)):
        return cell * sum(map(str.isspace, character))
    if not lays_out():  # then what shows nothing would be a box
        character = "".join(c for c in character if is_visible(c) or c.isspace())
    if path == OWN:
        draw.text(place, character, ink, font(size))
        return font(size).getlength(character) if len(character) > 1 else cell
    width, baseline = cell * len(character.strip(RIGHT_TO_LEFT_MARK)), place[1] + font(size).getmetrics()[0]
    if coloured := bitmaps(path):
        mask = inked(character, coloured, light)
        mask.thumbnail((width, cell))
        draw.bitmap((round(place[0] + max(0, cell - mask.width) / 2), round(baseline - mask.height)), mask, ink)
        return max(cell, mask.width)
    fitting = font(max(SMALLEST, int(size * min(1, width / max(font(size, path).getlength(character), 1)))), path)
    taken = max(cell, fitting.getlength(character))
    draw.text((place[0] + (taken - fitting.getlength(character)) / 2, baseline), character, ink, fitting, anchor="ls")
    return taken


def inked(character: str, coloured: ImageFont.FreeTypeFont, light: bool) -> Image.Image:
    """(H, W) ink of 0-255 of a coloured character: more of it the more its colours differ from the ground."""
    _, _, width, height = map(int, coloured.getbbox(character))
    colours = Image.new("RGBA", (width, height))
    ImageDraw.Draw(colours).text((0, 0), character, font=coloured, embedded_color=True)
    lightness = colours.convert("L")
    ink = lightness if light else ImageChops.invert(lightness)
    strong = ink.point([PALEST + level * (255 - PALEST) // 255 for level in range(256)])
    return ImageChops.multiply(strong, colours.getchannel("A"))
