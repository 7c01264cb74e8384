"""The reference of bench.py: trains as the source notebook does.

float32, attention twice per block with dropout in it, windows anywhere in the text, one constant rate, geometric noise,
no average of the weights. Its loss is the exact score entropy, which is kinder.
"""

import numpy as np
import torch
from torch import Tensor

from config.schema import ModelConfig
from diffusion.objectives import Diffusion, score_entropy
from generation.notebook_model import NotebookNetwork

RATE, DROPOUT = 1e-4, 0.2
INITIAL_SCALE = 0.02  # of every weight, as in the notebook


class Notebook:
    """A network of the notebook's for V characters, its optimiser, its noise."""

    def __init__(self, characters: int, device: str, *, layers: int, heads: int, width: int, context: int) -> None:
        self.context, self.characters, self.device = context, characters, device
        config = ModelConfig(
            layers=layers, heads=heads, width=width, context=context, noise_width=64, dropout=DROPOUT,
            parameterization="score",
        )  # fmt: skip
        torch.manual_seed(0)
        self.network = NotebookNetwork(config, characters, characters).train()
        for parameter in self.network.parameters():
            if parameter.dim() == 2:
                torch.nn.init.normal_(parameter, 0, INITIAL_SCALE)
        self.network.to(device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=RATE)
        self.diffusion = Diffusion.named("uniform", "geometric", "score", characters)
        self.generator = torch.Generator(device).manual_seed(0)

    def step(self, x0: Tensor) -> None:
        """(B, L) ids: one step of training."""
        x0 = x0.to(self.device)
        t = torch.rand(len(x0), 1, generator=self.generator, device=self.device)
        sigma = self.diffusion.schedule.sigma(t)
        x_t = self.diffusion.process.noise(x0, sigma, self.generator)
        output = self.network(x_t, sigma.squeeze(1), torch.zeros_like(x0, dtype=torch.bool))
        log_score = self.diffusion.head.log_score(self.diffusion.process, output, x_t, sigma)
        entropy = score_entropy(self.diffusion.process, log_score, x_t, x0, sigma)
        (self.diffusion.schedule.dsigma(t) * entropy).mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def windows(text: np.ndarray, rows: int, length: int, rng: np.random.Generator) -> Tensor:
    """(rows, length) ids from anywhere in the text."""
    starts = rng.integers(len(text) - length, size=rows)
    return torch.from_numpy(text[starts[:, None] + np.arange(length)].astype(np.int64))


def padded(documents: list[np.ndarray], length: int) -> Tensor:
    """(documents, length) ids, each document padded with newlines to the whole context, or cut there."""
    ids = np.zeros((len(documents), length), dtype=np.int64)
    for row, document in enumerate(documents):
        ids[row, : len(document)] = document[:length]
    return torch.from_numpy(ids)
