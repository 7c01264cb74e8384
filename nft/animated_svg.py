"""A token as an animated SVG: its text being written, without a script, so that it plays inside an <img>.

Where animation is off, or not known, it shows the finished text.
"""

from collections import defaultdict
from collections.abc import Sequence
from html import escape

from generation.course import Change
from nft.formats import SET_FORMAT
from nft.image import BASELINE, FONTS, svg_size
from nft.layout import CAPTION_SIZE, MARGIN, SIDE, WIDE, WIDE_SCALE, page, shown
from nft.timeline import Timeline, seen, timeline
from pages.themes import CAPTION_INK, FULL_INK, NOISE_INK, Theme

MOST_FRAMES = 90
Glyphs = list[tuple[int, int, str]]  # pixels from the left and from the top, character
When = tuple[int, int | None]  # frames: the first that shows it, and the first that does not


def animated_svg(
    text: str, course: Sequence[Change], caption: str, theme: Theme, *, set_format: int = SET_FORMAT
) -> str:
    """The piece: characters that are seen in the same frames are one <text>, which one animation shows and hides."""
    laid, times = page(text, set_format=set_format), timeline(course, MOST_FRAMES)
    groups: dict[int, dict[When, Glyphs]] = {NOISE_INK: defaultdict(list), FULL_INK: defaultdict(list)}
    for (place, character, first, last), ink in seen(times, text, theme):
        if laid.cells[place] and character.strip():
            x, top = laid.centre(place)
            groups[ink][first, last].append((x, top + round(BASELINE * laid.size), character))
    moving = sorted({when for group in groups.values() for when in group} - {(0, None)}, key=str)
    names = {when: f"k{k}" for k, when in enumerate(moving)}
    body = [
        f'<g fill="{theme.web(ink)}">\n{"".join(element(when, glyphs, names) for when, glyphs in group.items())}</g>\n'
        for ink, group in groups.items()
        if group
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {svg_size(laid.height)} role="img">\n'
        f"<title>{escape(shown(caption))}</title>\n"
        f"<desc>{escape(shown(text))}</desc>\n"
        f"<style>\n{style(times, names)}</style>\n"
        f'<rect width="{SIDE}" height="{laid.height}" fill="{theme.web(0)}"/>\n'
        f'<g class="t" font-family="{FONTS}" font-size="{laid.size}" text-anchor="middle">\n{"".join(body)}</g>\n'
        f'<text x="{MARGIN}" y="{laid.height - MARGIN}" font-family="{FONTS}" font-size="{CAPTION_SIZE}" '
        f'fill="{theme.web(CAPTION_INK)}">{escape(shown(caption))}</text>\n</svg>\n'
    )


def element(when: When, glyphs: Glyphs, names: dict[When, str]) -> str:
    """Characters, each with a place of its own, that are seen at the same time; `h` hides what is not the end's."""
    classes = " ".join(filter(None, ["h" * (when[1] is not None), names.get(when, "")]))
    wide = [glyph for glyph in glyphs if WIDE.match(glyph[2])]
    others = [glyph for glyph in glyphs if not WIDE.match(glyph[2])]
    places = "".join(f' {"xy"[axis]}="{" ".join(str(glyph[axis]) for glyph in others)}"' for axis in (0, 1) if others)
    content = escape("".join(shown(character) for _, _, character in others))
    content += "".join(f'<tspan class="w" x="{x}" y="{y}">{character}</tspan>' for x, y, character in wide)
    return f'<text class="{classes}"{places}>{content}</text>\n'


def style(times: Timeline, names: dict[When, str]) -> str:
    """The animations, for viewers who have nothing against motion."""

    def share(frame: int) -> str:
        return f"{100 * times.seconds(frame) / times.length:.2f}%"

    every = f"animation-duration:{times.length:.1f}s;animation-timing-function:step-end"
    rules = [f".t text{{{every};animation-iteration-count:infinite}}"]
    for (first, last), name in names.items():
        parts = [f"0%{{opacity:{int(first == 0)}}}", f"{share(first)}{{opacity:1}}" * (first > 0)]
        parts.append(f"{share(last)}{{opacity:0}}" if last is not None else "")
        rules += [f".{name}{{animation-name:{name}}}", f"@keyframes {name}{{{''.join(parts)}}}"]
    motion = "\n".join(rules)
    always = f".w{{font-size:{WIDE_SCALE}em}}\n.h{{opacity:0}}\n"
    return f"{always}@media (prefers-reduced-motion:no-preference){{\n{motion}\n}}\n"
