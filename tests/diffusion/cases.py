"""Cases that tests of the mathematics share: characters, noisy texts, log-scores and logits."""

import numpy as np
import pytest
import torch

from diffusion.processes import PROCESSES

every_process = pytest.mark.parametrize("name", PROCESSES)


def double(values) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def random_case(process):
    """Four noise levels, five positions: x0, an x_t that p(x_t | x0) allows, sigma, log-scores, 0 at x_t."""
    generator = torch.Generator().manual_seed(process.states)
    x0 = torch.randint(process.characters, (4, 5), generator=generator)
    sigma = double([1e-4, 0.05, 1.0, 6.9]).unsqueeze(1)
    x_t = process.noise(x0, torch.full_like(sigma, 2.0), generator)
    x_t[:, 0] = x0[:, 0]  # one position that stayed for sure
    log_score = torch.randn(4, 5, process.states, generator=generator, dtype=torch.float64)
    return x0, x_t, sigma, log_score.scatter(-1, x_t.unsqueeze(-1), 0)


def logits_for(process) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 5, process.characters, generator=generator, dtype=torch.float64)


def rate_matrix(process) -> np.ndarray:
    """Q from its definition: to any state y at rate noise(y), out of x at rate 1."""
    noise = np.full(process.states, process.uniform_share / process.characters)
    if process.states > process.characters:
        noise[-1] = 1 - process.uniform_share
    return np.tile(noise, (process.states, 1)) - np.eye(process.states)
