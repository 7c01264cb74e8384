"""Muon in stacks: the updates of torch.optim.Muon."""

import torch
from torch import nn

from training.muon import orthogonalised, step_together

SHAPES = ((16, 16), (48, 16), (64, 16), (16, 64), (16, 16), (64, 16))


def moved(step) -> list[torch.Tensor]:
    """How far the matrices of two optimizers move in five steps along drawn gradients, at rates that fall."""
    draw = torch.Generator().manual_seed(0)
    matrices = [nn.Parameter(torch.randn(shape, generator=draw)) for shape in SHAPES]
    start = [matrix.detach().clone() for matrix in matrices]
    muons = [torch.optim.Muon(part, lr=0.02, weight_decay=0.1) for part in (matrices[:4], matrices[4:])]
    for number in range(5):
        for matrix in matrices:
            matrix.grad = torch.randn(matrix.shape, generator=draw)
        for muon in muons:
            muon.param_groups[0]["lr"] = 0.02 / (1 + number)
        step(muons)
    return [matrix.detach() - first for matrix, first in zip(matrices, start, strict=True)]


def test_stacked_matrices_move_as_those_of_torch():
    alone = moved(lambda muons: [muon.step() for muon in muons])
    for ours, theirs in zip(moved(step_together), alone, strict=True):
        assert (ours - theirs).norm() < 0.01 * theirs.norm()  # products of bfloat16, summed in another order


def test_a_matrix_becomes_orthogonal():
    drawn = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(1))
    settings = torch.optim.Muon([nn.Parameter(drawn[0])]).param_groups[0]
    values = torch.linalg.svdvals(orthogonalised(drawn, settings).float())
    assert values.min() > 0.5 and values.max() < 1.3
