"""The samplers that write the surest characters first: order, revisions, and what they ask of the network."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from diffusion.masks import COOLING, GIBBS_CALLS, plausibilities
from diffusion.objectives import HEADS, Diffusion
from diffusion.orders import filled_up, stretches
from diffusion.processes import PROCESSES, Process
from diffusion.sampler_settings import SamplerInputs
from diffusion.samplers import SAMPLERS, sample
from diffusion.schedules import SCHEDULES
from tests.diffusion.sampling import PLAIN, frequencies, run, total_variation, uniform_stream
from tests.helpers import Oracle, answering, toy_distribution

FILLING = [name for name, sampler in SAMPLERS.items() if sampler.fills_masks]


def judged_by(context, x, given):
    inputs = SamplerInputs(Process(3, 0.0), context, given, uniform_stream(len(x)), PLAIN, lambda *_: None)
    return plausibilities(inputs, x)


@pytest.mark.parametrize("head", HEADS)
def test_surest_first_is_exact_where_one_is_written_at_a_time(head):
    diffusion = Diffusion.named("absorbing", "log_linear", head, 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 3))
    assert total_variation(oracle, run(oracle, diffusion, head, sampler="surest", stretch=3)) < 0.03  # 27 cells


def test_gibbs_finds_the_distribution_where_all_is_drawn_again():
    """A text of three characters: each call draws one by all others, at temperature 1."""
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 3))
    how = {"sampler": "gibbs", "stretch": 1, "revised": 0.9, "temperature": 1 / COOLING}
    draft, mended = (run(oracle, diffusion, "x0", **how, revisions=revisions) for revisions in (0, 40))
    assert total_variation(oracle, draft) > 0.2 and total_variation(oracle, mended) < 0.03


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
        diffusion, network, torch.full((3, 8), 1), given, uniform_stream(3),
        replace(PLAIN, sampler="surest", stretch=4),
        forbidden=[], observe=lambda step, x, pi: seen.append(x.clone()),
    )  # fmt: skip
    written = [(before != after)[0].nonzero().flatten().tolist() for before, after in itertools.pairwise(seen)]
    assert written == [[3, 6], [4, 7], [1, 5], [2]]  # of 1 2 3 4 and of 5 6 7


def test_where_the_network_is_surest_does_not_depend_on_the_temperature():
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 12)
    halves, one_of_many = torch.tensor([0.5, 0.5] + [1e-9] * 10), torch.tensor([0.45] + [0.05] * 11)
    answers = torch.stack([halves, halves, one_of_many]).log()  # at temperature 0.5 the last is surer, 0.88 beside 0.5

    @answering
    def network(x_t, sigma, given):
        return answers.expand(len(x_t), 3, 12)

    seen: list[torch.Tensor] = []
    given = torch.tensor([[True, False, False]])
    sample(
        diffusion, network, torch.zeros(1, 3, dtype=torch.long), given, uniform_stream(1),
        replace(PLAIN, sampler="surest", stretch=2, temperature=0.5),
        forbidden=[], observe=lambda step, x, pi: seen.append(x.clone()),
    )  # fmt: skip
    assert [(before != after).tolist()[0] for before, after in itertools.pairwise(seen)] == [
        [False, True, False], [False, False, True],
    ]  # fmt: skip


def test_surest_first_writes_again_what_is_least_plausible():
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 5)
    place, calls = torch.arange(20), []

    @answering
    def network(x_t, sigma, given):  # says 1, but from 12 to 16 it says 2 while it writes, and 3 when it judges
        calls.append(float(sigma[0]))
        wanted = torch.where((place >= 12) & (place <= 16), 2 if len(calls) <= 4 else 3, 1).expand(len(x_t), 20)
        return 9 * torch.eye(5)[wanted]

    own = replace(PLAIN, sampler="surest", stretch=4, revisions=1, revised=0.25, temperature=0.01)
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


def test_gibbs_draws_again_the_worst_of_what_each_call_hides():
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 5)
    place, hidden = torch.arange(18), []

    @answering
    def network(x_t, sigma, given):  # writes 1; then says 3, but at 9, 13 and 15 it is surer and says 4
        hidden.append(((x_t[0] == 5).nonzero().flatten().tolist(), float(sigma[0])))
        surer = (place == 9) | (place == 13) | (place == 15)
        wanted = torch.where(surer, 4, 3) if len(hidden) > 2 else torch.ones_like(place)
        return ((9 + 9 * surer).unsqueeze(1) * torch.eye(5)[wanted]).expand(len(x_t), 18, 5)

    own = replace(PLAIN, sampler="gibbs", stretch=2, revisions=1, revised=0.34, temperature=0.01)
    given, states = torch.zeros(2, 18, dtype=torch.bool), []
    given[:, :2] = True
    texts = sample(
        diffusion, network, torch.zeros(2, 18, dtype=torch.long), given, uniform_stream(2), own,
        forbidden=[], observe=lambda step, x, pi: states.append((step, x[0].clone())),
    )  # fmt: skip
    turns = [[p for p in range(2, 18) if p % GIBBS_CALLS == turn] for turn in range(GIBBS_CALLS)]
    assert [places for places, _ in hidden[2:]] == turns
    expected = float(SCHEDULES["log_linear"].sigma(torch.tensor(1 / GIBBS_CALLS)))
    assert [sigma for _, sigma in hidden[2:]] == pytest.approx([expected] * GIBBS_CALLS)
    # a third of each turn's two or three: 9 and 15 share turn 3, of which 13 is in turn 1
    changed = (texts[0] != 1).nonzero().flatten().tolist()
    assert [step for step, _ in states] == list(range(2 + GIBBS_CALLS + 1))
    assert len([p for p in changed if p >= 2]) == GIBBS_CALLS and texts[0, 13] == 4
    assert (texts[0, [9, 15]] == 4).sum() == 1 and (texts[:, :2] == 0).all()


def test_plausibilities_weigh_hidden_characters_against_what_was_to_be_expected():
    oracle = Oracle(PROCESSES["absorbing"](3), toy_distribution(3, 5))
    x = torch.tensor([[0, 1, 2, 1, 0], [2, 2, 1, 0, 1]])
    given = torch.tensor([[True, False, False, False, False]]).expand(2, 5)
    sigma = SCHEDULES["log_linear"].sigma(torch.tensor([0.25]))

    def context(x_t, sigma, positions):
        return oracle.logits(x_t, sigma.squeeze(1).expand(len(x_t)), given)[positions].view(2, -1, 3)

    judged = torch.zeros(2, 5, dtype=torch.float64)
    for row, place in itertools.product(range(2), range(1, 5)):
        hidden = x[row : row + 1].clone()
        hidden[0, [other for other in range(1, 5) if other % 4 == place % 4]] = 3
        log_pi = oracle.logits(hidden, sigma, given)[0, place].log_softmax(-1).tolist()
        judged[row, place] = log_pi[x[row, place]] - 0.5 * sum(math.exp(value) * value for value in log_pi)
    torch.testing.assert_close(judged_by(context, x, given), judged)


def test_what_is_forbidden_does_not_spoil_a_judgement():
    def context(x_t, sigma, positions):
        return torch.tensor([0.0, 1.0, -torch.inf], dtype=torch.float64).expand(1, positions.sum(), 3)

    x, p = torch.zeros(1, 4, dtype=torch.long), 1 / (1 + math.e)
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    found = judged_by(context, x, torch.zeros_like(x).bool())
    torch.testing.assert_close(found, torch.full((1, 4), math.log(p) + entropy / 2, dtype=torch.float64))


@given(st.lists(st.lists(st.booleans(), min_size=20, max_size=20), min_size=1), st.integers(0, 20))
def test_every_row_is_filled_up_to_the_same_number_of_positions(rows, spare):
    positions = torch.tensor(rows)
    most = min(20, int(positions.sum(1).max()) + spare)
    filled = filled_up(positions, most)
    assert (filled | ~positions).all()
    assert filled.sum(1).tolist() == [most + most % 2] * len(rows)  # rounded up to multiples of 20 // 8


@pytest.mark.parametrize("sampler", FILLING)
@given(
    st.lists(st.booleans(), min_size=1, max_size=60).filter(lambda given: not all(given)),
    st.floats(0.05, 0.9), st.integers(1, 24),
)  # fmt: skip
def test_positions_of_a_call_hold_all_masks_and_depend_on_no_other_row(sampler, given, revised, stretch):
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 5)

    def numbers(*rows):  # of positions at each step
        counts, of_step = [], {}

        def network(x_t, sigma, given, *, positions):
            assert (positions | (x_t < 5)).all()
            counts.append(int(positions[0].sum()))
            return torch.eye(5)[counts[-1] % 5].expand(int(positions.sum()), 1, 5)

        fixed, own = torch.tensor(rows), replace(PLAIN, sampler=sampler, stretch=stretch, revisions=3, revised=revised)
        sample(
            diffusion, network, fixed.long(), fixed, uniform_stream(len(rows)), own,
            forbidden=[], observe=lambda step, x, p: of_step.update({step: counts[-1:]}),
        )  # fmt: skip
        return of_step

    alone, together = numbers(given), numbers(given, [False] * len(given))
    assert {step: together[step] for step in alone} == alone


@pytest.mark.parametrize("sampler", SAMPLERS)
@given(
    st.lists(st.booleans(), min_size=1, max_size=60), st.tuples(st.integers(1, 24), st.integers(0, 24)),
    st.integers(0, 3), st.floats(0, 0.9),
)  # fmt: skip
@example([False] * 190, (28, 0), 1, 0.15)  # 28.5 characters, which float32 rounds up
def test_network_calls_are_counted_exactly(sampler, given, stretches, revisions, revised):
    diffusion, calls = Diffusion.named("absorbing", "log_linear", "x0", 5), []

    def network(x_t, sigma, given, *, positions=None):
        calls.append(1)
        return answering(lambda x_t, sigma, given: torch.zeros(*x_t.shape, 5))(x_t, sigma, given, positions=positions)

    own = replace(PLAIN, sampler=sampler, steps=7, revisions=revisions, revised=revised)
    own = replace(own, stretch=stretches[0], revision_stretch=stretches[1])
    fixed = torch.tensor([given])
    sample(diffusion, network, fixed.long(), fixed, uniform_stream(1), own, forbidden=[])
    assert len(calls) == SAMPLERS[sampler].calls(own, given.count(False))


def test_revisions_make_texts_likelier():
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 5))
    plain, revised = (run(oracle, diffusion, rows=1000, sampler="surest", revised=share) for share in (0, 0.4))
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


def test_gibbs_draws_at_least_one_character_in_each_call():
    @answering
    def network(x_t, sigma, given):
        calls.append(1)
        return 9 * torch.eye(5)[1 if len(calls) <= 2 else 3].expand(len(x_t), 18, 5)

    calls, zeros = [], torch.zeros(1, 18, dtype=torch.long)
    own = replace(PLAIN, sampler="gibbs", stretch=2, revisions=1, revised=0.05, temperature=0.01)
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", 5)
    texts = sample(diffusion, network, zeros, zeros.bool(), uniform_stream(1), own, forbidden=[])
    assert int((texts == 3).sum()) == GIBBS_CALLS
