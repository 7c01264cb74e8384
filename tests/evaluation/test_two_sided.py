"""Counts of both sides: an expert of one side is the n-gram model, and a mask hides what lies beyond it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dataset_loader import Batch
from diffusion.objectives import Diffusion
from evaluation.likelihood import held_out_likelihood
from evaluation.ngram import NgramModel, framed
from evaluation.two_sided import AFTER, BEFORE, PAIRS, REACH, RUNS, TwoSidedCounts

CHARACTERS = 5
documents = st.lists(st.lists(st.integers(1, CHARACTERS - 1), min_size=1, max_size=12), min_size=1, max_size=6)


def around(text: np.ndarray) -> np.ndarray:
    """(L,) ids -> (L, 2 * REACH + 1) what stands around each, frames beyond the ends."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(text, REACH), 2 * REACH + 1)


@given(documents)
def test_the_expert_before_a_mask_is_the_5_gram_and_the_one_after_it_reads_backwards(texts):
    text = framed([np.array(one) for one in texts]).astype(np.int64)
    counts, places = TwoSidedCounts(text, CHARACTERS), np.arange(len(text))
    for path, read in ((BEFORE, 1), (AFTER, -1)):
        p = counts.expert(path, around(text))[places, text][::read]
        # the n-gram model does not count the first frame, which here is one character of the text like all others
        nats = NgramModel(np.concatenate([[0], text[::read]]), CHARACTERS).nats(np.concatenate([[0], text[::read]]))
        np.testing.assert_allclose(-np.log(p), nats)


@given(documents, st.integers(0, 100))
def test_a_mask_hides_what_lies_beyond_it(texts, place):
    text = framed([np.array(one) for one in texts]).astype(np.int64)
    counts, seen = TwoSidedCounts(text, CHARACTERS), around(text)[place % len(text)].copy()[None]
    seen[0, REACH - 1] = seen[0, REACH + 1] = CHARACTERS  # the neighbours
    frequencies = counts.expert([()], seen)
    for path in RUNS:
        np.testing.assert_array_equal(counts.expert(path, seen), frequencies)
    for path in PAIRS:  # which look across
        (distance,) = path[-1]
        assert abs(distance) > 1 or (counts.expert(path, seen) == frequencies).all()


def test_independent_characters_cost_their_entropy():
    rng, p = np.random.default_rng(0), np.array([0.5, 0.25, 0.125, 0.125])
    train, held_out = (1 + rng.choice(4, size=size, p=p) for size in ((10_000, 50), (400, 50)))
    batch = Batch(torch.from_numpy(held_out), torch.zeros(400, 50, dtype=torch.bool), np.arange(400))
    diffusion = Diffusion.named("absorbing", "log_linear", "x0", CHARACTERS)
    counts = TwoSidedCounts(framed(list(train)), CHARACTERS)
    found = held_out_likelihood(diffusion, counts, [batch] * 4, 0, torch.device("cpu"))
    assert found.bits == pytest.approx(1.75, abs=3 * found.error + 0.02) and found.error < 0.03


def test_both_sides_together_know_more_than_one():
    rng = np.random.default_rng(0)
    letters = np.array([1, 2, 3, 4])
    text = framed([np.array([a, letters[(a + b) % 4], b]) for a, b in rng.integers(1, 5, (5000, 2))])
    x = np.array([[0, 1, CHARACTERS, 3, 0], [0, 2, CHARACTERS, 3, 0]])
    counts = TwoSidedCounts(text, CHARACTERS)
    logits = counts(torch.from_numpy(x), torch.ones(2), torch.zeros(2, 5, dtype=torch.bool))
    assert logits[:, 2].argmax(-1).tolist() == [1, 2]
    asked = torch.tensor([[False, True, False, False, True], [False, False, True, True, False]])
    part = counts(torch.from_numpy(x), torch.ones(2), torch.zeros(2, 5, dtype=torch.bool), positions=asked)
    torch.testing.assert_close(part, logits[asked].unsqueeze(1))
