"""What counts would add to a trained network: python benchmarks/count_prior.py MODEL ... --output FILE

NELBO of held-out text under the network's logits plus a share of what counts of its training text say of the same
masks (evaluation/two_sided.py). The best share tells what a count prior in the logits, arXiv:2210.14431, could bring.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from environment import heading
from torch import Tensor

from diffusion.objectives import Network
from evaluation.evaluator import corpus_of, split_likelihood
from evaluation.ngram import framed
from evaluation.two_sided import TwoSidedCounts
from generation.checkpoint import load_checkpoint
from generation.writer import Writer
from utils import write_atomic

SHARES = (0.0, 0.1, 0.2, 0.3, 0.5)
CPU = torch.device("cpu")


def mixed(network: Network, counts: TwoSidedCounts, share: float) -> Network:
    """The logits of `network` plus a share of what those of counts say beyond the frequency of a character."""
    frequencies = np.bincount(counts.text, minlength=counts.characters) + 1
    alone = torch.from_numpy(np.log(frequencies)).float()

    def answer(x_t: Tensor, sigma: Tensor, given: Tensor, *, positions: Tensor | None = None) -> Tensor:
        learnt = network(x_t, sigma, given, positions=positions)
        return learnt + share * (counts(x_t, sigma, given, positions=positions) - alone)

    return answer


def bits(model: Path, characters: int) -> list[float]:
    """Held-out bits per character with each share."""
    checkpoint = load_checkpoint(model)
    writer, corpus = Writer.of(checkpoint, CPU), corpus_of(checkpoint, model)
    text = framed([corpus.train.document(k) for k in range(len(corpus.train.lengths))])
    counts, found = TwoSidedCounts(text, corpus.vocabulary.size), []
    for share in SHARES:
        other = replace(writer, network=mixed(writer.network, counts, share) if share else writer.network)
        found.append(split_likelihood(other, corpus.held_out, characters, stream=corpus.stream)[0].bits)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Held-out bits of models mixed with counts.")
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--characters", type=int, default=60_000, help="held-out, of each (default 60000)")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    arguments = parser.parse_args()
    lines = [
        *heading("What counts would add to a trained network: bits per character"),
        f"| model | {' | '.join(f'{share:g} of the counts' for share in SHARES)} |",
        f"|---|{'--:|' * len(SHARES)}",
    ]
    for model in arguments.models:
        lines.append(f"| {model.stem} | {' | '.join(f'{each:.3f}' for each in bits(model, arguments.characters))} |")
    write_atomic(arguments.output, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
