"""Everything measured of a voice: likelihood, samples, copies; and of several together. Writes no reports."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset_loader import Batch, held_out_batches
from evaluation.classifier import SourceClassifier
from evaluation.likelihood import Likelihood, held_out_likelihood
from evaluation.metrics import measure
from evaluation.ngram import framed
from evaluation.reference import Documents, Reference
from generation.checkpoint import Checkpoint, load_checkpoint
from generation.writer import Writer, write_documents
from text.corpus import Corpus, Split, load_trained_corpus
from utils import UserError

LIKELIHOOD_CHARACTERS = 30_000  # held-out, and training, characters that the likelihood is measured on
LIKELIHOOD_DRAWS = 2  # noise levels per window
STYLE_CHARACTERS = 3000  # of each corpus, under each voice, for the style distances
COPIES_CREATING, COPIES_MEMORISING = 0.01, 0.10  # shares of copies up to and above which the gauge is sure
EXAMPLES = 10


@dataclass(frozen=True)
class Request:
    """How many documents to judge, the seed they are drawn with, and where."""

    count: int
    seed: int
    device: torch.device


@dataclass(frozen=True)
class Evaluation:
    """One voice's figures (plain values, as its JSON file holds them), and what a comparison of voices needs."""

    name: str
    figures: dict[str, Any]
    writer: Writer
    corpus: Corpus
    texts: list[str]
    matches: np.ndarray
    real_matches: np.ndarray  # of as many held-out documents
    lengths: np.ndarray  # of training documents
    taught: list[str]  # training documents for a fingerprint to learn from
    held_out: list[str]


def evaluate_voice(name: str, file: Path, samples: Path | None, request: Request) -> Evaluation:
    """Likelihood, samples (drawn, or the lines of a file) and copies of one model."""
    checkpoint = load_checkpoint(file)
    writer = Writer.of(checkpoint, request.device)
    corpus = load_trained_corpus(checkpoint.run, checkpoint.data_sha256, file)
    reference = Reference(corpus, checkpoint.run.model.context)
    if samples:
        texts = read_texts(samples, request.count, corpus.stream)
    else:
        texts = write_documents(writer, request.seed, range(request.count), writer.settings())
    documents = [corpus.vocabulary.encode(text).astype(np.int64) for text in texts]
    # both sides of a comparison take as many documents: a small sample looks divergent whoever wrote it
    count = min(len(documents), len(reference.held_out))
    matches, real_matches = reference.matches(documents), reference.matches(reference.held_out[:count])
    found = measure(documents[:count], matches[:count], reference)
    real = measure(reference.held_out[:count], real_matches, reference)
    figures = {
        "name": name,
        "samples": samples.name if samples else f"drawn with seed {request.seed}",
        "judged": len(documents),
        "compared": count,
        "likelihood": likelihoods(writer, corpus, reference),
        "figures": {key: {"samples": asdict(found[key]), "real": asdict(real[key])} for key in found},
        "copies": copies(texts, documents, matches, reference),
        "examples": texts[:EXAMPLES],
        **origin_of(checkpoint),
    }
    taught, held_out = (
        [corpus.vocabulary.decode(document) for document in side] for side in (reference.sampled, reference.held_out)
    )
    return Evaluation(name, figures, writer, corpus, texts, matches, real_matches, reference.lengths, taught, held_out)


def origin_of(checkpoint: Checkpoint) -> dict[str, Any]:
    keys = ("data_sha256", "training_sha256", "version")
    return {**{key: getattr(checkpoint, key) for key in keys}, "training": checkpoint.metrics}


def read_texts(path: Path, count: int, stream: bool) -> list[str]:
    """The first documents of a text file, one a line; a stream's samples show their newlines as \\n."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    texts = [line for line in lines if line.strip()][:count]
    if len(texts) < 2:
        raise UserError(f"{path}: {len(texts)} documents; at least 2 are needed, one a line")
    return [text.replace("\\n", "\n") for text in texts] if stream else texts


def likelihoods(writer: Writer, corpus: Corpus, reference: Reference) -> dict[str, Any]:
    """Bits per character of held-out and of training documents, and of three baselines on the same held-out ones."""
    held_out, rest = (
        split_likelihood(writer, split, LIKELIHOOD_CHARACTERS, stream=corpus.stream, draws=LIKELIHOOD_DRAWS)
        for split in (corpus.held_out, corpus.train)
    )
    chosen = sorted({int(document) for batch in held_out[1] for document in batch.documents})
    chosen = [0] if corpus.stream else chosen  # a stream is one document, and its windows are counted as units
    documents = [np.asarray(corpus.held_out.document(d), dtype=np.int64) for d in chosen]
    text = np.concatenate(documents)
    unigrams = reference.unigrams + 1.0  # one of each, so that no character is impossible
    # the closing frame is given to the voice, so no baseline pays for it; they allow for it everywhere, some 0.03 bits
    fifth = np.concatenate([reference.model.nats(framed([document]))[:-1] for document in documents])
    return {
        "held_out": asdict(held_out[0]),
        "training": asdict(rest[0]),
        "gap": held_out[0].bits - rest[0].bits,
        "baselines": {
            "uniform": float(np.log2(corpus.vocabulary.size)),
            "unigram": float(-np.log2(unigrams / unigrams.sum())[text].mean()),
            "5-gram": float(fifth.mean() / np.log(2)),
        },
    }


def split_likelihood(
    writer: Writer, split: Split, characters: int, *, stream: bool, draws: int = 1
) -> tuple[Likelihood, list[Batch]]:
    """The likelihood of some of a split under a voice, and the batches it was measured on."""
    seed, alphabet = writer.run.seed, writer.vocabulary.size
    batches = held_out_batches(split, writer.run.model.context, characters, seed, alphabet=alphabet, stream=stream)
    found = held_out_likelihood(writer.diffusion, writer.network, batches * draws, seed, writer.device)
    return replace(found, characters=found.characters // draws), batches


def copies(texts: list[str], documents: Documents, matches: np.ndarray, reference: Reference) -> dict[str, Any]:
    """Which samples are lines of the training text, or hold more of it in a row than new real text, and the gauge."""
    flagged = [int(i) for i in np.flatnonzero(reference.copied(documents, matches))]
    share = len(flagged) / len(texts)
    chance = 2 / (reference.calibrated_on + 1)  # twice how often honest text passes the longest of so few matches
    if share <= COPIES_CREATING + chance:
        gauge = "creating"
    else:
        gauge = "in between" if share <= COPIES_MEMORISING + chance else "memorising"
    worst = sorted(flagged, key=lambda i: -matches[i])[:EXAMPLES]
    return {
        "bound": reference.copy_bound,
        "share": share,
        "calibrated_on": reference.calibrated_on,
        "gauge": gauge,
        "flagged": flagged,
        "worst": [{"index": i, "match": int(matches[i]), "text": texts[i]} for i in worst],
    }


def compare_voices(evaluations: list[Evaluation]) -> dict[str, Any]:
    """The fingerprint's confusions, of samples and of real documents, and each corpus's text under each voice."""
    classifier = SourceClassifier({e.name: e.taught for e in evaluations})
    samples = {e.name: e.texts for e in evaluations}
    # real documents cut to the samples' lengths: a short text is harder to place, whoever wrote it
    real = {
        e.name: [text[: len(sample)] for text, sample in zip(e.held_out, e.texts, strict=False)] for e in evaluations
    }
    return {
        "names": [e.name for e in evaluations],
        "confusion": classifier.confusion(samples).tolist(),
        "confusion_real": classifier.confusion(real).tolist(),
        "style_bits": [[style_bits(voice, text) for text in evaluations] for voice in evaluations],
    }


def style_bits(voice: Evaluation, other: Evaluation) -> float:
    """Bits per character of another corpus's held-out text under a voice: what it does not know is `<unk>` to it."""
    documents = [voice.corpus.vocabulary.encode(text) for text in other.held_out]
    lengths = np.array([len(document) for document in documents])
    split = Split(np.concatenate(documents), np.cumsum(lengths) - lengths, lengths)
    found, _ = split_likelihood(voice.writer, split, STYLE_CHARACTERS, stream=other.corpus.stream)
    return found.bits
