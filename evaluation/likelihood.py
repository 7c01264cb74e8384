"""Held-out likelihood of a trained network: NELBO in bits per character. Knows nothing of training or samples."""

from dataclasses import dataclass

import numpy as np
import torch

from dataset_loader import Batch
from diffusion.objectives import Diffusion, Network, nelbo, stratified_times
from utils import exact_device, map_on_cores, torch_generator

NATS_PER_BIT = float(np.log(2))


@dataclass(frozen=True)
class Likelihood:
    """Bits per character with its standard error over documents, and over how many characters."""

    bits: float
    error: float
    characters: int


def held_out_likelihood(
    diffusion: Diffusion, network: Network, batches: list[Batch], seed: int, device: torch.device
) -> Likelihood:
    """NELBO in bits per character that is not given: t stratified over each batch, the same draws for the same seed.

    The error is that of a ratio estimator with documents as its units; it holds the spread of t and noise as well.
    """
    cpu, home = torch.device("cpu"), exact_device(device)

    @torch.no_grad()
    def batch_nats(numbered: tuple[int, Batch]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        number, batch = numbered
        # drawn on the CPU, so that every device sees the same noise levels
        t = stratified_times(len(batch.ids), torch_generator(cpu, seed, "evaluation t", number), cpu)
        noise = torch_generator(home, seed, "evaluation noise", number)
        terms = nelbo(diffusion, network, batch.ids.to(home), batch.given.to(home), t.to(home), noise)
        return terms.sum(1).cpu().numpy(), (~batch.given).sum(1).numpy(), batch.documents

    rows = map_on_cores(device, batch_nats, enumerate(batches))
    return ratio_estimate(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def ratio_estimate(nats: np.ndarray, counts: np.ndarray, documents: np.ndarray) -> Likelihood:
    """Rows of (nats, characters, document) -> total nats over total characters, in bits, with its standard error."""
    _, unit = np.unique(documents, return_inverse=True)
    total, size = np.bincount(unit, nats), np.bincount(unit, counts)
    mean, units = total.sum() / size.sum(), len(size)
    spread = np.sqrt(((total - mean * size) ** 2).sum() * units / max(units - 1, 1)) / size.sum()
    return Likelihood(float(mean / NATS_PER_BIT), float(spread / NATS_PER_BIT), int(size.sum()))
