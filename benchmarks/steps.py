"""Quality against network calls: python benchmarks/steps.py --output FILE MODEL ... [--set grid=cosine ...]

Draws the same documents, of one window at most, at each number of steps, and measures them beside held-out ones.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from environment import heading
from ruamel.yaml import YAML

from evaluation.metrics import Interval, measure
from evaluation.reference import Reference
from generation.checkpoint import load_checkpoint
from generation.prompt import Prompt
from generation.writer import Writer, write_documents
from text.corpus import load_corpus
from utils import write_atomic

SHOWN = ("known words", "5-gram bits/char", "trigram divergence", "longest match")


def cells(figures: dict[str, Interval]) -> list[str]:
    return [str(figures[name]) for name in SHOWN]


def rows(model: Path, arguments: argparse.Namespace) -> list[list[str]]:
    checkpoint = load_checkpoint(model)
    writer, corpus = Writer.of(checkpoint, torch.device("cpu")), load_corpus(checkpoint.run)
    context = writer.run.model.context
    reference, form = Reference(corpus, context), Prompt(longest=context - 2)
    real = [document[: context - 2] for document in reference.held_out[: arguments.count]]
    found = [[model.stem, "real text", "", "", *cells(measure(real, reference.matches(real), reference))]]
    for change in arguments.set or [""]:
        changes = YAML(typ="safe").load(f"{{{change.replace('=', ': ')}}}")
        for steps in [changes.pop("steps")] if "steps" in changes else arguments.steps:
            began = time.perf_counter()
            of_steps = {"steps": steps, "stretch": steps, "revisions": steps // 3}  # a sampler reads one or the others
            settings = replace(writer.settings(), **{**of_steps, **changes})
            texts = write_documents(writer, 0, range(arguments.count), settings, prompt=form)
            seconds = time.perf_counter() - began
            documents = [corpus.vocabulary.encode(text).astype(int) for text in texts]
            figures = measure(documents, reference.matches(documents), reference)
            found.append([model.stem, change, str(steps), f"{arguments.count / seconds:.1f}", *cells(figures)])
            print(*found[-1], texts[0][:60], sep=" | ", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Figures of one-window samples at several numbers of network calls.")
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--count", type=int, default=100, help="documents each (default 100)")
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 16, 32, 64, 128, 256], help="network calls")
    parser.add_argument("--set", nargs="*", metavar="KEY=VALUE,...", help="sampling settings, one table row each")
    arguments = parser.parse_args()
    heads = ["model", "settings", "calls", "documents/s", *SHOWN]
    table = [row for model in arguments.models for row in rows(model, arguments)]
    lines = [
        *heading("Steps and quality"),
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(f"| {' | '.join(row)} |" for row in table),
    ]
    write_atomic(arguments.output, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
