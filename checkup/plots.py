"""Plots of a checkup as SVG that stands in a page: its colours are the page's."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, FOOT, HEAD = 360, 150, 22, 16  # of a plot; of the line of its ticks, and of that of its mark
Point = tuple[float, float]


def plot(body: str, ticks: Mapping[float, str], mark: tuple[float, str] | None, about: str) -> str:
    """A plot around its body, with ticks at places from 0 to 1, and a line across it, where a mark stands."""
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT + FOOT}" role="img" aria-label="{escape(about)}">', body]
    parts.append(f'<path class="axis" d="M0 {HEIGHT}H{WIDTH}"/>')
    parts += [label(place, HEIGHT + 16, text) for place, text in ticks.items()]
    if mark:
        place, text = mark
        parts.append(f'<path class="mark" d="M{x_of(place)} {HEAD}V{HEIGHT}"/>')
        parts.append(label(place, 11, text, "mark"))
    return "".join([*parts, "</svg>"])


def label(place: float, y: int, text: str, kind: str = "") -> str:
    """A text below or above a place, inside the plot at either end."""
    anchor = "start" if place < 0.12 else "end" if place > 0.88 else "middle"
    return f'<text class="{kind}" x="{x_of(place)}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def x_of(place: float) -> float:
    return round(place * WIDTH, 1)


def y_of(height: float) -> float:
    """From 0, the axis, to 1, below the line of the mark."""
    return round(HEIGHT - height * (HEIGHT - HEAD), 1)


def bars(heights: Sequence[float], kind: str = "ink") -> str:
    """Bars of heights from 0 to 1 side by side."""
    step = 1 / len(heights)
    boxes = (
        f"M{x_of(i * step)} {HEIGHT}V{y_of(height)}H{x_of((i + 1) * step)}V{HEIGHT}"
        for i, height in enumerate(heights)
        if height > 0
    )
    return f'<path class="{kind}" d="{"".join(boxes)}"/>'


def line(points: Sequence[Point], kind: str = "line") -> str:
    """A line through points whose places and heights go from 0 to 1."""
    return f'<path class="{kind}" d="M{"L".join(f"{x_of(x)} {y_of(y)}" for x, y in points)}"/>'


def band(low: Sequence[Point], high: Sequence[Point]) -> str:
    """What lies between two lines."""
    return line([*low, *reversed(high)], "band")
