"""Muon: the steps of torch.optim.Muon, whose matrices of one shape are multiplied together, in fewer products."""

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor

FIRST_STEPS = 2  # Newton-Schulz steps on one Gram matrix before the next is made: bfloat16 loses too much in more


def orthogonalised(matrices: Tensor, settings: dict[str, Any], precision: torch.dtype) -> Tensor:
    """(R, C) or (N, R, C), R <= C -> the same shape and `precision`, singular values near 1 (K. Jordan et al. 2024)."""
    x = matrices.to(precision)
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(settings["eps"])
    return newton_schulz(x, settings["ns_coefficients"], settings["ns_steps"])


def newton_schulz(x: Tensor, coefficients: tuple[float, float, float], iterations: int) -> Tensor:
    """(R, C) or (N, R, C), R <= C -> the same shape: iterations of x -> (a + b g + c g^2) x, where g = x x^T.

    Such factors commute with g, so several need products of (R, R) alone, and x is multiplied by all of them at once.
    """
    a, b, c = coefficients
    add_product = torch.addmm if x.dim() == 2 else torch.baddbmm
    for steps in (FIRST_STEPS, iterations - FIRST_STEPS):
        gram, factors = x @ x.mT, []
        for step in range(steps):
            factor = add_product(gram, gram, gram, beta=b, alpha=c)
            factor.diagonal(dim1=-2, dim2=-1).add_(a)
            factors.append(factor)
            if step + 1 < steps:
                gram = factor @ gram @ factor
        x = reduce(lambda before, factor: factor @ before, factors) @ x
    return x


def wide(matrix: Tensor) -> Tensor:
    """A matrix, or its transpose if it has more rows than columns."""
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def muon_steps(muons: list[torch.optim.Muon], *, precision: torch.dtype, stacked: bool) -> list[Callable[[], None]]:
    """The steps of all matrices of some optimizers of the same settings, to be made in any order or at once.

    There is one for each matrix, and the longest come first. If `stacked`, as suits a GPU, there is one for each shape,
    whose matrices are multiplied together. The learning rate may be a tensor on the device, as a CUDA graph needs.
    """
    settings = muons[0].param_groups[0]
    stacks: dict[Any, list[tuple[Tensor, dict[str, Tensor]]]] = {}
    for muon in muons:
        for matrix in muon.param_groups[0]["params"]:
            stacks.setdefault(wide(matrix).shape if stacked else matrix, []).append((matrix, muon.state[matrix]))
    by_cost = sorted(stacks.values(), key=lambda members: -min(members[0][0].shape) * members[0][0].numel())
    return [partial(follow, members, settings, precision) for members in by_cost]


@torch.no_grad()
def follow(members: list[tuple[Tensor, dict[str, Tensor]]], settings: dict[str, Any], precision: torch.dtype) -> None:
    """The step of matrices of one shape, each beside its optimizer's state, or of one. Torch's takes more products, all
    in bfloat16.
    """
    alike = []
    for matrix, state in members:
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        gradient, buffer = matrix.grad, state["momentum_buffer"]
        assert gradient is not None
        buffer.lerp_(gradient, 1 - settings["momentum"])
        alike.append(wide(gradient.lerp(buffer, settings["momentum"])))  # Nesterov's
    update = partial(orthogonalised, settings=settings, precision=precision)
    directions = update(torch.stack(alike)) if len(alike) > 1 else [update(alike[0])]
    for (matrix, _), direction in zip(members, directions, strict=True):
        matrix.mul_(1 - settings["lr"] * settings["weight_decay"])
        rows, columns = matrix.shape
        wide(matrix).sub_(direction * (settings["lr"] * math.sqrt(max(1, rows / columns))))
