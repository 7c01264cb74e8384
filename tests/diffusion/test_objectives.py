"""Heads agree, the NELBO of an oracle is the entropy of its data, and every loss is least at the truth."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

from diffusion import objectives
from diffusion.objectives import (
    HEADS,
    LOSSES,
    T_MIN,
    Diffusion,
    bell,
    nelbo,
    nelbo_loss,
    posterior_loss,
    score_entropy,
    stratified_times,
)
from diffusion.processes import PROCESSES
from diffusion.schedules import SCHEDULES, Schedule
from tests.diffusion.cases import double, every_process, logits_for, random_case, rate_matrix
from tests.helpers import Oracle, toy_distribution

EVERY = [(process, schedule, head) for process in PROCESSES for schedule in SCHEDULES for head in HEADS]


def test_times_are_stratified():
    t = stratified_times(50, torch.Generator().manual_seed(0)).double()
    strata = ((t.squeeze(1) - T_MIN) / (1 - T_MIN) * 50).long()
    assert sorted(strata.tolist()) == list(range(50))
    assert strata.tolist() != list(range(50))  # in random order: length and noise stay independent


@pytest.mark.parametrize("mean, width", [(0.5, 0.2), (0.0, 0.1), (0.9, 2.0), (0.3, 1e-3), (0.0, 1e-5)])
def test_a_bell_has_the_quantiles_of_a_normal_cut_to_the_times(mean, width):
    even = torch.linspace(T_MIN, 1, 201, dtype=torch.float64).unsqueeze(1)
    times = bell(even, mean, width)
    normal = scipy.stats.truncnorm((T_MIN - mean) / width, (1 - mean) / width, mean, width)
    expected = normal.ppf(np.linspace(0, 1, 201)).clip(T_MIN, 1)
    np.testing.assert_allclose(times.squeeze(1).numpy(), expected, rtol=1e-6, atol=1e-9)
    assert times.min() >= T_MIN and times.max() <= 1 and (times.diff(dim=0) >= 0).all()


def test_a_bell_of_any_width_stays_where_it_is_set():
    even = torch.linspace(1e-3, 1 - 1e-6, 201, dtype=torch.float64).unsqueeze(1)
    for width in (1.3e-5, 1.2e-5, 1e-6, 1e-12, 5e-324):
        for mean in (0.0, 0.5, 1.0):
            assert (bell(even, mean, width) - max(mean, T_MIN)).abs().max() < 1e-4


@pytest.mark.parametrize("loss, head", [("posterior", "x0"), ("nelbo", "x0"), ("nelbo", "score")])
def test_what_no_noise_can_have_written_costs_nothing_whatever_the_context_says(loss, head):
    diffusion = Diffusion.named("absorbing", "log_linear", head, 4)
    width = diffusion.head.width(diffusion.process)
    output = torch.tensor([0.0, 500.0, -500.0, 3.0, 0.0])[:width].expand(1, 4, width).clone().requires_grad_()
    x = torch.arange(4).unsqueeze(0)
    loss = LOSSES[loss](diffusion, output, x, x, torch.tensor([[0.3]]))
    assert (loss == 0).all()
    assert (torch.autograd.grad(loss.sum(), output)[0] == 0).all()


@every_process
def test_score_head_and_x0_head_agree_on_the_posterior(name):
    process = PROCESSES[name](6)
    _, x_t, sigma, _ = random_case(process)
    logits = logits_for(process)
    score = HEADS["x0"].log_score(process, logits, x_t, sigma)
    torch.testing.assert_close(HEADS["score"].log_score(process, score, x_t, sigma), score)
    found = HEADS["score"].logits(process, score, x_t, sigma)
    expected, posterior = (process.posterior_logits(part, x_t, sigma).softmax(-1) for part in (logits, found))
    torch.testing.assert_close(posterior, expected, rtol=1e-7, atol=1e-9)


def quadrature_bits(diffusion: Diffusion, oracle: Oracle, network, points: int = 200) -> float:
    """The NELBO in bits per text by Gauss-Legendre in t and enumeration of every x0 and x_t: no sampling anywhere."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    # t = u^3 crowds the nodes where the integrand is steep
    u, weights = (nodes + 1) / 2 * (1 - T_MIN ** (1 / 3)) + T_MIN ** (1 / 3), weights / 2 * (1 - T_MIN ** (1 / 3))
    times = [(t, w * 3 * v**2, nelbo_loss) for t, w, v in zip(u**3, weights, u, strict=True)]
    times.append((T_MIN, 1.0, posterior_loss))
    total = 0.0
    count = len(oracle.texts)
    noisy = oracle.states()
    x_t = noisy.repeat(count, 1)
    x0 = oracle.texts.repeat_interleave(len(noisy), 0)
    for t, weight, loss in times:
        clock = double([[t]])
        sigma = diffusion.schedule.sigma(clock)
        output = network(noisy, sigma.squeeze(1), None).repeat(count, 1, 1)
        joint = (oracle.p[None, :] * oracle.likelihoods(noisy, sigma.squeeze(1)).prod(-1)).T.flatten()
        possible = joint > 0
        nats = loss(diffusion, output[possible], x_t[possible], x0[possible], clock)
        total += weight * float((joint[possible] * nats.sum(-1)).sum())
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
    t = stratified_times(len(x0), generator)
    nats = nelbo(diffusion, oracle.network(head), x0, torch.zeros_like(x0, dtype=torch.bool), t, generator).sum(1)
    error = float(nats.std()) / len(x0) ** 0.5 / np.log(2)
    assert float(nats.mean()) / np.log(2) == pytest.approx(oracle.entropy(), abs=5 * error + 2e-3)
    assert error < 0.15


@every_process
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_least_at_the_truth(name, loss):
    diffusion = Diffusion.named(name, "log_linear", "x0", 4)
    oracle = Oracle(diffusion.process, toy_distribution(4, 2))
    generator = torch.Generator().manual_seed(0)
    x0 = oracle.texts[torch.multinomial(oracle.p, 4000, replacement=True, generator=generator)]
    t = stratified_times(len(x0), generator).double()
    sigma = diffusion.schedule.sigma(t)
    x_t = diffusion.process.noise(x0, sigma, generator)
    truth = oracle.logits(x_t, sigma.squeeze(1), torch.zeros(1)).clamp_min(-50)
    best = LOSSES[loss](diffusion, truth, x_t, x0, t).mean()
    for y in range(4):
        for change in (-1.0, 1.0):
            wrong = truth.clone()
            wrong[..., y] += change
            assert LOSSES[loss](diffusion, wrong, x_t, x0, t).mean() > best


def test_given_positions_cost_nothing_and_are_never_noised(monkeypatch):
    monkeypatch.setattr(objectives, "T_MIN", 0.5)  # at its own value the second term noises next to nothing
    diffusion = Diffusion.named("uniform", "log_linear", "x0", 5)
    x0 = torch.randint(5, (64, 6), generator=torch.Generator().manual_seed(0))
    given = torch.rand(x0.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    seen = []

    def network(x_t, sigma, given):
        seen.append(x_t)
        return torch.zeros(*x_t.shape, 5)

    nats = nelbo(diffusion, network, x0, given, torch.full((64, 1), 0.9), torch.Generator().manual_seed(2))
    assert (nats[given] == 0).all() and (nats[~given] > 0).all()
    assert len(seen) == 2
    assert all(torch.equal(x_t[given], x0[given]) and not torch.equal(x_t, x0) for x_t in seen)


@every_process
@pytest.mark.parametrize("head", HEADS)
def test_no_network_is_asked_of_rows_without_noise(name, head):
    """They lose nothing, so the bound is that of the formula over all rows."""
    diffusion = Diffusion.named(name, "log_linear", head, 5)
    x0, draws = torch.randint(5, (64, 6), generator=torch.Generator().manual_seed(0)), torch.Generator()
    given = torch.rand(x0.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    given[:3] = True
    shape, asked = (diffusion.process.states, diffusion.head.width(diffusion.process)), []
    table = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    def network(x_t, sigma, given):
        asked.append((diffusion.process.open_to_noise(x_t) & ~given).any(1))
        return table[x_t]

    t = stratified_times(len(x0), torch.Generator().manual_seed(2)).double()
    found = nelbo(diffusion, network, x0, given, t, draws.manual_seed(3))
    assert torch.cat(asked).all() and (len(torch.cat(asked)) < 64 if name == "absorbing" else len(asked) == 2)
    draws.manual_seed(3)
    expected = diffusion.process.prior_kl(diffusion.schedule.sigma(torch.ones_like(t)))
    for loss, at, weight in ((nelbo_loss, t, 1 - T_MIN), (posterior_loss, torch.full_like(t, T_MIN), 1)):
        x_t = torch.where(given, x0, diffusion.process.noise(x0, diffusion.schedule.sigma(at), draws))
        expected = expected + weight * loss(diffusion, table[x_t], x_t, x0, at)
    torch.testing.assert_close(found, expected.masked_fill(given, 0), rtol=1e-12, atol=1e-12)


def brute_force_score_entropy(process, log_score, x_t, x0, sigma):
    """Q(y, x_t) (s - r log s + r (log r - 1)) over y != x_t, term by term from the matrix exponential."""
    result, rates = np.zeros(x0.shape), rate_matrix(process)
    for b, i in np.ndindex(*x0.shape):
        p = scipy.linalg.expm(float(sigma[b]) * rates)[x0[b, i]]
        for y in range(process.states):
            if y != x_t[b, i] and rates[y, x_t[b, i]] > 0:
                r, log_s = p[y] / p[x_t[b, i]], float(log_score[b, i, y])
                constant = r * (np.log(r) - 1) if r > 0 else 0
                result[b, i] += rates[y, x_t[b, i]] * (np.exp(log_s) - r * log_s + constant)
    return double(result)


@every_process
@pytest.mark.parametrize("characters", [2, 3, 11])
def test_score_entropy_is_the_papers(name, characters):
    process = PROCESSES[name](characters)
    x0, x_t, sigma, log_score = random_case(process)
    found = score_entropy(process, log_score, x_t, x0, sigma)
    torch.testing.assert_close(
        found, brute_force_score_entropy(process, log_score, x_t, x0, sigma), rtol=1e-9, atol=1e-9
    )


@every_process
def test_score_entropy_is_zero_iff_the_score_is_that_of_x0(name):
    process = PROCESSES[name](7)
    x0, x_t, sigma, _ = random_case(process)
    p = process.transition(x0, sigma)
    exact = (p / p.gather(-1, x_t.unsqueeze(-1))).clamp_min(1e-30).log()
    assert score_entropy(process, exact, x_t, x0, sigma).abs().max() < 1e-12
    counts = process.noise_at(x_t, sigma) > 0  # where the noise cannot lead, there is no rate to get wrong
    for y in range(process.states):
        possible = p[..., y] > 0
        for change in (-0.1, 0.1):
            wrong = exact.clone()
            wrong[..., y] += change
            entropy = score_entropy(process, wrong.scatter(-1, x_t.unsqueeze(-1), 0), x_t, x0, sigma)
            matters = (x_t != y) & counts & possible
            assert (entropy[matters] > 0).all() and (entropy[~matters].abs() < 1e-12).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_bound_of_absorbing_noise_is_a_weighted_cross_entropy(schedule):
    """As MDLM has it: dsigma alpha / (1 - alpha) times -log pi(x0) at each mask."""
    diffusion = Diffusion.named("absorbing", schedule, "x0", 7)
    (x0, x_t, *_), output = random_case(diffusion.process), logits_for(diffusion.process)
    t = torch.rand(len(x0), 1, dtype=torch.float64)
    sigma, dsigma = diffusion.schedule.sigma(t), diffusion.schedule.dsigma(t)
    expected = dsigma / torch.expm1(sigma) * posterior_loss(diffusion, output, x_t, x0, t)
    masked = x_t == diffusion.process.characters
    found = nelbo_loss(diffusion, output, x_t, x0, t)
    torch.testing.assert_close(found[masked], expected[masked], rtol=1e-9, atol=1e-12)
    assert masked.any() and (found[~masked] == 0).all()


@every_process
def test_each_term_of_the_bound_counts(name, monkeypatch):
    """At their own T_MIN and alpha(1), reconstruction and prior are less than chance makes of the draws."""
    monkeypatch.setattr(objectives, "T_MIN", 0.3)
    half = Schedule(lambda t: t / 2, lambda t: torch.full_like(t, 0.5))
    diffusion = Diffusion(PROCESSES[name](3), half, HEADS["x0"])
    oracle = Oracle(diffusion.process, torch.full((3, 3), 1 / 9, dtype=torch.float64))  # noised, it is the prior
    x0, generator = oracle.texts.repeat(1000, 1), torch.Generator().manual_seed(1)
    t = stratified_times(len(x0), generator)
    given = torch.zeros_like(x0, dtype=torch.bool)
    nats = nelbo(diffusion, oracle.network("x0"), x0, given, t, generator).sum(1)
    error = float(nats.std()) / len(x0) ** 0.5
    assert float(nats.mean()) == pytest.approx(2 * np.log(3), abs=5 * error) and error < 0.02
