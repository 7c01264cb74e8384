"""Reverse-time steps and the one loop that runs them. Knows nothing of text, files or how the network is made.

The network's output becomes pi(x0), what the context says of each position; temperature, top-p and forbidden characters
reshape it, and a step needs nothing else. Draws are by inverse CDF in float64 from uniforms the caller supplies.

What changes in one step cannot know of each other, so it should lie far apart: each position changes with its exact
probability, but neighbours seldom at once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion import SCHEDULES, Diffusion, Network, Process

GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def tweedie_step(process: Process, pi: Tensor, x_t: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """The analytic step, SEDD eq. 19: (B, L, V) p(x_s | x_t) exactly, given pi, for a step of any size."""
    return process.ancestral(pi, x_t, sigma, sigma_next)


def euler_step(process: Process, pi: Tensor, x_t: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """One Euler step of the reverse rate, SEDD eq. 18: exact only as sigma - sigma_next goes to 0."""
    rate = process.reverse_rate(process.x0_log_score(pi.log(), x_t, sigma), x_t)
    step = (sigma - sigma_next).unsqueeze(-1) * rate
    return step.scatter_add(-1, x_t.unsqueeze(-1), torch.ones_like(step[..., :1]))


STEPS = {"tweedie": tweedie_step, "euler": euler_step}


@dataclass(frozen=True)
class SamplerSettings:
    """How to walk from noise to text: names of STEPS and SCHEDULES, and how pi is reshaped."""

    sampler: str = "tweedie"
    grid: str = "log_linear"  # the noise levels visited: sigma of this schedule at equally spaced t
    steps: int = 64  # network calls
    temperature: float = 1.0
    top_p: float = 1.0
    greedy_last_step: bool = True
    renoise: float = 0.0  # share of the remaining noise that each step takes off and puts on again: to correct itself


def noise_levels(grid: str, steps: int) -> Tensor:
    """(steps + 1,) float64 sigma, falling from sigma(1) to exactly 0."""
    sigma = SCHEDULES[grid].sigma(torch.linspace(1, 0, steps + 1, dtype=torch.float64))
    sigma[-1] = 0  # the geometric schedule ends above 0, but the last step must reach the text
    return sigma


def reshape(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """(B, L, V) logits -> pi at this temperature, kept to the smallest set of characters whose mass reaches top_p.

    What is reshaped is the context's pi, not p(x0 | x_t): sharpening the posterior would sharpen a noisy character's
    evidence for itself as well, and lock the prior's random characters in.
    """
    pi = (logits / temperature).softmax(-1)
    if top_p < 1:
        ranked, order = pi.sort(-1, descending=True)
        outside = ranked.cumsum(-1) - ranked >= top_p  # the first is always inside
        pi = pi.masked_fill(outside.scatter(-1, order, outside), 0)
        pi = pi / pi.sum(-1, keepdim=True)
    return pi


def draw(weights: Tensor, uniforms: Tensor) -> Tensor:
    """(B, L, V) unnormalised float64 weights, (B, L) uniforms in [0, 1) -> ids by inverse CDF; negatives count as 0."""
    cdf = weights.clamp_min(0).cumsum(-1)
    threshold = uniforms.unsqueeze(-1) * cdf[..., -1:]
    # the second condition stops at the last positive weight where rounding lifts the threshold to the whole mass
    return ((cdf <= threshold) & (cdf < cdf[..., -1:])).sum(-1)


def spread(starts: Tensor, length: int) -> Tensor:
    """(B, 1) uniforms -> (B, L) uniforms whose small values lie evenly apart: start + i * golden ratio mod 1.

    A Kronecker sequence: each is uniform in [0, 1), and those below q are never nearer than 0.38 / q positions.
    """
    return (starts + GOLDEN_RATIO * torch.arange(length, dtype=starts.dtype, device=starts.device)) % 1


def change(x: Tensor, weights: Tensor, leave: Tensor, become: Tensor) -> Tensor:
    """(B, L) ids -> the next ones: x stays where `leave` is within its weight's share, else another is drawn.

    (B, L, D) unnormalised float64 weights, negatives counting as 0; (B, L) uniforms in [0, 1) for either draw. An id
    comes out with its weight's share of the sum.
    """
    p, own = normalised(weights, x), x.unsqueeze(-1)
    stays = leave < p.gather(-1, own).squeeze(-1)
    return torch.where(stays, x, draw(p.scatter(-1, own, 0), become))


def normalised(weights: Tensor, x: Tensor) -> Tensor:
    """(B, L, D) weights, negatives counting as 0 -> distributions; x itself where truncation has left nothing."""
    weights = weights.clamp_min(0)
    total = weights.sum(-1, keepdim=True)
    # what is written is certain under the absorbing process, and temperature or top-p may have thought otherwise
    missing = (total == 0).to(weights.dtype)
    return weights.scatter_add(-1, x.unsqueeze(-1), missing) / (total + missing)


@torch.no_grad()
def sample(
    diffusion: Diffusion,
    network: Network,
    x_t: Tensor,
    given: Tensor,
    uniforms: Callable[[int], Tensor],
    settings: SamplerSettings,
    *,
    forbidden: list[int],
    observe: Callable[[int, Tensor, Tensor | None], None] | None = None,
) -> Tensor:
    """Denoise (B, L) ids where not given; `uniforms(n)` gives (B, n) fresh float64 uniforms in [0, 1).

    Ids in `forbidden` never come out. `observe(step, x, pi)` sees every state, from the prior (step 0) on, and
    the (B, L, V) pi(x0) that the step to it went by (None at the prior).
    """
    process, step = diffusion.process, STEPS[settings.sampler]
    levels = noise_levels(settings.grid, settings.steps).to(x_t.device)
    barred = torch.tensor(forbidden, dtype=torch.long, device=x_t.device)
    length = x_t.shape[1]
    x = torch.where(given, x_t, process.prior(uniforms(length)))
    observe = observe or (lambda *_: None)
    observe(0, x, None)
    for k in range(settings.steps):
        sigma, sigma_next = levels[k].view(1, 1), levels[k + 1].view(1, 1)
        output = network(x, sigma.squeeze(1).float().expand(len(x)), given).double()
        logits = diffusion.head.logits(process, output, x, sigma).index_fill(-1, barred, -torch.inf)
        pi = reshape(logits, settings.temperature, settings.top_p)
        last = k == settings.steps - 1  # the exact step down to sigma = 0 is a draw from p(x0 | x_t)
        back = settings.renoise * sigma_next  # how much further down to step, and to noise up again; 0 in the last step
        weights = (tweedie_step if last else step)(process, pi, x, sigma, sigma_next - back)
        if settings.renoise and not last:
            weights = process.renoised(normalised(weights, x), back)
        if last and settings.greedy_last_step:
            drawn = normalised(weights, x).argmax(-1)
        else:
            drawn = change(x, weights, spread(uniforms(1), length), uniforms(length))
        x = torch.where(given, x, drawn)
        observe(k + 1, x, pi)
    return x
