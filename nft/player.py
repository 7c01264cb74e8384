"""A token as one HTML page that plays how its text was written: it pauses, goes to any call, and needs no network."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from generation.course import Change, without_gaps
from nft.layout import WIDE, WIDE_SCALE, shown
from pages.template import filled, script_json
from pages.themes import FULL_INK, NOISE_INK, THEMES, Theme

TEMPLATE = Path(__file__).with_name("player.html")
CONTROL_INK = 180  # contrast with the ground of every theme: 4.5 and more, as WCAG 1.4.3 asks of text
MOST_CALLS = 240  # calls that a page plays one by one: player.html's MOST_PER_SECOND * LONGEST
MOSTLY_EMPTY = 4  # numbers of calls to each that wrote anything; other courses keep the numbers of their sampler
INKS = {"GROUND": 0, "INK": FULL_INK, "NOISE": NOISE_INK, "FAINT": CONTROL_INK}


def player(text: str, course: Sequence[Change], caption: str, theme: Theme) -> str:
    """The page; a viewer without scripts, or a screen reader, finds the finished text in it."""
    text = shown(text)
    dark = THEMES[theme.dark]
    if course and course[-1].step > max(MOST_CALLS, MOSTLY_EMPTY * len({change.step for change in course})):
        course = without_gaps(course)
    changes = [(step, positions, shown(characters)) for step, positions, characters in course]
    noise: str | list[str] = theme.noise_of(text)
    if max(joined := "".join(noise), default="") <= "\uffff":  # JavaScript counts a character beyond as two
        noise = joined
    colours = {f"<!--{name}-->": theme.web(ink) for name, ink in INKS.items()}
    dark_colours = {f"<!--DARK-{name}-->": dark.web(ink) for name, ink in INKS.items()}
    contents = {
        **colours, **dark_colours, "<!--TITLE-->": escape(shown(caption)),
        "<!--TEXT-->": escape(text).replace("\r", "&#13;"),  # HTML would read it as a line feed
        "/*COURSE*/[]": script_json(changes), '/*NOISE*/""': script_json(noise),
        '/*WIDE*/""': script_json(WIDE.pattern), "<!--WIDE-SCALE-->": str(WIDE_SCALE),
    }  # fmt: skip
    return filled(TEMPLATE, contents)
