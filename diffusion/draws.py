"""Drawing characters: temperature and top-p, draws by inverse CDF, and changes that lie far apart in a text.

Shapes: B batch, L positions, V characters, D states; ids are (B, L). Uniform random numbers come from the caller.
"""

import math

import torch
from torch import Tensor

GOLDEN_RATIO = (math.sqrt(5) - 1) / 2  # its multiples, modulo 1, spread evenly over [0, 1)


def tempered(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """(B, L, V) logits -> pi at this temperature, cut to the smallest set of characters whose mass reaches top_p.

    This reshapes pi, not p(x0 | x_t). Sharpening p(x0 | x_t) would also sharpen the evidence of a noisy character for
    itself, and the random characters that sampling starts from would stay.
    """
    pi = (logits / temperature).softmax(-1)
    if top_p < 1:
        ranked, order = pi.sort(-1, descending=True)
        outside = ranked.cumsum(-1) - ranked >= top_p  # the likeliest is always inside
        pi = pi.masked_fill(outside.scatter(-1, order, outside), 0)
        pi = pi / pi.sum(-1, keepdim=True)
    return pi


def draw(weights: Tensor, uniforms: Tensor) -> Tensor:
    """(B, L, V) unnormalised float64 weights, (B, L) uniforms in [0, 1) -> ids by inverse CDF; negatives count as 0."""
    cdf = weights.clamp_min(0).cumsum(-1)
    threshold = uniforms.unsqueeze(-1) * cdf[..., -1:]
    # rounding can raise the threshold to the whole mass; the second condition then stops at the last positive weight
    return ((cdf <= threshold) & (cdf < cdf[..., -1:])).sum(-1)


def spread(starts: Tensor, length: int) -> Tensor:
    """(B, 1) uniforms -> (B, L) uniforms of which similar ones lie far apart: start + i * golden ratio mod 1.

    A Kronecker sequence: those in an interval of length q are at least 0.38 / q positions apart.
    """
    return (starts + GOLDEN_RATIO * torch.arange(length, dtype=starts.dtype, device=starts.device)) % 1


def change(x: Tensor, weights: Tensor, leave: Tensor, become: Tensor) -> Tensor:
    """(B, L) ids x -> (B, L) ids drawn in proportion to (B, L, D) float64 weights; negatives count as 0.

    Two (B, L) uniforms in [0, 1) make the draw: `leave` decides whether x changes, `become` what it changes to.
    """
    p, index = normalised(weights, x), x.unsqueeze(-1)
    stays = leave < p.gather(-1, index).squeeze(-1)
    return torch.where(stays, x, draw(p.scatter(-1, index, 0), become))


def normalised(weights: Tensor, x: Tensor) -> Tensor:
    """(B, L, D) weights -> (B, L, D) distributions; negatives count as 0, and x is certain where all weights are 0."""
    weights = weights.clamp_min(0)
    total = weights.sum(-1, keepdim=True)
    # under the absorbing process only x can follow a written x, but top-p or temperature may have given it weight 0
    missing = (total == 0).to(weights.dtype)
    return weights.scatter_add(-1, x.unsqueeze(-1), missing) / (total + missing)


def likelihood(pi: Tensor, x: Tensor) -> Tensor:
    """(B, L, V) pi, (B, L) ids -> (B, L): pi of each id; 0 for a mask."""
    written = x < pi.shape[-1]
    return pi.gather(-1, x.where(written, 0).unsqueeze(-1)).squeeze(-1) * written
