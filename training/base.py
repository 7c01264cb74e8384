"""A common start: one text of all datasets, of which a base model learns, and the runs that start from it."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from config.loader import BASE, BASE_FILE, Config
from config.schema import RunConfig
from text.corpus import load_corpus
from text.vocabulary import Vocabulary
from utils import UserError, hash_file, numpy_generator, sha256, write_atomic

BASE_CHARACTERS = 2_000_000  # of each text at most, so that a large one does not drown the others
BASE_SHARE = 0.2  # of the time for all


def with_base(config: Config, runs: list[RunConfig], overrides: dict[str, Any]) -> list[RunConfig]:
    """The base's run, and these, which start from it. Where their time is limited, the base gets BASE_SHARE of all."""
    if BASE in config.datasets:
        raise UserError(f"{config.path}: datasets.{BASE}: --base makes a model of this name; rename the dataset")
    base, limits = config.merged(BASE, overrides), [run.training.max_minutes for run in runs]
    if base.data.file != BASE_FILE:
        raise UserError(f"{base.data_file()}: --base makes a model of this name; rename it")
    if all(limits):
        base = changed(base, max_minutes=sum(limits) * BASE_SHARE / (1 - BASE_SHARE))
    return [base, *(changed(run, start_from=BASE) for run in runs)]


def changed(run: RunConfig, **settings: Any) -> RunConfig:
    """A run with other settings of its training."""
    return run.model_copy(update={"training": run.training.model_copy(update=settings)})


def write_base_text(runs: list[RunConfig]) -> None:
    """Write the base's text: of each run, documents that it trains on, none that it holds out, in a drawn order.

    What is wrong with the text of a run, its own training says.
    """
    texts = []
    for run in runs:
        with contextlib.suppress(UserError):
            texts.append(text_of(run))
    path, content = Path(runs[0].paths.datasets) / BASE_FILE, "".join(texts)
    if not path.is_file() or hash_file(path) != sha256(content):
        write_atomic(path, content)


def text_of(run: RunConfig) -> str:
    """Lines of a run's training text, BASE_CHARACTERS at most."""
    corpus = load_corpus(run)
    order = numpy_generator(run.seed, BASE, run.name).permutation(len(corpus.train.lengths))
    enough = int(np.searchsorted(np.cumsum(corpus.train.lengths[order]), BASE_CHARACTERS)) + 1
    documents = (corpus.train.document(int(i))[:BASE_CHARACTERS] for i in order[:enough])
    return "".join(f"{known_text(document, corpus.vocabulary)}\n" for document in documents)


def known_text(document: np.ndarray, vocabulary: Vocabulary) -> str:
    """A document without the characters that a voice does not know: those of other scripts, emoji."""
    return vocabulary.decode(document[document != vocabulary.unk])
