"""Muon: the updates of torch.optim.Muon."""

from functools import partial

import pytest
import torch
from torch import nn

from config.schema import TrainingConfig
from training.muon import muon_steps, newton_schulz, orthogonalised
from training.step import Optimizers
from utils import CPU, pick_precision

PRECISIONS = [torch.bfloat16, torch.float32]
SHAPES = ((16, 16), (48, 16), (64, 16), (16, 64), (16, 16), (64, 16))


def step_all(muons, *, precision, stacked=False) -> None:
    """The steps in reverse: their order changes nothing."""
    for step in reversed(muon_steps(muons, precision=precision, stacked=stacked)):
        step()


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


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("stacked", [False, True])
def test_matrices_move_as_those_of_torch(stacked, precision):
    alone = moved(lambda muons: [muon.step() for muon in muons])
    for ours, theirs in zip(moved(partial(step_all, precision=precision, stacked=stacked)), alone, strict=True):
        assert (ours - theirs).norm() < 0.05 * theirs.norm()  # products of bfloat16, and other ones


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_products_are_of_the_type_that_the_hardware_multiplies_or_float32_if_that_is_set(precision):
    """A processor without bfloat16 takes a hundred times as long for a product of it as for one of float32."""
    settings = TrainingConfig(precision=precision)

    def moved_by(step) -> torch.Tensor:
        draw = torch.Generator().manual_seed(2)
        matrix = nn.Parameter(torch.randn(16, 64, generator=draw))
        matrix.grad = torch.randn(16, 64, generator=draw)
        step(matrix)
        return matrix.detach()

    def by_products_of(precision) -> torch.Tensor:
        rate, decay = settings.muon_learning_rate, settings.weight_decay
        return moved_by(
            lambda matrix: step_all([torch.optim.Muon([matrix], lr=rate, weight_decay=decay)], precision=precision)
        )

    rest = nn.Parameter(torch.zeros(1))
    found = moved_by(lambda matrix: Optimizers(nn.ParameterList([matrix, rest]), [[matrix]], settings).step(1.0))
    alike = [each for each in PRECISIONS if torch.equal(found, by_products_of(each))]
    assert alike == [pick_precision(precision, CPU)]


def test_there_is_a_step_for_each_matrix_or_shape_and_the_longest_comes_first():
    """So that many cores share them, and end together."""
    sizes = {stacked: [] for stacked in (False, True)}
    for stacked, found in sizes.items():
        matrices = [nn.Parameter(torch.zeros(shape)) for shape in SHAPES]
        muons = [torch.optim.Muon(part, lr=0.1, weight_decay=0.0) for part in (matrices[:4], matrices[4:])]
        for step in muon_steps(muons, precision=torch.float32, stacked=stacked):
            for matrix in matrices:
                matrix.grad = torch.ones_like(matrix)
            before = [matrix.detach().clone() for matrix in matrices]
            step()
            pairs = zip(before, matrices, strict=True)
            found.append([tuple(now.shape) for then, now in pairs if not torch.equal(then, now)])
    assert sizes[False] == [[(64, 16)], [(16, 64)], [(64, 16)], [(48, 16)], [(16, 16)], [(16, 16)]]
    assert sizes[True] == [[(64, 16), (16, 64), (64, 16)], [(48, 16)], [(16, 16), (16, 16)]]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("shape", "least"), [((16, 40), 0.5), ((3, 16, 40), 0.5), ((24, 24), 0.4)])
def test_a_matrix_becomes_orthogonal(shape, least, precision):
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    settings = torch.optim.Muon([nn.Parameter(torch.zeros(2, 2))]).param_groups[0]
    found = orthogonalised(drawn, settings, precision)
    values = torch.linalg.svdvals(found.float())
    assert (found.shape, found.dtype) == (shape, precision) and values.min() > least and values.max() < 1.3


@pytest.mark.parametrize(("precision", "digits"), [(torch.bfloat16, 0.1), (torch.float32, 1e-5)])
def test_orthogonalised_follows_its_polynomial(precision, digits):
    """The singular values are those of x (a + b x^2 + c x^4), five times over, to the digits of the type."""
    settings = torch.optim.Muon([nn.Parameter(torch.zeros(2, 2))]).param_groups[0]
    (a, b, c), values = settings["ns_coefficients"], torch.tensor([0.9, 0.4, 0.15, 0.06], dtype=torch.float64)
    left, right = (torch.linalg.qr(torch.randn(n, 4, generator=torch.Generator().manual_seed(n)))[0] for n in (4, 9))
    found = orthogonalised(left @ values.float().diag() @ right.T, settings, precision).double()
    expected = values / values.norm()
    for _ in range(settings["ns_steps"]):
        expected = expected * (a + b * expected**2 + c * expected**4)
    torch.testing.assert_close((left.T.double() @ found @ right.double()).diagonal(), expected, atol=digits, rtol=0)


@pytest.mark.parametrize("iterations", [3, 5])
@pytest.mark.parametrize("shape", [(4, 9), (3, 4, 9), (6, 6)])
def test_newton_schulz_on_gram_matrices_is_the_iteration(shape, iterations):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = x = x / x.norm()
    a, b, c = torch.optim.Muon([nn.Parameter(torch.zeros(2, 2))]).param_groups[0]["ns_coefficients"]
    for _ in range(iterations):
        gram = expected @ expected.mT
        expected = a * expected + (b * gram + c * gram @ gram) @ expected
    torch.testing.assert_close(newton_schulz(x, (a, b, c), iterations), expected)
