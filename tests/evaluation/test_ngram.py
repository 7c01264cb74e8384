"""The n-gram model is a distribution with its closed form."""

import numpy as np
import pytest

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


def test_frames_separate_documents():
    assert framed([]).tolist() == [0]
    assert framed([ids("ab"), ids("c")]).tolist() == ids("\nab\nc\n").tolist()
