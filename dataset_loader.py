"""Documents -> framed windows -> batches. Knows nothing of noise, networks or training.

A document's sequence is newline + document + newline, the newline being the frame. Some positions of a batch are
*given* (never noised, never in the loss): frames, the frames that pad a sequence to its bucket, and random spans.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch

from config.schema import RunConfig
from text.corpus import Corpus, Split
from text.vocabulary import FRAME
from utils import numpy_generator

# sequences are padded to a multiple of this many positions: in training, where any number of rows is at hand, so that
# little is padded; elsewhere, where few documents must fill calls of one shape
TRAINING_BUCKET, BUCKET = 8, 16
CONTINUATION = 0.5  # share of a long document's later windows that open with a given prefix, as sampling will
# positions of one evaluation batch at most, large enough to be fast; and these times the alphabet, of whose float64
# distributions a core holds some 60 bytes for each: 250 MB
EVALUATION_POSITIONS, EVALUATION_PROBABILITIES = 8192, 2**22


@dataclass(frozen=True)
class Batch:
    """(B, L) ids, (B, L) given, and which document each of the B rows belongs to."""

    ids: torch.Tensor
    given: torch.Tensor
    documents: np.ndarray


def bucket_length(characters: int | np.ndarray, context: int, bucket: int = BUCKET) -> np.ndarray:
    """Positions of the bucket a framed document of so many characters falls into; the context at most."""
    return np.minimum(-(-(np.asarray(characters) + 2) // bucket) * bucket, context)


def cut_windows(split: Split, documents: np.ndarray, offsets: np.ndarray, length: int, stream: bool) -> Batch:
    """Rows of `length` positions of framed documents, each from its offset (0: the opening); given where framed."""
    edge = 0 if stream else 1  # a stream has no frame before its first character
    index = offsets[:, None] + np.arange(length) - edge
    real = (index >= 0) & (index < split.lengths[documents][:, None])
    where = split.starts[documents][:, None] + np.where(real, index, 0)
    ids = np.where(real, split.ids[where], FRAME)
    return Batch(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(~real), documents)


def add_given_spans(batch: Batch, fraction: float, continued: np.ndarray, rng: np.random.Generator) -> Batch:
    """Give some rows a prefix, suffix, both or a scatter of their text; half the `continued` rows (B,) get a prefix."""
    rows, length = batch.ids.shape
    real = ~batch.given.numpy()
    chosen = rng.random(rows) < fraction
    kind = np.where(chosen, rng.integers(4, size=rows), -1)  # 0 prefix, 1 suffix, 2 both, 3 scatter
    kind = np.where(continued & (rng.random(rows) < CONTINUATION), 0, kind)
    before, after = rng.random((2, rows, 1)) * np.where(kind == 2, 0.5, 1.0)[:, None]
    size = real.sum(1, keepdims=True)
    place = np.cumsum(real, axis=1)  # 1 at the first real character
    kind = kind[:, None]
    given = np.isin(kind, (0, 2)) & (place <= before * size)
    given |= np.isin(kind, (1, 2)) & (place > size - np.floor(after * size))
    given |= (kind == 3) & (rng.random((rows, length)) < before)
    return Batch(batch.ids, batch.given | torch.from_numpy(given), batch.documents)


class TrainingBatches:
    """Batch k as a function of (seed, k) alone: resuming needs no state but the step's number.

    A step holds batch_size * context positions, or as many whole rows as fit, all of one bucket, so short documents do
    not pay for a context they don't use. An epoch takes every document once; one longer than the context gives as many
    windows as cover it, the first at its opening, the last at its end and the rest anywhere between.
    """

    def __init__(self, corpus: Corpus, run: RunConfig) -> None:
        self.split, self.stream, self.run = corpus.train, corpus.stream, run
        self.context, self.positions = run.model.context, run.model.context * run.training.batch_size
        # 32 bits an entry: a gigabyte of short documents has many millions of each
        windows = self._windows(np.arange(len(self.split.lengths), dtype=np.int32))
        self.documents = np.repeat(np.arange(len(windows), dtype=np.int32), windows)
        first = np.cumsum(windows, dtype=np.int32) - windows
        self.window = np.arange(len(self.documents), dtype=np.int32) - np.repeat(first, windows)
        buckets = bucket_length(self.split.lengths, self.context, TRAINING_BUCKET).astype(np.int32)[self.documents]
        order = np.argsort(buckets, kind="stable").astype(np.int32)
        sizes = np.bincount(buckets)
        lengths = np.flatnonzero(sizes)
        parts = np.split(order, np.cumsum(sizes[lengths])[:-1])
        self.buckets = dict(zip(lengths.tolist(), parts, strict=True))
        self.epoch_batches = functools.lru_cache(maxsize=1)(self._epoch_batches)
        self.steps_per_epoch = len(self.epoch_batches(0))

    def _framed(self, documents: np.ndarray) -> np.ndarray:
        """Positions that documents take with their frames."""
        return self.split.lengths[documents] + (0 if self.stream else 2)

    def _windows(self, documents: np.ndarray) -> np.ndarray:
        return -(-self._framed(documents) // self.context)

    def _rows(self, length: int) -> int:
        return max(1, self.positions // length)

    def _epoch_batches(self, epoch: int) -> list[tuple[int, np.ndarray]]:
        """One epoch's batches (length, items): each bucket shuffled and cut into batches, then all batches shuffled.

        What does not fill a batch joins the next longer bucket; the very last batch may be small.
        """
        rng = numpy_generator(self.run.seed, self.run.name, "epoch", epoch)
        batches, left = [], np.zeros(0, dtype=np.int32)
        for length, items in self.buckets.items():
            items, rows = np.concatenate([left, rng.permutation(items)]), self._rows(length)
            full = len(items) // rows * rows
            batches += [(length, part) for part in items[:full].reshape(-1, rows)]
            left = items[full:]
        if len(left):
            batches.append((max(self.buckets), left))
        return [batches[i] for i in rng.permutation(len(batches))]

    def batch(self, step: int) -> Batch:
        length, items = self.epoch_batches(step // self.steps_per_epoch)[step % self.steps_per_epoch]
        rng = numpy_generator(self.run.seed, self.run.name, "batch", step)
        documents, window = self.documents[items], self.window[items]
        room = np.maximum(self._framed(documents) - length, 0)
        last = np.maximum(self._windows(documents) - 1, 1)
        inside = (window > 0) & (window < last)
        spread = rng.random(len(items)) - 0.5
        place = np.where(inside, window + spread, window) / last
        if self.stream:
            place = rng.random(len(items))
        offsets = np.rint(place * room).astype(np.int64)
        batch = cut_windows(self.split, documents, offsets, length, self.stream)
        continued = (offsets > 0) & (not self.stream)
        return add_given_spans(batch, self.run.training.given_fraction, continued, rng)


def held_out_batches(
    split: Split, context: int, characters: int, seed: int, *, alphabet: int, stream: bool
) -> list[Batch]:
    """About so many characters of a split, in documents the seed chooses, cut into windows that tile them; no spans.

    Errors are counted by document; in a stream, or where a few documents fill the budget, windows are taken evenly.
    """
    edges = 0 if stream else 2
    order = numpy_generator(seed, "held out").permutation(len(split.lengths))
    total = np.cumsum(split.lengths[order])
    enough = min(int(np.searchsorted(total, characters)), len(order) - 1)
    rows = [(int(d), o) for d in order[: enough + 1] for o in range(0, int(split.lengths[d]) + edges, context)]
    rows = rows[:: max(1, round(int(total[enough]) / characters))]
    groups: dict[int, list[tuple[int, int, int]]] = {}
    for window, (document, offset) in enumerate(rows):
        length = int(bucket_length(split.lengths[document] + edges - offset - 2, context))
        groups.setdefault(length, []).append((document, offset, window if stream else document))
    batches = []
    for length, members in sorted(groups.items()):
        size = max(1, min(EVALUATION_POSITIONS, EVALUATION_PROBABILITIES // alphabet) // length)
        for i in range(0, len(members), size):
            documents, offsets, units = np.array(members[i : i + size]).T
            batch = cut_windows(split, documents, offsets, length, stream)
            batches.append(Batch(batch.ids, batch.given, units))
    return batches
