"""A picture shows what its typeface has, every text fits, and no text takes long."""

import io
import textwrap
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nft.fonts import OWN, PALEST, bitmaps, draws, font_of, fonts_of_the_machine, in_other_fonts
from nft.image import png
from nft.layout import FONT_SIZES, LONG_WORD, SIDE, WIDE, grid, layout
from pages.themes import THEMES

LONGEST = 1_000_000  # characters, of a text that a set may hold


def test_wide_characters_are_those_of_unicode():
    """Of what Python knows; between them stand places that no character has yet."""
    for code in range(0xD800):
        if unicodedata.category(character := chr(code)) != "Cn":
            assert bool(WIDE.match(character)) == (unicodedata.east_asian_width(character) in "WF"), hex(code)
    assert WIDE.fullmatch("\U0001f600") and WIDE.fullmatch("\U00020000") and not WIDE.match("\uff61")


def test_what_the_face_lacks_is_known():
    assert in_other_fonts("a naïve\u00a0Ω …\n\u200d🎉日א😀").keys() >= {"🎉", "日", "א"}
    # a picture shows tab and newline as space and as a new line
    assert not in_other_fonts("\t\n" + "".join(map(chr, range(32, 127))) + "éßñçøāžšΩжк–—“”…€²½")


def test_a_character_is_drawn_with_a_font_that_has_it_or_said_to_be_a_box(monkeypatch):
    """The machine has one other font: that of matplotlib which has Hebrew letters."""
    hebrew = OWN.with_name("DejaVuSans.ttf")
    monkeypatch.setattr("nft.fonts.findSystemFonts", lambda: [str(hebrew), str(OWN.with_name("cmb10.ttf"))])
    for cached in (fonts_of_the_machine, font_of):
        cached.cache_clear()
    try:
        assert in_other_fonts("aא日") == {"א": hebrew, "日": None}
        pictures = [png(text, "", THEMES["paper"]) for text in ("aא", "a日", "a")]
        assert len(set(pictures)) == 3
        assert len({png("a", caption, THEMES["paper"]) for caption in ("א #1", "ב #1", "日 #1")}) == 3
        _, lines = layout("aא")
        assert lines == ["aא"]
    finally:
        for cached in (fonts_of_the_machine, font_of):
            cached.cache_clear()


def test_a_damaged_font_draws_nothing_and_stops_nothing(tmp_path):
    """Without its table of characters, with a wrong one, cut short; as outlines and as coloured bitmaps."""
    for font in filter(None, [OWN, next((path for path in fonts_of_the_machine() if bitmaps(path)), None)]):
        whole = font.read_bytes()
        for number, data in enumerate(
            (whole.replace(b"cmap", b"xmap", 1), whole.replace(b"maxp", b"xaxp", 1), whole[:9000])
        ):
            damaged = tmp_path / f"{font.stem}{number}.ttf"
            damaged.write_bytes(data)
            assert not draws(damaged, "a") and not draws(damaged, "\N{PARTY POPPER}")


@pytest.mark.parametrize("theme", THEMES)
def test_emoji_of_a_coloured_font_are_drawn_in_shades_of_the_ink(theme):
    """A picture of them is neither empty nor a box, nor that of a silhouette; each differs from the next."""
    emoji = [c for c in "🎉🦀🎱📄" if (path := font_of(c)) and bitmaps(path)]
    if not emoji:
        pytest.skip("needs a font of coloured emoji (Debian: fonts-noto-color-emoji)")
    pictures = [Image.open(io.BytesIO(png(c, "", THEMES[theme]))) for c in emoji]
    inks = [np.asarray(picture) for picture in pictures]
    box = np.asarray(Image.open(io.BytesIO(png("\ue000", "", THEMES[theme]))))
    assert all(ink.max() >= PALEST and len(np.unique(ink)) > 20 and (ink != box).any() for ink in inks)
    assert len({ink.tobytes() for ink in inks}) == len(emoji)


def test_every_text_fits_its_card():
    for text in ("a", "word " * 10, "x" * 500, "word " * 300, "w" * 9000):
        size, lines = layout(text)
        assert lines and all(len(line) * 0.602 * size <= SIDE - 180 + 1e-6 for line in lines)
        assert len(lines) * 1.5 * size <= SIDE - 180
    assert "".join(layout("x" * 500)[1]) == "x" * 500 and layout("w" * 90_000)[1][-1].endswith("\u2026")


def whole_layout(text: str) -> tuple[int, list[str]]:
    """The same as `layout`, by wrapping all of the text at each size."""
    lines, rows, columns, size = [], 0, 0, 0
    for size in FONT_SIZES:
        columns, rows = grid(size)
        parts = [textwrap.wrap(part, columns, break_on_hyphens=False) or [""] for part in text.split("\n")]
        lines = [line for part in parts for line in part]
        if len(lines) <= rows and not any(columns < len(word) <= LONG_WORD for word in text.split()):
            return size, lines
    return size, lines if len(lines) <= rows else [*lines[: rows - 1], lines[rows - 1][: columns - 1] + "\u2026"]


def test_a_text_without_spaces_goes_over_lines_in_large_letters():
    """And so does a long address amid words; a word of up to thirty letters is never split."""
    chinese, address = "\u8fd9\u90e8\u7535\u5f71" * 35, "see https://x.org/" + "a" * 70 + " for more"
    for text, most, earlier in ((chinese, 48, 10), (address, 60, 18)):
        assert layout(text)[0] >= most / 1.5 and layout(text, set_format=10)[0] <= earlier, text
    word = "internationalization"
    assert word in layout(f"Fix {word} of documents")[1]
    assert max(map(len, layout("y" * 31)[1])) < 31 and layout("y" * 29)[1] == ["y" * 29]


RUN = st.tuples(st.sampled_from("ab \t\n\r\u00a0\u2003-"), st.integers(1, 450))


@given(st.lists(RUN.map(lambda run: run[0] * run[1]) | st.text("ab \n\u00a0", max_size=30), max_size=40))
def test_a_long_text_is_laid_out_as_if_all_of_it_were_wrapped(pieces):
    assert layout("".join(pieces)) == whole_layout("".join(pieces))


def test_a_text_of_any_length_is_laid_out_as_if_all_of_it_were_wrapped():
    for length in range(1, 12_000, 97):
        for text in ("words and more " * 800, "x" * 12_000, "- a\u00a0" * 3000):
            assert layout(text[:length]) == whole_layout(text[:length])


@pytest.mark.parametrize(
    "piece", ["x", "a b ", "\n", " ", "\t", "a\n", "word ", "a" + " " * 999, "\u00a0", " \u00a0", "\r\t"]
)
def test_no_text_takes_a_picture_long(piece):
    began = time.process_time()
    layout(piece * (LONGEST // len(piece)))
    layout((piece * (LONGEST // len(piece)))[:-2] + " a" * 2)
    layout("a" + piece * (LONGEST // len(piece)))
    assert time.process_time() - began < 20
