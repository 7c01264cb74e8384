"""What learns: its gradient is cut; on a GPU a step as a CUDA graph, or compiled, is that of kernels one by one."""

import pytest
import torch

from config.loader import load_config
from diffusion.processes import PROCESSES
from tests.helpers import ROOT, shape
from training.learner import pays_to_compile
from training.trainer import Training

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
STEPS = 40  # of several shapes, each captured at its second step


def trained(run, steps: range, *, graphs: bool, state=None, compiled: bool = False) -> Training:
    """A training after these steps, from a state or the start; without graphs, of the same numbers on the GPU."""
    training = Training(run)
    if state is not None:
        training.take_up(state)
    if not graphs:
        plain = training.learner._follow
        training.learner.follow = lambda *inputs: plain(*(torch.as_tensor(value).to("cuda") for value in inputs))
    if compiled:
        assert training.learner._compile().startswith("the first step takes")
    for step in steps:
        training.advance(training.batches.batch(step))
    return training


def check_equal(one: Training, other: Training, rounding: float) -> None:
    """The weights went the same way, but for a share of it; so did the loss."""
    start = Training(one.run).average
    for a, b, first in zip(one.average.parameters(), other.average.parameters(), start.parameters(), strict=True):
        assert (a - b).norm() <= rounding * (a - first).norm()
    assert one.status.loss == pytest.approx(other.status.loss, rel=1e-3)


@needs_cuda
@pytest.mark.parametrize("process", PROCESSES)
def test_graphs_take_the_same_steps(tiny_run, process):
    run = tiny_run(diffusion={"process": process}).model_copy(update={"device": "cuda"})
    graphed, plain = (trained(run, range(STEPS), graphs=graphs) for graphs in (True, False))
    assert len(graphed.learner.follow.captured) > 1 and any(graphed.learner.follow.captured.values())
    check_equal(graphed, plain, 1e-3)
    assert graphed.status.loss != trained(run, range(STEPS - 1), graphs=True).status.loss


@needs_cuda
def test_graphs_go_on_from_a_state(tiny_run):
    run = tiny_run().model_copy(update={"device": "cuda"})
    whole, half = (trained(run, range(steps), graphs=True) for steps in (STEPS, STEPS // 2))
    check_equal(trained(run, range(STEPS // 2, STEPS), graphs=True, state=half.snapshot()), whole, 1e-3)


@needs_cuda
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_compiled_blocks_learn_the_same(tiny_run, dropout):
    """In single precision, since kernels that are joined round elsewhere. Dropout is drawn otherwise."""
    run = tiny_run(model={"dropout": dropout}, training={"precision": "float32"}).model_copy(update={"device": "cuda"})
    compiled, plain = (trained(run, range(STEPS), graphs=True, compiled=compiled) for compiled in (True, False))
    if dropout:
        assert compiled.status.loss == pytest.approx(plain.status.loss, rel=0.1)
    else:
        check_equal(compiled, plain, 0.2)


def test_compiling_pays_for_a_large_network_and_a_long_training():
    def pays(preset: str, steps: int, minutes: float = 0.0) -> bool:
        run = load_config(ROOT / "config.yaml").resolve("tweets", preset=preset, training={"max_minutes": minutes})
        return pays_to_compile(run, steps)

    assert pays("baby", 10_000) and pays("baby", 50_000, 3)
    assert not pays("baby", 9_999) and not pays("baby", 50_000, 2.9) and not pays("tiny", 50_000)


@pytest.mark.parametrize("clip_norm", [1e-3, 1e3])
def test_a_gradient_is_cut_to_the_norm_that_is_set(tiny_run, clip_norm):
    """What the optimizers follow has that norm, or its own if it is less; the norm that is shown is its own."""
    training = Training(shape(tiny_run(), clip_norm=clip_norm))
    batch = training.batches.batch(0)
    _, norm = training.learner.step(0, batch, int((~batch.given).sum()), 1.0, 0)
    gradients = [parameter.grad for parameter in training.model.parameters()]
    assert 1e-3 < float(norm) < 1e3
    assert float(torch.nn.utils.get_total_norm(gradients)) == pytest.approx(min(clip_norm, float(norm)), rel=1e-3)
