"""One change at a time, equal time: python benchmarks/ablation.py --dataset NAME --minutes 4 --output FILE [LEVER ...]

Each lever changes one thing of a preset and trains for as long, in minutes of processor time of one core, so that what
else the machine does hardly matters; or, where a step costs the same, for as many --steps. "a+b" pulls two at once.
The NELBO of held-out text at the end, the exact bits in the sampler's order, and figures of what the model then writes,
as parts of the same figures of as many held-out documents.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from environment import heading
from levers import LEVERS
from one_core import count_processor_time, on_cores

from config.errors import nearest
from config.loader import load_config, merge
from evaluation.evaluator import ordered_likelihoods, windows_in_order
from evaluation.metrics import measure
from evaluation.reference import Reference
from generation.checkpoint import load_checkpoint
from generation.writer import Writer, write_documents
from text.corpus import Corpus, load_corpus
from training.trainer import train_model
from utils import write_atomic

HELD_OUT_CHARACTERS = 60_000


def train_one(lever: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Train with one lever, or several joined by "+", for so many minutes of processor time, and have it write."""
    config, folder = load_config(Path("config.yaml")), arguments.output
    text = config.resolve(arguments.dataset).data_file()
    shutil.copy(text, folder / f"{arguments.dataset}.txt")  # beside others of the same text, an encoding of its own
    budget = {"max_steps": arguments.steps} if arguments.steps else {"max_minutes": arguments.minutes}
    overrides: dict[str, Any] = {
        "paths": {"models": str(folder), "datasets": str(folder)},
        "training": {**budget, "validations": 1, "validation_characters": HELD_OUT_CHARACTERS},
    }
    for name in lever.split("+"):
        changes, replaced = LEVERS[name]
        overrides = merge(overrides, changes)
        for (owner, attribute), value in replaced.items():
            setattr(owner, attribute, value)
    count_processor_time()
    run = config.resolve(arguments.dataset, preset=arguments.preset, device=arguments.device, **overrides)
    found = train_model(run).metrics
    kept = ("held_out_bits", "held_out_error", "steps", "characters", "parameters")
    writer, corpus = Writer.of(load_checkpoint(run.model_file()), torch.device(arguments.device)), load_corpus(run)
    # of the sampler's order first, if there is one
    exact = ordered_likelihoods(writer, windows_in_order(writer, corpus))
    bits = {"exact": next(iter(exact.values())).bits if exact else float("nan")}
    return {**{key: found[key] for key in kept}, **bits, **written(writer, corpus, arguments.documents)}


def written(writer: Writer, corpus: Corpus, count: int) -> dict[str, float]:
    """What the model writes, in figures: each over that of as many held-out documents."""
    reference = Reference(corpus, writer.run.model.context)
    real = reference.held_out[:count]
    texts = write_documents(writer, 0, range(len(real)), writer.settings())
    documents = [corpus.vocabulary.encode(text).astype(int) for text in texts]
    ours, theirs = (measure(side, reference.matches(side), reference) for side in (documents, real))
    return {name: ours[name].value / theirs[name].value for name in ("known words", "trigram divergence")}


def row(lever: str, found: dict[str, float], base: float) -> str:
    bits = found["held_out_bits"]
    cells = [
        lever, f"{bits:.3f} ± {found['held_out_error']:.3f}", f"{bits - base:+.3f}", f"{found['exact']:.3f}",
        f"{found['known words']:.3f}", f"{found['trigram divergence']:.2f}", f"{found['steps']:,}",
        f"{found['characters'] / 1e6:.2f}", f"{found['parameters']:,}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def parsed() -> argparse.Namespace:
    """The command line; its levers are known."""
    parser = argparse.ArgumentParser(description="Held-out bits per character with one change at a time.")
    known = ", ".join(LEVERS).replace("%", "%%")
    parser.add_argument("levers", nargs="*", metavar="LEVER", help=f"of {known} (default: all)")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--minutes", type=float, default=4, help="of one core each (default 4)")
    parser.add_argument("--steps", type=int, default=0, help="of each in place of minutes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="levers at once (default: one a core)")
    parser.add_argument("--documents", type=int, default=100, help="written by each and measured (default 100)")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.levers = arguments.levers or list(LEVERS)
    if unknown := [name for lever in arguments.levers for name in lever.split("+") if name not in LEVERS]:
        raise SystemExit(f"error: no such lever: {unknown[0]!r}{nearest(unknown[0], LEVERS)}; --help names all")
    return arguments


def main() -> None:
    arguments = parsed()
    if arguments.one:
        print(json.dumps(train_one(arguments.one, arguments)))
        return
    levers = arguments.levers
    common = ("--dataset", arguments.dataset, "--preset", arguments.preset, "--device", arguments.device)
    amount = ("--minutes", arguments.minutes, "--steps", arguments.steps, "--documents", arguments.documents)
    tasks = [(*common, *amount, "--one", lever) for lever in levers]
    results = on_cores(__file__, tasks, arguments.jobs)
    budget = f"{arguments.steps:,} steps" if arguments.steps else f"{arguments.minutes:g} minutes of one core"
    lines = [
        *heading(f"One change at a time: {arguments.dataset}, {arguments.preset}, {budget}"),
        "| change | NELBO, bits/char | against the first | exact, in the sampler's order | words, of real text's "
        "| trigrams, ratio | steps | M characters | parameters |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        *(row(lever, found, results[0]["held_out_bits"]) for lever, found in zip(levers, results, strict=True)),
    ]
    write_atomic(arguments.output, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
