"""Batches of character ids for training and for measuring, cut from the documents of an encoded text file.

A document is framed by newlines: newline + document + newline. A document longer than the context is cut into windows.
Some positions of a batch are *given*: they get no noise and do not count in the loss. These are the newlines of the
frame, those that pad a row to the length of its bucket, and random spans, which train the model to continue a prompt.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from config.schema import RunConfig
from text.corpus import Corpus, Split
from text.vocabulary import FRAME
from utils import numpy_generator

# rows are padded to a multiple of this many positions: of 8 in training, which has rows of every length and so needs
# little padding; of 16 elsewhere, where few documents must share calls of one shape
TRAINING_BUCKET, BUCKET = 8, 16
CONTINUATION = 0.5  # share of a long document's later windows that begin with a given prefix, as in sampling
FEWEST_UNITS = 30  # held-out documents to measure on, if there are so many
EVALUATION_POSITIONS = 8192  # in an evaluation batch at most: enough to be fast
EVALUATION_PROBABILITIES = 2**22  # positions times characters at most: float64 takes some 60 bytes of each, 250 MB


@dataclass(frozen=True)
class Batch:
    """B rows of L positions, and the document of each row."""

    ids: torch.Tensor  # (B, L) int64
    given: torch.Tensor  # (B, L) bool
    documents: np.ndarray  # (B,) the document of each row in its split; of a measured stream, the number of the window


def bucket_length(positions: int | np.ndarray, context: int, bucket: int = BUCKET) -> np.ndarray:
    """The padded length of a row that holds so many positions; the context at most."""
    return np.minimum(-(-np.asarray(positions) // bucket) * bucket, context)


def cut_windows(split: Split, documents: np.ndarray, offsets: np.ndarray, length: int) -> Batch:
    """Cut one row of `length` positions from each of B framed documents, at its offset (B,); frames are given."""
    index = offsets[:, None] + np.arange(length) - split.frames // 2  # the newline before a document is at offset 0
    real = (index >= 0) & (index < split.lengths[documents][:, None])
    place = split.starts[documents][:, None] + np.where(real, index, 0)
    ids = np.where(real, split.ids[place], FRAME)
    return Batch(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(~real), documents)


def add_given_spans(batch: Batch, fraction: float, continued: np.ndarray, rng: np.random.Generator) -> Batch:
    """Mark more positions as given: in a `fraction` of rows a prefix, a suffix, both, or scattered characters.

    Of the rows that continue a document, `continued` (B,), a share CONTINUATION gets a prefix.
    """
    rows, length = batch.ids.shape
    real = ~batch.given.numpy()
    chosen = rng.random(rows) < fraction
    kind = np.where(chosen, rng.integers(4, size=rows), -1)  # 0 prefix, 1 suffix, 2 both, 3 scatter
    kind = np.where(continued & (rng.random(rows) < CONTINUATION), 0, kind)
    before, after = rng.random((2, rows, 1)) * np.where(kind == 2, 0.5, 1.0)[:, None]
    size = real.sum(1, keepdims=True)  # characters of a row, without frames
    place = np.cumsum(real, axis=1)  # 1 at the first character
    kind = kind[:, None]
    given = np.isin(kind, (0, 2)) & (place <= before * size)
    given |= np.isin(kind, (1, 2)) & (place > size - np.floor(after * size))
    given |= (kind == 3) & (rng.random((rows, length)) < before)
    return Batch(batch.ids, batch.given | torch.from_numpy(given), batch.documents)


class TrainingBatches:
    """The batch of every training step. It follows from seed, name and step, so resuming needs only the step's number.

    A batch holds as many rows of one length as fit into batch_size * context positions, so that short documents are
    not padded to the whole context. An epoch takes every document once. One longer than the context gives as many
    windows as cover it: the first at its start, the last at its end, the others at random places between. In a stream
    every window is at a random place.
    """

    def __init__(self, corpus: Corpus, run: RunConfig) -> None:
        self.split, self.run = corpus.train, run
        self.context, self.positions = run.model.context, run.model.context * run.training.batch_size
        # int32 throughout: a gigabyte of short documents has many millions of them
        windows = self._windows(np.arange(len(self.split.lengths), dtype=np.int32))
        self.documents = np.repeat(np.arange(len(windows), dtype=np.int32), windows)
        first = np.cumsum(windows, dtype=np.int32) - windows
        self.window = np.arange(len(self.documents), dtype=np.int32) - np.repeat(first, windows)
        buckets = bucket_length(self.split.lengths + 2, self.context, TRAINING_BUCKET).astype(np.int32)[self.documents]
        self.buckets = {int(n): np.flatnonzero(buckets == n).astype(np.int32) for n in np.unique(buckets)}
        self.epoch_batches = functools.lru_cache(maxsize=1)(self._epoch_batches)
        self.steps_per_epoch = len(self.epoch_batches(0))

    def _framed(self, documents: np.ndarray) -> np.ndarray:
        """(N,) documents -> (N,) their lengths with frames."""
        return self.split.lengths[documents] + self.split.frames

    def _windows(self, documents: np.ndarray) -> np.ndarray:
        """(N,) documents -> (N,) the windows that cover each."""
        return -(-self._framed(documents) // self.context)

    def _epoch_batches(self, epoch: int) -> list[tuple[int, np.ndarray]]:
        """One epoch's batches (length, windows): each bucket shuffled and cut into batches, then all batches shuffled.

        Windows that do not fill a batch join the next longer bucket; those left in the longest form a smaller batch.
        """
        rng = numpy_generator(self.run.seed, self.run.name, "epoch", epoch)
        batches, left = [], np.zeros(0, dtype=np.int32)
        for length, items in self.buckets.items():
            items, rows = np.concatenate([left, rng.permutation(items)]), max(1, self.positions // length)
            full = len(items) // rows * rows
            batches += [(length, part) for part in items[:full].reshape(-1, rows)]
            left = items[full:]
        if len(left):
            batches.append((max(self.buckets), left))
        return [batches[i] for i in rng.permutation(len(batches))]

    def batch(self, step: int) -> Batch:
        """The batch of a training step, counted from 0 through all epochs."""
        length, items = self.epoch_batches(step // self.steps_per_epoch)[step % self.steps_per_epoch]
        rng = numpy_generator(self.run.seed, self.run.name, "batch", step)
        documents, window = self.documents[items], self.window[items]
        room = np.maximum(self._framed(documents) - length, 0)
        last = np.maximum(self._windows(documents) - 1, 1)
        inside = (window > 0) & (window < last)
        spread = rng.random(len(items)) - 0.5
        place = np.where(inside, window + spread, window) / last
        if self.split.stream:
            place = rng.random(len(items))
        offsets = np.rint(place * room).astype(np.int64)
        batch = cut_windows(self.split, documents, offsets, length)
        continued = (offsets > 0) & (not self.split.stream)
        return add_given_spans(batch, self.run.training.given_fraction, continued, rng)


def held_out_batches(split: Split, context: int, characters: int, seed: int, *, alphabet: int) -> list[Batch]:
    """Batches to measure a model on: about `characters` characters of a split, in documents that the seed chooses.

    Documents are cut into windows side by side, without given spans. `documents` of a batch are the units over which a
    standard error is computed: windows in a stream, else documents, FEWEST_UNITS of them if the budget has a window for
    each. Where they are much longer than the budget, one of n windows is taken.
    """
    order = numpy_generator(seed, "held out").permutation(len(split.lengths))
    total = np.cumsum(split.lengths[order])
    enough = min(max(int(np.searchsorted(total, characters)), FEWEST_UNITS - 1), len(order) - 1)
    documents = order[: enough + 1]
    windows = -(-(split.lengths[documents].astype(np.int64) + split.frames) // context)
    ends = np.cumsum(windows)  # of the documents, where all windows stand in a row
    taken = one_of_each(max(1, round(int(total[enough]) / characters)), int(ends[-1]), seed)
    which = np.searchsorted(ends, taken, side="right")
    offsets = (taken - (ends - windows)[which]) * context
    rows = zip(documents[which].tolist(), offsets.tolist(), strict=True)
    return window_batches(split, rows, context, alphabet=alphabet)


def one_of_each(several: int, windows: int, seed: int) -> np.ndarray:
    """A random place in each group of `several` windows: always the first would favour openings of documents."""
    first = np.arange(0, windows, several)
    taken = first + numpy_generator(seed, "one window of several").integers(several, size=len(first))
    return taken.clip(max=windows - 1)


def held_out_windows(split: Split, context: int, count: int, seed: int, *, alphabet: int) -> list[Batch]:
    """Batches of `count` windows at most, one of each document that the seed chooses; of a stream, `count` windows."""
    rng = numpy_generator(seed, "held-out windows")
    windows = -(-(split.lengths + split.frames // 2) // context)  # none that holds the closing frame alone
    if split.stream:
        rows = [(0, int(place) * context) for place in rng.permutation(int(windows[0]))[:count]]
    else:
        rows = [(int(d), int(rng.integers(windows[d])) * context) for d in rng.permutation(len(windows))[:count]]
    return window_batches(split, rows, context, alphabet=alphabet)


def window_batches(split: Split, rows: Iterable[tuple[int, int]], context: int, *, alphabet: int) -> list[Batch]:
    """Batches of windows (document, offset): those of one padded length together, as many as fit into memory."""
    groups: dict[int, list[tuple[int, int, int]]] = {}
    for window, (document, offset) in enumerate(rows):
        length = int(bucket_length(split.lengths[document] + split.frames - offset, context))
        groups.setdefault(length, []).append((document, offset, window if split.stream else document))
    batches = []
    for length, members in sorted(groups.items()):
        size = max(1, min(EVALUATION_POSITIONS, EVALUATION_PROBABILITIES // alphabet) // length)
        for i in range(0, len(members), size):
            documents, offsets, units = np.array(members[i : i + size]).T
            batch = cut_windows(split, documents, offsets, length)
            batches.append(Batch(batch.ids, batch.given, units))
    return batches
