"""What every sampler is given: the noise, the network's answers, random numbers, its settings, and an observer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from diffusion.processes import Process


@dataclass(frozen=True)
class SamplerSettings:
    """Settings of all samplers. SAMPLERS lists which a sampler reads; all read temperature and top_p."""

    sampler: str  # a row of SAMPLERS
    grid: str  # the row of SCHEDULES that gives the noise levels, at equally spaced t
    steps: int  # noise levels, one network call each
    temperature: float
    top_p: float
    greedy_last_step: bool
    renoise: float  # each step goes down further by this share of the remaining noise, then adds it again
    stretch: int  # positions of a stretch at most; each network call writes one in every stretch
    revisions: int  # how often the text is judged and a part of it written again
    revised: float  # share of the text that each revision writes again
    revision_stretch: int  # positions of a stretch at most while a revision writes; 0: a quarter of `stretch`


class PiLogits(Protocol):
    """(B, L) x_t, (B, 1) sigma -> (B, L, V) logits of pi; with (B, L) positions, K a row, only there: (B, K, V)."""

    def __call__(self, x_t: Tensor, sigma: Tensor, positions: Tensor | None = None) -> Tensor: ...


Uniforms = Callable[[int], Tensor]  # n -> (B, n) fresh float64 uniforms in [0, 1)
Observe = Callable[[int, Tensor, Tensor | None], None]  # see `sample`


class SamplerInputs(NamedTuple):
    """What a sampler is given beside the text."""

    process: Process
    pi_logits: PiLogits
    given: Tensor  # (B, L) bool
    uniforms: Uniforms
    settings: SamplerSettings
    observe: Observe
