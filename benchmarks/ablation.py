"""One change at a time, equal time: python benchmarks/ablation.py --dataset NAME --output FILE KEY=VALUE ...

Each change sets a key of config.yaml, or several joined by "+", and trains the preset so for as long, in minutes of
processor time of one core, so that what else the machine does hardly matters; or, where a step costs the same, for as
many --steps. The unchanged preset comes first.
The NELBO of held-out text at the end, the exact bits in the sampler's order, and figures of what the model then writes,
as parts of the same figures of as many held-out documents.
"""

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from environment import heading, publish
from one_core import count_processor_time, on_cores
from ruamel.yaml import YAML

from config.loader import load_config, merge
from evaluation.evaluator import ordered_likelihoods, windows_in_order
from evaluation.metrics import DocumentGroup, measure
from evaluation.reference import Reference
from generation.checkpoint import load_checkpoint
from generation.writer import Writer, write_documents
from text.corpus import Corpus, load_corpus
from training.trainer import train_model
from utils import UserError

HELD_OUT_CHARACTERS = 60_000
UNCHANGED = "preset"


def settings(change: str) -> dict[str, Any]:
    """The settings that a change names: "a.b=1+c.d=x" -> {"a": {"b": 1}, "c": {"d": "x"}}."""
    found: dict[str, Any] = {}
    for part in change.split("+") if change != UNCHANGED else []:
        place, _, written = part.partition("=")
        value = YAML(typ="safe").load(written)
        for key in reversed(place.split(".")):
            value = {key: value}
        found = merge(found, value)
    return found


def train_one(change: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Train with one change for so many minutes of processor time, and have the model write."""
    config, folder = load_config(Path("config.yaml")), arguments.output
    text = config.resolve(arguments.dataset).data_file()
    shutil.copy(text, folder / f"{arguments.dataset}.txt")  # beside others of the same text, an encoding of its own
    budget = {"max_steps": arguments.steps} if arguments.steps else {"max_minutes": arguments.minutes}
    overrides: dict[str, Any] = {
        "preset": arguments.preset,
        "device": arguments.device,
        "paths": {"models": str(folder), "datasets": str(folder)},
        "training": {**budget, "validations": 1, "validation_characters": HELD_OUT_CHARACTERS},
    }
    count_processor_time()
    run = config.resolve(arguments.dataset, **merge(overrides, settings(change)))
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
    ours, theirs = (measure(DocumentGroup(side, reference)) for side in (documents, real))
    return {name: ours[name].value / theirs[name].value for name in ("known words", "trigram divergence")}


def row(change: str, found: dict[str, float], base: float) -> str:
    bits = found["held_out_bits"]
    cells = [
        change, f"{bits:.3f} ± {found['held_out_error']:.3f}", f"{bits - base:+.3f}", f"{found['exact']:.3f}",
        f"{found['known words']:.3f}", f"{found['trigram divergence']:.2f}", f"{found['steps']:,}",
        f"{found['characters'] / 1e6:.2f}", f"{found['parameters']:,}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def parsed() -> argparse.Namespace:
    """The command line; its changes are settings that config.yaml may have."""
    parser = argparse.ArgumentParser(description="Held-out bits per character with one change at a time.")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="as training.batch_size=8+model.heads=6")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--minutes", type=float, default=4, help="of one core each (default 4)")
    parser.add_argument("--steps", type=int, default=0, help="of each in place of minutes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="changes at once (default: one a core)")
    parser.add_argument("--documents", type=int, default=100, help="written by each and measured (default 100)")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    config = load_config(Path("config.yaml"))
    try:
        for change in arguments.changes:
            config.resolve(arguments.dataset, **merge({"preset": arguments.preset}, settings(change)))
    except UserError as error:
        parser.error(str(error))
    return arguments


def main() -> None:
    arguments = parsed()
    if arguments.one:
        print(json.dumps(train_one(arguments.one, arguments)))
        return
    changes = [UNCHANGED, *arguments.changes]
    common = ("--dataset", arguments.dataset, "--preset", arguments.preset, "--device", arguments.device)
    amount = ("--minutes", arguments.minutes, "--steps", arguments.steps, "--documents", arguments.documents)
    tasks = [(*common, *amount, "--one", change) for change in changes]
    results = on_cores(__file__, tasks, arguments.jobs)
    budget = f"{arguments.steps:,} steps" if arguments.steps else f"{arguments.minutes:g} minutes of one core"
    lines = [
        *heading(f"One change at a time: {arguments.dataset}, {arguments.preset}, {budget}"),
        "| change | NELBO, bits/char | against the first | exact, in the sampler's order | words, of real text's "
        "| trigrams, ratio | steps | M characters | parameters |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        *(row(change, found, results[0]["held_out_bits"]) for change, found in zip(changes, results, strict=True)),
    ]
    publish(lines, arguments.output)


if __name__ == "__main__":
    main()
