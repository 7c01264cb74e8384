"""Muon for a GPU: the update of torch.optim.Muon, computed for all matrices of one shape in one batch of products."""

import math

import torch
from torch import Tensor, nn

MOMENTUM = 0.95  # as in torch.optim.Muon, like the constants below
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic Newton-Schulz iteration
ITERATIONS = 5
SMALLEST_NORM = 1e-7


def orthogonalised(matrices: Tensor) -> Tensor:
    """(N, R, C), R <= C -> (N, R, C) bfloat16 of singular values near 1, by Newton-Schulz (K. Jordan et al. 2024)."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(SMALLEST_NORM)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def wide(matrix: Tensor) -> Tensor:
    """A matrix, or its transpose if it has more rows than columns."""
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


class StackedMuon(torch.optim.Optimizer):
    """torch.optim.Muon with stacked products: alone, a small one takes less time than its launch.

    Its learning rate may be a tensor on the device, as a CUDA graph needs.
    """

    def __init__(self, matrices: list[nn.Parameter], lr: float | Tensor, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]: without a closure
        (group,) = self.param_groups
        matrices: list[Tensor] = group["params"]
        gradients = [p.grad for p in matrices if p.grad is not None]
        buffers = [self.state[p].setdefault("momentum_buffer", torch.zeros_like(p)) for p in matrices]
        torch._foreach_lerp_(buffers, gradients, 1 - MOMENTUM)  # pyright: ignore[reportPrivateImportUsage]
        ahead = torch._foreach_lerp(gradients, buffers, MOMENTUM)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])  # pyright: ignore[reportPrivateImportUsage]
        stacks: dict[torch.Size, list[int]] = {}
        for place, matrix in enumerate(matrices):
            stacks.setdefault(wide(matrix).shape, []).append(place)
        for places in stacks.values():
            updates = orthogonalised(torch.stack([wide(ahead[place]) for place in places])).float()
            for place, update in zip(places, updates.mul_(-group["lr"]).unbind(), strict=True):
                matrix = matrices[place]
                rows, columns = matrix.shape
                wide(matrix).add_(update, alpha=math.sqrt(max(1, rows / columns)))
