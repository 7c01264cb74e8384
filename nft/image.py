"""The picture of a token: its text in a monospace font on a plain background, as PNG and as SVG."""

import io
import re
import textwrap
import zlib
from collections.abc import Iterator
from functools import cache
from html import escape
from itertools import islice
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE, MARGIN = 1000, 90  # pixels
TEXT_SIDE = SIDE - 2 * MARGIN  # of the square for text and caption
FONT_SIZES = (72, 60, 50, 42, 36, 30, 26, 22, 18, 15, 12, 10)  # pixels; the largest at which all text fits is taken
LINE_HEIGHT = 1.5  # times the font size
BASELINE = 0.93  # from the top of a line down, times the font size
BACKGROUND, INK = (246, 243, 236), (29, 28, 26)  # RGB
FULL_INK, CAPTION_INK = 255, 105  # how dark text and caption are: 0 is the background, 255 is INK
CAPTION_SIZE = 22  # font size in pixels
LONG_WORD = 30  # characters; a word longer than this, a web address for example, may be split over lines
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2
SIGNATURE = b"\x89PNG\r\n\x1a\n"  # how a PNG begins
# the chunks of a picture that is only pixels: any other may change what a viewer shows, or says what nobody checked
PLAIN = re.compile(rb"IHDR(PLTE)?(IDAT)+IEND")
MOST_BYTES = {b"IHDR": 13, b"PLTE": 3 * 256, b"IEND": 0}  # in these chunks: of more a viewer shows nothing
LARGEST = 4 * SIDE * SIDE  # bytes of its file; RGB takes 3 a pixel even where nothing is compressed
FONT_FILE = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf"  # matplotlib brings it to every system
CHARACTER_WIDTH = 0.602  # of every DejaVu Sans Mono character, times the font size


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT_FILE, size)


def characters_without_glyph(text: str) -> set[str]:
    """The characters that the font lacks, for example emoji and Chinese; a PNG shows a box for each."""
    box = drawn("\uffff")  # which is no character
    return {character for character in {*text} - {*"\t\n"} if drawn(NOT_XML.sub("\ufffd", character)) == box}


@cache
def drawn(character: str) -> bytes:
    """The pixels of one character."""
    image = Image.new("L", (2 * CAPTION_SIZE, 2 * CAPTION_SIZE))
    ImageDraw.Draw(image).text((0, 0), character, FULL_INK, font(CAPTION_SIZE))
    return image.tobytes()


def layout(text: str) -> tuple[int, list[str]]:
    """The font size in pixels and the lines of a text; one too long for the smallest size ends in an ellipsis.

    Characters that XML cannot hold become U+FFFD, so that PNG and SVG show the same.
    """
    text = NOT_XML.sub("\ufffd", text)
    size = next((size for size in FONT_SIZES if fits(text, *grid(size))), FONT_SIZES[-1])
    columns, rows = grid(size)
    lines = first_lines(text, columns, rows + 1)
    if len(lines) > rows:
        lines = [*lines[: rows - 1], lines[rows - 1][: columns - 1] + "\u2026"]
    return size, lines


def grid(size: int) -> tuple[int, int]:
    """How many characters fit in a line, and how many lines fit above the caption."""
    return int(TEXT_SIDE / (CHARACTER_WIDTH * size)), int((TEXT_SIDE - 2 * CAPTION_SIZE) / (LINE_HEIGHT * size))


def fits(text: str, columns: int, rows: int) -> bool:
    """Whether the whole text fits, with no word split except very long ones."""
    if len(first_lines(text, columns, rows + 1)) > rows:
        return False
    return all(len(word) <= max(columns, LONG_WORD) for word in text.split())


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


def colour(ink: int) -> tuple[int, ...]:
    """RGB of an amount of ink from 0, the background, to 255."""
    return tuple(round(b + (i - b) * ink / FULL_INK) for b, i in zip(BACKGROUND, INK, strict=True))


def png(text: str, caption: str) -> bytes:
    """The picture as the bytes of a PNG file of SIDE x SIDE pixels."""
    image = Image.new("L", (SIDE, SIDE), 0)  # one byte a pixel: its ink; a palette gives the colours
    draw = ImageDraw.Draw(image)
    size, lines = layout(text)
    for row, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + row * LINE_HEIGHT * size), line, FULL_INK, font(size))
    draw.text((MARGIN, SIDE - MARGIN), caption, CAPTION_INK, font(CAPTION_SIZE), anchor="ls")
    buffer = io.BytesIO()
    image.putpalette([level for ink in range(FULL_INK + 1) for level in colour(ink)])
    image.save(buffer, "PNG")
    return buffer.getvalue()


def same_picture(first: bytes, second: bytes) -> bool:
    """Whether two PNG files show the same: how they are compressed depends on Pillow's version."""
    if first == second:
        return True
    one, other = pixels_of(first), pixels_of(second)
    return one is not None and other is not None and bool((one == other).all())


def pixels_of(data: bytes) -> np.ndarray | None:
    """(SIDE, SIDE, 3) RGB of a PNG; None if it is damaged, of another size, or holds more than plain pixels."""
    chunks = list(chunks_of(data))
    packed = b"".join(content for kind, content in chunks if kind == b"IDAT")
    if not PLAIN.fullmatch(b"".join(kind for kind, _ in chunks)):
        return None
    if any(len(content) > MOST_BYTES.get(kind, LARGEST) for kind, content in chunks):
        return None
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.size != (SIDE, SIDE) or image.mode not in ("P", "RGB"):
                return None
            # each row begins with a byte for its filter
            if not unpacks_to(SIDE * (1 + SIDE * len(image.getbands())), packed):
                return None
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # not a picture, or a damaged one
        return None


def unpacks_to(size: int, packed: bytes) -> bool:
    """Whether bytes are one whole zlib stream of this size and no more."""
    stream = zlib.decompressobj()
    try:
        return len(stream.decompress(packed, size + 1)) == size and stream.eof and not stream.unused_data
    except zlib.error:
        return False


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of a PNG's chunks, in order; the kind ? for one that is cut short or damaged, or no PNG's."""
    place = len(SIGNATURE) if data.startswith(SIGNATURE) else len(data) + 1
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        checked, checksum = data[place + 4 : place + 8 + size], data[place + 8 + size : place + 12 + size]
        whole = zlib.crc32(checked).to_bytes(4, "big") == checksum  # Pillow does not look at that of pixels
        yield checked[:4] if whole else b"?", checked[4:]
        place += 12 + size  # with length, kind and checksum
    if place != len(data):
        yield b"?", b""


def svg(text: str, caption: str) -> str:
    """The same picture as SVG: the text stays text, in any monospace font that the viewer has."""
    background, ink, caption_ink = ("#" + bytes(colour(level)).hex() for level in (0, FULL_INK, CAPTION_INK))
    size, lines = layout(text)
    rows = "".join(
        f'<text x="{MARGIN}" y="{MARGIN + round((row * LINE_HEIGHT + BASELINE) * size)}">{escape(line)}</text>\n'
        for row, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" height="{SIDE}">\n'
        f'<rect width="{SIDE}" height="{SIDE}" fill="{background}"/>\n'
        f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{size}" fill="{ink}" '
        f'xml:space="preserve">\n{rows}</g>\n'
        f'<text x="{MARGIN}" y="{SIDE - MARGIN}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" '
        f'font-size="{CAPTION_SIZE}" fill="{caption_ink}">{escape(NOT_XML.sub(chr(0xFFFD), caption))}</text>\n</svg>\n'
    )
