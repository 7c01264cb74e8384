"""Frames, buckets, windows, given positions; batches as functions of the step alone."""

import numpy as np
import pytest
import torch

from dataset_loader import (
    FEWEST_UNITS,
    TRAINING_BUCKET,
    Batch,
    TrainingBatches,
    add_given_spans,
    bucket_length,
    held_out_batches,
    held_out_windows,
)
from tests.helpers import toy_lines
from text.corpus import Split, load_corpus


def batches_of(run):
    loaded = load_corpus(run)
    return loaded, TrainingBatches(loaded, run)


def rows(loaded, batch):
    """The texts of a batch's rows, newlines and all."""
    return [loaded.vocabulary.decode(row.numpy()) for row in batch.ids]


NO_SPANS = {"training": {"given_fraction": 0.0, "batch_size": 4}}


def test_a_short_document_is_framed_and_padded_with_given_newlines(tiny_run):
    lines = [f"doc {i:03d}" for i in range(60)]
    loaded, batches = batches_of(tiny_run(lines, **NO_SPANS))
    batch = batches.batch(0)
    assert batch.ids.shape == (8, 16)  # 4 * 32 positions a step
    for text, given in zip(rows(loaded, batch), batch.given, strict=True):
        document = text.strip("\n")
        assert document in lines and text == "\n" + document + "\n" * (15 - len(document))
        assert given.tolist() == [c == "\n" for c in text]


@pytest.mark.parametrize(("positions", "length"), [(3, 16), (16, 16), (17, 32), (32, 32), (33, 32), (5002, 32)])
def test_buckets(positions, length):
    assert bucket_length(positions, 32) == length


def test_every_step_holds_a_constant_number_of_positions(tiny_run):
    loaded, batches = batches_of(tiny_run([*toy_lines(300), *(f"{'long ' * 30}{i}" for i in range(40))]))
    shapes = [tuple(batches.batch(step).ids.shape) for step in range(batches.steps_per_epoch)]
    assert {length for _, length in shapes} == {16, 24, 32}
    assert all(b <= 128 // length for b, length in shapes)
    assert sum(b < 128 // length for b, length in shapes) <= 1  # one batch may be left over
    assert all(length % TRAINING_BUCKET == 0 for _, length in shapes) and loaded.reading_log.documents == 340


def test_an_epoch_takes_every_training_document(tiny_run):
    loaded, batches = batches_of(tiny_run([line[-28:] for line in toy_lines(300)], **NO_SPANS))
    for epoch in range(2):
        steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
        seen = np.concatenate([batches.batch(step).documents for step in steps])
        assert sorted(seen.tolist()) == list(range(len(loaded.train.lengths)))  # and takes it once


def test_a_batch_is_a_function_of_seed_and_step(tiny_run):
    run = tiny_run(toy_lines(300))
    first, second = (batches_of(run)[1] for _ in range(2))
    later = first.batch(31)
    second.batch(2)
    for a, b in ((later, second.batch(31)), (first.batch(2), second.batch(2))):
        assert torch.equal(a.ids, b.ids) and torch.equal(a.given, b.given)
    other = batches_of(run.model_copy(update={"seed": 9}))[1]
    assert not torch.equal(other.batch(2).ids, first.batch(2).ids)


def test_long_documents_give_windows_with_real_ends_only(tiny_run):
    document = "".join(chr(ord("a") + i % 26) for i in range(100))
    lines = [document + str(i) for i in range(20)]
    loaded, batches = batches_of(tiny_run(lines, **NO_SPANS))
    opened = closed = inner = 0
    for step in range(batches.steps_per_epoch):
        batch = batches.batch(step)
        for row, (text, given) in enumerate(zip(rows(loaded, batch), batch.given, strict=True)):
            whole = "\n" + loaded.vocabulary.decode(loaded.train.document(batch.documents[row])) + "\n"
            assert text in whole and len(text) == 32  # a true window: never padded, never over an edge
            opened, closed, inner = (
                opened + text.startswith("\n"),
                closed + text.endswith("\n"),
                inner + ("\n" not in text),
            )
            frames = torch.tensor([c == "\n" for c in text])
            assert given[frames].all()
            prefix = int((given & ~frames).sum())
            assert prefix == 0 or (given[:prefix].all() and not text.startswith("\n"))  # a continuation's given prefix
    documents = len(loaded.train.lengths)
    assert opened >= documents and closed >= documents and inner > 0  # every opening and every closing, each epoch


def test_an_epoch_is_about_one_pass_over_the_characters(tiny_run):
    loaded, batches = batches_of(tiny_run([("word " * 60) + str(i) for i in range(50)], **NO_SPANS))
    characters = sum(batches.batch(step).ids.numel() for step in range(batches.steps_per_epoch))
    assert characters == pytest.approx(loaded.train.lengths.sum(), rel=0.12)


def test_given_spans_are_prefixes_suffixes_both_and_scatter(tiny_run):
    loaded, batches = batches_of(tiny_run([line[-28:] for line in toy_lines(400)], training={"given_fraction": 1.0}))
    kinds = {"none": 0, "prefix": 0, "suffix": 0, "both": 0, "scatter": 0}
    for step in range(40):
        batch = batches.batch(step)
        for text, given in zip(rows(loaded, batch), batch.given, strict=True):
            end = len(text.rstrip("\n"))
            own = "".join("1" if g else "0" for g in given[1:end].tolist())
            core = own.strip("1")
            lead, trail = own.startswith("1"), own.endswith("1")
            kind = (
                "none"
                if "1" not in own
                else "scatter"
                if "1" in core
                else "both"
                if lead and trail
                else "prefix"
                if lead
                else "suffix"
            )
            kinds[kind] += 1
            assert given[0] and given[end:].all()
    assert min(kinds[kind] for kind in ("prefix", "suffix", "both", "scatter")) > 20, kinds


def test_without_spans_only_frames_are_given(tiny_run):
    _, batches = batches_of(tiny_run(toy_lines(100), **NO_SPANS))
    batch = batches.batch(0)
    assert torch.equal(batch.given, batch.ids == 0)


def test_a_file_smaller_than_one_batch_is_one_small_batch(tiny_run):
    loaded, batches = batches_of(tiny_run(["ab", "cd", "ef", "ghi" * 9], training={"batch_size": 64}))
    count = len(loaded.train.lengths)
    assert batches.batch(0).ids.shape[0] == count and batches.steps_per_epoch == 1


def test_a_stream_gives_windows_anywhere_with_nothing_given(tiny_run):
    text = "".join(f"line {i}\n" for i in range(500))
    loaded, batches = batches_of(tiny_run(text.encode(), data={"format": "stream"}, **NO_SPANS))
    starts = set()
    for step in range(20):
        batch = batches.batch(step)
        assert not batch.given.any() and batch.ids.shape[1] == 32
        for row in rows(loaded, batch):
            assert row in text
            starts.add(text.index(row) % 7)
    assert len(starts) == 7 and batches.steps_per_epoch == -(-len(loaded.train.ids[: loaded.train.lengths[0]]) // 128)


def test_held_out_windows_tile_whole_documents_once(tiny_run):
    loaded = load_corpus(tiny_run([*toy_lines(100), *(("long " * 40) + str(i) for i in range(20))]))
    pieces: dict[int, int] = {}
    for batch in held_out_batches(loaded.held_out, 32, 10**6, 0, alphabet=9):
        for document, count in zip(batch.documents, (~batch.given).sum(1).tolist(), strict=True):
            pieces[document] = pieces.get(document, 0) + count
    assert pieces == dict(enumerate(loaded.held_out.lengths.tolist()))


def test_held_out_budget_is_kept_and_seeded(tiny_run):
    loaded = load_corpus(tiny_run(toy_lines(2000)))
    first, again, other = (held_out_batches(loaded.held_out, 32, 2000, seed, alphabet=9) for seed in (0, 0, 1))
    assert sum(int((~b.given).sum()) for b in first) == pytest.approx(2000, rel=0.1)
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(first, again, strict=True))
    assert set(np.concatenate([b.documents for b in first])) != set(np.concatenate([b.documents for b in other]))


def test_a_window_of_each_document_is_chosen_at_random(tiny_run):
    loaded = load_corpus(tiny_run([*toy_lines(100), *(("long " * 40) + str(i) for i in range(20))]))
    split, seen = loaded.held_out, set()
    for seed in range(40):
        batches = held_out_windows(split, 32, 4, seed, alphabet=9)
        documents = np.concatenate([batch.documents for batch in batches])
        assert len(documents) == len(set(documents)) == min(4, len(split.lengths))
        for batch in batches:
            for ids, given, document in zip(batch.ids, batch.given, batch.documents, strict=True):
                text, whole = ids[~given].tolist(), split.document(int(document)).tolist()
                places = [at for at in range(0, len(whole) + 2, 32) if whole[max(at - 1, 0) : at + 31] == text]
                assert places
                seen.add((int(document), places[0]))
    assert len({place for _, place in seen}) > 3 and len({document for document, _ in seen}) == len(split.lengths)


def test_no_window_holds_the_closing_frame_alone():
    """As the last one of a document that is one character shorter than some windows."""
    split = Split(np.ones(31 * 8, dtype=np.uint16), np.arange(8) * 31, np.full(8, 31))
    for seed in range(10):
        batches = held_out_windows(split, 32, 8, seed, alphabet=9)
        assert sum(int((~batch.given).sum()) for batch in batches) == 8 * 31


def test_windows_of_a_stream_are_units_of_their_own():
    split = Split(np.ones(3200, dtype=np.uint16), np.array([0]), np.array([3200]), stream=True)
    (batch,) = held_out_windows(split, 32, 7, 0, alphabet=9)
    assert batch.ids.shape == (7, 32) and sorted(batch.documents) == list(range(7))


@pytest.mark.parametrize("length", [1900, 2900, 5900, 200_000])
@pytest.mark.parametrize("stream", [False, True])
def test_one_enormous_held_out_document_does_not_break_the_budget(length, stream):
    split = Split(np.ones(length, dtype=np.uint16), np.array([0]), np.array([length]), stream)
    total = sum(int((~b.given).sum()) for b in held_out_batches(split, 32, 2000, 0, alphabet=9))
    assert total == pytest.approx(2000, rel=0.5)


@pytest.mark.parametrize(("documents", "measured"), [(20, 20), (50, FEWEST_UNITS)])
def test_of_long_documents_many_are_measured_in_part(documents, measured):
    """One document's bits say little of the others', and nothing of how far they are apart."""
    lengths = np.arange(4000, 4000 + documents)
    split = Split(np.ones(int(lengths.sum()), dtype=np.uint16), np.cumsum(lengths) - lengths, lengths)
    batches = held_out_batches(split, 32, 20_000, 0, alphabet=9)
    assert len(set(np.concatenate([batch.documents for batch in batches]))) == measured
    assert sum(int((~batch.given).sum()) for batch in batches) == pytest.approx(20_000, rel=0.1)


def test_of_documents_of_two_windows_more_than_the_openings_is_measured():
    lengths = np.full(60, 200)
    split = Split(np.ones(60 * 200, dtype=np.uint16), np.cumsum(lengths) - lengths, lengths)
    batches = held_out_batches(split, 128, 3000, 0, alphabet=9)
    opens = torch.cat([batch.given[:, 0] for batch in batches])  # by its frame
    assert len(opens) == 30 and 8 <= int(opens.sum()) <= 22


def test_a_large_alphabet_is_measured_in_small_batches():
    split = Split(np.ones(9000, dtype=np.uint16), np.array([0]), np.array([9000]), stream=True)
    few, many = (held_out_batches(split, 32, 9000, 0, alphabet=size) for size in (100, 50_000))
    assert max(b.ids.numel() for b in few) == 8192 and max(b.ids.numel() for b in many) == 64
    assert torch.equal(*(torch.cat([b.ids for b in batches if b.ids.shape[1] == 32]) for batches in (few, many)))


def test_a_given_suffix_leaves_something_to_write():
    rows = 4000
    batch = Batch(torch.ones(rows, 2, dtype=torch.long), torch.zeros(rows, 2, dtype=torch.bool), np.arange(rows))
    some = add_given_spans(batch, 1.0, np.zeros(rows, dtype=bool), np.random.default_rng(0)).given
    assert not some[:, 0][some[:, 1]].all()
    assert float(some.all(1).float().mean()) < 0.1  # a scatter alone can give it all: of two, a third of its quarter


def windows_of_long(tiny_run):
    """Where each window of four epochs of long documents begins, and what of it is given but the frame."""
    lines = ["".join(chr(ord("a") + (k * k + n) % 26) for k in range(100)) + f" {n}" for n in range(20)]
    run = tiny_run(lines, training={"given_fraction": 0.0, "batch_size": 4})
    corpus = load_corpus(run)
    batches = TrainingBatches(corpus, run)
    for step in range(4 * batches.steps_per_epoch):
        batch = batches.batch(step)
        for ids, given, document in zip(batch.ids, batch.given, batch.documents, strict=True):
            whole = "\n" + corpus.vocabulary.decode(corpus.train.document(document)) + "\n"
            text = corpus.vocabulary.decode(ids.numpy())
            yield whole.index(text), given & (ids != 0)


def test_inner_windows_lie_at_random_places(tiny_run):
    assert len({begin for begin, _ in windows_of_long(tiny_run)}) > 15


def test_half_of_the_later_windows_begin_with_a_given_prefix(tiny_run):
    rows = list(windows_of_long(tiny_run))
    first, later = ([bool(given.any()) for begin, given in rows if (begin > 0) == inner] for inner in (False, True))
    assert not any(first) and np.mean(later) == pytest.approx(0.5, abs=0.12)
