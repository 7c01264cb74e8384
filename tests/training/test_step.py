"""One step: what it leaves out changes nothing, how it is cut, at what rate it learns."""

from dataclasses import replace

import pytest
import torch

from config.schema import TrainingConfig
from diffusion.objectives import LOSSES
from diffusion.processes import PROCESSES
from tests.helpers import shape
from training import step as objective
from training.step import Shard, rounded_up, scheduled_rate, shard_count
from training.trainer import Training


@pytest.mark.parametrize(
    ("wanted", "asked"), [(0, 0), (1, 64), (64, 64), (65, 128), (190, 192), (195, 200), (200, 200)]
)
def test_positions_are_rounded_up_to_multiples(wanted, asked):
    mask = torch.zeros(200, dtype=torch.bool)
    mask[torch.randperm(200, generator=torch.Generator().manual_seed(0))[:wanted]] = True
    found = rounded_up(mask.view(4, 50))
    assert int(found.sum()) == asked and (found | ~mask.view(4, 50)).all()


@pytest.mark.parametrize("fixed_shapes", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("process", PROCESSES)
def test_leaving_out_what_has_no_loss_changes_neither_loss_nor_gradient(tiny_run, process, loss, fixed_shapes):
    training = Training(shape(tiny_run(diffusion={"process": process}, model={"dropout": 0.0}), loss=loss))
    for number in range(5):  # away from the start, where most gradients are 0
        training.advance(training.batches.batch(number))
    x0, given, _ = vars(training.batches.batch(5)).values()
    t, generator = torch.linspace(0.01, 0.9, len(x0)).unsqueeze(1), torch.Generator().manual_seed(0)
    sigma = training.diffusion.schedule.sigma(t)
    x_t = torch.where(given, x0, training.diffusion.process.noise(x0, sigma, generator))
    part = replace(training.learner.objective, fixed_shapes=fixed_shapes)
    found, gradients = part.loss_and_gradients(Shard(x0, given, x_t, t, generator))
    output = training.model(x_t, sigma.squeeze(1), given)
    whole = LOSSES[loss](training.diffusion, output, x_t, x0, t).masked_fill(given, 0).sum()
    assert float(found) == pytest.approx(whole.item(), rel=1e-5) and found > 1
    expected = torch.autograd.grad(whole, list(training.model.parameters()))
    for gradient, own in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, own, rtol=1e-3, atol=1e-4)
    assert sum(bool(gradient.abs().max() > 1e-4) for gradient in expected) > len(expected) / 2


@pytest.mark.parametrize(
    "device, cores, positions, parts",
    [
        ("cpu", 2, 16_384, 8),
        ("cpu", 6, 16_384, 12),  # whole rounds: no core waits
        ("cpu", 16, 16_384, 16),
        ("cpu", 2, 2_048, 2),
        ("cpu", 8, 512, 2),
        ("cpu", 4, 64, 1),
        ("cuda", 1, 16_384, 1),
    ],
)
def test_a_step_is_cut_to_the_cores_and_their_caches(monkeypatch, device, cores, positions, parts):
    monkeypatch.setattr(objective, "parallel_tasks", lambda device: cores)
    assert shard_count(torch.device(device), positions) == parts


def test_rate_warms_up_and_falls():
    config = TrainingConfig(warmup=0.1, final_rate=0.2)
    assert [scheduled_rate(p, config) for p in (0.0, 0.05, 0.1, 0.55, 1.0)] == pytest.approx([0, 0.5, 1, 0.6, 0.2])
