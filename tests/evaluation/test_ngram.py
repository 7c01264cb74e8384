"""The n-gram model is a distribution with its closed form; matches are the longest there are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.matches import MatchFinder
from evaluation.ngram import NgramModel, framed


def ids(text: str) -> np.ndarray:
    return np.array(["\nabcd".index(c) for c in text])


@pytest.mark.parametrize("order", [1, 2, 5])
def test_probabilities_sum_to_one_after_any_context(order):
    text = ids("\nabab\nabcab\ncab\n")
    model = NgramModel(text, 6, order)
    for context in ("\nab", "abc", "ddd", "\nca", "bab"):
        total = sum(np.exp(-model.nats(np.array([*ids(context), c]))[-1]) for c in range(6))
        assert total == pytest.approx(1, abs=1e-12)


def test_a_large_alphabet_leaves_probabilities_that_sum_to_one():
    characters = 20_000
    text = np.random.default_rng(0).integers(1, characters, size=500)
    context = text[100:110]
    for last in (context[-1], 0):
        after = np.array([*context[:-1], last])
        texts = [np.array([*after, c]) for c in range(0, characters, 400)]
        model = NgramModel(text, characters)
        assert all(0 < np.exp(-model.nats(t)[-1]) < 1 for t in texts)
    p = np.exp([-model.nats(np.array([*context, c]))[-1] for c in range(characters)])
    assert p.sum() == pytest.approx(1, abs=1e-9)


def test_unigram_and_bigram_have_their_closed_form():
    text = ids("\naab\n")  # after the first newline: a a b \n
    unigram = NgramModel(text, 5, 1)
    p1 = {"a": (2 + 3 / 5) / 7, "b": (1 + 3 / 5) / 7, "\n": (1 + 3 / 5) / 7, "c": (3 / 5) / 7}  # 4 tokens, 3 kinds
    for character, p in p1.items():
        assert np.exp(-unigram.nats(ids("\n" + character))[0]) == pytest.approx(p)
    bigram = NgramModel(text, 5, 2)
    # after a: a once, b once
    assert np.exp(-bigram.nats(ids("\nab"))[-1]) == pytest.approx((1 + 2 * p1["b"]) / 4)
    assert np.exp(-bigram.nats(ids("\nac"))[-1]) == pytest.approx((0 + 2 * p1["c"]) / 4)


def test_more_context_predicts_dependent_text_better():
    rng = np.random.default_rng(0)
    pieces = [ids("abcd"), ids("dcba"), ids("aacc")]
    text = np.concatenate([pieces[i] for i in rng.integers(3, size=4000)])
    train, rest = text[:12_000], text[12_000:]
    bits = [NgramModel(train, 6, order).nats(rest).mean() / np.log(2) for order in (1, 2, 4)]
    assert bits[0] == pytest.approx(1.918, abs=0.03)  # letters 4, 2, 4 and 2 of 12
    assert bits == sorted(bits, reverse=True)
    assert bits[2] < 1.2


def brute_force(sample: np.ndarray, text: np.ndarray) -> int:
    whole = "".join(map(chr, text))
    own = "".join(map(chr, sample))
    return max((n for n in range(len(own) + 1) for i in range(len(own) - n + 1) if own[i : i + n] in whole), default=0)


@settings(max_examples=150)
@given(
    st.lists(st.integers(0, 3), max_size=40), st.lists(st.lists(st.integers(0, 3), max_size=20), min_size=1, max_size=4)
)
def test_longest_match_is_brute_forces(text, samples):
    finder = MatchFinder(np.array(text, dtype=np.int64))
    found = finder.longest([np.array(s, dtype=np.int64) for s in samples])
    assert found.tolist() == [brute_force(np.array(s), np.array(text)) for s in samples]


def test_a_planted_copy_is_found_whole():
    rng = np.random.default_rng(1)
    text = rng.integers(0, 90, 200_000)
    sample = np.concatenate([rng.integers(0, 90, 50), text[70_000:70_123], rng.integers(0, 90, 50)])
    assert MatchFinder(text).longest([sample, rng.integers(0, 90, 80)])[0] in (123, 124, 125)


def test_frames_separate_documents():
    assert framed([]).tolist() == [0]
    assert framed([ids("ab"), ids("c")]).tolist() == ids("\nab\nc\n").tolist()
