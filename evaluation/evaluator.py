"""Evaluates trained models: likelihood, metrics of samples, copies; and tells several voices apart."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from command.messages import counted
from config.loader import Config
from config.schema import LONGEST_DOCUMENT
from dataset_loader import Batch, held_out_batches, held_out_windows
from diffusion import orders
from diffusion.samplers import SAMPLERS
from evaluation.classifier import SourceClassifier
from evaluation.copies import find_copies
from evaluation.identity import voice_sha256, weights_sha256
from evaluation.learnt_text import corpus_of, seen_text
from evaluation.likelihood import NATS_PER_BIT, Likelihood, held_out_likelihood, ordered_likelihood
from evaluation.metrics import METRICS, DocumentGroup, measure
from evaluation.records import Baselines, Comparison, Evaluation, Likelihoods, Origin, VoiceComparison
from evaluation.reference import Reference
from evaluation.two_sided import two_sided_bits
from generation.checkpoint import Checkpoint, load_checkpoint
from generation.writer import Writer, write_documents
from text.corpus import Corpus, Split
from text.disguise import check_samples, suspicion
from text.vocabulary import Vocabulary, codepoints, is_visible, nfc, of_line
from utils import UserError, read_text

LIKELIHOOD_CHARACTERS = 30_000  # of each split that the likelihood is measured on
LIKELIHOOD_DRAWS = 2  # noise levels per window
ORDERED_WINDOWS = 200  # held-out windows, of one document each, whose likelihood in an order is measured
STYLE_CHARACTERS = 3000  # of each corpus that its bits under every voice are measured on


@dataclass(frozen=True)
class Request:
    """How a voice is evaluated."""

    count: int  # documents to draw, or to read from a file, at most
    seed: int  # of the draws
    device: torch.device
    config: Config  # of this machine: where texts and outputs lie
    data: Path | None = None  # the text that the model was trained on, if the config does not name it


def evaluate_voice(
    name: str, file: Path, samples: Path | None, request: Request, checkpoint: Checkpoint | None = None
) -> Evaluation:
    """Measure one model: its likelihood, and its samples, which are the lines of a file or else drawn.

    `checkpoint` is the content of the model's file, if it is read already.
    Raises UserError for a model or samples that cannot be read, and for a dataset that is not what it was trained on.
    """
    checkpoint = checkpoint or load_checkpoint(file)
    checkpoint = replace(checkpoint, run=request.config.placed(checkpoint.run, request.data))
    writer = Writer.of(checkpoint, request.device)
    corpus = corpus_of(checkpoint, file)
    # all text at hand: a model's file may falsely say that only a sample was learnt
    seen = seen_text(corpus, checkpoint.run, checkpoint.start, request.config, same_split=checkpoint.same_split)
    reference = Reference(corpus, checkpoint.run.model.context, *seen.apart, own=seen.own, visible_only=True)
    texts, unread, blank = texts_to_judge(samples, request, writer, corpus)
    documents = [ids_alike(text, corpus.vocabulary) for text in texts]
    # samples and real text in equal number: a divergence grows as documents become fewer, whoever wrote them
    written, real = (DocumentGroup(of, reference) for of in (documents, reference.held_out[: len(documents)]))
    return Evaluation(
        name=name,
        source=samples.name if samples else f"drawn with seed {request.seed}",
        drawn=samples is None,
        texts=texts,
        likelihood=likelihoods(writer, corpus, reference),
        comparisons=comparisons(written, real),
        copies=find_copies(texts, written, unseen=bool(seen.missing)),
        origin=origin_of(checkpoint, seen.missing, seen.held_out),
        writer=writer,
        corpus=corpus,
        matches=written.matches,
        real_matches=real.matches,
        training_lengths=reference.lengths,
        training_texts=[corpus.vocabulary.decode(document) for document in reference.sampled],
        real_texts=[corpus.vocabulary.decode(document) for document in reference.held_out],
        unread=unread,
        blank=blank,
    )


def comparisons(written: DocumentGroup, real: DocumentGroup) -> dict[str, Comparison]:
    """Each metric of samples beside the same of real text; of the first samples where less real text is held out."""
    if len(real.documents) < len(written.documents):
        written = DocumentGroup(written.documents[: len(real.documents)], written.reference)
    of_samples, of_real = measure(written), measure(real)
    return {metric.name: Comparison(metric, of_samples[metric.name], of_real[metric.name]) for metric in METRICS}


def texts_to_judge(
    samples: Path | None, request: Request, writer: Writer, corpus: Corpus
) -> tuple[list[str], int, int]:
    """The texts of a file, or drawn ones; -> also how many lines of the file are not read, and how many are blank."""
    if samples:
        text = read_text(samples)  # once: it may be a pipe
        if not corpus.stream and not suspicion(writer.run):  # a voice of a table writes one
            check_samples(samples, text)
        return texts_in(text, samples, request.count, corpus.stream)
    return write_documents(writer, request.seed, range(request.count), writer.settings()), 0, 0


def origin_of(checkpoint: Checkpoint, unseen: list[str], held_out_seen: int) -> Origin:
    """Of which model the figures are, and what of the texts that it learnt from is not at hand."""
    return Origin(
        checkpoint.data_sha256, checkpoint.training_sha256, checkpoint.version, weights_sha256(checkpoint),
        voice_sha256(checkpoint), training=checkpoint.metrics, start=checkpoint.start.name if checkpoint.start else "",
        unseen=unseen, held_out_seen=held_out_seen,
    )  # fmt: skip


def texts_in(text: str, path: Path, count: int, stream: bool) -> tuple[list[str], int, int]:
    """The first documents of a file's text, one a line, how many follow, and how many blank lines are left out.

    Samples of a stream are lines of `as_line`. Raises UserError for fewer than two documents, and for one that is
    longer than any.
    """
    every = text.removesuffix("\n").split("\n")
    lines = [line for line in every if line.strip()]
    texts = lines[:count]
    if len(texts) < 2:
        raise UserError(f"{path}: {counted(len(texts), 'document')}; at least 2 are needed, one a line")
    judged = list(map(of_line, texts)) if stream else texts
    if (longest := max(map(len, judged))) > LONGEST_DOCUMENT:
        raise UserError(f"{path}: has a line of {counted(longest, 'character')}, of at most {LONGEST_DOCUMENT:,}")
    return judged, len(lines) - len(texts), len(every) - len(lines)


def ids_alike(text: str, vocabulary: Vocabulary) -> np.ndarray:
    """(length,) int64 ids of a text in characters that the vocabulary has and that read the same."""
    # before NFC, which joins what invisible characters keep apart
    shown = (c for c in text if is_visible(c) or c.isspace() or c in vocabulary.characters)
    plain = nfc("".join(shown)) or text
    return vocabulary.ids_of_alike[codepoints(plain)].astype(np.int64)


def likelihoods(writer: Writer, corpus: Corpus, reference: Reference) -> Likelihoods:
    """Bits per character of held-out and of training text under the voice, and of held-out text under the baselines."""
    (held_out, batches), (training, _) = (
        split_likelihood(writer, split, LIKELIHOOD_CHARACTERS, draws=LIKELIHOOD_DRAWS)
        for split in (corpus.held_out, corpus.train)
    )
    counts = two_sided_bits(reference.text, corpus.vocabulary.size, batches, writer.run.seed)
    windows = windows_in_order(writer, corpus)
    ordered = ordered_likelihoods(writer, windows)
    return Likelihoods(held_out, training, ordered, baselines_of(windows, reference, counts))


def windows_in_order(writer: Writer, corpus: Corpus) -> list[Batch]:
    """The held-out windows, of one document each, whose exact likelihoods in an order of writing are compared."""
    split, run, alphabet = corpus.held_out, writer.run, writer.vocabulary.size
    return held_out_windows(split, run.model.context, ORDERED_WINDOWS, run.seed, alphabet=alphabet)


def ordered_likelihoods(writer: Writer, windows: list[Batch]) -> dict[str, Likelihood]:
    """Exact bits per character of these windows in the sampler's order, the surest first, and in that of reading."""
    if writer.run.diffusion.process != "absorbing":
        return {}  # its characters are not written once, in an order
    settings = writer.settings()
    known: dict[str, Callable[[torch.Tensor], orders.Order]] = {"left to right": lambda given: orders.LEFT_TO_RIGHT}
    if SAMPLERS[settings.sampler].fills_masks:
        known = {f"surest {settings.stretch}": lambda given: orders.surest(given, settings.stretch), **known}
    return {
        name: ordered_likelihood(writer.diffusion, writer.network, windows, order, writer.device)
        for name, order in known.items()
    }


def baselines_of(windows: list[Batch], reference: Reference, two_sided: float) -> Baselines:
    """Bits per character of these windows under models of the training text's single characters and 5-grams.

    What is given, as frames are, does not count, and nothing outside of a window is seen, as by the voice.
    """
    unigrams = reference.unigrams + 1.0  # one more of each, so that no character is impossible
    unigram_bits = -np.log2(unigrams / unigrams.sum())
    rows = [row for batch in windows for row in zip(batch.ids.numpy(), ~batch.given.numpy(), strict=True)]
    five_gram = reference.model
    five_gram_nats = np.concatenate([five_gram.nats(np.append(five_gram.unknown, ids))[free] for ids, free in rows])
    return Baselines(
        uniform=float(np.log2(reference.vocabulary.size)),
        unigram=float(unigram_bits[np.concatenate([ids[free] for ids, free in rows])].mean()),
        five_gram=float(five_gram_nats.mean() / NATS_PER_BIT),
        two_sided=two_sided,
        length=0.0 if reference.stream else length_bits(reference.lengths),
    )


def length_bits(lengths: np.ndarray) -> float:
    """Bits per character that a document's length costs, for these (documents,) lengths."""
    share = np.unique(lengths, return_counts=True)[1] / len(lengths)
    return float(-(share * np.log2(share)).sum() / lengths.mean())


def split_likelihood(
    writer: Writer, split: Split, characters: int, *, draws: int = 1
) -> tuple[Likelihood, list[Batch]]:
    """The likelihood of about so many characters of a split under a voice, and the batches it was measured on."""
    seed, alphabet = writer.run.seed, writer.vocabulary.size
    batches = held_out_batches(split, writer.run.model.context, characters, seed, alphabet=alphabet)
    found = held_out_likelihood(writer.diffusion, writer.network, batches * draws, seed, writer.device)
    return replace(found, characters=found.characters // draws), batches


def compare_voices(evaluations: list[Evaluation]) -> VoiceComparison:
    """Which corpus each voice's documents are taken for, and every corpus's text under every voice."""
    classifier = SourceClassifier({e.name: e.training_texts for e in evaluations})
    samples = {e.name: e.texts for e in evaluations}
    real = {e.name: of_lengths(e.real_texts, e.texts) for e in evaluations}
    return VoiceComparison(
        names=[e.name for e in evaluations],
        confusion=classifier.confusion(samples).tolist(),
        confusion_real=classifier.confusion(real).tolist(),
        style_bits=[[style_bits(voice, text) for text in evaluations] for voice in evaluations],
    )


def of_lengths(real: list[str], samples: list[str]) -> list[str]:
    """Real texts cut to the lengths of samples, the longest to that of the longest: short ones are harder to attribute.

    As many as the shorter list holds are used, whatever their lengths.
    """
    count = min(len(real), len(samples))
    pairs = zip(*(sorted(texts[:count], key=len) for texts in (real, samples)), strict=True)
    return [text[: len(sample)] for text, sample in pairs]


def style_bits(voice: Evaluation, other: Evaluation) -> float:
    """Bits per character of another voice's held-out text under this one."""
    texts, stream = other.real_texts, other.corpus.stream
    return text_likelihood(voice.writer, texts, characters=STYLE_CHARACTERS, stream=stream).bits


def text_likelihood(
    writer: Writer, texts: list[str], *, characters: int = LIKELIHOOD_CHARACTERS, stream: bool = False
) -> Likelihood:
    """NELBO of documents under a voice, in bits per character with its standard error; characters it lacks are `<unk>`.

    Of more than so many `characters`, a sample is measured; the draws are the same every time. `stream`: each text is
    continuous, and is cut at any place. Raises ValueError if there is no character to measure.
    """
    texts = [text for text in texts if text]
    if not texts:
        raise ValueError("no text to measure")
    split = Split.whole(writer.vocabulary.encode("".join(texts)), np.array(list(map(len, texts))), stream=stream)
    found, _ = split_likelihood(writer, split, characters)
    return found
