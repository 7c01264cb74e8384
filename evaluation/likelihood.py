"""Likelihood of held-out text under a network, in bits per character, with its standard error.

The NELBO is an upper bound, averaged over all noise. The likelihood in an order of writing is exact.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from dataset_loader import Batch
from diffusion.objectives import Diffusion, Network, nelbo, stratified_times
from diffusion.orders import Order, ordered_nats
from utils import CPU, exact_device, map_on_cores, torch_generator

NATS_PER_BIT = float(np.log(2))


@dataclass(frozen=True)
class Likelihood:
    """Bits per character, measured on held-out or other text."""

    bits: float
    error: float  # standard error, over documents
    characters: int  # that were measured


def held_out_likelihood(
    diffusion: Diffusion, network: Network, batches: list[Batch], seed: int, device: torch.device
) -> Likelihood:
    """NELBO in bits per character, an upper bound; characters that are given do not count.

    Times t are stratified over each batch; they are the same for the same seed, and on one kind of device so is the
    noise. The standard error treats documents as the independent units, and includes the spread of times and noise.
    """
    exact = exact_device(device)

    @torch.no_grad()
    def terms_of(number: int, batch: Batch) -> torch.Tensor:
        # drawn on the CPU, so that the noise levels are the same on every device
        t = stratified_times(len(batch.ids), torch_generator(CPU, seed, "evaluation t", number))
        noise = torch_generator(exact, seed, "evaluation noise", number)
        return nelbo(diffusion, network, batch.ids.to(exact), batch.given.to(exact), t.to(exact), noise)

    return likelihood_of(terms_of, batches, device)


def ordered_likelihood(
    diffusion: Diffusion, network: Network, batches: list[Batch], order: Callable[[torch.Tensor], Order],
    device: torch.device,
) -> Likelihood:  # fmt: skip
    """Exact bits per character in the order that `order` makes of (B, L) given; what is given does not count.

    The diffusion must be absorbing. Nothing is drawn, so the standard error is that of the choice of documents alone.
    """
    exact = exact_device(device)

    def terms_of(number: int, batch: Batch) -> torch.Tensor:
        x0, given = batch.ids.to(exact), batch.given.to(exact)
        return ordered_nats(diffusion, network, x0, given, order(given))

    return likelihood_of(terms_of, batches, device)


def likelihood_of(
    terms_of: Callable[[int, Batch], torch.Tensor], batches: list[Batch], device: torch.device
) -> Likelihood:
    """The likelihood of all batches, whose (B, L) nats `terms_of` gives for each number and batch."""

    def rows_of(numbered: tuple[int, Batch]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        batch = numbered[1]
        return terms_of(*numbered).sum(1).cpu().numpy(), (~batch.given).sum(1).numpy(), batch.documents

    rows = map_on_cores(device, rows_of, enumerate(batches))
    return ratio_estimate(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def ratio_estimate(nats: np.ndarray, counts: np.ndarray, documents: np.ndarray) -> Likelihood:
    """(rows,) nats, characters and documents -> total nats over total characters, in bits, with its standard error.

    Rows of one document count as one observation: the standard error is a ratio estimator's over documents.
    """
    _, unit = np.unique(documents, return_inverse=True)
    total, size = np.bincount(unit, nats), np.bincount(unit, counts)
    mean, units = total.sum() / size.sum(), len(size)
    error = np.sqrt(((total - mean * size) ** 2).sum() * units / max(units - 1, 1)) / size.sum()
    # of one unit the error is 0, where rounding leaves a trace of it
    return Likelihood(float(mean / NATS_PER_BIT), float(error / NATS_PER_BIT) * (units > 1), int(size.sum()))
