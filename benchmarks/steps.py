"""Quality by calls, and beside variety: python benchmarks/steps.py --output FILE MODEL ... [--set grid=cosine ...]

Draws the same documents, of one window at most unless --whole, at each number of steps and each temperature, and
measures them beside held-out ones. A lower temperature makes any text likelier and poorer, so samplers and models
compare by their curves: --picture draws bits per character under a 5-gram (quality) over the share of different
ones among all runs of six characters (variety), a curve over the temperatures for each model and settings.
"""

import argparse
import itertools
import time
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from environment import heading, publish
from ruamel.yaml import YAML

from evaluation.learnt_text import corpus_of
from evaluation.metrics import DocumentGroup, Interval, measure
from evaluation.ngram import framed
from evaluation.reference import Reference
from generation.checkpoint import load_checkpoint
from generation.prompt import Prompt
from generation.writer import Writer, write_documents

RUN = 6  # characters in a row, whose share of different ones is the variety
SHOWN = ("known words", "5-gram bits/char", "trigram divergence", "longest match")


def variety(documents: list[np.ndarray]) -> float:
    """Different runs of RUN characters as a share of all, in as much text of each: 1 if none occurs twice."""
    runs = [np.lib.stride_tricks.sliding_window_view(framed([document]), RUN) for document in documents]
    every = np.concatenate([part for part in runs if len(part)])
    return len(np.unique(every, axis=0)) / len(every)


@dataclass(frozen=True)
class Point:
    """Documents drawn in one way: what is shown of them."""

    model: str
    settings: str
    calls: str
    temperature: float
    speed: float
    figures: dict[str, Interval]
    variety: float

    def cells(self) -> list[str]:
        drawn = [f"{self.temperature:g}" if self.temperature else "", f"{self.speed:.1f}" if self.speed else ""]
        shown = [*(str(self.figures[name]) for name in SHOWN), f"{self.variety:.3f}"]
        return [self.model, self.settings, self.calls, *drawn, *shown]


def points(model: Path, arguments: argparse.Namespace) -> list[Point]:
    checkpoint = load_checkpoint(model)
    writer, corpus = Writer.of(checkpoint, torch.device(arguments.device)), corpus_of(checkpoint, model)
    context = writer.run.model.context
    longest = None if arguments.whole else context - 2
    reference, form = Reference(corpus, context), Prompt(longest=longest)
    real = [document[:longest] for document in reference.held_out[: arguments.count]]
    found = [Point(model.stem, "real text", "", 0, 0, measure(DocumentGroup(real, reference)), variety(real))]
    for change, temperature in itertools.product(arguments.set or [""], arguments.temperature or [0.0]):
        changes = YAML(typ="safe").load(f"{{{change.replace('=', ': ')}}}")
        changes |= {"temperature": temperature} if temperature else {}
        for steps in [changes.pop("steps")] if "steps" in changes else arguments.steps:
            began = time.perf_counter()
            of_steps = {"steps": steps, "stretch": steps, "revisions": steps // 3}  # a sampler reads one or the others
            settings = replace(writer.settings(), **{**of_steps, **changes})
            texts = write_documents(writer, 0, range(len(real)), settings, prompt=form)
            speed = len(real) / (time.perf_counter() - began)
            documents = [corpus.vocabulary.encode(text).astype(int) for text in texts]
            figures = measure(DocumentGroup(documents, reference))
            calls = str(writer.network_calls(settings, Prompt(shortest=context - 2, longest=context - 2)))
            name = change or "as set"
            found.append(Point(model.stem, name, calls, settings.temperature, speed, figures, variety(documents)))
            print(*found[-1].cells(), texts[0][:60], sep=" | ", flush=True)
    return found


def draw_curves(found: list[Point], path: Path) -> None:
    """A picture of quality over variety: a line for each model and settings, a star for real text."""
    axis = plt.figure(figsize=(8, 6), layout="constrained").subplots()
    for (model, settings), group in itertools.groupby(found, lambda point: (point.model, point.settings)):
        line = sorted(group, key=lambda point: point.temperature)
        quality = [point.figures["5-gram bits/char"].value for point in line]
        form = "*" if settings == "real text" else "o-"
        axis.plot([point.variety for point in line], quality, form, markersize=5, label=f"{model}, {settings}")
    axis.set(xlabel=f"variety: different runs of {RUN} characters, share", ylabel="bits per character under a 5-gram")
    axis.legend(fontsize="small")
    plt.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description="Figures of samples at several numbers of network calls.")
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--count", type=int, default=100, help="documents each (default 100)")
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 16, 32, 64, 128, 256], help="network calls")
    parser.add_argument("--temperature", type=float, nargs="+", help="temperatures (default: the model's)")
    parser.add_argument("--whole", action="store_true", help="documents as long as the text's")
    parser.add_argument("--device", default="cpu", help="where documents are written: cpu or cuda")
    parser.add_argument("--picture", type=Path, help="PNG file of the curves to write")
    parser.add_argument("--set", nargs="*", metavar="KEY=VALUE,...", help="sampling settings, one table row each")
    arguments = parser.parse_args()
    heads = ["model", "settings", "calls of a window", "temperature", "documents/s", *SHOWN, "variety"]
    found = [point for model in arguments.models for point in points(model, arguments)]
    if arguments.picture:
        draw_curves(found, arguments.picture)
    lines = [
        *heading("Steps and quality"),
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(f"| {' | '.join(point.cells())} |" for point in found),
    ]
    publish(lines, arguments.output)


if __name__ == "__main__":
    main()
