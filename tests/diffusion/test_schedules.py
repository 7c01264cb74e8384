"""Schedules against their closed forms, their derivatives and the published implementation's numbers."""

import pytest
import torch

from diffusion.schedules import ALPHA_END, GEOMETRIC_RANGE, SCHEDULES
from tests.diffusion.cases import double
from tests.helpers import golden


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


def test_schedules_match_the_published_implementation():
    stored = golden("case0_V5")
    t = double(stored["t"])
    for name, prefix in (("geometric", "geometric"), ("log_linear", "loglinear")):
        for part in ("sigma", "dsigma"):
            torch.testing.assert_close(
                getattr(SCHEDULES[name], part)(t), double(stored[f"{prefix}_{part}"]), rtol=1e-9, atol=1e-9
            )
