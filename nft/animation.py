"""A token as an animation of pixels: GIF, WebP and APNG through Pillow, MP4 through ffmpeg where it is found."""

import io
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageSequence

from command.libraries import program
from generation.course import Change
from nft.fonts import draw_caption, draw_character
from nft.formats import SET_FORMAT
from nft.layout import CAPTION_SIZE, CHARACTER_WIDTH, LINE_HEIGHT, MARGIN, SIDE, page
from nft.timeline import Timeline, seen, timeline
from pages.themes import CAPTION_INK, FULL_INK, THEMES, Theme
from utils import UserError

MOST_FRAMES = 45
SCALE = 0.6  # of the picture's pixels; the files of a set are a tenth as large
FRAME_SIDE = round(SIDE * SCALE)
MOST_PIXELS = 4 * SIDE * SIDE  # of a frame
TALLEST = MOST_PIXELS // FRAME_SIDE  # pixels; of a taller page all is smaller
LEVELS = 16  # shades from ground to ink: enough for the edges of letters
PER_SECOND = 10  # frames of a film
Frames = list[tuple[Image.Image, int]]  # (H, W) levels 0-255 of ink, and milliseconds


def frames(text: str, course: Sequence[Change], caption: str, theme: Theme, *, set_format: int = SET_FORMAT) -> Frames:
    """The pictures of an animation, from noise to the finished text."""
    times = timeline(course, MOST_FRAMES)
    laid = page(text, set_format=set_format)
    scale = min(SCALE, TALLEST / laid.height)
    canvas = Image.new("L", (round(SIDE * scale) // 2 * 2, round(laid.height * scale) // 2 * 2), 0)
    draw = ImageDraw.Draw(canvas)
    left, bottom = MARGIN * scale, (laid.height - MARGIN) * scale
    draw_caption(draw, (left, bottom), caption, CAPTION_INK, max(1, round(CAPTION_SIZE * scale)), light=theme.light)
    width, high = CHARACTER_WIDTH * laid.size * scale, LINE_HEIGHT * laid.size * scale
    shown: Frames = []
    for frame, written in enumerate(by_frame(text, times, theme)):
        for place, character, ink in written:
            if cell := laid.cells[place]:
                x, y = left + cell[1] * width, left + cell[0] * high
                corner = round(x), round(y)  # a cell has a pixel at least
                draw.rectangle((*corner, *map(max, corner, (round(x + width) - 1, round(y + high) - 1))), 0)
                if not character.isspace():
                    draw_character(draw, (x, y), character, ink, max(1, round(laid.size * scale)), light=theme.light)
        last = frame == times.frames
        seconds = (times.length if last else times.seconds(frame + 1)) - times.seconds(frame)
        shown.append((canvas.copy(), round(1000 * seconds)))
    return shown


def by_frame(text: str, times: Timeline, theme: Theme) -> list[list[tuple[int, str, int]]]:
    """What changes in each frame: (place, character, ink)."""
    changes: list[list[tuple[int, str, int]]] = [[] for _ in range(times.frames + 1)]
    for span, ink in seen(times, text, theme):
        changes[span.first].append((span.place, span.character, ink))
    return changes


def in_colour(image: Image.Image, theme: Theme) -> Image.Image:
    """A picture of ink with a palette of LEVELS shades."""
    step = 256 // LEVELS
    coloured = image.point([level // step for level in range(256)]).copy()
    coloured.putpalette([c for level in range(LEVELS) for c in theme.shade(round(level * FULL_INK / (LEVELS - 1)))])
    return coloured


def by_pillow(kind: str, **options: object) -> Callable[[Frames, Theme], bytes]:
    """Writes frames as one of Pillow's formats, to be played for ever."""

    def write(shown: Frames, theme: Theme) -> bytes:
        first, *others = (in_colour(image, theme) for image, _ in shown)
        buffer, durations = io.BytesIO(), [milliseconds for _, milliseconds in shown]
        first.save(buffer, kind, save_all=True, append_images=others, duration=durations, loop=0, **options)
        return buffer.getvalue()

    return write


def mp4(shown: Frames, theme: Theme) -> bytes:
    """Writes frames as H.264, which phones and marketplaces play."""
    width, height = shown[0][0].size
    given = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {PER_SECOND} -i -"
    wanted = "-c:v libx264 -threads 1 -pix_fmt yuv420p -crf 20 -movflags +faststart"
    plain = "-fflags +bitexact -flags:v +bitexact -map_metadata -1"  # nothing that differs from one run to the next
    command = [find_ffmpeg(), "-v", "error", *f"{given} {wanted} {plain}".split()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.mp4"
        pixels = b"".join(
            in_colour(image, theme).convert("RGB").tobytes() * max(1, round(milliseconds * PER_SECOND / 1000))
            for image, milliseconds in shown
        )
        done = subprocess.run([*command, str(path)], input=pixels, capture_output=True, check=False)
        if done.returncode or not path.exists():
            raise UserError(f"ffmpeg could not write an mp4: {done.stderr.decode(errors='replace').strip()[:200]}")
        return path.read_bytes()


def find_ffmpeg() -> str:
    """The path of ffmpeg; UserError if it is not installed."""
    if not (path := program("ffmpeg")):
        what = "mp4 needs ffmpeg, which is not here; install it, or leave mp4 out"
        raise UserError(f"{what}: of collection.pieces, or of a set that is there with export --pieces")
    return path


WRITERS: dict[str, Callable[[Frames, Theme], bytes]] = {
    "gif": by_pillow("GIF", optimize=False, disposal=1),
    "webp": by_pillow("WEBP", lossless=True, method=2),
    "apng": by_pillow("PNG"),
    "mp4": mp4,
}


def check_mp4() -> None:
    """Raise UserError if no mp4 can be written here; one without a text is tried."""
    paper = THEMES["paper"]
    mp4(frames("", [], "", paper), paper)


def same_animation(first: bytes, second: bytes) -> bool:
    """Whether two files show the same: how they are compressed depends on Pillow's version."""
    return first == second or pictures_of(first) == pictures_of(second) != []


class Shown(NamedTuple):
    """A frame as a viewer sees it."""

    size: tuple[int, int]  # pixels: width, height
    rgb: bytes
    milliseconds: int


def pictures_of(data: bytes) -> list[Shown]:
    """The frames of a file; none of a damaged or large file, or one that ends or is not opaque."""
    try:
        with Image.open(io.BytesIO(data), formats=["GIF", "WEBP", "PNG"]) as image:
            if image.width * image.height > MOST_PIXELS or getattr(image, "n_frames", 1) > MOST_FRAMES + 1:
                return []
            shown = [(frame.convert("RGBA"), frame.info.get("duration", 0)) for frame in ImageSequence.Iterator(image)]
            opaque = all(frame.getchannel("A").getextrema() == (255, 255) for frame, _ in shown)
            if image.info.get("loop") != 0 or not opaque:
                return []
            return [Shown(frame.size, frame.convert("RGB").tobytes(), int(time)) for frame, time in shown]
    except Exception:  # of a damaged file Pillow raises anything
        return []
