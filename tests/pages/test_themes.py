"""Themes: every text in every colour of them can be read."""

import pytest

from nft.player import CONTROL_INK
from pages.themes import FULL_INK, THEMES, Colour


def luminance(colour: Colour) -> float:
    """Relative luminance by WCAG 2."""
    red, green, blue = (c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_every_text_can_be_read(theme):
    # WCAG 2.2, success criteria 1.4.6 for what is written, 1.4.3 for what stands for a moment and for controls
    for colour, least in ((theme.shade(FULL_INK), 7), (theme.fresh, 4.5), (theme.shade(CONTROL_INK), 4.5)):
        dark, light = sorted(luminance(each) for each in (theme.ground, colour))
        assert (light + 0.05) / (dark + 0.05) >= least


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_a_viewer_who_prefers_dark_pages_gets_one(theme):
    dark = THEMES[theme.dark]
    assert dark.dark == theme.dark and luminance(dark.ground) < luminance(dark.ink)


def test_the_noise_of_a_long_text_is_as_long_and_takes_no_time():
    text = "ab c" * 100_000
    noise = {name: theme.noise_of(text) for name, theme in THEMES.items()}
    assert all(len(found) == len(text) for found in noise.values())
    assert set(noise["night"]) == set("abc") and set(noise["paper"]) == {""} and set(noise["frost"]) == {"\u2588"}
