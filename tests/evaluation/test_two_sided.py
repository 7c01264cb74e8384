"""Counts of both sides, and the 5-gram, are what their definition says; a mask hides what lies beyond it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dataset_loader import Batch
from diffusion.objectives import Diffusion
from evaluation.likelihood import held_out_likelihood
from evaluation.ngram import NgramModel, framed
from evaluation.two_sided import BEFORE, PAIRS, REACH, RUNS, Context, TwoSidedCounts

CHARACTERS = 5
UNIFORM = np.full(CHARACTERS, 1 / CHARACTERS)
documents = st.lists(st.lists(st.integers(1, CHARACTERS - 1), min_size=1, max_size=12), min_size=1, max_size=6)


def around(text: np.ndarray) -> np.ndarray:
    """(L,) ids -> (L, 2 * REACH + 1) what stands around each, nothing known beyond the ends."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(text, REACH, constant_values=CHARACTERS), 2 * REACH + 1)


def by_definition(path: list[Context], text: np.ndarray, seen: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Witten-Bell interpolation of p over the contexts of a path, of which each count is taken anew from the text."""
    for context in path:
        inside = range(-min(*context, 0, 0), len(text) - max(*context, 0, 0))
        alike = [at for at in inside if all(text[at + offset] == seen[REACH + offset] for offset in context)]
        counts = np.bincount(text[alike], minlength=CHARACTERS)
        if followers := np.count_nonzero(counts):
            p = (counts + followers * p) / (len(alike) + followers)
    return p


@given(documents, documents)
def test_an_expert_is_interpolated_from_the_counts_of_its_contexts(texts, others):
    text, asked = (framed([np.array(one) for one in each]).astype(np.int64) for each in (texts, others))
    counts = TwoSidedCounts(text, CHARACTERS)
    for path in (*RUNS, *PAIRS):
        expected = [by_definition(path, text, seen, UNIFORM) for seen in around(asked)]
        np.testing.assert_allclose(counts.expert(path, around(asked)), expected)


@given(documents, documents)
def test_the_5_gram_is_the_expert_before_each_character_but_the_first(texts, others):
    text, asked = (framed([np.array(one) for one in each]).astype(np.int64) for each in (texts, others))
    unigram = by_definition([()], text[1:], around(text)[0], UNIFORM)  # which does not count the first frame
    for first in (0, CHARACTERS):  # within a document what stands before is not known
        own = np.append(first, asked[1:])
        found = [by_definition(BEFORE[1:], text, seen, unigram) for seen in around(own)[1:]]
        expected = [-np.log(p[character]) for p, character in zip(found, own[1:], strict=True)]
        np.testing.assert_allclose(NgramModel(text, CHARACTERS).nats(own), expected)


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


def test_logits_are_powers_of_what_each_expert_adds_to_the_frequencies():
    rng = np.random.default_rng(0)
    text = framed([rng.integers(1, CHARACTERS, size=9) for _ in range(6)]).astype(np.int64)
    x = np.where(np.arange(20) % 3, text[5:25], CHARACTERS)
    logits = TwoSidedCounts(text, CHARACTERS)(torch.from_numpy(x)[None], torch.ones(1), torch.zeros(1, 20).bool())[0]
    frequencies = by_definition([()], text, around(x)[0], UNIFORM)
    for place in range(0, 20, 3):
        seen, expected = around(x)[place], np.log(frequencies)
        for path, power in [*((path, 0.35) for path in RUNS), *((path, 0.45) for path in PAIRS)]:
            shown = [context for context in path if all(seen[REACH + offset] < CHARACTERS for offset in context)]
            expected = expected + power * np.log(by_definition(shown, text, seen, UNIFORM) / frequencies)
        torch.testing.assert_close(logits[place].double(), torch.from_numpy(expected), rtol=1e-5, atol=1e-5)


def test_what_fills_a_row_up_is_no_text():
    rng = np.random.default_rng(0)
    text = framed([rng.integers(1, CHARACTERS, size=9) for _ in range(200)]).astype(np.int64)
    x = torch.from_numpy(text[:11].copy())[None]
    x[0, [3, 8, 9]] = CHARACTERS
    given = torch.tensor([[True, *[False] * 9, True]])
    counts = TwoSidedCounts(text, CHARACTERS)
    filled, also = (torch.nn.functional.pad(each, (0, 5), value=value) for each, value in ((x, 0), (given, True)))
    whole = counts(x, torch.ones(1), given)
    torch.testing.assert_close(counts(filled, torch.ones(1), also)[:, :11], whole, rtol=0, atol=0)


def test_contexts_of_a_large_alphabet_are_as_long_as_numbers_hold():
    characters, longest = 60_000, 2
    text = np.random.default_rng(0).integers(59_000, characters, size=400)
    seen = np.append(text[100:104], [0] * 5)
    expected = np.full(characters, 1 / characters)
    for size in range(longest + 1):
        after = [at for at in range(size, 400) if (text[at - size : at] == text[104 - size : 104]).all()]
        counts = np.bincount(text[after], minlength=characters)
        followers = np.count_nonzero(counts)
        expected = (counts + followers * expected) / (len(after) + followers)
    np.testing.assert_allclose(TwoSidedCounts(text, characters).expert(BEFORE, seen[None])[0], expected)


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
