"""Evaluates trained models: likelihood, metrics of samples, copies; and tells several voices apart."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from config.messages import counted
from dataset_loader import Batch, held_out_batches
from evaluation.classifier import SourceClassifier
from evaluation.likelihood import NATS_PER_BIT, Likelihood, held_out_likelihood
from evaluation.metrics import METRICS, measure
from evaluation.ngram import framed
from evaluation.records import (
    Baselines,
    Comparison,
    Copies,
    Copy,
    Evaluation,
    Likelihoods,
    Origin,
    VoiceComparison,
)
from evaluation.reference import Documents, Reference
from generation.checkpoint import load_checkpoint
from generation.writer import Writer, write_documents
from text.corpus import Corpus, Split, load_trained_corpus
from utils import UserError, check_readable, read_text

LIKELIHOOD_CHARACTERS = 30_000  # of each split that the likelihood is measured on
LIKELIHOOD_DRAWS = 2  # noise levels per window
STYLE_CHARACTERS = 3000  # of each corpus that its bits under every voice are measured on
# the gauge says creating up to the first share of copies, memorising above the second
COPIES_CREATING, COPIES_MEMORISING = 0.01, 0.10
WORST = 10  # copies that a report shows


@dataclass(frozen=True)
class Request:
    """How a voice is evaluated."""

    count: int  # documents to draw, or to read from a file, at most
    seed: int  # of the draws
    device: torch.device


def evaluate_voice(name: str, file: Path, samples: Path | None, request: Request) -> Evaluation:
    """Measure one model: its likelihood, and its samples, which are the lines of a file or else drawn.

    Raises UserError for a model or samples that cannot be read, and for a dataset that is not what it was trained on.
    """
    if samples:  # before minutes of work
        check_readable(samples, "name a text file of samples, one document per line")
    checkpoint = load_checkpoint(file)
    writer = Writer.of(checkpoint, request.device)
    corpus = load_trained_corpus(checkpoint.run, checkpoint.data_sha256, file)
    if corpus.vocabulary != checkpoint.vocabulary:  # an earlier version learnt control characters too
        raise UserError(f"{file}: learnt other characters than are read of {checkpoint.run.data_file()}; train it anew")
    reference = Reference(corpus, checkpoint.run.model.context)
    if samples:
        texts = read_texts(samples, request.count, corpus.stream)
    else:
        texts = write_documents(writer, request.seed, range(request.count), writer.settings())
    documents = [corpus.vocabulary.encode(text).astype(np.int64) for text in texts]
    # samples and real text in equal number: a divergence grows as documents become fewer, whoever wrote them
    compared = min(len(documents), len(reference.held_out))
    real = reference.held_out[:compared]
    matches, real_matches = reference.matches(documents), reference.matches(real)
    of_samples = measure(documents[:compared], matches[:compared], reference)
    of_real = measure(real, real_matches, reference)
    return Evaluation(
        name=name,
        source=samples.name if samples else f"drawn with seed {request.seed}",
        texts=texts,
        compared=compared,
        likelihood=likelihoods(writer, corpus, reference),
        comparisons={m.name: Comparison(m, of_samples[m.name], of_real[m.name]) for m in METRICS},
        copies=find_copies(texts, documents, matches, reference),
        origin=Origin(
            checkpoint.data_sha256, checkpoint.training_sha256, checkpoint.version, training=checkpoint.metrics
        ),
        writer=writer,
        corpus=corpus,
        matches=matches,
        real_matches=real_matches,
        training_lengths=reference.lengths,
        training_texts=[corpus.vocabulary.decode(document) for document in reference.sampled],
        real_texts=[corpus.vocabulary.decode(document) for document in reference.held_out],
    )


def read_texts(path: Path, count: int, stream: bool) -> list[str]:
    """The first documents of a text file, one per line; samples of a stream hold their newlines as \\n."""
    texts = [line for line in read_text(path).split("\n") if line.strip()][:count]
    if len(texts) < 2:
        raise UserError(f"{path}: {counted(len(texts), 'document')}; at least 2 are needed, one a line")
    return [text.replace("\\n", "\n") for text in texts] if stream else texts


def likelihoods(writer: Writer, corpus: Corpus, reference: Reference) -> Likelihoods:
    """Bits per character of held-out and of training text under the voice, and of held-out text under the baselines."""
    (held_out, batches), (training, _) = (
        split_likelihood(writer, split, LIKELIHOOD_CHARACTERS, stream=corpus.stream, draws=LIKELIHOOD_DRAWS)
        for split in (corpus.held_out, corpus.train)
    )
    measured = {int(document) for batch in batches for document in batch.documents}
    chosen = [0] if corpus.stream else sorted(measured)  # a stream is one document, whose batches number windows
    documents = [np.asarray(corpus.held_out.document(d), dtype=np.int64) for d in chosen]
    return Likelihoods(held_out, training, baselines_of(documents, reference))


def baselines_of(documents: Documents, reference: Reference) -> Baselines:
    """Bits per character of these documents under models of the training text's single characters and 5-grams."""
    unigrams = reference.unigrams + 1.0  # one more of each, so that no character is impossible
    unigram_bits = -np.log2(unigrams / unigrams.sum())
    # without the closing frame, which the voice is given and does not pay for
    five_gram_nats = np.concatenate([reference.model.nats(framed([document]))[:-1] for document in documents])
    return Baselines(
        uniform=float(np.log2(reference.vocabulary.size)),
        unigram=float(unigram_bits[np.concatenate(documents)].mean()),
        five_gram=float(five_gram_nats.mean() / NATS_PER_BIT),
    )


def split_likelihood(
    writer: Writer, split: Split, characters: int, *, stream: bool, draws: int = 1
) -> tuple[Likelihood, list[Batch]]:
    """The likelihood of at most so many characters of a split under a voice, and the batches it was measured on."""
    seed, alphabet = writer.run.seed, writer.vocabulary.size
    batches = held_out_batches(split, writer.run.model.context, characters, seed, alphabet=alphabet, stream=stream)
    found = held_out_likelihood(writer.diffusion, writer.network, batches * draws, seed, writer.device)
    return replace(found, characters=found.characters // draws), batches


def find_copies(texts: list[str], documents: Documents, matches: np.ndarray, reference: Reference) -> Copies:
    """Which samples are lines of the training text or hold more of it in a row than new real text does; the gauge."""
    flagged = [int(i) for i in np.flatnonzero(reference.copied(documents, matches))]
    share = len(flagged) / len(texts)
    # new text passes the longest of n matches once in n + 1 times; twice that is no sign of copying
    chance = 2 / (reference.calibrated_on + 1)
    if share <= COPIES_CREATING + chance:
        gauge = "creating"
    else:
        gauge = "in between" if share <= COPIES_MEMORISING + chance else "memorising"
    worst = sorted(flagged, key=lambda i: -matches[i])[:WORST]
    return Copies(
        bound=reference.copy_bound,
        share=share,
        calibrated_on=reference.calibrated_on,
        gauge=gauge,
        flagged=flagged,
        worst=[Copy(i, int(matches[i]), texts[i]) for i in worst],
    )


def compare_voices(evaluations: list[Evaluation]) -> VoiceComparison:
    """Which corpus each voice's documents are taken for, and every corpus's text under every voice."""
    classifier = SourceClassifier({e.name: e.training_texts for e in evaluations})
    samples = {e.name: e.texts for e in evaluations}
    # real documents cut to the samples' lengths: a short text is harder to place, whoever wrote it
    real = {
        e.name: [text[: len(sample)] for text, sample in zip(e.real_texts, e.texts, strict=False)] for e in evaluations
    }
    return VoiceComparison(
        names=[e.name for e in evaluations],
        confusion=classifier.confusion(samples).tolist(),
        confusion_real=classifier.confusion(real).tolist(),
        style_bits=[[style_bits(voice, text) for text in evaluations] for voice in evaluations],
    )


def style_bits(voice: Evaluation, other: Evaluation) -> float:
    """Bits per character of another voice's held-out text under this one; characters it lacks become `<unk>`."""
    documents = [voice.corpus.vocabulary.encode(text) for text in other.real_texts]
    lengths = np.array([len(document) for document in documents])
    split = Split(np.concatenate(documents), np.cumsum(lengths) - lengths, lengths)
    found, _ = split_likelihood(voice.writer, split, STYLE_CHARACTERS, stream=other.corpus.stream)
    return found.bits
