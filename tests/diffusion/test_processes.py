"""Processes of noise against matrix exponentials, Bayes' rule and the published implementation's numbers."""

import pytest
import scipy.linalg
import torch

from diffusion.objectives import score_entropy
from diffusion.processes import PROCESSES
from tests.diffusion.cases import double, every_process, logits_for, random_case, rate_matrix
from tests.helpers import golden


@every_process
@pytest.mark.parametrize("characters", [2, 5, 17])
def test_transition_is_the_matrix_exponential_and_a_semigroup(name, characters):
    process = PROCESSES[name](characters)
    states = torch.arange(process.states).unsqueeze(0)

    def matrix(sigma: float) -> torch.Tensor:
        return process.transition(states, double([[sigma]]))[0]

    torch.testing.assert_close(
        matrix(0.7), double(scipy.linalg.expm(0.7 * rate_matrix(process))), rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(matrix(0.3) @ matrix(0.9), matrix(1.2), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(matrix(0.0), torch.eye(process.states, dtype=torch.float64))
    torch.testing.assert_close(process.arrival(states, double([[0.7]]))[0], matrix(0.7).T, rtol=1e-12, atol=1e-12)
    spread = torch.linspace(1, 2, process.states, dtype=torch.float64).softmax(0)
    torch.testing.assert_close(process.renoised(spread.view(1, 1, -1), double([[0.7]]))[0, 0], spread @ matrix(0.7))


@every_process
def test_noising_follows_the_transition(name):
    process, x0, draws = PROCESSES[name](5), torch.tensor([[0, 3]]), 200_000
    sigma = torch.full((draws, 1), 0.8)
    x_t = process.noise(x0.expand(draws, 2), sigma, torch.Generator().manual_seed(1))
    expected = process.transition(x0, double([[0.8]]))[0]
    for place in range(2):
        frequency = torch.bincount(x_t[:, place], minlength=process.states) / draws
        error = (expected[place] * (1 - expected[place]) / draws).sqrt()
        assert ((frequency - expected[place]).abs() <= 4.5 * error).all()


@every_process
def test_noise_of_zero_changes_nothing_and_repeats_with_its_generator(name):
    process = PROCESSES[name](7)
    x0 = torch.randint(7, (4, 9), generator=torch.Generator().manual_seed(0))
    assert torch.equal(process.noise(x0, torch.zeros(4, 1), torch.Generator()), x0)
    draws = [process.noise(x0, torch.ones(4, 1), torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*draws) and not torch.equal(draws[0], x0)


@pytest.mark.parametrize("name", ["uniform", "absorbing"])
@pytest.mark.parametrize("case", ["case0_V5", "case1_V65", "case2_V142"])
def test_process_matches_the_published_implementation(name, case):
    stored = golden(case)
    sigma, delta, log_score = (double(stored[f"{name}_{key}"]) for key in ("sigma", "delta_sigma", "log_score"))
    x0, x_t = (torch.as_tensor(stored[f"{name}_{key}"]).long() for key in ("x0", "x_t"))
    process = PROCESSES[name](int(case.split("V")[1]))
    found = {
        "score_entropy": score_entropy(process, log_score, x_t, x0, sigma),
        "transition": process.transition(x0, delta),
        "staggered_score": process.staggered_score(log_score, delta),
        "transp_transition": process.arrival(x_t, delta),
        "tweedie_unnormalised": process.tweedie_of_score(log_score, x_t, delta),
        "reverse_rate": process.reverse_rate(log_score, x_t),
    }
    there = {key for key in found if f"{name}_{key}" in stored}
    assert there == found.keys() - ({"transition"} if name == "absorbing" else set())
    for key in there:
        expected = double(stored[f"{name}_{key}"])
        torch.testing.assert_close(
            found[key], expected, rtol=1e-9, atol=1e-9, msg=lambda text, key=key: f"{key}: {text}"
        )


@every_process
def test_x0_score_is_the_ratio_of_noised_marginals(name):
    process = PROCESSES[name](6)
    _, x_t, sigma, _ = random_case(process)
    pi = logits_for(process).softmax(-1)
    every = torch.arange(6).expand(4, 6)
    marginal = torch.einsum("blk,bky->bly", pi, process.transition(every, sigma))
    expected = (marginal / marginal.gather(-1, x_t.unsqueeze(-1))).clamp_min(1e-30).log()
    found = process.x0_log_score(pi.log(), x_t, sigma)
    torch.testing.assert_close(found.exp(), expected.exp(), rtol=1e-9, atol=1e-12)
    assert (found.gather(-1, x_t.unsqueeze(-1)) == 0).all()


@every_process
def test_posterior_is_bayes_and_its_inverse_undoes_it(name):
    process = PROCESSES[name](6)
    _, x_t, sigma, _ = random_case(process)
    logits = logits_for(process)
    joint = logits.softmax(-1) * process.arrival(x_t, sigma)[..., :6]
    posterior = process.posterior_logits(logits, x_t, sigma)
    torch.testing.assert_close(posterior.softmax(-1), joint / joint.sum(-1, keepdim=True), rtol=1e-9, atol=1e-12)
    noisy = process.noise_at(x_t, sigma) > 0  # what no noise has written says nothing of its context
    again = process.context_logits(posterior, x_t, sigma)
    torch.testing.assert_close(again[noisy], logits[noisy], rtol=1e-9, atol=1e-12)


@every_process
def test_the_analytic_step_is_bayes_and_equals_the_papers(name):
    process = PROCESSES[name](6)
    _, x_t, sigma, _ = random_case(process)
    logits, sigma_next = logits_for(process), sigma * double([[0.0], [0.2], [0.5], [0.9]])
    step = process.tweedie(logits.softmax(-1), x_t, sigma, sigma_next)
    step = step / step.sum(-1, keepdim=True)
    every = torch.arange(6).expand(4, 6)
    before = torch.einsum("blk,bky->bly", logits.softmax(-1), process.transition(every, sigma_next))
    states = torch.arange(process.states).expand(4, process.states)
    leap = process.transition(states, sigma - sigma_next)  # (4, from, to)
    brute = before * torch.stack([leap[b][:, x_t[b]].T for b in range(4)])
    torch.testing.assert_close(step, brute / brute.sum(-1, keepdim=True), rtol=1e-9, atol=1e-12)
    tweedie = process.tweedie_of_score(process.x0_log_score(logits, x_t, sigma), x_t, sigma - sigma_next)
    torch.testing.assert_close(tweedie / tweedie.sum(-1, keepdim=True), step, rtol=1e-9, atol=1e-10)


@every_process
def test_prior_is_what_noise_leads_to_and_its_divergence_is_its_definition(name):
    process = PROCESSES[name](5)
    p = process.transition(torch.arange(5).unsqueeze(0), double([[1.3]]))[0]
    prior = p.mean(0)
    terms = torch.where(p[2] > 0, p[2] * (p[2] / prior).log(), 0)
    torch.testing.assert_close(process.prior_kl(double([[1.3]])).squeeze(), terms.sum())
    drawn = process.prior(torch.linspace(0, 1 - 1e-9, 1000, dtype=torch.float64))
    limit = process.transition(torch.zeros(1, 1, dtype=torch.long), double([[60.0]]))[0, 0]
    torch.testing.assert_close(torch.bincount(drawn, minlength=process.states) / 1000, limit.float(), rtol=0, atol=1e-3)


def test_a_mask_says_nothing_and_an_unmasked_character_is_certain():
    process = PROCESSES["absorbing"](4)
    x_t = torch.tensor([[4, 2]])
    posterior = process.posterior_logits(torch.zeros(1, 2, 4), x_t, torch.tensor([[1.0]])).softmax(-1)
    expected = torch.tensor([[[0.25] * 4, [0.0, 0.0, 1.0, 0.0]]])
    torch.testing.assert_close(posterior, expected, rtol=0, atol=1e-20)
