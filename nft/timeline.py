"""When each character of a token is seen while its course is played: the common time of all animated pieces."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from generation.course import Change
from pages.themes import FULL_INK, NOISE_INK, Theme

LEAD, HOLD = 0.8, 4.0  # seconds before the first character, and of the finished text, before it begins again
PACE = 0.1  # seconds of a frame: ten changes a second, each of a few characters


class Span(NamedTuple):
    """A character at its place, from one frame on; until another frame, or to the end."""

    place: int
    character: str
    first: int
    last: int | None


class Timeline(NamedTuple):
    """The frames of an animation; frame 0 is what stands there before the first step."""

    frames: int
    spans: list[Span]
    begun: dict[int, int]  # place -> the frame that first shows a written character there; until then it is noise

    def seconds(self, frame: int) -> float:
        """When a frame begins; the animation ends at that of the last one and HOLD."""
        return LEAD + (frame - 1) * PACE if frame else 0.0

    @property
    def length(self) -> float:
        """Seconds until it begins again."""
        return self.seconds(self.frames) + HOLD


def seen(times: Timeline, text: str, theme: Theme) -> Iterator[tuple[Span, int]]:
    """Every character that an animation of a text shows, noise too, with its ink."""
    for span in times.spans:
        # of the uniform process: random characters are noise as long as nothing else was written there
        yield span, NOISE_INK if span.first == 0 and span.last is not None else FULL_INK
    noise = theme.noise_of(text)
    for place, first in times.begun.items():
        if first and noise[place]:
            yield Span(place, noise[place], 0, first), NOISE_INK


def timeline(course: Sequence[Change], most: int) -> Timeline:
    """The animation of a course in at most so many frames; what is replaced within a frame is not seen."""
    steps = sorted({change.step for change in course if change.step})
    frames = min(len(steps), most)
    frame_of = {0: 0} | {step: math.ceil((k + 1) * frames / len(steps)) for k, step in enumerate(steps)}
    spans: list[Span] = []
    open_at: dict[int, Span] = {}
    for step, positions, characters in course:
        frame = frame_of[step]
        for place, character in zip(positions, characters, strict=True):
            before = open_at.get(place)
            if before and before.first < frame:
                spans.append(before._replace(last=frame))
            open_at[place] = Span(place, character, frame, None)
    spans += open_at.values()
    begun: dict[int, int] = {}
    for span in spans:
        begun[span.place] = min(span.first, begun.get(span.place, frames))
    return Timeline(frames, spans, begun)
