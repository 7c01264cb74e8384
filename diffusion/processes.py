"""Noise processes: how text x0 turns into noise x_t, and the reverse steps back to text.

The clock t runs from 0 (clean text) to 1 (noise). sigma is the total noise up to t, dsigma its derivative, and
alpha = exp(-sigma) the share of characters that are still untouched. Scores are ratios; `log_score` is their logarithm.
Shapes: B batch, L positions, V characters, D states (V, plus 1 if there is a mask). Ids are (B, L), sigma and t are
(B, 1), log-scores (B, L, D). The symbols and equations are those of SEDD (Lou, Meng, Ermon, arXiv:2310.16834).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TINY = 1e-30  # probabilities are clamped to this before a logarithm, which stays finite
CERTAIN = -math.log(TINY)  # log-evidence of a character that cannot be noise; no probability clamped to TINY beats it
HYBRID_SHARE = 0.1  # share of random characters in the hybrid's noise; they let it correct written characters


def at_ids(values: Tensor, ids: Tensor) -> Tensor:
    """(B, L, D) values, (B, L) ids -> (B, L, 1): the value at each position's id."""
    return values.gather(-1, ids.unsqueeze(-1))


@dataclass(frozen=True)
class Process:
    """Characters are redrawn at rate dsigma: a random one with probability `uniform_share`, otherwise the mask.

    The rate matrix is Q = 1 noise' - I, so exp(sigma Q) = alpha I + (1 - alpha) 1 noise'. A share of 1 is the uniform
    process and 0 the absorbing one. Between them lies generalized interpolating diffusion (GIDD, arXiv:2503.04482) with
    a constant mixture. The mask has id V; it exists only where the share is below 1.
    """

    characters: int  # V
    uniform_share: float

    @property
    def states(self) -> int:
        """D: the characters, and the mask if there is one."""
        return self.characters + (self.uniform_share < 1)

    def noise_at(self, ids: Tensor, like: Tensor) -> Tensor:
        """(B, L) ids -> (B, L): the probability of each under the noise, in the precision of `like`."""
        share = torch.full((), self.uniform_share / self.characters, dtype=like.dtype, device=ids.device)
        return torch.where(ids == self.characters, 1 - self.uniform_share, share)

    def open_to_noise(self, ids: Tensor) -> Tensor:
        """(B, L) ids -> (B, L): whether each can be noise. Elsewhere x0 is known; losses and gradients are 0 there."""
        return (ids == self.characters) | (self.uniform_share > 0)

    def noise_distribution(self, like: Tensor) -> Tensor:
        """(D,) the distribution of the noise."""
        return self.noise_at(torch.arange(self.states, device=like.device), like)

    def marginal(self, pi: Tensor, sigma: Tensor) -> Tensor:
        """(B, L, V) pi(x0) -> (B, L, D) p_t = alpha pi + (1 - alpha) noise: x_t by the context alone."""
        return self.renoised(F.pad(pi, (0, self.states - self.characters)), sigma)

    def noise(self, x0: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
        """(B, L) x0 -> (B, L) x_t, drawn from p(. | x0) = alpha [. = x0] + (1 - alpha) noise."""
        redraw = torch.rand(x0.shape, generator=generator, device=x0.device) < -torch.expm1(-sigma)
        drawn = torch.randint(self.characters, x0.shape, generator=generator, device=x0.device)
        if self.uniform_share < 1:
            masked = torch.rand(x0.shape, generator=generator, device=x0.device) >= self.uniform_share
            drawn = drawn.masked_fill(masked, self.characters)
        return torch.where(redraw, drawn, x0)

    def prior(self, uniforms: Tensor) -> Tensor:
        """(B, L) uniforms in [0, 1) -> (B, L) ids drawn from the noise; sampling starts from them."""
        character = (uniforms / max(self.uniform_share, TINY) * self.characters).long().clamp_max(self.characters - 1)
        return character.masked_fill(uniforms >= self.uniform_share, self.characters)

    def prior_kl(self, sigma: Tensor) -> Tensor:
        """KL(p(x_1 | x0) || prior) per character, in nats, the same for every x0; `sigma` is sigma(1).

        The prior is p(x_1) of uniformly drawn text; under the uniform process this is the noise itself. The mask alone
        cannot be the prior: alpha(1) is not 0, so the divergence would be infinite.
        """
        alpha, spread = torch.exp(-sigma), -torch.expm1(-sigma) * self.uniform_share / self.characters
        prior = alpha / self.characters + spread
        other = torch.where(spread > 0, spread * torch.log(spread.clamp_min(TINY) / prior), 0)
        return (alpha + spread) * torch.log((alpha + spread) / prior) + (self.characters - 1) * other

    def log_evidence(self, x_t: Tensor, sigma: Tensor) -> Tensor:
        """(B, L) log p(x_t | x0 = x_t) - log p(x_t | x0 = y), the same for every other y: evidence that x0 is x_t.

        0 for a mask, which tells nothing about x0. CERTAIN for a character that cannot be noise.
        """
        ratio = torch.exp(-sigma) / (-torch.expm1(-sigma) * self.noise_at(x_t, sigma))
        return torch.log1p(ratio).clamp_max(CERTAIN).masked_fill(x_t == self.characters, 0)

    def transition(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(B, L) ids x -> (B, L, D): exp(sigma Q)(x, .), the probability that x becomes each state after sigma."""
        spread = -torch.expm1(-sigma).unsqueeze(-1) * self.noise_distribution(sigma)
        stayed = torch.exp(-sigma).expand(x.shape).unsqueeze(-1)
        return spread.expand(*x.shape, -1).scatter_add(-1, x.unsqueeze(-1), stayed)

    def arrival(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(B, L) ids x -> (B, L, D): exp(sigma Q)(., x), the probability that each state becomes x after sigma."""
        spread = (-torch.expm1(-sigma) * self.noise_at(x, sigma)).unsqueeze(-1).expand(*x.shape, self.states)
        stayed = torch.exp(-sigma).expand(x.shape).unsqueeze(-1)
        return spread.scatter_add(-1, x.unsqueeze(-1), stayed)

    def x0_log_score(self, logits: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
        """(B, L, V) logits of pi -> (B, L, D) log(p_t(y) / p_t(x_t)), where p_t is `marginal`."""
        log_marginal = self.marginal(logits.softmax(-1), sigma).clamp_min(TINY).log()
        return log_marginal - at_ids(log_marginal, x_t)

    def staggered_score(self, log_score: Tensor, delta_sigma: Tensor) -> Tensor:
        """(B, L, D) log-score -> (B, L, D): exp(-delta_sigma Q) applied to the score. SEDD, section 4."""
        score, growth = log_score.exp(), delta_sigma.unsqueeze(-1)
        spread = torch.expm1(growth) * self.noise_distribution(delta_sigma) * score.sum(-1, keepdim=True)
        return growth.exp() * score - spread

    def tweedie_of_score(self, log_score: Tensor, x_t: Tensor, delta_sigma: Tensor) -> Tensor:
        """(B, L, D) unnormalised p(x_s | x_t), delta_sigma = sigma_t - sigma_s. SEDD, eq. 19.

        Values can be negative where the score is not exact.
        """
        return self.staggered_score(log_score, delta_sigma) * self.arrival(x_t, delta_sigma)

    def reverse_rate(self, log_score: Tensor, x_t: Tensor) -> Tensor:
        """(B, L, D) rate from x_t to y in reversed time, Q(y, x_t) s_y; the entry at x_t makes rows sum to 0."""
        rate = log_score.exp() * self.noise_at(x_t, log_score).unsqueeze(-1)
        rate = rate.scatter(-1, x_t.unsqueeze(-1), 0)
        return rate.scatter(-1, x_t.unsqueeze(-1), -rate.sum(-1, keepdim=True))

    def posterior_logits(self, logits: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
        """(B, L, V) logits of pi(x0) -> (B, L, V) logits of p(x0 | x_t), proportional to pi(x0) p(x_t | x0)."""
        # training does not reach pi where a character cannot be noise, so its logits could drift above CERTAIN
        certain = ~self.open_to_noise(x_t).unsqueeze(-1)
        return self._add_evidence(logits.masked_fill(certain, 0), x_t, self.log_evidence(x_t, sigma))

    def context_logits(self, posterior: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
        """(B, L, V) logits of p(x0 | x_t) -> logits of pi(x0), except where a character cannot be noise."""
        return self._add_evidence(posterior, x_t, -self.log_evidence(x_t, sigma))

    def _add_evidence(self, logits: Tensor, x_t: Tensor, evidence: Tensor) -> Tensor:
        """Add (B, L) evidence to the logit of x_t at each position."""
        index = x_t.clamp_max(self.characters - 1).unsqueeze(-1)  # any index does for a mask, whose evidence is 0
        return logits.scatter_add(-1, index, evidence.to(logits.dtype).unsqueeze(-1))

    def tweedie(self, pi: Tensor, x_t: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """(B, L, V) pi(x0) -> (B, L, D) unnormalised p(x_s | x_t) = p_s(x_s) p(x_t | x_s), by Bayes' rule.

        Exact for a step of any size. It equals the analytic step of SEDD, `tweedie_of_score`, of pi's score.
        """
        return self.marginal(pi, sigma_next) * self.arrival(x_t, sigma - sigma_next)

    def renoised(self, p: Tensor, sigma: Tensor) -> Tensor:
        """(B, L, D) distributions p -> (B, L, D) after sigma more noise: p exp(sigma Q)."""
        return torch.exp(-sigma).unsqueeze(-1) * p - torch.expm1(-sigma).unsqueeze(-1) * self.noise_distribution(p)


def _process(uniform_share: float) -> Callable[[int], Process]:
    return lambda characters: Process(characters, uniform_share)


PROCESSES = {"uniform": _process(1.0), "absorbing": _process(0.0), "hybrid": _process(HYBRID_SHARE)}
