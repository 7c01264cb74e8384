"""What learns, on a GPU: steps as CUDA graphs are the same as those launched kernel by kernel. Skipped without one."""

import pytest
import torch

from diffusion.processes import PROCESSES
from training.trainer import Training

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
STEPS = 40  # of several shapes, each captured at its second step


def trained(run, steps: range, *, graphs: bool, state=None) -> Training:
    """A training after these steps, from a state or the start."""
    training = Training(run)
    if state is not None:
        training.take_up(state)
    if not graphs:
        training.learner.follow = training.learner._follow
    for step in steps:
        training.advance(training.batches.batch(step))
    return training


def check_equal(one: Training, other: Training) -> None:
    """The weights are equal to rounding, which a GPU does otherwise each time and training amplifies."""
    start = Training(one.run).average
    for a, b, first in zip(one.average.parameters(), other.average.parameters(), start.parameters(), strict=True):
        assert (a - b).norm() <= 0.1 * (a - first).norm()
    assert one.status.loss == pytest.approx(other.status.loss, rel=1e-3)


@pytest.mark.parametrize("process", PROCESSES)
def test_graphs_take_the_same_steps(tiny_run, process):
    run = tiny_run(diffusion={"process": process}).model_copy(update={"device": "cuda"})
    graphed, plain = (trained(run, range(STEPS), graphs=graphs) for graphs in (True, False))
    assert len(graphed.learner.follow.captured) > 1 and any(graphed.learner.follow.captured.values())
    check_equal(graphed, plain)
    assert graphed.status.loss != trained(run, range(STEPS - 1), graphs=True).status.loss


def test_graphs_go_on_from_a_state(tiny_run):
    run = tiny_run().model_copy(update={"device": "cuda"})
    whole, half = (trained(run, range(steps), graphs=True) for steps in (STEPS, STEPS // 2))
    check_equal(trained(run, range(STEPS // 2, STEPS), graphs=True, state=half.snapshot()), whole)
