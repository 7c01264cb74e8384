"""Muon for a GPU: the steps of several torch.optim.Muon, with one batch of products for all matrices of a shape."""

import math
from typing import Any

import torch
from torch import Tensor


def orthogonalised(matrices: Tensor, settings: dict[str, Any]) -> Tensor:
    """(N, R, C), R <= C -> (N, R, C) bfloat16 of singular values near 1, by Newton-Schulz (K. Jordan et al. 2024)."""
    a, b, c = settings["ns_coefficients"]
    x = matrices.bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(settings["eps"])
    for _ in range(settings["ns_steps"]):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def wide(matrix: Tensor) -> Tensor:
    """A matrix, or its transpose if it has more rows than columns."""
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


@torch.no_grad()
def step_together(muons: list[torch.optim.Muon]) -> None:
    """A step of each, all of the same settings: `step` would launch tiny products for each matrix of each.

    The learning rate may be a tensor on the device, as a CUDA graph needs.
    """
    settings = muons[0].param_groups[0]
    stacks: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
    for muon in muons:
        for matrix in muon.param_groups[0]["params"]:
            state = muon.state[matrix]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(matrix)
            buffer = state["momentum_buffer"]
            buffer.lerp_(matrix.grad, 1 - settings["momentum"])
            ahead = matrix.grad.lerp(buffer, settings["momentum"])  # Nesterov's
            stacks.setdefault(wide(matrix).shape, []).append((matrix, wide(ahead)))
    for members in stacks.values():
        updates = orthogonalised(torch.stack([ahead for _, ahead in members]), settings).float() * settings["lr"]
        for (matrix, _), update in zip(members, updates, strict=True):
            matrix.mul_(1 - settings["lr"] * settings["weight_decay"])
            rows, columns = matrix.shape
            wide(matrix).sub_(update, alpha=math.sqrt(max(1, rows / columns)))
