"""What bench.py measures of the project and of the reference: rates, time to a quality, a large corpus."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from environment import ROOT
from reference import Notebook, padded, windows

from config.loader import load_config
from config.schema import RunConfig
from dataset_loader import held_out_batches
from evaluation.likelihood import held_out_likelihood
from evaluation.ngram import framed
from model import Denoiser
from text.corpus import Split, load_corpus
from training.trainer import Training

BABY = {"layers": 6, "heads": 6, "width": 384, "context": 256}
SMALL = {"layers": 4, "heads": 4, "width": 128, "context": 128}
BATCH = 64
GRAPH_STEPS = 400  # in which a GPU meets batches of all shapes and captures a graph of each
QUALITY_STEPS = 5  # between looks at the held-out text on the way to the reference's quality


def resolved(dataset: str, preset: str, **overrides: Any) -> RunConfig:
    return load_config(ROOT / "config.yaml").resolve(dataset, preset=preset, **overrides)


def rate(step: Callable[[int], int], steps: int, warm_up: int = 1) -> float:
    """Units a second of so many steps, after some to warm up; a step returns its units."""

    def now() -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    for number in range(warm_up):
        step(number)
    began = now()
    units = sum(step(number) for number in range(warm_up, warm_up + steps))
    return units / (now() - began)


def text_of(split: Split) -> np.ndarray:
    """A split's text as one stream, its documents a line each."""
    return framed([np.asarray(split.document(i)) for i in range(min(20_000, len(split.lengths)))])


def project_training(dataset: str, preset: str, steps: int, **overrides: Any) -> float:
    training = Training(resolved(dataset, preset, **overrides))

    def step(number: int) -> int:
        before = training.status.characters
        training.advance(training.batches.batch(number))
        return training.status.characters - before

    return rate(step, steps, GRAPH_STEPS if training.learner.graphs else 1)


def reference_training(
    dataset: str, size: dict[str, int], steps: int, device: str, *, documents: bool = False
) -> float:
    corpus = load_corpus(resolved(dataset, "tiny"))
    notebook, text = Notebook(corpus.vocabulary.size, device, **size), text_of(corpus.train)
    rng = np.random.default_rng(0)

    def step(number: int) -> int:
        if not documents:
            batch = windows(text, BATCH, size["context"], rng)
            notebook.step(batch)
            return batch.numel()
        chosen = [
            np.asarray(corpus.train.document(int(i))) for i in rng.integers(len(corpus.train.lengths), size=BATCH)
        ]
        notebook.step(padded(chosen, size["context"]))
        return sum(min(len(document), size["context"]) for document in chosen)

    return rate(step, steps)


def reference_quality(dataset: str, minutes: float) -> dict[str, float]:
    """Held-out bits per character after so many minutes, in windows of the held-out documents as one stream."""
    run = resolved(dataset, "tiny")
    corpus = load_corpus(run)
    notebook = Notebook(corpus.vocabulary.size, "cpu", **SMALL)
    text, rng = text_of(corpus.train), np.random.default_rng(0)
    began, characters = time.perf_counter(), 0
    while time.perf_counter() - began < 60 * minutes:
        notebook.step(windows(text, BATCH, SMALL["context"], rng))
        characters += BATCH * SMALL["context"]
    stream = text_of(corpus.held_out)
    split = Split(stream, np.array([0]), np.array([len(stream)]), stream=True)
    alphabet = corpus.vocabulary.size
    batches = held_out_batches(split, SMALL["context"], 20_000, run.seed, alphabet=alphabet)
    network = Denoiser(notebook.network.eval(), torch.float32)
    found = held_out_likelihood(notebook.diffusion, network, batches, run.seed, torch.device("cpu"))
    parameters = sum(p.numel() for p in notebook.network.parameters())
    return {"bits": found.bits, "error": found.error, "characters": characters, "parameters": parameters}


def project_quality(dataset: str, process: str, bits: float) -> dict[str, float]:
    """Seconds of training until the held-out bits per character are no more than these; measuring is not counted."""
    other = {"diffusion": {"process": process}, "sampling": {"sampler": "tweedie"}}
    training = Training(resolved(dataset, "tiny", **other, device="cpu", training={"max_minutes": 15}))
    seconds, found = 0.0, float("inf")
    while found > bits and not training.finished():
        began = time.perf_counter()
        for _ in range(QUALITY_STEPS):
            training.advance(training.batches.batch(training.status.step))
        seconds += time.perf_counter() - began
        network = Denoiser(training.model.eval(), training.precision)
        held_out = training.held_out
        found = held_out_likelihood(training.diffusion, network, held_out, training.run.seed, torch.device("cpu")).bits
        training.model.train()
    return {"seconds": seconds, "bits": found, "characters": training.status.characters}


def large_corpus(dataset: str, megabytes: int) -> dict[str, float]:
    """Megabytes encoded a second of a corpus made of the dataset's lines, no two alike; then trains on it."""
    with tempfile.TemporaryDirectory() as folder:
        lines = resolved(dataset, "tiny").data_file().read_bytes().splitlines()
        path, written = Path(folder) / "large.txt", 0
        with path.open("wb") as file:
            while written < megabytes * 10**6:
                block = b"".join(b"%s %d\n" % (line, written + i) for i, line in enumerate(lines))
                written += file.write(block)
        where = {"paths": {"datasets": folder}, "data": {"file": "large.txt"}}
        began = time.perf_counter()
        load_corpus(resolved(dataset, "tiny", **where))
        seconds = time.perf_counter() - began
        project_training(dataset, "tiny", 20, device="cpu", **where)
        return {"megabytes_per_second": written / 10**6 / seconds, "megabytes": written / 10**6}


def help_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, str(ROOT / "train.py"), "--help"], check=True, capture_output=True)
    return time.perf_counter() - began
