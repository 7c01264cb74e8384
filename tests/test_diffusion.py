"""Schedules, processes and losses against closed forms, brute force and the published implementation's numbers."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from conftest import Oracle, toy_distribution

from diffusion import (
    ALPHA_END,
    GEOMETRIC_RANGE,
    HEADS,
    LOSSES,
    PROCESSES,
    SCHEDULES,
    T_MIN,
    Diffusion,
    Uniform,
    nelbo,
    nelbo_loss,
    posterior_loss,
    stratified_times,
)  # fmt: skip

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"
EVERY = [(process, schedule, head) for process in PROCESSES for schedule in SCHEDULES for head in HEADS]
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="../shared/golden is not here; the brute-force tests cover the same functions"
)


def double(values) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def random_case(characters: int, batch: int = 4, length: int = 5):
    generator = torch.Generator().manual_seed(characters)
    x0 = torch.randint(characters, (batch, length), generator=generator)
    x_t = torch.randint(characters, (batch, length), generator=generator)
    sigma = double([1e-4, 0.05, 1.0, 6.9])[:batch].unsqueeze(1)
    log_score = torch.randn(batch, length, characters, generator=generator, dtype=torch.float64).scatter(
        -1, x_t.unsqueeze(-1), 0
    )
    return x0, x_t, sigma, log_score


def rate_matrix(characters: int) -> np.ndarray:
    return np.full((characters, characters), 1 / characters) - np.eye(characters)


# --- schedules


@pytest.mark.parametrize("name", SCHEDULES)
def test_dsigma_is_the_derivative_of_sigma(name):
    t = torch.linspace(0, 1, 101, dtype=torch.float64, requires_grad=True)
    (derivative,) = torch.autograd.grad(SCHEDULES[name].sigma(t).sum(), t)
    torch.testing.assert_close(SCHEDULES[name].dsigma(t.detach()), derivative, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_sigma_rises_and_float32_agrees_with_float64(name):
    t = torch.linspace(1e-4, 1, 1001, dtype=torch.float64)
    sigma = SCHEDULES[name].sigma(t)
    assert (sigma.diff() > 0).all()
    torch.testing.assert_close(SCHEDULES[name].sigma(t.float()).double(), sigma, rtol=1e-4, atol=1e-12)


def test_schedules_have_their_closed_forms():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    alpha = {name: torch.exp(-schedule.sigma(t)) for name, schedule in SCHEDULES.items()}
    torch.testing.assert_close(alpha["log_linear"], 1 - (1 - ALPHA_END) * t)
    torch.testing.assert_close(alpha["cosine"], 1 - (1 - ALPHA_END) * (1 - torch.cos(torch.pi / 2 * t)))
    low, high = GEOMETRIC_RANGE
    torch.testing.assert_close(SCHEDULES["geometric"].sigma(t), low ** (1 - t) * high**t)


@needs_golden
def test_schedules_match_the_published_implementation():
    golden = np.load(GOLDEN / "case0_V5.npz")
    t = double(golden["t"])
    for name, prefix in (("geometric", "geometric"), ("log_linear", "loglinear")):
        for part in ("sigma", "dsigma"):
            torch.testing.assert_close(
                getattr(SCHEDULES[name], part)(t), double(golden[f"{prefix}_{part}"]), rtol=1e-9, atol=1e-9
            )


def test_times_are_stratified():
    t = stratified_times(50, torch.Generator().manual_seed(0), torch.device("cpu"), torch.float64)
    strata = ((t.squeeze(1) - T_MIN) / (1 - T_MIN) * 50).long()
    assert sorted(strata.tolist()) == list(range(50))
    assert strata.tolist() != list(range(50))  # in random order: length and noise stay independent


# --- the uniform process


@pytest.mark.parametrize("characters", [2, 5, 17])
def test_transition_is_the_matrix_exponential_and_a_semigroup(characters):
    x = torch.arange(characters).unsqueeze(0)
    process = Uniform(characters)

    def matrix(sigma: float) -> torch.Tensor:
        return process.transition(x, double([[sigma]]))[0]

    torch.testing.assert_close(
        matrix(0.7), double(scipy.linalg.expm(0.7 * rate_matrix(characters))), rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(matrix(0.3) @ matrix(0.9), matrix(1.2), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(matrix(0.0), torch.eye(characters, dtype=torch.float64))


def test_noising_follows_the_transition():
    x0, draws = torch.tensor([[0, 3]]), 200_000
    sigma = torch.full((draws, 1), 0.8)
    x_t = Uniform(5).noise(x0.expand(draws, 2), sigma, torch.Generator().manual_seed(1))
    expected = Uniform(5).transition(x0, double([[0.8]]))[0]
    for place in range(2):
        frequency = torch.bincount(x_t[:, place], minlength=5) / draws
        error = (expected[place] * (1 - expected[place]) / draws).sqrt()
        assert ((frequency - expected[place]).abs() < 4.5 * error).all()


def test_noise_of_zero_changes_nothing_and_repeats_with_its_generator():
    x0 = torch.randint(7, (4, 9), generator=torch.Generator().manual_seed(0))
    assert torch.equal(Uniform(7).noise(x0, torch.zeros(4, 1), torch.Generator()), x0)
    draws = [Uniform(7).noise(x0, torch.ones(4, 1), torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*draws) and not torch.equal(draws[0], x0)


def brute_force_score_entropy(log_score, x_t, x0, sigma, characters):
    """(1/V) sum over y != x_t of s - r log s + r (log r - 1), term by term from the matrix exponential."""
    result = np.zeros(x0.shape)
    for b, i in np.ndindex(*x0.shape):
        p = scipy.linalg.expm(float(sigma[b]) * rate_matrix(characters))[x0[b, i]]
        for y in range(characters):
            if y != x_t[b, i]:
                r, log_s = p[y] / p[x_t[b, i]], float(log_score[b, i, y])
                result[b, i] += (np.exp(log_s) - r * log_s + r * (np.log(r) - 1)) / characters
    return double(result)


@pytest.mark.parametrize("characters", [2, 3, 11])
def test_score_entropy_is_the_papers(characters):
    x0, x_t, sigma, log_score = random_case(characters)
    x_t[:, 0] = x0[:, 0]  # both a position that stayed and ones that moved
    found = Uniform(characters).score_entropy(log_score, x_t, x0, sigma)
    torch.testing.assert_close(
        found, brute_force_score_entropy(log_score, x_t, x0, sigma, characters), rtol=1e-9, atol=1e-9
    )


def test_score_entropy_is_zero_iff_the_score_is_exact():
    x0, x_t, sigma, _ = random_case(7)
    process = Uniform(7)
    p = process.transition(x0, sigma)
    exact = (p / p.gather(-1, x_t.unsqueeze(-1))).log()
    assert process.score_entropy(exact, x_t, x0, sigma).abs().max() < 1e-12
    for y in range(7):
        for change in (-0.1, 0.1):
            wrong = exact.clone()
            wrong[..., y] += change
            entropy = process.score_entropy(wrong.scatter(-1, x_t.unsqueeze(-1), 0), x_t, x0, sigma)
            assert (entropy[x_t != y] > 0).all() and (entropy[x_t == y].abs() < 1e-12).all()


@needs_golden
@pytest.mark.parametrize("case", ["case0_V5", "case1_V65", "case2_V142"])
def test_uniform_matches_the_published_implementation(case):
    golden = np.load(GOLDEN / f"{case}.npz")
    sigma, delta, log_score = (double(golden[f"uniform_{key}"]) for key in ("sigma", "delta_sigma", "log_score"))
    x0, x_t = (torch.as_tensor(golden[f"uniform_{key}"]).long() for key in ("x0", "x_t"))
    process = Uniform(log_score.shape[-1])
    found = {
        "score_entropy": process.score_entropy(log_score, x_t, x0, sigma),
        "transition": process.transition(x0, delta),
        "staggered_score": process.staggered_score(log_score, delta),
        "transp_transition": process.transition(x_t, delta),
        "tweedie_unnormalised": process.tweedie(log_score, x_t, delta),
        "reverse_rate": process.reverse_rate(log_score, x_t),
    }
    for name, value in found.items():
        torch.testing.assert_close(
            value,
            double(golden[f"uniform_{name}"]),
            rtol=1e-9,
            atol=1e-9,
            msg=lambda text, name=name: f"{name}: {text}",
        )


def test_x0_score_is_the_ratio_of_noised_marginals():
    _, x_t, sigma, logits = random_case(6)
    process, pi = Uniform(6), logits.softmax(-1)
    marginal = torch.exp(-sigma).unsqueeze(-1) * pi + (1 - torch.exp(-sigma).unsqueeze(-1)) / 6
    expected = (marginal / marginal.gather(-1, x_t.unsqueeze(-1))).log()
    torch.testing.assert_close(process.x0_log_score(logits, x_t, sigma), expected, rtol=1e-9, atol=1e-12)
    assert (process.x0_log_score(logits, x_t, sigma).gather(-1, x_t.unsqueeze(-1)) == 0).all()


def test_posterior_is_bayes_and_its_inverse_undoes_it():
    _, x_t, sigma, logits = random_case(6)
    process = Uniform(6)
    joint = logits.softmax(-1) * process.transition(x_t, sigma)  # symmetric: p(x_t | y) for every y
    posterior = process.posterior_logits(logits, x_t, sigma)
    torch.testing.assert_close(posterior.softmax(-1), joint / joint.sum(-1, keepdim=True), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(process.context_logits(posterior, x_t, sigma), logits, rtol=1e-9, atol=1e-12)


def test_ancestral_step_is_bayes_and_equals_tweedie():
    _, x_t, sigma, logits = random_case(6)
    process, pi, sigma_next = Uniform(6), logits.softmax(-1), sigma * double([[0.0], [0.2], [0.5], [0.9]])
    step = process.ancestral(pi, x_t, sigma, sigma_next)
    step = step / step.sum(-1, keepdim=True)
    arrive = process.transition(x_t, sigma - sigma_next)  # p(x_t | x_s = y)
    every = torch.arange(6).unsqueeze(0)
    before = torch.einsum(
        "blk,bky->bly", pi, process.transition(every.expand(4, 6), sigma_next)
    )  # sum over x0 of pi p(x_s = y | x0)
    brute = arrive * before
    torch.testing.assert_close(step, brute / brute.sum(-1, keepdim=True), rtol=1e-9, atol=1e-12)
    tweedie = process.tweedie(process.x0_log_score(logits, x_t, sigma), x_t, sigma - sigma_next)
    torch.testing.assert_close(tweedie / tweedie.sum(-1, keepdim=True), step, rtol=1e-9, atol=1e-10)


def test_score_head_and_x0_head_agree_on_pi():
    _, x_t, sigma, logits = random_case(6)
    process = Uniform(6)
    score = HEADS["x0"].log_score(process, logits, x_t, sigma)
    torch.testing.assert_close(HEADS["score"].log_score(process, score + 1 - 1, x_t, sigma), score)
    torch.testing.assert_close(
        HEADS["score"].logits(process, score, x_t, sigma).softmax(-1), logits.softmax(-1), rtol=1e-7, atol=1e-9
    )


def test_prior_kl_is_the_divergence_from_the_prior():
    p = Uniform(5).transition(torch.tensor([[2]]), double([[1.3]]))[0, 0]
    expected = (p * (p * 5).log()).sum()
    torch.testing.assert_close(Uniform(5).prior_kl(double([[1.3]])).squeeze(), expected)
    counts = torch.bincount(Uniform(5).prior(torch.linspace(0, 1 - 1e-9, 1000, dtype=torch.float64)), minlength=5)
    assert counts.tolist() == [200] * 5


# --- the objective


def quadrature_bits(diffusion: Diffusion, oracle: Oracle, network, points: int = 400) -> float:
    """The NELBO in bits per text by Gauss-Legendre in t and enumeration of every x0 and x_t: no sampling anywhere."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    # t = u^3 crowds the nodes where the integrand is steep
    u, weights = (nodes + 1) / 2 * (1 - T_MIN ** (1 / 3)) + T_MIN ** (1 / 3), weights / 2 * (1 - T_MIN ** (1 / 3))
    times = [(t, w * 3 * v**2, nelbo_loss) for t, w, v in zip(u**3, weights, u, strict=True)]
    times.append((T_MIN, 1.0, posterior_loss))
    total = 0.0
    count = len(oracle.texts)
    x_t = oracle.texts.repeat(count, 1)
    x0 = oracle.texts.repeat_interleave(count, 0)
    for t, weight, loss in times:
        clock = double([[t]])
        sigma = diffusion.schedule.sigma(clock)
        output = network(oracle.texts, sigma.squeeze(1), None).repeat(count, 1, 1)
        joint = (oracle.p[None, :] * oracle.likelihoods(oracle.texts, sigma.squeeze(1)).prod(-1)).T.flatten()
        total += weight * float((joint * loss(diffusion, output, x_t, x0, clock).sum(-1)).sum())
    total += oracle.length * float(diffusion.process.prior_kl(diffusion.schedule.sigma(double([[1.0]]))))
    return total / np.log(2)


@pytest.mark.parametrize("names", EVERY)
def test_oracle_nelbo_is_the_entropy_of_its_data(names):
    process, schedule, head = names
    diffusion = Diffusion.named(process, schedule, head, 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 2))
    bits = quadrature_bits(diffusion, oracle, oracle.network(head))
    # at t = 0 the integral's first T_MIN is bounded by one step of the reconstruction
    assert bits == pytest.approx(oracle.entropy(), abs=2e-3)
    assert bits >= oracle.entropy() - 1e-6


@pytest.mark.parametrize("names", EVERY)
def test_nelbo_draws_average_to_the_bound(names):
    process, schedule, head = names
    diffusion = Diffusion.named(process, schedule, head, 3)
    oracle = Oracle(diffusion.process, toy_distribution(3, 2))
    generator = torch.Generator().manual_seed(0)
    x0 = oracle.texts[torch.multinomial(oracle.p, 20_000, replacement=True, generator=generator)]
    t = stratified_times(len(x0), generator, torch.device("cpu"))
    nats = nelbo(diffusion, oracle.network(head), x0, torch.zeros_like(x0, dtype=torch.bool), t, generator).sum(1)
    error = float(nats.std()) / len(x0) ** 0.5 / np.log(2)
    assert float(nats.mean()) / np.log(2) == pytest.approx(oracle.entropy(), abs=5 * error + 2e-3)
    assert error < 0.15


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_least_at_the_truth(loss):
    diffusion = Diffusion.named("uniform", "log_linear", "x0", 4)
    oracle = Oracle(diffusion.process, toy_distribution(4, 2))
    generator = torch.Generator().manual_seed(0)
    x0 = oracle.texts[torch.multinomial(oracle.p, 4000, replacement=True, generator=generator)]
    t = stratified_times(len(x0), generator, torch.device("cpu"), torch.float64)
    sigma = diffusion.schedule.sigma(t)
    x_t = diffusion.process.noise(x0, sigma, generator)
    truth = oracle.logits(x_t, sigma.squeeze(1), torch.zeros(1)).clamp_min(-50)
    best = LOSSES[loss](diffusion, truth, x_t, x0, t).mean()
    for y in range(4):
        for change in (-1.0, 1.0):
            wrong = truth.clone()
            wrong[..., y] += change
            assert LOSSES[loss](diffusion, wrong, x_t, x0, t).mean() > best


def test_given_positions_cost_nothing_and_are_never_noised():
    diffusion = Diffusion.named("uniform", "log_linear", "x0", 5)
    x0 = torch.randint(5, (64, 6), generator=torch.Generator().manual_seed(0))
    given = torch.rand(x0.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    seen = []

    def network(x_t, sigma, given):
        seen.append(x_t)
        return torch.zeros(*x_t.shape, 5)

    nats = nelbo(diffusion, network, x0, given, torch.full((64, 1), 0.9), torch.Generator().manual_seed(2))
    assert (nats[given] == 0).all() and (nats[~given] > 0).all()
    assert all(torch.equal(x_t[given], x0[given]) and not torch.equal(x_t, x0) for x_t in seen[:1])
