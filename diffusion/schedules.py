"""Noise schedules: how much noise there is at each time (SEDD: Lou, Meng, Ermon, arXiv:2310.16834).

The clock t runs from 0 (clean text) to 1 (noise). sigma(t) is the total noise up to t, and dsigma(t) its derivative.
alpha = exp(-sigma) is the share of characters that are still untouched. Every function keeps the shape of t.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

ALPHA_END = 1e-3  # alpha at t = 1 of log-linear and cosine; the paper's eps
GEOMETRIC_RANGE = (1e-4, 20.0)  # sigma at t = 0 and t = 1 of geometric; the notebook's values


class Schedule(NamedTuple):
    """Total noise sigma(t) and its derivative dsigma(t), both in nats and of the shape of t."""

    sigma: Callable[[Tensor], Tensor]
    dsigma: Callable[[Tensor], Tensor]


def _log_linear_sigma(t: Tensor) -> Tensor:
    return -torch.log1p(-(1 - ALPHA_END) * t)  # alpha = 1 - (1 - eps) t


def _log_linear_dsigma(t: Tensor) -> Tensor:
    return (1 - ALPHA_END) / (1 - (1 - ALPHA_END) * t)


def _cosine_sigma(t: Tensor) -> Tensor:
    # alpha = 1 - (1 - eps)(1 - cos x), x = pi t / 2; 1 - cos x = 2 sin(x/2)^2 keeps its digits near t = 0
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
