"""Muon in stacks: the updates of torch.optim.Muon."""

import torch
from torch import nn

from training.muon import StackedMuon, orthogonalised

SHAPES = ((16, 16), (48, 16), (64, 16), (16, 64), (16, 16), (64, 16))


def moved(kind: type[torch.optim.Optimizer]) -> list[torch.Tensor]:
    """How far matrices move in five steps along drawn gradients, at rates that fall."""
    draw = torch.Generator().manual_seed(0)
    matrices = [nn.Parameter(torch.randn(shape, generator=draw)) for shape in SHAPES]
    start = [matrix.detach().clone() for matrix in matrices]
    optimizer = kind(matrices, lr=0.02, weight_decay=0.1)  # pyright: ignore[reportCallIssue]
    for step in range(5):
        optimizer.param_groups[0]["lr"] = 0.02 / (1 + step)
        for matrix in matrices:
            matrix.grad = torch.randn(matrix.shape, generator=draw)
        optimizer.step()
    return [matrix.detach() - first for matrix, first in zip(matrices, start, strict=True)]


def test_stacked_matrices_move_as_those_of_torch():
    for ours, theirs in zip(moved(StackedMuon), moved(torch.optim.Muon), strict=True):
        assert (ours - theirs).norm() < 0.01 * theirs.norm()  # products of bfloat16, summed in another order


def test_a_matrix_becomes_orthogonal():
    drawn = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalised(drawn).float())
    assert values.min() > 0.5 and values.max() < 1.3
