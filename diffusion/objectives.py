"""Objectives: how a network's output is read, the score entropy and the other losses, and the NELBO of a model.

A head turns the network's output into log-scores and into pi, the network's distribution of x0 at each position by
the context alone. The clock t runs from 0 (clean text) to 1 (noise); sigma is the total noise up to t.
Shapes: B batch, L positions, V characters, D states; ids are (B, L), t and sigma (B, 1), losses (B, L) in nats.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.processes import PROCESSES, TINY, Process, at_ids
from diffusion.schedules import SCHEDULES, Schedule

NO_RATIO = 1e-20  # replaces probability 0 in a ratio: too small to matter, and its ratios fit into float32
NO_NUMBERS = "the network's output is not a number (NaN or infinite); the model's weights are damaged"
T_MIN = 1e-4  # the NELBO's integral begins here; the reconstruction term covers the times below


class Head(NamedTuple):
    """How to read the network's output: its width, and two functions of (process, output, x_t, sigma)."""

    width: Callable[[Process], int]  # numbers per position
    log_score: Callable[[Process, Tensor, Tensor, Tensor], Tensor]  # -> (B, L, D), 0 at x_t
    logits: Callable[[Process, Tensor, Tensor, Tensor], Tensor]  # -> (B, L, V) logits of pi(x0)


def _direct_log_score(process: Process, output: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
    return output.scatter(-1, x_t.unsqueeze(-1), 0)


def _logits_of_score(process: Process, output: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
    # the analytic step down to sigma = 0 gives p(x0 | x_t), and without x_t's own evidence this is pi
    posterior = process.tweedie_of_score(_direct_log_score(process, output, x_t, sigma), x_t, sigma)
    return process.context_logits(posterior[..., : process.characters].clamp_min(TINY).log(), x_t, sigma)


def _logits_themselves(process: Process, output: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
    return output


HEADS = {
    "x0": Head(lambda process: process.characters, Process.x0_log_score, _logits_themselves),
    "score": Head(lambda process: process.states, _direct_log_score, _logits_of_score),
}


@dataclass(frozen=True)
class Diffusion:
    """A noise process, a schedule and a head: everything about a model but its network."""

    process: Process
    schedule: Schedule
    head: Head

    @classmethod
    def named(cls, process: str, schedule: str, parameterization: str, characters: int) -> "Diffusion":
        """Rows of PROCESSES, SCHEDULES and HEADS, for an alphabet of V = `characters`."""
        return cls(PROCESSES[process](characters), SCHEDULES[schedule], HEADS[parameterization])


def checked(logits: Tensor) -> Tensor:
    """The same logits. Raises FloatingPointError where they give no distribution: NaN, or no finite greatest one."""
    if not logits.amax(-1).isfinite().all():  # a CPU-GPU sync point
        raise FloatingPointError(NO_NUMBERS)
    return logits


def score_entropy(process: Process, log_score: Tensor, x_t: Tensor, x0: Tensor, sigma: Tensor) -> Tensor:
    """(B, L) denoising score entropy in nats, not yet times dsigma; >= 0, and 0 where the score is that of x0 alone.

    It is eq. 5 of SEDD with the ratios of one x0. Where x_t can be noise, no other score gives 0; elsewhere, as at
    written characters beside masks, all do.

    noise(x_t) sum over y != x_t of [ s - r log s + r (log r - 1) ], r = p(y|x0)/p(x_t|x0). It is computed as
    r (e^d - 1 - d), d = log s - log r: no term is negative. A ratio of 0 counts as e^-46: its
    term is s alone.
    """
    log_p = process.transition(x0, sigma).clamp_min(NO_RATIO).log()
    log_ratio = log_p - at_ids(log_p, x_t)
    d, noise = (log_score - log_ratio).scatter(-1, x_t.unsqueeze(-1), 0), process.noise_at(x_t, sigma)
    d = d.masked_fill((noise == 0).unsqueeze(-1), 0)  # untrained there: e^d could overflow
    return (log_ratio.exp() * (torch.expm1(d) - d)).sum(-1) * noise


def nelbo_loss(diffusion: Diffusion, output: Tensor, x_t: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """(B, L) nats: the NELBO's integrand at t (B, 1), which is dsigma times the score entropy."""
    process, sigma = diffusion.process, diffusion.schedule.sigma(t)
    log_score = diffusion.head.log_score(process, output, x_t, sigma)
    return diffusion.schedule.dsigma(t) * score_entropy(process, log_score, x_t, x0, sigma)


def posterior_loss(diffusion: Diffusion, output: Tensor, x_t: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """(B, L) nats: cross-entropy of p(x0 | x_t) at the true character.

    Smallest where the NELBO is smallest, but its gradient varies less.
    """
    process, sigma = diffusion.process, diffusion.schedule.sigma(t)
    logits = process.posterior_logits(diffusion.head.logits(process, output, x_t, sigma), x_t, sigma)
    return F.cross_entropy(logits.flatten(0, 1), x0.flatten(), reduction="none").view_as(x0)


LOSSES = {"nelbo": nelbo_loss, "posterior": posterior_loss}


def stratified_times(batch: int, generator: torch.Generator) -> Tensor:
    """(B, 1) random times in [T_MIN, 1]: one in each of B equal parts of the interval, in random order."""
    offset = torch.rand(batch, generator=generator)
    stratum = torch.randperm(batch, generator=generator)
    return T_MIN + (1 - T_MIN) * ((stratum + offset) / batch).unsqueeze(1)


def bell(times: Tensor, mean: float, width: float) -> Tensor:
    """(B, 1) evenly distributed times -> times of a normal distribution of this mean and width, cut to [T_MIN, 1].

    It maps quantiles to quantiles, so stratified times stay stratified.
    """
    ends = (torch.tensor([T_MIN, 1.0], dtype=torch.float64) - mean) / width
    above = bool(ends[0] > 0)  # all times lie above the mean, where ndtr is near 1 and has no digits left
    low, high = torch.special.erfc(ends / math.sqrt(2)) / 2 if above else torch.special.ndtr(ends)
    if low == high:  # too near to the first time for float64
        return torch.full_like(times, T_MIN)
    quantiles = low + (high - low) * (times.double() - T_MIN) / (1 - T_MIN)
    side = -1 if above else 1
    return (mean + side * width * torch.special.ndtri(quantiles)).clamp(T_MIN, 1).to(times.dtype)


class Network(Protocol):
    """A network as losses and samplers call it: (B, L) x_t, (B,) sigma, (B, L) given -> (B, L, width) for a Head.

    `given` marks positions that hold true characters, never noise. With (B, L) `positions`, N of them set, outputs are
    computed only there: (N, 1, width), row by row from left to right.
    """

    def __call__(self, x_t: Tensor, sigma: Tensor, given: Tensor, *, positions: Tensor | None = None) -> Tensor: ...


def nelbo(
    diffusion: Diffusion, network: Network, x0: Tensor, given: Tensor, t: Tensor, generator: torch.Generator
) -> Tensor:
    """(B, L) nats: an unbiased estimate of the negative evidence lower bound of each character, 0 where given.

    The sum of the diffusion term at t (B, 1), the reconstruction term at T_MIN and the prior term. All but the network
    computes in float64. Rows without noise, as most at T_MIN are under masks, lose nothing, so no network is asked.
    """
    t = t.double()
    process, sigma_of = diffusion.process, diffusion.schedule.sigma

    def term(loss: Callable[..., Tensor], t: Tensor) -> Tensor:
        sigma = sigma_of(t)
        x_t = torch.where(given, x0, process.noise(x0, sigma, generator))
        nats, rows = torch.zeros_like(x0, dtype=torch.float64), (process.open_to_noise(x_t) & ~given).any(1)
        if rows.any():
            output = network(x_t[rows], sigma[rows].squeeze(1).float(), given[rows]).double()
            nats[rows] = loss(diffusion, output, x_t[rows], x0[rows], t[rows])
        return nats

    integral = (1 - T_MIN) * term(nelbo_loss, t)
    reconstruction = term(posterior_loss, torch.full_like(t, T_MIN))
    prior = process.prior_kl(sigma_of(torch.ones_like(t)))
    return (integral + reconstruction + prior).masked_fill(given, 0)
