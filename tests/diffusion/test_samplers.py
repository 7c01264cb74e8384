"""Every sampler recovers a known distribution; draws, truncation and given positions do as they say."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion.draws import change, draw, spread, tempered
from diffusion.objectives import HEADS, Diffusion
from diffusion.processes import PROCESSES
from diffusion.samplers import SAMPLERS, STEPS, noise_levels, sample
from diffusion.schedules import SCHEDULES
from tests.diffusion.sampling import PLAIN, ROWS, frequencies, run, total_variation, uniform_stream
from tests.helpers import Oracle, answering, toy_distribution


@pytest.mark.parametrize("grid", SCHEDULES)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("sampler", STEPS)
@pytest.mark.parametrize("process", PROCESSES)
def test_sampler_recovers_the_distribution(process, sampler, head, grid):
    diffusion = Diffusion.named(process, "log_linear", head, 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 2))
    texts = run(oracle, diffusion, head, sampler=sampler, grid=grid, steps=128)
    # 9 cells of 8,000 draws: chance alone gives about 0.012; euler adds its discretisation
    assert total_variation(oracle, texts) < (0.025 if sampler == "tweedie" else 0.045)


@pytest.mark.parametrize("process", PROCESSES)
def test_renoising_leaves_the_distribution_right(process):
    diffusion = Diffusion.named(process, "log_linear", "x0", 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 2))
    assert total_variation(oracle, run(oracle, diffusion, steps=128, renoise=0.3)) < 0.025


@pytest.mark.parametrize("renoise", [0.0, 0.3])
def test_only_renoising_lets_the_absorbing_process_change_its_mind(renoise):
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 2))
    seen: list[torch.Tensor] = []
    zeros = torch.zeros(500, 2, dtype=torch.long)
    sample(
        diffusion, oracle.network("x0"), zeros, zeros.bool(), uniform_stream(500),
        replace(PLAIN, steps=32, renoise=renoise), forbidden=[], observe=lambda step, x, pi: seen.append(x.clone()),
    )  # fmt: skip
    changes = sum(int(((before != after) & (before != 3)).sum()) for before, after in itertools.pairwise(seen))
    assert (changes > 0) == (renoise > 0)


def test_the_analytic_step_needs_few_calls_where_positions_are_independent():
    diffusion = Diffusion.named("uniform", "log_linear", "x0", 4)
    oracle = Oracle(diffusion.process, torch.outer(toy_distribution(4, 1), toy_distribution(4, 1, seed=1)))
    assert total_variation(oracle, run(oracle, diffusion, steps=2)) < 0.025


@pytest.mark.parametrize("grid", SCHEDULES)
def test_noise_levels_fall_to_zero(grid):
    levels = noise_levels(grid, 16)
    assert len(levels) == 17 and levels[-1] == 0 and (levels.diff() < 0).all()
    assert levels[0] == SCHEDULES[grid].sigma(torch.ones((), dtype=torch.float64))


def test_given_positions_come_out_untouched_and_condition_the_rest():
    diffusion = Diffusion.named("uniform", "log_linear", "x0", 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 2))
    given = torch.zeros(ROWS, 2, dtype=torch.bool)
    given[:, 0] = True
    x = torch.full((ROWS, 2), 1)

    @answering
    def network(x_t, sigma, given):  # a trusted first character: the oracle of p(x2 | x1)
        return oracle.p.view(3, 3)[x_t[:, 0]].log().unsqueeze(1).expand(-1, 2, -1)

    own = replace(PLAIN, greedy_last_step=False, steps=32)
    texts = sample(diffusion, network, x, given, uniform_stream(ROWS), own, forbidden=[])
    assert (texts[:, 0] == 1).all()
    expected = oracle.p.view(3, 3)[1] / oracle.p.view(3, 3)[1].sum()
    found = torch.bincount(texts[:, 1], minlength=3).double() / ROWS
    assert (found - expected).abs().sum() / 2 < 0.025


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("process", PROCESSES)
def test_forbidden_characters_and_masks_never_come_out(process, sampler, greedy):
    diffusion = Diffusion.named(process, "log_linear", "x0", 4)
    oracle = Oracle(diffusion.process, toy_distribution(4, 2))
    texts = run(oracle, diffusion, sampler=sampler, forbidden=[0, 3], steps=8, rows=2000, greedy_last_step=greedy)
    assert set(texts.flatten().tolist()) == {1, 2}


def test_temperature_sharpens_to_the_mode():
    diffusion = Diffusion.named("uniform", "log_linear", "x0", 5)
    oracle = Oracle(diffusion.process, torch.tensor([0.1, 0.4, 0.2, 0.2, 0.1], dtype=torch.float64))
    share = [
        frequencies(oracle, run(oracle, diffusion, rows=4000, steps=16, temperature=T))[1]
        for T in (3.0, 1.0, 0.3, 0.02)
    ]
    assert share == sorted(share) and share[1] == pytest.approx(0.4, abs=0.04) and share[-1] > 0.99


def test_top_p_keeps_the_smallest_sufficient_set():
    logits = torch.tensor([[[0.5, 0.3, 0.15, 0.05]]]).double().log()
    kept = {p: (tempered(logits, 1.0, p)[0, 0] > 0).tolist() for p in (0.01, 0.45, 0.6, 0.9, 1.0)}
    assert kept == {
        0.01: [True, False, False, False],
        0.45: [True, False, False, False],
        0.6: [True, True, False, False],
        0.9: [True, True, True, False],
        1.0: [True] * 4,
    }
    torch.testing.assert_close(tempered(logits, 1.0, 0.6)[0, 0, :2], torch.tensor([0.625, 0.375]).double())
    assert (tempered(torch.zeros(1, 1, 4).double(), 1.0, 0.5) > 0).sum() == 2  # it stops at the mass itself


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("truncation", [{"top_p": 0.5}, {"temperature": 1e-3}, {"top_p": 0.5, "renoise": 0.3}])
def test_what_is_written_stays_where_truncation_leaves_it_no_chance(truncation, greedy):
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 4)

    @answering
    def network(x_t, sigma, given):  # 1 where masked, and 2 wherever something is written already
        wanted = torch.where(x_t == 4, 1, 2)
        return torch.nn.functional.one_hot(wanted, 4).double() * 5

    own = replace(PLAIN, steps=8, greedy_last_step=greedy, **truncation)
    zeros = torch.zeros(20, 6, dtype=torch.long)
    texts = sample(diffusion, network, zeros, zeros.bool(), uniform_stream(20), own, forbidden=[0])
    assert (texts == 1).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_observed_is_the_chance_of_each_draw(sampler):
    """At temperature 0.5, cut at 0.9. Gibbs draws again what is cooler still, so that the likeliest alone is left."""
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 3)
    network = answering(lambda x_t, sigma, given: torch.tensor([0.0, 1, 2]).expand(*x_t.shape, 3))
    sharp = {"temperature": 0.5, "top_p": 0.9, "greedy_last_step": False}
    own = replace(PLAIN, sampler=sampler, steps=8, stretch=4, revised=0.5, **sharp)
    seen, zeros = [], torch.zeros(200, 12, dtype=torch.long)
    sample(
        diffusion, network, zeros, zeros.bool(), uniform_stream(200), own,
        forbidden=[], observe=lambda step, x, p: seen.append((x.clone(), p)),
    )  # fmt: skip
    first = torch.tensor([0, 1, math.exp(2)]).double() / (1 + math.exp(2))
    again = torch.tensor([0, 0, 1]).double()
    for call, ((before, _), (after, p)) in enumerate(itertools.pairwise(seen)):
        chance = again if sampler == "gibbs" and call >= 4 else first
        written = (after != before) & (after < 3)
        torch.testing.assert_close(p[written], chance[after[written]])
    assert len(seen) > 5


def test_draw_inverts_the_distribution_function():
    weights = torch.tensor([[[2.0, 0.0, 1.0, -0.5, 1.0, 0.0]]], dtype=torch.float64)
    uniforms = torch.tensor([[0.0], [0.4999], [0.5], [0.7499], [0.75], [1 - 2**-53]], dtype=torch.float64)
    assert draw(weights.expand(6, 1, 6), uniforms).flatten().tolist() == [0, 0, 2, 2, 4, 4]
    # the last weight is never drawn though rounding makes u * total equal the total
    tiny = torch.tensor([[[1e-300, 1.0, 0.0]]], dtype=torch.float64)
    assert draw(tiny, torch.tensor([[1 - 2**-53]], dtype=torch.float64)).item() == 1


def test_changed_ids_follow_the_weights_whatever_they_were():
    weights = torch.tensor([3.0, 0.0, 2.0, -1.0, 5.0], dtype=torch.float64)
    uniforms = uniform_stream(40_000)
    for now in range(5):
        x = torch.full((40_000, 1), now)
        found = change(x, weights.expand(40_000, 1, 5), uniforms(1), uniforms(1))
        share = torch.bincount(found.flatten(), minlength=5).double() / 40_000
        assert (share - weights.clamp_min(0) / 10).abs().max() < 0.01
        assert share[1] == share[3] == 0


def test_positions_that_change_at_once_lie_apart():
    starts = torch.rand(200, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = spread(starts, 128)
    assert values.min() >= 0 and values.max() < 1
    assert abs(values.mean() - 0.5) < 0.002
    for q in (0.02, 0.1, 0.2, 0.3):
        chosen = values < q
        assert (chosen.sum(1) - 128 * q).abs().max() < 3  # binomial draws would stray by 16 at q = 0.3
        gaps = [row.nonzero().flatten().diff().min() for row in chosen if row.sum() > 1]
        assert min(gaps) >= 0.38 / q


def test_greedy_last_step_takes_the_likeliest():
    diffusion = Diffusion.named("uniform", "log_linear", "x0", 4)
    oracle = Oracle(diffusion.process, torch.tensor([0.1, 0.2, 0.6, 0.1], dtype=torch.float64))
    assert set(run(oracle, diffusion, rows=500, steps=1, greedy_last_step=True).flatten().tolist()) == {2}


def test_observe_sees_every_state_and_changes_nothing():
    diffusion = Diffusion.named("uniform", "log_linear", "x0", 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 2))
    seen: list[torch.Tensor] = []
    zeros = torch.zeros(50, 2, dtype=torch.long)
    arguments = (diffusion, oracle.network("x0"), zeros, zeros.bool())
    own = replace(PLAIN, steps=5)
    watched = sample(
        *arguments, uniform_stream(50), own, forbidden=[], observe=lambda step, x, pi: seen.append(x.clone())
    )
    assert len(seen) == 6 and torch.equal(seen[-1], watched)
    assert torch.equal(watched, sample(*arguments, uniform_stream(50), own, forbidden=[]))
    assert np.all([int(x.min()) >= 0 and int(x.max()) < 3 for x in seen])
