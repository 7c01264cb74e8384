"""Whether the seams between windows show in long documents: python benchmarks/seams.py --output FILE MODEL ...

Writes long documents and compares, with the corpus, the characters around every seam between two windows with as many
from the middle of windows; also lengths, openings and endings beside those of held-out documents.
"""

import argparse
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from environment import heading, publish

from evaluation.evaluator import corpus_of
from evaluation.metrics import bootstrap, divergence, measure
from evaluation.reference import Reference, trigrams
from generation.checkpoint import load_checkpoint
from generation.draft import Draft
from generation.prompt import ANYTHING
from generation.writer import Writer, write_documents
from utils import numpy_generator

REACH = 4  # characters on either side of a seam
SHOWN = ("length distance", "openings divergence", "endings divergence", "trigram divergence", "known words")


def seams(writer: Writer, index: int) -> tuple[list[int], list[int]]:
    """Of document `index`: where one window ends and the next goes on, and the middles of what the windows wrote."""
    draft = Draft(writer, ANYTHING, 0, index, 0)
    edges = [0]
    while not draft.finished:
        draft.settle(draft.window()[0])
        edges.append(draft.settled - draft.edge)
    middles = [(start + end) // 2 for start, end in itertools.pairwise(edges[1:])]
    return edges[1:-1], middles


def around(document: np.ndarray, places: list[int]) -> list[np.ndarray]:
    pieces = [document[max(place - REACH, 0) : place + REACH] for place in places]
    return [piece for piece in pieces if len(piece) == 2 * REACH]


def rows(model: Path, count: int) -> list[str]:
    checkpoint = load_checkpoint(model)
    writer, corpus = Writer.of(checkpoint, torch.device("cpu")), corpus_of(checkpoint, model)
    reference = Reference(corpus, writer.run.model.context)
    texts = write_documents(writer, 0, range(count), writer.settings())
    documents = [corpus.vocabulary.encode(text).astype(np.int64) for text in texts]
    across, inside = [], []
    for index, document in enumerate(documents):
        places, middles = seams(writer, index)
        across += around(document, places)
        inside += around(document, middles)
    number = min(len(across), len(inside))
    found = {}
    for name, pieces in (("across seams", across), ("inside windows", inside)):
        # without the frames that trigrams() puts around a document
        keys = [trigrams(piece, corpus.vocabulary)[1:-1] for piece in pieces[:number]]
        found[name] = bootstrap(divergence(keys, reference.trigrams), number, numpy_generator("seams"))
    real = reference.held_out[:count]
    figures = measure(documents, reference.matches(documents), reference)
    ceiling = measure(real, reference.matches(real), reference)
    agree = "agree" if found["across seams"].agrees(found["inside windows"]) else "differ"
    return [
        f"**{model.stem}**, {count} documents, {number} seams: trigram divergence across seams "
        f"{found['across seams']}, inside windows {found['inside windows']}: they {agree}.",
        *("", "| figure | samples | held-out text |", "|---|--:|--:|"),
        *(f"| {name} | {figures[name]} | {ceiling[name]} |" for name in SHOWN),
        "",
        *(f"> …{text[-160:]}" for text in texts[:3]),
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare text across the seams of long documents with text inside.")
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--count", type=int, default=200, help="documents (default 200)")
    arguments = parser.parse_args()
    lines = heading("Seams")
    for model in arguments.models:
        lines += rows(model, arguments.count)
    publish(lines, arguments.output)


if __name__ == "__main__":
    main()
