"""A token's picture: its text in a monospace face on a plain ground, as PNG and SVG. Knows nothing of sets."""

import io
import re
import textwrap
from functools import cache
from html import escape
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

SIDE, MARGIN = 1000, 90  # pixels
ROOM = SIDE - 2 * MARGIN
SIZES = (72, 60, 50, 42, 36, 30, 26, 22, 18, 15, 12, 10)  # of the letters, the largest that lets all text in
LINE_HEIGHT = 1.5  # of the letters' size
GROUND, INK = (246, 243, 236), (29, 28, 26)
FULL, FAINT = 255, 105  # how much ink text and caption get, of 255
CAPTION_SIZE = 22
LONG_WORD = 30  # letters from which a word, an address say, may be broken over lines
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2
FACE = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf"  # comes with matplotlib, on every system
ADVANCE = 0.602  # width of every DejaVu Sans Mono letter, of its size


@cache
def face(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FACE, size)


def unpictured(text: str) -> set[str]:
    """The characters that the face lacks, emoji and Chinese ones for example: a picture shows boxes for them."""
    return {character for character in set(text) if glyph(NOT_XML.sub("\ufffd", character)) == glyph("\uffff")}


@cache
def glyph(character: str) -> bytes:
    image = Image.new("L", (2 * CAPTION_SIZE, 2 * CAPTION_SIZE))
    ImageDraw.Draw(image).text((0, 0), character, FULL, face(CAPTION_SIZE))
    return image.tobytes()


def layout(text: str) -> tuple[int, list[str]]:
    """-> the letters' size and the lines; a text too long for the smallest ends in an ellipsis.

    Characters that XML cannot hold show as U+FFFD, in either kind of picture.
    """
    text = NOT_XML.sub("\ufffd", text)
    size = next((size for size in SIZES if fits(text, *grid(size))), SIZES[-1])
    columns, rows = grid(size)
    lines = wrapped(text, columns)
    if len(lines) > rows:
        lines = [*lines[: rows - 1], lines[rows - 1][: columns - 1] + "\u2026"]
    return size, lines


def grid(size: int) -> tuple[int, int]:
    """Letters in a line and lines on a card, above the caption."""
    return int(ROOM / (ADVANCE * size)), int((ROOM - 2 * CAPTION_SIZE) / (LINE_HEIGHT * size))


def fits(text: str, columns: int, rows: int) -> bool:
    """Whether all of it has room, with no word broken but very long ones."""
    return len(wrapped(text, columns)) <= rows and all(len(word) <= max(columns, LONG_WORD) for word in text.split())


def wrapped(text: str, columns: int) -> list[str]:
    return [line for part in text.split("\n") for line in textwrap.wrap(part, columns, break_on_hyphens=False) or [""]]


def shade(ink: int) -> tuple[int, ...]:
    """The colour of so much ink, of 255, on the ground."""
    return tuple(round(g + (i - g) * ink / FULL) for g, i in zip(GROUND, INK, strict=True))


def png(text: str, caption: str) -> bytes:
    image = Image.new("L", (SIDE, SIDE), 0)  # how much ink: a byte a pixel, its colours in a palette
    draw = ImageDraw.Draw(image)
    size, lines = layout(text)
    for row, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + row * LINE_HEIGHT * size), line, FULL, face(size))
    draw.text((MARGIN, SIDE - MARGIN), caption, FAINT, face(CAPTION_SIZE), anchor="ls")
    buffer = io.BytesIO()
    image.putpalette([level for ink in range(FULL + 1) for level in shade(ink)])
    image.save(buffer, "PNG")
    return buffer.getvalue()


def svg(text: str, caption: str) -> str:
    ground, ink, faint = ("#" + bytes(shade(level)).hex() for level in (0, FULL, FAINT))
    size, lines = layout(text)
    rows = "".join(
        f'<text x="{MARGIN}" y="{MARGIN + round((row * LINE_HEIGHT + 0.93) * size)}">{escape(line)}</text>\n'
        for row, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" height="{SIDE}">\n'
        f'<rect width="{SIDE}" height="{SIDE}" fill="{ground}"/>\n'
        f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{size}" fill="{ink}" '
        f'xml:space="preserve">\n{rows}</g>\n'
        f'<text x="{MARGIN}" y="{SIDE - MARGIN}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" '
        f'font-size="{CAPTION_SIZE}" fill="{faint}">{escape(NOT_XML.sub(chr(0xFFFD), caption))}</text>\n</svg>\n'
    )
