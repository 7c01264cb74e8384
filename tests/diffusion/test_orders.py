"""The likelihood of an order of writing is exact: it sums to 1, and it is what the sampler reports."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion import orders
from diffusion.objectives import Diffusion
from diffusion.samplers import sample
from tests.diffusion.sampling import PLAIN, uniform_stream
from tests.helpers import Oracle, answering, toy_distribution

ABSORBING = Diffusion.named("absorbing", "log_linear", "x0", 3)


def any_network(seed: int, length: int):
    """A network whose answers follow from what it is shown, and from nothing else."""
    weights = torch.randn(length * 4, length * 3, generator=torch.Generator().manual_seed(seed))

    @answering
    def network(x_t, sigma, given):
        shown = torch.nn.functional.one_hot(x_t, 4).float().flatten(1) + sigma.view(-1, 1)
        return (shown @ weights).view(len(x_t), length, 3)

    return network


ORDERS = {
    "left to right": lambda given: orders.LEFT_TO_RIGHT,
    "surest, one stretch": lambda given: orders.surest(given, given.shape[1]),
    "surest, stretches of 2": lambda given: orders.surest(given, 2),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@given(seed=st.integers(0, 1000), given=st.lists(st.booleans(), min_size=4, max_size=4))
def test_probabilities_of_all_texts_sum_to_one(order, seed, given):
    texts = torch.tensor(list(itertools.product(range(3), repeat=4)))
    fixed = torch.tensor(given).expand(len(texts), 4)
    nats = orders.ordered_nats(ABSORBING, any_network(seed, 4), texts, fixed, order(fixed))
    alternatives = 3 ** given.count(True)  # texts with other given characters, each with probabilities of its own
    assert float(nats.sum(1).neg().exp().sum()) == pytest.approx(alternatives) and not nats[fixed].any()


@pytest.mark.parametrize("order", ["left to right", "surest, one stretch"])
def test_a_network_that_knows_the_truth_gives_each_text_its_probability(order):
    oracle = Oracle(ABSORBING.process, toy_distribution(3, 4))
    fixed = torch.zeros_like(oracle.texts).bool()
    nats = orders.ordered_nats(ABSORBING, oracle.network("x0"), oracle.texts, fixed, ORDERS[order](fixed))
    torch.testing.assert_close(nats.sum(1), -oracle.p.log())


@pytest.mark.parametrize("stretch", [1, 2, 3, 8])
def test_the_likelihood_is_that_with_which_the_sampler_writes(stretch):
    network, fixed = any_network(7, 8), torch.zeros(50, 8, dtype=torch.bool)
    fixed[:, 0] = True
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    texts = sample(
        ABSORBING, network, torch.ones_like(fixed).long(), fixed, uniform_stream(50),
        replace(PLAIN, sampler="surest", stretch=stretch),
        forbidden=[], observe=lambda step, x, p: seen.append((x.clone(), torch.zeros(50, 8) if p is None else p)),
    )  # fmt: skip
    written = sum(((p.log() * (after != before)).nan_to_num() for (before, _), (after, p) in itertools.pairwise(seen)))
    nats = orders.ordered_nats(ABSORBING, network, texts, fixed, orders.surest(fixed, stretch))
    torch.testing.assert_close(nats, -written)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_network_that_gives_no_probabilities_ends_every_order(wrong):
    """It wrote nothing, and asked again for ever."""
    text, given = torch.ones(2, 4, dtype=torch.long), torch.zeros(2, 4, dtype=torch.bool)
    network = answering(lambda x_t, sigma, given: torch.full((2, 4, 3), wrong))
    for order in ORDERS.values():
        with pytest.raises(FloatingPointError, match="the network's output is not a number"):
            orders.ordered_nats(ABSORBING, network, text, given, order(given))
    for sampler in ("surest", "gibbs", "tweedie"):
        with pytest.raises(FloatingPointError, match="the network's output is not a number"):
            settings = replace(PLAIN, sampler=sampler)
            sample(ABSORBING, network, text, given, uniform_stream(2), settings, forbidden=[])


def test_the_noise_level_is_that_of_the_masked_share_of_what_is_not_given():
    given = torch.tensor([[True, False, False, False, False, True]] * 3)
    masked = [[False, True, True, True, True, False], [False, True, False, False, True, False], [False] * 6]
    alpha = torch.exp(-orders.noise_of(torch.tensor(masked), given)).flatten()
    shares = torch.tensor([1.0, 0.5, 1 / 6]).double()  # of the last, one of its six positions: no share is 0
    torch.testing.assert_close(alpha, 1 - 0.999 * shares)


def test_reading_order_writes_the_first_unwritten_position():
    unwritten = torch.tensor([[False, True, True], [False, False, False], [True, False, True]])
    chosen = orders.LEFT_TO_RIGHT.choose(unwritten, torch.rand(3, 3))
    assert chosen.tolist() == [[False, True, False], [False] * 3, [True, False, False]]
