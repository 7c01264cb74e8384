"""Figures equal their closed forms on small sets, tell real from ruined text, and carry honest intervals."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats

from evaluation.metrics import (
    DocumentGroup,
    bootstrap,
    divergence,
    entropy,
    length_distance,
    measure,
    ngram_bits,
    ratio,
)
from evaluation.reference import Histogram, ending, opening
from tests.evaluation.references import encode, judged, sentences
from text.vocabulary import Vocabulary


def test_divergence_is_scipys():
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 8, 30) for _ in range(5)]
    reference = Histogram.of([rng.integers(3, 12, 200)])
    p = np.bincount(np.concatenate(parts), minlength=12) / 150
    q = np.zeros(12)
    q[reference.keys] = reference.counts / 200
    expected = scipy.spatial.distance.jensenshannon(p, q, base=2) ** 2
    assert divergence(parts, reference)(np.ones(5)) == pytest.approx(expected)
    assert divergence([np.array([100])], reference)(np.ones(1)) == pytest.approx(1)
    weights = np.array([2.0, 0, 1, 1, 1])
    doubled = divergence([parts[0], parts[0], *parts[2:]], reference)(np.ones(5))
    assert divergence(parts, reference)(weights) == pytest.approx(doubled)


def test_length_distance_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 30, 40), np.sort(rng.integers(5, 40, 70))
    assert length_distance(a, b)(np.ones(40)) == pytest.approx(scipy.stats.ks_2samp(a, b).statistic)


def test_entropy_and_ratio_have_their_closed_forms():
    documents = [np.array([1, 1, 2, 2]), np.array([1, 1, 1, 1])]
    assert entropy(documents)(np.array([1.0, 0.0])) == pytest.approx(1)
    assert entropy(documents)(np.array([0.0, 1.0])) == pytest.approx(0)
    assert ratio(np.array([1.0, 3.0]), np.array([2.0, 4.0]))(np.array([1.0, 2.0])) == pytest.approx(0.7)


def test_of_one_document_no_interval_is_known():
    """All redraws of it are the same, so its interval would seem to have no width."""
    found = [bootstrap(ratio(np.array([value]), np.ones(1)), 1, np.random.default_rng(0)) for value in (0.3, 0.31)]
    assert [str(interval) for interval in found] == ["0.300 ± -", "0.310 ± -"]
    assert not any(interval.certain for interval in found)


@pytest.mark.parametrize("documents", [2, 5, 60])
def test_an_interval_covers_the_truth_as_often_as_it_says(documents):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        values = rng.normal(3, 2, size=documents)
        interval = bootstrap(ratio(values, np.ones(documents)), documents, rng)
        covered += interval.low <= 3 <= interval.high
    assert 0.89 <= covered / 200 <= 0.99


def test_the_entropy_of_one_character_is_not_negative():
    assert str(bootstrap(entropy([np.zeros(4, dtype=int)] * 3), 3, np.random.default_rng(0))) == "0.000 ± -"


def test_real_text_stands_at_the_ceiling(reference):
    fresh = list(dict.fromkeys(sentences(400, 7)))[:150]
    own, ceiling = (
        measure(DocumentGroup(documents, reference))
        for documents in (encode(reference, fresh), reference.held_out[:150])
    )
    for name in own:
        if name not in ("duplicates", "copies", "longest match"):
            assert own[name].agrees(ceiling[name]), (name, own[name], ceiling[name])
    assert own["known words"].value == 1 and own["copies"].value < 0.03


def test_shuffled_characters_score_badly_where_they_should(reference):
    rng = np.random.default_rng(0)
    real = reference.held_out[:150]
    shuffled = [rng.permutation(document) for document in real]
    ruined, ceiling = (measure(DocumentGroup(documents, reference)) for documents in (shuffled, real))
    assert ruined["known words"].high < 0.5 < ceiling["known words"].low
    assert ruined["trigram divergence"].low > 2 * ceiling["trigram divergence"].high
    assert ruined["5-gram bits/char"].low > 2 * ceiling["5-gram bits/char"].high
    assert ruined["openings divergence"].low > ceiling["openings divergence"].high
    assert ruined["length distance"].agrees(ceiling["length distance"])  # only the order changed
    assert ruined["character entropy"].agrees(ceiling["character entropy"])


def test_wrong_lengths_and_repeats_show(reference):
    real = reference.held_out[:100]
    halves = judged([d[: len(d) // 2] for d in real], reference)
    assert halves["length distance"](np.ones(100)) > 0.4
    repeated = judged([real[0]] * 30 + real[:70], reference)
    assert repeated["duplicates"](np.ones(100)) == pytest.approx(0.30)


def test_an_interval_is_as_wide_as_it_says():
    rng, widths = np.random.default_rng(0), []
    for _ in range(20):
        values = rng.normal(3, 2, size=200)
        found = bootstrap(ratio(values, np.ones(200)), 200, rng)
        widths.append((found.high - found.low) / (2 * values.std() / 200**0.5))
    assert np.mean(widths) == pytest.approx(1.96, rel=0.05)


def test_bits_of_the_5_gram_count_each_closing_frame():
    model = SimpleNamespace(nats=lambda text: np.full(len(text) - 1, np.log(2)))
    group = DocumentGroup([np.array([1]), np.array([1, 2])], SimpleNamespace(model=model, stream=False))
    assert ngram_bits(group)(np.ones(2)) == pytest.approx(1)


def test_an_opening_is_the_first_three_characters_and_an_ending_the_last_two():
    vocabulary = Vocabulary("\nabcd")

    def keys(function, *texts):
        return [int(function(vocabulary.encode(text).astype(np.int64), vocabulary)[0]) for text in texts]

    assert len(set(keys(opening, "abcd", "abca", "abc"))) == 1 and len(set(keys(opening, "abc", "abd", "ab"))) == 3
    assert len(set(keys(ending, "abcd", "bbcd", "cd"))) == 1 and len(set(keys(ending, "cd", "dc", "d"))) == 3
