"""Noise schedules: how much noise there is at each time."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

ALPHA_END = 1e-3  # share of characters still clean at t = 1 (log-linear, cosine): the paper's eps
GEOMETRIC_RANGE = (1e-4, 20.0)  # sigma at t = 0 and t = 1 of the geometric schedule: the notebook's


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
