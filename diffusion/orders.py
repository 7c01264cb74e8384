"""Orders of writing: which unwritten positions a network call writes; and the exact likelihood of text in an order.

The absorbing process allows every order. One that depends on what is written alone, not on what will be, turns the
network into a model with an exact likelihood (arXiv:2603.01367): the product of the probabilities with which the
characters are written, of a text whose length is known. It is no bound, so it compares with the likelihood of a model
that reads from left to right and need not say where a text ends.
Shapes: B batch, L positions, S stretches; ids, `given`, `unwritten` and `confidence` are (B, L).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from diffusion.objectives import Diffusion, Network, checked
from diffusion.schedules import SCHEDULES

ROUNDING_PARTS = 8  # a number of positions is rounded up to eighths of a row, so that few matrix shapes occur


class Order(NamedTuple):
    """An order of writing: the positions it may write next, and those it does, at least one in each unfinished row."""

    candidates: Callable[[Tensor], Tensor]  # unwritten -> positions among which it chooses
    choose: Callable[[Tensor, Tensor], Tensor]  # (unwritten, confidence: p of the likeliest) -> those written now


def stretches(given: Tensor, longest: int) -> Tensor:
    """(B, L) given -> (B, S, L): cut what is not given into S stretches, the fewest of at most `longest` positions.

    Entry [b, s, l] tells whether position l of row b is in stretch s. Lengths in a row differ by at most 1.
    """
    order, size = (~given).cumsum(1) - 1, (~given).sum(1, keepdim=True)
    count = (size + longest - 1) // longest
    stretch = (order * count // size.clamp_min(1)).masked_fill(given, -1)
    return stretch.unsqueeze(1) == torch.arange(int(count.max()), device=given.device).view(1, -1, 1)


def best_of(members: Tensor, values: Tensor) -> Tensor:
    """(B, S, L) stretches, (B, L) values -> (B, L): marks the greatest value of each stretch, if it is above 0."""
    best, place = values.unsqueeze(1).masked_fill(~members, 0).max(-1)
    return torch.zeros_like(values).scatter_add(1, place, (best > 0).to(values.dtype)) > 0


def surest(given: Tensor, longest: int) -> Order:
    """The order of the sampler `surest`: in each stretch of at most `longest` positions the most confident one."""
    members = stretches(given, longest)
    return Order(lambda unwritten: unwritten, lambda unwritten, confidence: best_of(members, confidence * unwritten))


def first_unwritten(unwritten: Tensor) -> Tensor:
    """(B, L) -> (B, L): the first of each row."""
    return unwritten & (unwritten.cumsum(1) == 1)


LEFT_TO_RIGHT = Order(first_unwritten, lambda unwritten, confidence: first_unwritten(unwritten))


def filled_up(positions: Tensor, most: int) -> Tensor:
    """(B, L) positions, at most `most` in a row -> (B, L): the same and more from the left, equally many in each row.

    Their number depends on `most` alone: matrix products of other shapes round differently, and a text must not depend
    on the other rows. It is rounded up to eighths of L, because a CPU compiles and keeps a product for each shape.
    """
    part = max(1, positions.shape[1] // ROUNDING_PARTS)
    missing = -(-most // part) * part - positions.sum(1, keepdim=True)
    return positions | (~positions & ((~positions).cumsum(1) <= missing))


def noise_of(unwritten: Tensor, given: Tensor) -> Tensor:
    """(B, L) -> (B, 1) float64 sigma at which the unwritten share of what is not given is masked.

    A row that is written counts as one with a single mask, for sigma must not be 0.
    """
    size = (~given).sum(1, keepdim=True).clamp_min(1)
    share = (unwritten.sum(1, keepdim=True) / size).clamp_min(1 / given.shape[1])
    return SCHEDULES["log_linear"].sigma(share.double())


def placed(positions: Tensor, values: Tensor) -> Tensor:
    """(B, L) positions, K in each row, (B, K) values -> (B, L): each value in its place, 0 elsewhere."""
    return torch.zeros(positions.shape, dtype=values.dtype, device=values.device).masked_scatter(positions, values)


@torch.no_grad()
def ordered_nats(diffusion: Diffusion, network: Network, x0: Tensor, given: Tensor, order: Order) -> Tensor:
    """(B, L) nats: -log p of each character, given those written before it in this order; 0 where given.

    They add up to the exact -log p(x0) of a sampler that writes in this order at temperature 1 and may write any
    character. The diffusion must be absorbing. Raises FloatingPointError if the network gives no probabilities.
    """
    x, unwritten = torch.where(given, x0, diffusion.process.characters), ~given
    width = diffusion.head.width(diffusion.process)
    nats = torch.zeros(x0.shape, dtype=torch.float64, device=x0.device)
    while unwritten.any():
        sigma, candidates = noise_of(unwritten, given), order.candidates(unwritten)
        positions = filled_up(candidates, int(candidates.sum(1).max()))
        output = network(x, sigma.squeeze(1).float(), given, positions=positions).double().view(len(x), -1, width)
        logits = diffusion.head.logits(diffusion.process, output, x[positions].view(len(x), -1), sigma)
        log_pi = checked(logits).log_softmax(-1)
        chosen = order.choose(unwritten, placed(positions, log_pi.exp().amax(-1)))
        log_p = log_pi.gather(-1, x0[positions].view(len(x), -1, 1)).squeeze(-1)
        nats = torch.where(chosen, placed(positions, -log_p), nats)
        x, unwritten = torch.where(chosen, x0, x), unwritten & ~chosen
    return nats
