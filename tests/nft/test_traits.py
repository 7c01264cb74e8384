"""Bands hold the shares they promise, what tells nothing apart is no trait, and rarity is information content."""

import math
from collections import Counter

import numpy as np
import pytest

from nft.traits import TRAITS, bands_of, figures_of, ranks, rarest_kind_of_character, rarity, traits_of


def tokens(count: int, **fixed):
    """Figures of tokens that differ in everything but what is fixed."""
    rng = np.random.default_rng(0)
    drawn = [
        {name: float(rng.random()) if labels else f"kind {k % 3}" for name, (_, labels) in TRAITS.items()}
        for k in range(count)
    ]
    return [{**token, **fixed} for token in drawn]


def test_bands_hold_their_quantiles_share():
    figures = tokens(2000)
    bands = bands_of(figures)
    assert set(bands) == set(TRAITS)
    found = [traits_of(token, bands)["Novelty"] for token in figures]
    shares = [found.count(label) / len(found) for label in TRAITS["Novelty"][1]]
    assert shares == pytest.approx([0.1, 0.25, 0.3, 0.25, 0.1], abs=0.01)


def test_a_constant_trait_is_refused_and_a_nearly_constant_one_is_not():
    figures = tokens(100, Settling=16)
    assert "Settling" not in bands_of(figures) and bands_of([]) == {}
    for token in figures[:8]:
        token["Settling"] = 17
    for few in (figures, [{**token, "Settling": 33 - token["Settling"]} for token in figures]):  # 8 above, 8 below
        bands = bands_of(few)
        assert bands["Settling"]["labels"] == ["earliest", "latest"]
        found = [traits_of(token, bands)["Settling"] for token in few]
        assert sorted((found.count("earliest"), found.count("latest"))) == [8, 92]


def test_rarity_is_the_sum_of_minus_log2_shares():
    alike = [{"A": "x", "B": "p"}, {"A": "x", "B": "q"}, {"A": "y", "B": "q"}, {"A": "x", "B": "q"}]
    common = -math.log2(3 / 4)
    assert rarity(alike) == pytest.approx([common + 2, 2 * common, 2 + common, 2 * common])


def test_ranks_are_exact_and_of_two_as_rare_the_first_comes_first():
    """By the product of whole counts; sums of rounded logarithms differ, and depend on the version of Python."""
    figures = tokens(1000)
    bands = bands_of(figures)
    traits = [traits_of(token, bands) for token in figures]
    counts = Counter(item for token in traits for item in token.items())
    products = [math.prod(counts[item] for item in token.items()) for token in traits]
    expected = sorted(range(1000), key=lambda number: (products[number], number))
    exact, rounded = ranks(traits), ranks(traits, rounded=True)
    assert len(set(products)) < 900 and [exact.index(rank) for rank in range(1, 1001)] == expected
    bits = [sum(-math.log2(counts[item] / 1000) for item in token.items()) for token in traits]
    earlier = sorted(range(1000), key=lambda number: (-bits[number], number))
    assert [rounded.index(rank) for rank in range(1, 1001)] == earlier != expected
    for few in ([], traits[:1], [{}, {}]):
        assert ranks(few) == ranks(few, rounded=True) == list(range(1, len(few) + 1))


def test_figures_are_those_of_the_record():
    record = {
        "text": "ab 1", "chars": 4, "invented": 0.5, "novelty": 0.25,
        "confidence": 0.1, "settling": 3, "corrections": 2,
    }  # fmt: skip
    expected = [4, "digits", 0.5, 0.25, 0.1, 3, 0.5]
    assert list(figures_of(record).values()) == expected
    assert figures_of({**record, "text": "a, b"}, punctuation=False)["Characters"] == "letters alone"


def test_a_text_with_punctuation_is_not_of_letters_alone():
    kinds = {
        "Plain words": "letters alone", "Plain, words.": "punctuation", "it's": "punctuation", "a = b": "symbols",
        "caf\u00e9 1": "beyond ASCII", "12, a": "digits", "\u2588\u2588 a": "letters alone",
    }  # fmt: skip
    assert {text: rarest_kind_of_character(text) for text in kinds} == kinds
