"""Emoji are drawn as wholes, letters as their script joins and orders them; plain text has the pixels it always had."""

import io
import string

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, features

from nft import fonts
from nft.fonts import (
    OWN,
    bitmaps,
    depends_on_machine,
    draw_character,
    draws,
    font,
    font_of,
    fonts_of_the_machine,
    in_other_fonts,
)
from nft.image import png
from nft.layout import CAPTION_SIZE, CHARACTER_WIDTH, LINE_HEIGHT, MARGIN, SIDE, layout
from pages.themes import CAPTION_INK, FULL_INK, THEMES

CELL = CHARACTER_WIDTH * 72  # pixels, of a character of a short text
EMOJI = ("❤️", "1️⃣", "#️⃣", "👍🏽", "👍", "🇩🇪", "🇫🇷", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👩🏾‍🚀")
needs_fribidi = pytest.mark.skipif(not features.check("raqm"), reason="needs a Pillow that finds FriBiDi")


@pytest.fixture
def installed(monkeypatch):
    """A function that sets the fonts of the machine."""
    caches = (fonts_of_the_machine, font_of)

    def install(*paths):
        monkeypatch.setattr("nft.fonts.findSystemFonts", lambda: [str(path) for path in paths])
        for cached in caches:
            cached.cache_clear()

    yield install
    for cached in caches:
        cached.cache_clear()


def pixels(text: str, caption: str = "") -> np.ndarray:
    """(SIDE, SIDE) ink of a picture."""
    return np.asarray(Image.open(io.BytesIO(png(text, caption, THEMES["paper"]))))


def columns(text: str) -> tuple[float, float]:
    """Where the ink of a short text begins and ends, in cells of its line."""
    found = np.flatnonzero(pixels(text).any(0))
    return (found[0] - MARGIN) / CELL, (found[-1] + 1 - MARGIN) / CELL


PLAIN_TEXTS = (
    "Fix internationalization of documents, and 3 more things (see #12)",
    "Voilà une phrase naïve — «œuvre» … Zażółć gęślą jaźń; Жил-был пёс. Ωμέγα €½²",
    "word " * 300,
    "a\u00a0b\u2003c " + string.printable.strip(),
)


@pytest.mark.parametrize("text", PLAIN_TEXTS)
def test_plain_text_has_the_pixels_of_its_lines_in_our_own_font(text):
    """Those of each earlier version: pictures that no machine draws otherwise are compared by them."""
    expected = Image.new("L", (SIDE, SIDE), 0)
    draw = ImageDraw.Draw(expected)
    size, lines = layout(text)
    for row, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + row * LINE_HEIGHT * size), line, FULL_INK, font(size))
    height = font(CAPTION_SIZE).getmetrics()[0]
    draw.text((MARGIN, SIDE - MARGIN - height), "Small Birds #1", CAPTION_INK, font(CAPTION_SIZE))
    assert not depends_on_machine(text) and (pixels(text, "Small Birds #1") == np.asarray(expected)).all()


def test_a_film_has_the_pixels_of_its_plain_characters_in_our_own_font():
    for character in set("".join(PLAIN_TEXTS)) - {*string.whitespace}:
        images = [Image.new("L", (60, 60), 0) for _ in range(2)]
        draw_character(ImageDraw.Draw(images[0]), (5.3, 2), character, FULL_INK, 31, light=False)
        ImageDraw.Draw(images[1]).text((5.3, 2), character, FULL_INK, font(31))
        assert images[0].tobytes() == images[1].tobytes(), character


@pytest.mark.parametrize(
    "text",
    [*EMOJI, "❤\ufe0e", "a\u200db", "\u3164", "ế", "我", "שלום", "سلام", "к\u0301", "हिन्दी", "ไทย", "\ue000", "\u3000"],
)
def test_what_machines_draw_otherwise_is_known(text):
    assert depends_on_machine(f"so {text} it is")


@pytest.mark.parametrize("hidden", ["\ufe0f", "\ufe0e", "\u200d", "\u200b", "\u2060", "\u3164", "\U000e0020"])
def test_what_shows_nothing_leaves_no_trace(hidden):
    assert (pixels(f"we{hidden} go {hidden}") == pixels("we go")).all()
    image = Image.new("L", (60, 60), 0)
    draw_character(ImageDraw.Draw(image), (5, 5), hidden, FULL_INK, 40, light=False)  # in its own cell, as in a film
    assert not image.getbbox()


@needs_fribidi
def test_an_emoji_of_several_characters_is_drawn_as_one():
    """In one cell, with the text behind it close by; and as what all of its characters mean."""
    if not any(bitmaps(path) and all(draws(path, c) for c in "👍❤1🇩") for path in fonts_of_the_machine()):
        pytest.skip("needs a font of coloured emoji (Debian: fonts-noto-color-emoji)")
    for emoji in EMOJI:
        begins, ends = columns(emoji)
        assert begins >= 0 and ends <= 1.05, emoji
        assert columns(emoji + "x")[1] < 2.05 and columns(f"a {emoji}")[0] == columns("a")[0]
    seen = {*EMOJI, *(emoji[0] for emoji in EMOJI)}
    assert len({pixels(text).tobytes() for text in seen}) == len(seen)
    assert (pixels("❤\ufe0e") == pixels("❤")).all()  # the other selector asks for the sign


def test_an_emoji_that_no_font_has_as_one_is_drawn_by_its_characters(installed):
    installed()
    assert fonts.parts("a 👍🏽❤️") == ["a ", "👍", "🏽", "❤️"] and font_of("❤️") == OWN
    assert (pixels("❤️") == pixels("❤")).all()


def test_fonts_of_emoji_come_first_then_plain_faces(installed, tmp_path):
    names = ("NotoColorEmoji", "MySans", "Another", "AMathSans", "ThatSans-Bold", "A-Italic")
    installed(*(tmp_path / f"{name}.ttf" for name in sorted(names)))
    assert [path.stem for path in fonts_of_the_machine()] == [names[0], fonts.PLAIN.stem, *names[1:]]


def test_vietnamese_is_drawn_in_faces_that_look_the_same(installed):
    """On a machine without fonts, and with others that have its letters."""
    for others in ([], [OWN.with_name(f"{name}.ttf") for name in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif")]):
        installed(*others)
        used = in_other_fonts("Tiếng Việt của chúng tôi rất đẹp, ở đây ấm áp")
        assert {path and path.stem for path in used.values()} == {"DejaVuSans"}


@needs_fribidi
def test_a_line_of_hebrew_is_read_from_the_right(installed):
    installed()
    image = Image.new("L", (SIDE, SIDE), 0)
    face = ImageFont.truetype(OWN.with_name("DejaVuSans.ttf"), 72, layout_engine=ImageFont.Layout.BASIC)
    baseline = MARGIN + font(72).getmetrics()[0]
    ImageDraw.Draw(image).text((MARGIN, baseline), "יוון"[::-1], FULL_INK, face, anchor="ls")
    expected = np.asarray(image).astype(int)
    assert abs(pixels("יוון") - expected).sum() < 0.2 * expected.sum()  # which places letters at whole pixels
    plain, pointed = columns("שלום"), columns("שָׁלוֹם")
    assert abs(pointed[0] - plain[0]) < 0.1 and abs(pointed[1] - plain[1]) < 0.5  # no points in cells of their own


@needs_fribidi
@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("שלום 日本 abc", [" abc", "日", "本", "שלום "]),
        ("abc 👍🏽 שלום", ["abc ", "👍🏽", " שלום"]),
        ("שלום \ue000x ם", ["ם", " ", "\ue000", "x", " ", "שלום"]),  # no font has all of it: word by word
        ("ấm ❤️", [*"ấm ", "❤️"]),  # nothing to be laid out: each in its cell
    ],
)
def test_parts_stand_in_the_order_in_which_they_are_read(installed, line, seen):
    emoji = [path for path in fonts_of_the_machine() if bitmaps(path)]
    installed(*emoji)
    if not emoji:
        line, seen = line.replace("👍🏽", "日"), ["日" if part == "👍🏽" else part for part in seen]
    assert [part.strip("\u200f") for part in fonts.parts(line) if part != "\u200f"] == seen


def test_no_line_is_wider_than_its_cells(installed):
    """But for the last box, where it stands for a mark: that is wider than a cell."""
    installed()
    for text, more in (("\u0e01\u0e35" * 8, 1), ("ש" * 16, 0.3), ("שׁ" * 8, 0.3), ("ế" * 16, 0.3), ("日" * 16, 0.3)):
        begins, ends = columns(text)
        assert begins > -0.3 and ends <= len(text) + more, text
