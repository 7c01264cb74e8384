"""Schedules, noise processes, score entropy and NELBO: pure tensor maths. Knows nothing of networks, text or files.

One clock: t in [0, 1], 0 clean, 1 noise. sigma(t) is the total noise, dsigma its derivative, alpha = exp(-sigma).
Shapes: B batch, L positions, V characters; ids are (B, L), log-scores (B, L, V), sigma and t (B, 1).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TINY = 1e-30  # keeps log(0) of clamped probabilities finite
NO_RATIO = 1e-20  # stands for probability 0 in a ratio: small enough to vanish, large enough for float32's exponents
CERTAIN = -math.log(TINY)  # log-evidence of a character that cannot be noise: nothing that TINY clamps outweighs it
HYBRID_SHARE = 0.1  # of the hybrid's noise that is random characters: what lets it correct itself


def _at(values: Tensor, ids: Tensor) -> Tensor:
    """(B, L, D), (B, L) -> (B, L, 1): the value at each position's own id."""
    return values.gather(-1, ids.unsqueeze(-1))


@dataclass(frozen=True)
class Process:
    """At rate dsigma a character is redrawn from fixed noise: any one with probability uniform_share, else the mask.

    Q = 1 noise' - I, so exp(sigma Q) = alpha I + (1 - alpha) 1 noise'. One form for the uniform process (share 1), the
    absorbing one (share 0) and what lies between, generalized interpolating diffusion (GIDD, arXiv:2503.04482) with a
    constant mixture. The mask has id V and exists only where the share is below 1; D, V or V + 1, counts the states.
    """

    characters: int  # V
    uniform_share: float

    @property
    def states(self) -> int:
        return self.characters + (self.uniform_share < 1)

    def noise_at(self, ids: Tensor, like: Tensor) -> Tensor:
        """The noise's probability of each id, in the precision of `like`."""
        share = torch.full((), self.uniform_share / self.characters, dtype=like.dtype, device=ids.device)
        return torch.where(ids == self.characters, 1 - self.uniform_share, share)

    def open_to_noise(self, ids: Tensor) -> Tensor:
        """(B, L) whether noise can have written each id; elsewhere x0 is known, and no loss has a value or gradient."""
        return (ids == self.characters) | (self.uniform_share > 0)

    def _noise(self, like: Tensor) -> Tensor:
        """(D,) the noise's distribution."""
        return self.noise_at(torch.arange(self.states, device=like.device), like)

    def _padded(self, values: Tensor, filler: float) -> Tensor:
        """(B, L, V) over characters -> (B, L, D) over states."""
        return F.pad(values, (0, self.states - self.characters), value=filler)

    def noise(self, x0: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
        """(B, L) x0 -> x_t ~ p(. | x0) = alpha [. = x0] + (1 - alpha) noise."""
        redraw = torch.rand(x0.shape, generator=generator, device=x0.device) < -torch.expm1(-sigma)
        drawn = torch.randint(self.characters, x0.shape, generator=generator, device=x0.device)
        if self.uniform_share < 1:
            masked = torch.rand(x0.shape, generator=generator, device=x0.device) >= self.uniform_share
            drawn = drawn.masked_fill(masked, self.characters)
        return torch.where(redraw, drawn, x0)

    def prior(self, uniforms: Tensor) -> Tensor:
        """(B, L) uniforms in [0, 1) -> ids drawn from the noise, where sampling begins."""
        character = (uniforms / max(self.uniform_share, TINY) * self.characters).long().clamp_max(self.characters - 1)
        return character.masked_fill(uniforms >= self.uniform_share, self.characters)

    def prior_kl(self, sigma: Tensor) -> Tensor:
        """KL(p(x_1 | x0) || prior) per character, in nats, the same for every x0; the prior is p(x_1) of uniform text.

        Under the uniform process that is the noise itself. The mask alone could not be a prior: alpha(1) is not 0.
        """
        alpha, spread = torch.exp(-sigma), -torch.expm1(-sigma) * self.uniform_share / self.characters
        prior = alpha / self.characters + spread
        other = torch.where(spread > 0, spread * torch.log(spread.clamp_min(TINY) / prior), 0)
        return (alpha + spread) * torch.log((alpha + spread) / prior) + (self.characters - 1) * other

    def log_evidence(self, x_t: Tensor, sigma: Tensor) -> Tensor:
        """(B, L) log p(x_t | x0 = x_t) - log p(x_t | x0 = y), any other y: how far a noisy character speaks for itself.

        0 for a mask, which says nothing; a character that no noise can have written is certain.
        """
        ratio = torch.exp(-sigma) / (-torch.expm1(-sigma) * self.noise_at(x_t, sigma))
        return torch.log1p(ratio).clamp_max(CERTAIN).masked_fill(x_t == self.characters, 0)

    def transition(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(B, L) ids -> (B, L, D): exp(sigma Q)(x, .), where a state goes in sigma."""
        spread = -torch.expm1(-sigma).unsqueeze(-1) * self._noise(sigma)
        stayed = torch.exp(-sigma).expand(x.shape).unsqueeze(-1)
        return spread.expand(*x.shape, -1).scatter_add(-1, x.unsqueeze(-1), stayed)

    def arrival(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(B, L) ids -> (B, L, D): exp(sigma Q)(., x), the probability that each state has become x after sigma."""
        spread = (-torch.expm1(-sigma) * self.noise_at(x, sigma)).unsqueeze(-1).expand(*x.shape, self.states)
        stayed = torch.exp(-sigma).expand(x.shape).unsqueeze(-1)
        return spread.scatter_add(-1, x.unsqueeze(-1), stayed)

    def score_entropy(self, log_score: Tensor, x_t: Tensor, x0: Tensor, sigma: Tensor) -> Tensor:
        """(B, L) score entropy in nats, before the rate dsigma; >= 0, and 0 iff the score is exact. SEDD, eq. 5.

        noise(x_t) sum over y != x_t of [ s - r log s + r (log r - 1) ], r = p(y|x0)/p(x_t|x0), written r (e^d - 1 - d)
        with d = log s - log r: no term is negative and none cancels. A ratio of 0 counts as e^-46 and leaves just s.
        """
        log_p = self.transition(x0, sigma).clamp_min(NO_RATIO).log()
        log_ratio = log_p - _at(log_p, x_t)
        d, noise = (log_score - log_ratio).scatter(-1, x_t.unsqueeze(-1), 0), self.noise_at(x_t, sigma)
        d = d.masked_fill((noise == 0).unsqueeze(-1), 0)  # no loss holds it there: it may be anything, and overflow
        return (log_ratio.exp() * (torch.expm1(d) - d)).sum(-1) * noise

    def x0_log_score(self, logits: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
        """(B, L, V) logits of pi -> (B, L, D) log-score: log of p_t(y)/p_t(x_t), p_t = alpha pi + (1 - alpha) noise."""
        signal = torch.exp(-sigma).unsqueeze(-1) * self._padded(logits.softmax(-1), 0)
        log_marginal = (signal - torch.expm1(-sigma).unsqueeze(-1) * self._noise(sigma)).clamp_min(TINY).log()
        return log_marginal - _at(log_marginal, x_t)

    def staggered_score(self, log_score: Tensor, delta_sigma: Tensor) -> Tensor:
        """(B, L, D): exp(-delta_sigma Q) applied to the score, SEDD section 4."""
        score, growth = log_score.exp(), delta_sigma.unsqueeze(-1)
        return growth.exp() * score - torch.expm1(growth) * self._noise(delta_sigma) * score.sum(-1, keepdim=True)

    def tweedie(self, log_score: Tensor, x_t: Tensor, delta_sigma: Tensor) -> Tensor:
        """(B, L, D) unnormalised p(x_s | x_t), delta_sigma = sigma_t - sigma_s; can be negative. SEDD, eq. 19."""
        return self.staggered_score(log_score, delta_sigma) * self.arrival(x_t, delta_sigma)

    def reverse_rate(self, log_score: Tensor, x_t: Tensor) -> Tensor:
        """(B, L, D) rate of leaving x_t for y in reversed time, Q(y, x_t) s_y; the diagonal makes rows sum to 0."""
        rate = log_score.exp() * self.noise_at(x_t, log_score).unsqueeze(-1)
        rate = rate.scatter(-1, x_t.unsqueeze(-1), 0)
        return rate.scatter(-1, x_t.unsqueeze(-1), -rate.sum(-1, keepdim=True))

    def posterior_logits(self, logits: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
        """(B, L, V) logits of pi(x0) -> logits of p(x0 | x_t), proportional to pi(x0) p(x_t | x0)."""
        # no loss holds pi where a character cannot be noise: left to itself it would drift until it outweighed CERTAIN
        certain = (self.noise_at(x_t, sigma) == 0).unsqueeze(-1)
        return self._weighed(logits.masked_fill(certain, 0), x_t, self.log_evidence(x_t, sigma))

    def context_logits(self, posterior: Tensor, x_t: Tensor, sigma: Tensor) -> Tensor:
        """The inverse of `posterior_logits`, but where a character cannot be noise."""
        return self._weighed(posterior, x_t, -self.log_evidence(x_t, sigma))

    def _weighed(self, logits: Tensor, x_t: Tensor, evidence: Tensor) -> Tensor:
        own = x_t.clamp_max(self.characters - 1).unsqueeze(-1)  # a mask's evidence is 0, wherever it is added
        return logits.scatter_add(-1, own, evidence.to(logits.dtype).unsqueeze(-1))

    def ancestral(self, pi: Tensor, x_t: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """(B, L, V) pi(x0) -> (B, L, D) unnormalised p(x_s | x_t): p_s(x_s) p(x_t | x_s), exact. `tweedie` of pi."""
        marginal = torch.exp(-sigma_next).unsqueeze(-1) * self._padded(pi, 0)
        marginal = marginal - torch.expm1(-sigma_next).unsqueeze(-1) * self._noise(pi)
        return marginal * self.arrival(x_t, sigma - sigma_next)

    def renoised(self, p: Tensor, sigma: Tensor) -> Tensor:
        """(B, L, D) a distribution -> the same after more noise: p exp(sigma Q)."""
        return torch.exp(-sigma).unsqueeze(-1) * p - torch.expm1(-sigma).unsqueeze(-1) * self._noise(p)


def _process(uniform_share: float) -> Callable[[int], Process]:
    return lambda characters: Process(characters, uniform_share)


PROCESSES = {"uniform": _process(1.0), "absorbing": _process(0.0), "hybrid": _process(HYBRID_SHARE)}
