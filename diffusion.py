"""Schedules, noise processes, score entropy and NELBO: pure tensor maths. Knows nothing of networks, text or files.

One clock: t in [0, 1], 0 clean, 1 noise. sigma(t) is the total noise, dsigma its derivative, alpha = exp(-sigma).
Shapes: B batch, L positions, V characters; ids are (B, L), log-scores (B, L, V), sigma and t (B, 1).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

ALPHA_END = 1e-3  # share of characters still clean at t = 1 (log-linear, cosine): the paper's eps
GEOMETRIC_RANGE = (1e-4, 20.0)  # sigma at t = 0 and t = 1 of the geometric schedule: the notebook's
T_MIN = 1e-4  # where the NELBO's integral begins; the reconstruction term covers what lies before
TINY = 1e-30  # keeps log(0) of clamped probabilities finite


class Schedule(NamedTuple):
    """Total noise sigma(t) and its derivative dsigma(t), in nats; both keep the shape of t."""

    sigma: Callable[[Tensor], Tensor]
    dsigma: Callable[[Tensor], Tensor]


def _log_linear_sigma(t: Tensor) -> Tensor:
    return -torch.log1p(-(1 - ALPHA_END) * t)  # alpha = 1 - (1 - eps) t


def _log_linear_dsigma(t: Tensor) -> Tensor:
    return (1 - ALPHA_END) / (1 - (1 - ALPHA_END) * t)


def _cosine_sigma(t: Tensor) -> Tensor:
    # 1 - cos x = 2 sin(x/2)^2, which keeps its digits near t = 0
    return -torch.log1p(-2 * (1 - ALPHA_END) * torch.sin(math.pi / 4 * t) ** 2)


def _cosine_dsigma(t: Tensor) -> Tensor:
    return (1 - ALPHA_END) * math.pi / 2 * torch.sin(math.pi / 2 * t) * torch.exp(_cosine_sigma(t))


def _geometric_sigma(t: Tensor) -> Tensor:
    low, high = GEOMETRIC_RANGE
    return low * torch.exp(t * math.log(high / low))


def _geometric_dsigma(t: Tensor) -> Tensor:
    low, high = GEOMETRIC_RANGE
    return _geometric_sigma(t) * math.log(high / low)


SCHEDULES = {
    "log_linear": Schedule(_log_linear_sigma, _log_linear_dsigma),
    "cosine": Schedule(_cosine_sigma, _cosine_dsigma),
    "geometric": Schedule(_geometric_sigma, _geometric_dsigma),
}


def _one_hot(ids: Tensor, like: Tensor) -> Tensor:
    return F.one_hot(ids, like.shape[-1]).to(like.dtype)


def _at(values: Tensor, ids: Tensor) -> Tensor:
    """(B, L, V), (B, L) -> (B, L): the value at each position's own id."""
    return values.gather(-1, ids.unsqueeze(-1)).squeeze(-1)


@dataclass(frozen=True)
class Uniform:
    """Characters are redrawn uniformly at rate dsigma: Q = 11'/V - I, exp(sigma Q) = alpha I + (1 - alpha) 11'/V."""

    characters: int  # V

    def noise(self, x0: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
        """(B, L) x0 -> x_t ~ p(. | x0) = alpha [. = x0] + (1 - alpha)/V."""
        redraw = torch.rand(x0.shape, generator=generator, device=x0.device) < -torch.expm1(-sigma)
        random = torch.randint(self.characters, x0.shape, generator=generator, device=x0.device)
        return torch.where(redraw, random, x0)

    def prior(self, uniforms: Tensor) -> Tensor:
        """(B, L) uniforms in [0, 1) -> ids drawn from the noise at t = 1."""
        return (uniforms * self.characters).long()

    def prior_kl(self, sigma: Tensor) -> Tensor:
        """KL(p(x_1 | x0) || prior) per character, in nats; the same for every x0."""
        moved = -torch.expm1(-sigma) / self.characters
        stayed = torch.exp(-sigma) + moved
        return stayed * torch.log(stayed * self.characters) + (1 - stayed) * torch.log(moved * self.characters)

    def log_evidence(self, sigma: Tensor) -> Tensor:
        """log p(x_t | x0 = x_t) - log p(x_t | x0 = y), any y != x_t: how far a noisy character speaks for itself."""
        return torch.log1p(self.characters / torch.expm1(sigma))

    def transition(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(B, L) ids -> (B, L, V): exp(sigma Q)(x, .); symmetric, so also the probability of reaching x."""
        spread = (-torch.expm1(-sigma) / self.characters).unsqueeze(-1).expand(*x.shape, self.characters)
        return spread + _one_hot(x, spread) * torch.exp(-sigma).unsqueeze(-1)

    def score_entropy(self, log_score: Tensor, x_t: Tensor, x0: Tensor, sigma: Tensor) -> Tensor:
        """(B, L) score entropy in nats, before the rate dsigma; >= 0, and 0 iff the score is exact. SEDD, eq. 5.

        (1/V) sum over y != x_t of [ s - r log s + r (log r - 1) ], r = p(y|x0)/p(x_t|x0),
        written r (e^d - 1 - d) with d = log s - log r: no term is negative and none cancels.
        """
        evidence = self.log_evidence(sigma)
        moved = x_t != x0
        # r is 1 at x_t, 1/rho elsewhere where nothing moved; rho at x0 and 1 elsewhere where it did
        log_ratio = torch.where(moved, torch.zeros_like(evidence), -evidence).unsqueeze(-1).expand_as(log_score)
        log_ratio = log_ratio.scatter(-1, x0.unsqueeze(-1), torch.where(moved, evidence, 0).unsqueeze(-1))
        d = (log_score - log_ratio).scatter(-1, x_t.unsqueeze(-1), 0)
        return (log_ratio.exp() * (torch.expm1(d) - d)).sum(-1) / self.characters

    def x0_log_score(self, logits: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
        """(B, L, V) logits of pi -> log-score: s_y = (alpha V pi_y + 1 - alpha)/(alpha V pi_{x_t} + 1 - alpha)."""
        signal = self.characters * torch.exp(-sigma).unsqueeze(-1)
        log_marginal = torch.log(signal * logits.softmax(-1) - torch.expm1(-sigma).unsqueeze(-1))
        return log_marginal - log_marginal.gather(-1, x_t.unsqueeze(-1))

    def staggered_score(self, log_score: Tensor, delta_sigma: Tensor) -> Tensor:
        """(B, L, V): exp(-delta_sigma Q) applied to the score, SEDD section 4."""
        score = log_score.exp()
        growth = delta_sigma.unsqueeze(-1)
        return growth.exp() * score - torch.expm1(growth) / self.characters * score.sum(-1, keepdim=True)

    def tweedie(self, log_score: Tensor, x_t: Tensor, delta_sigma: Tensor) -> Tensor:
        """(B, L, V) unnormalised p(x_s | x_t), delta_sigma = sigma_t - sigma_s; can be negative. SEDD, eq. 19."""
        return self.staggered_score(log_score, delta_sigma) * self.transition(x_t, delta_sigma)

    def reverse_rate(self, log_score: Tensor, x_t: Tensor) -> Tensor:
        """(B, L, V) rate of leaving x_t for y in reversed time, Q(y, x_t) s_y; the diagonal makes rows sum to 0."""
        rate = log_score.exp() / self.characters
        rate = rate.scatter(-1, x_t.unsqueeze(-1), 0)
        return rate.scatter(-1, x_t.unsqueeze(-1), -rate.sum(-1, keepdim=True))

    def posterior_logits(self, logits: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
        """(B, L, V) logits of pi(x0) -> logits of p(x0 | x_t), proportional to pi(x0) p(x_t | x0)."""
        return logits.scatter_add(-1, x_t.unsqueeze(-1), self._evidence_at(logits, sigma))

    def context_logits(self, posterior: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
        """The inverse of `posterior_logits`."""
        return posterior.scatter_add(-1, x_t.unsqueeze(-1), -self._evidence_at(posterior, sigma))

    def _evidence_at(self, logits: Tensor, sigma: Tensor) -> Tensor:
        return self.log_evidence(sigma).to(logits.dtype).unsqueeze(-1).expand(*logits.shape[:-1], 1)

    def ancestral(self, pi: Tensor, x_t: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """(B, L, V) pi(x0) -> unnormalised p(x_s | x_t): p(x_t | x_s) (alpha_s pi + (1 - alpha_s)/V): exact."""
        alpha, spread = torch.exp(-sigma_next).unsqueeze(-1), -torch.expm1(-sigma_next).unsqueeze(-1) / self.characters
        marginal = alpha * pi + spread
        own = _at(marginal, x_t) * self.log_evidence(sigma - sigma_next).exp()
        return marginal.scatter(-1, x_t.unsqueeze(-1), own.unsqueeze(-1))


PROCESSES = {"uniform": Uniform}
Process = Uniform  # the union of the table's rows


class Head(NamedTuple):
    """What the network's (B, L, V) output means: functions (process, output, x_t, sigma) -> (B, L, V)."""

    log_score: Callable[[Process, Tensor, Tensor, Tensor], Tensor]  # 0 at x_t
    logits: Callable[[Process, Tensor, Tensor, Tensor], Tensor]  # of pi(x0), what the context says


def _direct_log_score(process: Process, output: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
    return output.scatter(-1, x_t.unsqueeze(-1), 0)


def _logits_of_score(process: Process, output: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
    # the analytic step all the way to sigma = 0 is p(x0 | x_t); exact scores give exactly pi
    posterior = process.tweedie(_direct_log_score(process, output, x_t, sigma), x_t, sigma)
    return process.context_logits(posterior.clamp_min(TINY).log(), x_t, sigma)


HEADS = {
    "x0": Head(
        lambda process, *arguments: process.x0_log_score(*arguments), lambda process, output, x_t, sigma: output
    ),
    "score": Head(_direct_log_score, _logits_of_score),
}


@dataclass(frozen=True)
class Diffusion:
    """A process, a schedule and a head, chosen by name, for V characters."""

    process: Process
    schedule: Schedule
    head: Head

    @classmethod
    def named(cls, process: str, schedule: str, parameterization: str, characters: int) -> "Diffusion":
        return cls(PROCESSES[process](characters), SCHEDULES[schedule], HEADS[parameterization])


def nelbo_loss(diffusion: Diffusion, output: Tensor, x_t: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """(B, L) nats: the NELBO's integrand at t (B, 1), dsigma times the score entropy."""
    process, sigma = diffusion.process, diffusion.schedule.sigma(t)
    log_score = diffusion.head.log_score(process, output, x_t, sigma)
    return diffusion.schedule.dsigma(t) * process.score_entropy(log_score, x_t, x0, sigma)


def posterior_loss(diffusion: Diffusion, output: Tensor, x_t: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """(B, L) nats: cross-entropy of p(x0 | x_t) at the true character. Least where the NELBO is, of calmer gradient."""
    process, sigma = diffusion.process, diffusion.schedule.sigma(t)
    logits = process.posterior_logits(diffusion.head.logits(process, output, x_t, sigma), x_t, sigma)
    return F.cross_entropy(logits.flatten(0, 1), x0.flatten(), reduction="none").view_as(x0)


LOSSES = {"nelbo": nelbo_loss, "posterior": posterior_loss}


def stratified_times(
    batch: int, generator: torch.Generator, device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(B, 1) times in [T_MIN, 1], one in each of B equal strata, in random order."""
    offset = torch.rand(batch, generator=generator, device=device, dtype=dtype)
    stratum = torch.randperm(batch, generator=generator, device=device)
    return T_MIN + (1 - T_MIN) * ((stratum + offset) / batch).unsqueeze(1)


Network = Callable[[Tensor, Tensor, Tensor], Tensor]  # (B, L) x_t, (B,) sigma, (B, L) given -> (B, L, V)


def nelbo(
    diffusion: Diffusion, network: Network, x0: Tensor, given: Tensor, t: Tensor, generator: torch.Generator
) -> Tensor:
    """(B, L) nats: an unbiased draw of the negative evidence lower bound of each character, 0 where given.

    The diffusion term at t (B, 1), the reconstruction from T_MIN and the prior term; float64 after the network.
    """
    t = t.double()
    sigma_of = diffusion.schedule.sigma

    def term(loss: Callable[..., Tensor], t: Tensor) -> Tensor:
        sigma = sigma_of(t)
        x_t = torch.where(given, x0, diffusion.process.noise(x0, sigma, generator))
        output = network(x_t, sigma.squeeze(1).float(), given).double()
        return loss(diffusion, output, x_t, x0, t)

    integral = (1 - T_MIN) * term(nelbo_loss, t)
    reconstruction = term(posterior_loss, torch.full_like(t, T_MIN))
    prior = diffusion.process.prior_kl(sigma_of(torch.ones_like(t)))
    return (integral + reconstruction + prior).masked_fill(given, 0)
