"""What size and counts of a text say of a voice to be: python benchmarks/learning.py --output FILE NAME[:KB]:STEPS ...

Each job trains a preset on a corpus, or on its first so many kilobytes, for so many steps (0: as many as the preset
makes), on one core. Beside the NELBO stand that of counts of both sides for the same windows and noise, and how many of
the documents that the voice then writes are copies.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from environment import heading, publish
from one_core import on_cores

from config.loader import load_config
from evaluation.evaluator import ids_alike, split_likelihood
from evaluation.metrics import DocumentGroup
from evaluation.reference import Reference
from evaluation.two_sided import two_sided_bits
from generation.checkpoint import load_checkpoint
from generation.writer import Writer, write_documents
from text.corpus import load_corpus
from training.trainer import train_model

HELD_OUT_CHARACTERS = 60_000


def train_one(job: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train as the job says, and measure."""
    name, *kilobytes, steps = job.split(":")
    config, folder = load_config(Path("config.yaml")), arguments.output
    data = config.resolve(name).data_file().read_bytes()
    if kilobytes:
        data = data[: data.rindex(b"\n", 0, 1000 * int(kilobytes[0])) + 1]
    (folder / f"{name}.txt").write_bytes(data)
    overrides: dict[str, Any] = {
        "paths": {"models": str(folder), "datasets": str(folder)},
        "training": {"max_steps": int(steps)},
    }
    run = config.resolve(name, preset=arguments.preset, device="cpu", **overrides)
    found = train_model(run).metrics
    last = json.loads((folder / f"{name}.metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    corpus, writer = load_corpus(run), Writer.of(load_checkpoint(run.model_file()), torch.device("cpu"))
    reference = Reference(corpus, run.model.context, visible_only=True)
    bits, batches = split_likelihood(writer, corpus.held_out, HELD_OUT_CHARACTERS)
    texts = write_documents(writer, 0, range(arguments.documents), writer.settings())
    documents = [ids_alike(text, corpus.vocabulary) for text in texts]
    return {
        "bytes": len(data), "characters": found["characters"], "bits": bits.bits, "error": bits.error,
        "counts": two_sided_bits(reference.text, corpus.vocabulary.size, batches, run.seed),
        "best": found["best_step"] / found["steps"], "last": last["held_out"], "learnt": last["learnt"],
        "copies": int(DocumentGroup(documents, reference).copies.all.sum()),
    }  # fmt: skip


def row(job: str, found: dict[str, Any], documents: int) -> str:
    cells = [
        job.split(":")[0], f"{found['bytes'] / 1e3:,.0f}", f"{found['characters'] / 1e6:.2f}",
        f"{found['characters'] / found['bytes']:.1f}", f"{found['bits']:.3f} ± {found['error']:.3f}",
        f"{found['counts']:.3f}", f"{found['bits'] - found['counts']:+.3f}", f"{found['last']:.3f}",
        f"{found['learnt']:.3f}", f"{found['best']:.0%}", f"{found['copies']} of {documents}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Bits per character beside what counts know, and copies.")
    parser.add_argument("jobs", nargs="*", metavar="NAME[:KB]:STEPS")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="jobs at once (default: one a core)")
    parser.add_argument("--documents", type=int, default=100, help="written by each and judged (default 100)")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(train_one(arguments.one, arguments)))
        return
    amount = ("--preset", arguments.preset, "--documents", arguments.documents)
    results = on_cores(__file__, [(*amount, "--one", job) for job in arguments.jobs], arguments.at_once)
    lines = [
        *heading(f"What a voice learns of so much text: {arguments.preset}"),
        "| corpus | KB | M characters read | passes | NELBO, bits/char | counts of both sides | difference "
        "| held out at the last measurement | as much training text | best at | copies |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        *(row(job, found, arguments.documents) for job, found in zip(arguments.jobs, results, strict=True)),
    ]
    publish(lines, arguments.output)


if __name__ == "__main__":
    main()
