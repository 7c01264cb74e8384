"""How the hours of a night are shared among the trainings: by the size of each text, in one lane or in several."""

import math
from collections.abc import Sequence

from config.schema import RunConfig
from training.order import longest_first, maker_of
from utils import size_of

LEAST_MINUTES = 0.01  # of any dataset's share of the hours, since 0 would mean no limit
# bytes; of the hours a larger text gets no more: a voice learns by what it reads, whatever share of its text that is
LARGE = 1_000_000


def share_hours(runs: list[RunConfig], hours: float, lanes: int = 1) -> list[RunConfig]:
    """Each run with its share of the hours, by the size of its file up to LARGE.

    Several lanes have the hours each, shared by the files that fall to one; all end when the hours are over.
    """
    sizes = [min(size_of(run.data_file()), LARGE) for run in runs]
    each, loads = in_lanes(sizes, lanes)
    minutes = [60 * hours * size / max(loads[lane], 1) for size, lane in zip(sizes, each, strict=True)]
    if lanes > 1:  # as the queue fills the lanes, the longest first and none before its start, one may last longer
        timed = zip(runs, minutes, strict=True)
        longest = end_of([run.with_training(max_minutes=share) for run, share in timed if share], lanes)
        minutes = [share * min(1, 60 * hours / max(longest, LEAST_MINUTES)) for share in minutes]
    return [run.with_training(max_minutes=max(share, LEAST_MINUTES)) for run, share in zip(runs, minutes, strict=True)]


def end_of(runs: Sequence[RunConfig], lanes: int) -> float:
    """Minutes after which all have ended: each begins in the first free lane, none before what it starts from ended."""
    free, ends = [0.0] * lanes, dict[str, float]()

    def can_begin(run: RunConfig, now: float) -> bool:
        maker = maker_of(run, runs)
        return maker is None or ends.get(maker.name, math.inf) <= now

    waiting = longest_first(runs)
    while waiting:
        lane = free.index(now := min(free))
        if run := next((run for run in waiting if can_begin(run, now)), None):
            waiting.remove(run)
            ends[run.name] = free[lane] = now + run.minutes()
        else:
            free[lane] = min(end for end in ends.values() if end > now)
    return max(ends.values(), default=0.0)


def in_lanes(amounts: Sequence[float], lanes: int) -> tuple[list[int], list[float]]:
    """Put amounts, the largest first, into the lane that holds least -> the lane of each, what each lane holds."""
    each, loads = [0] * len(amounts), [0.0] * lanes
    for number in sorted(range(len(amounts)), key=lambda number: -amounts[number]):
        each[number] = loads.index(min(loads))
        loads[each[number]] += amounts[number]
    return each, loads
