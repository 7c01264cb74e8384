"""Every sampler recovers a known distribution; draws, truncation and given positions do as they say."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion.objectives import HEADS, Diffusion
from diffusion.processes import PROCESSES
from diffusion.samplers import (
    SAMPLERS,
    STEPS,
    SamplerSettings,
    change,
    draw,
    filled_up,
    noise_levels,
    plausibilities,
    reshape,
    sample,
    spread,
    stretches,
)
from diffusion.schedules import SCHEDULES
from tests.helpers import Oracle, answering, toy_distribution

ROWS = 8000
PLAIN = SamplerSettings("tweedie", "log_linear", 64, 1.0, 1.0, True, 0.0)


def uniform_stream(rows: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return lambda size: torch.rand(rows, size, generator=generator, dtype=torch.float64)


def run(oracle, diffusion, head="x0", *, rows=ROWS, given=None, x=None, forbidden=(), **settings):
    shape = (rows, oracle.length)
    x = torch.zeros(shape, dtype=torch.long) if x is None else x
    given = torch.zeros(shape, dtype=torch.bool) if given is None else given
    own = replace(PLAIN, **{"greedy_last_step": False, **settings})
    return sample(diffusion, oracle.network(head), x, given, uniform_stream(rows), own, forbidden=list(forbidden))


def frequencies(oracle, texts):
    index = (texts * oracle.characters ** torch.arange(oracle.length - 1, -1, -1)).sum(1)
    return torch.bincount(index, minlength=len(oracle.p)).double() / len(texts)


def total_variation(oracle, texts) -> float:
    return float((frequencies(oracle, texts) - oracle.p).abs().sum() / 2)


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


@pytest.mark.parametrize("head", HEADS)
def test_surest_first_is_exact_where_one_is_written_at_a_time(head):
    diffusion = Diffusion.named("absorbing", "log_linear", head, 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 3))
    assert total_variation(oracle, run(oracle, diffusion, head, sampler="surest", steps=3)) < 0.03  # 27 cells


def test_surest_first_writes_the_surest_of_each_stretch():
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 5)
    sharpness = torch.tensor([1.0, 3, 2, 9, 5, 4, 7, 6])  # the first is given

    @answering
    def network(x_t, sigma, given):
        return sharpness.unsqueeze(1) * torch.eye(5)[2].expand(len(x_t), 8, 5)

    seen: list[torch.Tensor] = []
    given = torch.zeros(3, 8, dtype=torch.bool)
    given[:, 0] = True
    sample(
        diffusion, network, torch.full((3, 8), 1), given, uniform_stream(3), replace(PLAIN, sampler="surest", steps=4),
        forbidden=[], observe=lambda step, x, pi: seen.append(x.clone()),
    )  # fmt: skip
    written = [(before != after)[0].nonzero().flatten().tolist() for before, after in itertools.pairwise(seen)]
    assert written == [[3, 6], [4, 7], [1, 5], [2]]  # of 1 2 3 4 and of 5 6 7


def test_surest_first_writes_again_what_is_least_plausible():
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 5)
    place, calls = torch.arange(20), []

    @answering
    def network(x_t, sigma, given):  # says 1, but from 12 to 16 it says 2 while it writes, and 3 when it judges
        calls.append(float(sigma[0]))
        wanted = torch.where((place >= 12) & (place <= 16), 2 if len(calls) <= 4 else 3, 1).expand(len(x_t), 20)
        return 9 * torch.eye(5)[wanted]

    own = replace(PLAIN, sampler="surest", steps=4, renoise=0.25, temperature=0.01)
    steps, zeros = [], torch.zeros(2, 20, dtype=torch.long)
    given = zeros.bool()
    given[:, 0] = True
    texts = sample(
        diffusion, network, zeros, given, uniform_stream(2), own,
        forbidden=[], observe=lambda step, x, pi: steps.append(step),
    )  # fmt: skip
    assert texts.tolist() == [[0] + [1] * 11 + [3] * 5 + [1] * 3] * 2
    judging = float(SCHEDULES["log_linear"].sigma(torch.tensor(0.25)))
    assert calls[4:8] == pytest.approx([judging] * 4) and len(calls) == 4 + 4 + 1 and steps == [0, 1, 2, 3, 4, 5]


def test_plausibilities_weigh_hidden_characters_against_what_was_to_be_expected():
    oracle = Oracle(PROCESSES["absorbing"](3), toy_distribution(3, 5))
    x = torch.tensor([[0, 1, 2, 1, 0], [2, 2, 1, 0, 1]])
    given = torch.tensor([[True, False, False, False, False]]).expand(2, 5)
    sigma = SCHEDULES["log_linear"].sigma(torch.tensor([0.25]))

    def context(x_t, sigma, asked):
        return oracle.logits(x_t, sigma.squeeze(1).expand(len(x_t)), given)[asked].view(2, -1, 3)

    judged = torch.zeros(2, 5, dtype=torch.float64)
    for row, place in itertools.product(range(2), range(1, 5)):
        asked = x[row : row + 1].clone()
        asked[0, [other for other in range(1, 5) if other % 4 == place % 4]] = 3
        log_pi = oracle.logits(asked, sigma, given)[0, place].log_softmax(-1).tolist()
        judged[row, place] = log_pi[x[row, place]] - 0.5 * sum(math.exp(value) * value for value in log_pi)
    torch.testing.assert_close(plausibilities(context, x, torch.full_like(x, 3), given), judged)


def test_what_is_forbidden_does_not_spoil_a_judgement():
    def context(x_t, sigma, asked):
        return torch.tensor([0.0, 1.0, -torch.inf], dtype=torch.float64).expand(1, asked.sum(), 3)

    x, p = torch.zeros(1, 4, dtype=torch.long), 1 / (1 + math.e)
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    found = plausibilities(context, x, torch.full_like(x, 3), torch.zeros_like(x).bool())
    torch.testing.assert_close(found, torch.full((1, 4), math.log(p) + entropy / 2, dtype=torch.float64))


@given(st.lists(st.lists(st.booleans(), min_size=20, max_size=20), min_size=1), st.integers(0, 20))
def test_as_many_are_asked_of_every_row_and_what_is_wanted_among_them(rows, spare):
    wanted = torch.tensor(rows)
    most = min(20, int(wanted.sum(1).max()) + spare)
    asked = filled_up(wanted, most)
    assert (asked | ~wanted).all() and asked.sum(1).tolist() == [most + most % 2] * len(rows)  # in tenths: 20 // 8 is 2


@given(
    st.lists(st.booleans(), min_size=1, max_size=60).filter(lambda given: not all(given)),
    st.floats(0.05, 0.9), st.integers(1, 24),
)  # fmt: skip
def test_what_is_asked_at_once_holds_all_that_is_open_and_depends_on_no_company(given, renoise, steps):
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 5)

    def numbers(*rows):  # of positions asked for at each step
        asked, of_step = [], {}

        def network(x_t, sigma, given, *, positions):
            assert (positions | (x_t < 5)).all()
            asked.append(int(positions[0].sum()))
            return torch.eye(5)[asked[-1] % 5].expand(int(positions.sum()), 1, 5)

        fixed, own = torch.tensor(rows), replace(PLAIN, sampler="surest", steps=steps, renoise=renoise)
        sample(
            diffusion, network, fixed.long(), fixed, uniform_stream(len(rows)), own,
            forbidden=[], observe=lambda step, x, p: of_step.update({step: asked[-1:]}),
        )  # fmt: skip
        return of_step

    alone, together = numbers(given), numbers(given, [False] * len(given))
    assert {step: together[step] for step in alone} == alone


def test_revisions_make_texts_likelier():
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 5))
    plain, revised = (run(oracle, diffusion, rows=1000, sampler="surest", steps=3, renoise=share) for share in (0, 0.4))
    log_p = [float((frequencies(oracle, texts) * oracle.p.clamp_min(1e-12).log()).sum()) for texts in (plain, revised)]
    assert log_p[1] > log_p[0] + 0.2


@given(st.lists(st.booleans(), min_size=1, max_size=70).filter(lambda given: not all(given)), st.integers(1, 40))
def test_stretches_share_out_what_is_not_given(given, longest):
    own = stretches(torch.tensor([given, [True] * len(given)]), longest)
    free = given.count(False)
    sizes = own[0].sum(1).tolist()
    assert own[0].any(0).tolist() == [not g for g in given] and own[0].sum() == free and not own[1].any()
    assert len(sizes) == -(-free // longest) and max(sizes) <= longest and max(sizes) - min(sizes) <= 1
    assert own[0].int().argmax(0)[~torch.tensor(given)].diff().ge(0).all()  # in order


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
    kept = {p: (reshape(logits, 1.0, p)[0, 0] > 0).tolist() for p in (0.01, 0.45, 0.6, 0.9, 1.0)}
    assert kept == {
        0.01: [True, False, False, False],
        0.45: [True, False, False, False],
        0.6: [True, True, False, False],
        0.9: [True, True, True, False],
        1.0: [True] * 4,
    }
    torch.testing.assert_close(reshape(logits, 1.0, 0.6)[0, 0, :2], torch.tensor([0.625, 0.375]).double())


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
