"""The price of any order: python benchmarks/sibling.py NAME ... --minutes 15 --output FILE

Trains a voice, and its sibling that reads from left to right: the same blocks made causal, the same batches, as long in
minutes of processor time of one core. Both are measured on the same held-out windows: the sibling's bits are exact, and
so are the voice's in an order of writing. The voice knows how long each document is; the sibling does not.
"""

import argparse
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from environment import heading, publish
from one_core import count_processor_time, on_cores
from torch import Tensor

import model
from config.loader import load_config
from config.schema import RunConfig
from dataset_loader import Batch, held_out_windows
from diffusion import objectives, orders
from diffusion.processes import Process
from evaluation.evaluator import ORDERED_WINDOWS
from evaluation.likelihood import Likelihood, held_out_likelihood, ordered_likelihood, ratio_estimate
from model import Denoiser, DiffusionTransformer
from text.vocabulary import FRAME
from training import trainer

CPU = torch.device("cpu")
NOISE_DRAWS = 4  # noise levels of each window


class CausalConvolution(model.ShortConvolution):
    """The convolution moved, so that its last tap is at the position itself."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__(width, taps)
        self.identity = self.identity.roll(taps // 2, -1)

    def forward(self, x: Tensor) -> Tensor:
        behind = self.weight.shape[-1] // 2
        return super().forward(F.pad(x, (0, 0, behind, 0))[:, : x.shape[1]].contiguous())


class LeftToRight(DiffusionTransformer):
    """Outputs at a position from the characters before it alone."""

    def forward(
        self, x_t: Tensor, sigma: Tensor, given: Tensor,
        dropping: torch.Generator | None = None, positions: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        before = F.pad(x_t[:, :-1], (1, 0), value=FRAME)
        return super().forward(before, torch.ones_like(sigma), torch.zeros_like(given), dropping, positions)


def cross_entropy(diffusion: Any, output: Tensor, x_t: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """(B, L) nats of the true characters."""
    return F.cross_entropy(output.flatten(0, 1), x0.flatten(), reduction="none").view_as(x0)


@torch.no_grad()
def causal_likelihood(_: Any, network: Any, batches: list[Batch], seed: int, device: torch.device) -> Likelihood:
    """Exact bits per character under a network that reads from left to right."""
    nats = []
    for batch in batches:
        output = network(batch.ids, torch.ones(len(batch.ids)), batch.given).double()
        nats.append(cross_entropy(None, output, batch.ids, batch.ids, batch.ids).masked_fill(batch.given, 0).sum(1))
    counts = torch.cat([(~batch.given).sum(1) for batch in batches])
    documents = np.concatenate([batch.documents for batch in batches])
    return ratio_estimate(torch.cat(nats).numpy(), counts.numpy(), documents)


def become_causal() -> None:
    """Have this process train a model that reads from left to right, without noise."""
    F.scaled_dot_product_attention = partial(F.scaled_dot_product_attention, is_causal=True)
    model.ShortConvolution = CausalConvolution  # pyright: ignore
    trainer.DiffusionTransformer = LeftToRight
    trainer.held_out_likelihood = causal_likelihood
    Process.noise = lambda self, x0, sigma, generator: x0  # pyright: ignore
    Process.open_to_noise = lambda self, x_t: torch.ones_like(x_t, dtype=torch.bool)  # pyright: ignore
    objectives.LOSSES["posterior"] = cross_entropy


def measure_one(dataset: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train in this process, on one core, and measure on the held-out windows that evaluate.py takes."""
    count_processor_time()
    run = resolved(dataset, arguments)
    training = trainer.Training(run)
    while not training.finished():
        training.advance(training.batches.batch(training.status.step))
    network = Denoiser(training.average.eval(), training.precision)
    corpus, context = training.corpus, run.model.context
    alphabet = corpus.vocabulary.size
    windows = held_out_windows(corpus.held_out, context, ORDERED_WINDOWS, run.seed, alphabet=alphabet)
    if arguments.one == "causal":
        found = {"left to right": causal_likelihood(None, network, windows, run.seed, CPU)}
    else:
        measured = partial(ordered_likelihood, training.diffusion, network, windows, device=CPU)
        surest = partial(orders.surest, longest=run.sampling.stretch)
        found = {
            "NELBO": held_out_likelihood(training.diffusion, network, windows * NOISE_DRAWS, run.seed, CPU),
            f"surest {run.sampling.stretch}": measured(order=surest),
            "left to right": measured(order=lambda given: orders.LEFT_TO_RIGHT),
        }
    bits = {order: (likelihood.bits, likelihood.error) for order, likelihood in found.items()}
    return {"bits": bits, "steps": training.status.step, "characters": training.status.characters}


def resolved(dataset: str, arguments: argparse.Namespace) -> RunConfig:
    """The run of this dataset, whose files lie in a folder of its own."""
    config = load_config(Path("config.yaml"))
    shutil.copy(config.resolve(dataset).data_file(), arguments.output / f"{dataset}.txt")
    paths = {"models": str(arguments.output), "datasets": str(arguments.output)}
    return config.resolve(
        dataset, preset=arguments.preset, paths=paths, training={"max_minutes": arguments.minutes}, seed=arguments.seed
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="A voice beside its sibling that reads from left to right.")
    parser.add_argument("datasets", nargs="+", metavar="DATASET")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--minutes", type=float, default=15, help="of one core each (default 15)")
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--one", choices=("any order", "causal"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        if arguments.one == "causal":
            become_causal()
        print(json.dumps(measure_one(arguments.datasets[0], arguments)))
        return
    tasks = [(dataset, kind) for dataset in arguments.datasets for kind in ("any order", "causal")]
    common = ("--preset", arguments.preset, "--minutes", arguments.minutes, "--seed", arguments.seed)
    results = on_cores(__file__, [(dataset, *common, "--one", kind) for dataset, kind in tasks])
    lines = [
        *heading(f"The price of any order: {arguments.minutes:g} minutes of one core, {arguments.preset}"),
        f"Bits per character of {ORDERED_WINDOWS} held-out windows, with standard errors.",
        *("", "| dataset | learns | measured | bits/char | steps | M characters |", "|---|---|---|--:|--:|--:|"),
    ]
    for (dataset, kind), found in zip(tasks, results, strict=True):
        for order, (bits, error) in found["bits"].items():
            cells = f"{bits:.3f} ± {error:.3f} | {found['steps']:,} | {found['characters'] / 1e6:.2f}"
            lines.append(f"| {dataset} | {kind} | {order} | {cells} |")
    publish(lines, arguments.output)


if __name__ == "__main__":
    main()
