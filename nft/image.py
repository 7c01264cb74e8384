"""The picture of a token: its text in a monospace font on a plain background, as PNG and as SVG."""

import io
import re
import zlib
from collections.abc import Iterator
from html import escape

import numpy as np
from PIL import Image, ImageDraw

from nft.fonts import draw_caption, draw_line
from nft.formats import RIGHT_TO_LEFT, SET_FORMAT
from nft.layout import CAPTION_SIZE, LINE_HEIGHT, MARGIN, SIDE, WIDE, WIDE_SCALE, layout, reads_leftward, shown
from pages.themes import CAPTION_INK, FULL_INK, Theme

FONTS = "DejaVu Sans Mono, Menlo, Consolas, monospace"
BASELINE = 0.93  # from the top of a line down, times the font size
SIGNATURE = b"\x89PNG\r\n\x1a\n"  # how a PNG begins
# the chunks of a picture that is only pixels: any other may change what a viewer shows, or says what nobody checked
PLAIN = re.compile(rb"IHDR(PLTE)?(IDAT)+IEND")
MOST_BYTES = {b"IHDR": 13, b"PLTE": 3 * 256, b"IEND": 0}  # in these chunks: of more a viewer shows nothing
LARGEST = 4 * SIDE * SIDE  # bytes of its file; RGB takes 3 a pixel even where nothing is compressed


def png(text: str, caption: str, theme: Theme, *, set_format: int = SET_FORMAT) -> bytes:
    """The picture as the bytes of a PNG file of SIDE x SIDE pixels."""
    image = Image.new("L", (SIDE, SIDE), 0)  # one byte a pixel: its ink; a palette gives the colours
    draw = ImageDraw.Draw(image)
    size, lines = layout(text, set_format=set_format)
    for row, line in enumerate(lines):
        draw_line(draw, (MARGIN, MARGIN + row * LINE_HEIGHT * size), line, FULL_INK, size, light=theme.light)
    draw_caption(draw, (MARGIN, SIDE - MARGIN), caption, CAPTION_INK, CAPTION_SIZE, light=theme.light)
    buffer = io.BytesIO()
    image.putpalette([level for ink in range(FULL_INK + 1) for level in theme.shade(ink)])
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


def narrow(line: str) -> str:
    """A line as an SVG holds it: wide characters are drawn small enough for their cells."""
    return WIDE.sub(f'<tspan font-size="{WIDE_SCALE}em">\\g<0></tspan>', escape(line))


def svg_size(height: int) -> str:
    """The attributes of an SVG of SIDE x height pixels; a smaller window shows all of its width."""
    return f'viewBox="0 0 {SIDE} {height}" width="{SIDE}" height="{height}" style="max-width:100%;height:auto"'


def beginning(text: str) -> str:
    """The attributes of lines that begin at the left, or at the right as those of Arabic and Hebrew."""
    return f'x="{SIDE - MARGIN}" direction="rtl"' if reads_leftward(text) else f'x="{MARGIN}"'


def svg(text: str, caption: str, theme: Theme, *, set_format: int = SET_FORMAT) -> str:
    """The same picture as SVG: the text stays text, in any monospace font that the viewer has."""
    background, ink, caption_ink = (theme.web(level) for level in (0, FULL_INK, CAPTION_INK))
    size, lines = layout(text, set_format=set_format)
    side, caption_side = (beginning(each if set_format >= RIGHT_TO_LEFT else "") for each in (text, caption))
    rows = "".join(
        f'<text {side} y="{MARGIN + round((row * LINE_HEIGHT + BASELINE) * size)}">{narrow(line)}</text>\n'
        for row, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {svg_size(SIDE)}>\n'
        f'<rect width="{SIDE}" height="{SIDE}" fill="{background}"/>\n'
        f'<g font-family="{FONTS}" font-size="{size}" fill="{ink}" '
        f'xml:space="preserve">\n{rows}</g>\n'
        f'<text {caption_side} y="{SIDE - MARGIN}" font-family="{FONTS}" '
        f'font-size="{CAPTION_SIZE}" fill="{caption_ink}">{escape(shown(caption))}</text>\n</svg>\n'
    )
