"""The longest match with a text is that of brute force."""

from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.matches import PIECE, MatchFinder


def brute_force(sample: np.ndarray, text: np.ndarray) -> int:
    whole = "".join(map(chr, text))
    own = "".join(map(chr, sample))
    return max((n for n in range(len(own) + 1) for i in range(len(own) - n + 1) if own[i : i + n] in whole), default=0)


@settings(max_examples=settings().max_examples * 3 // 2)
@given(
    st.lists(st.integers(0, 3), max_size=40),
    st.lists(st.lists(st.integers(0, 3), max_size=20), min_size=1, max_size=4),
    st.sampled_from([8, PIECE]),
)
def test_longest_match_is_brute_forces(text, samples, piece):
    """Though it lies in several of the pieces that are hashed at a time."""
    with mock.patch("evaluation.matches.PIECE", piece):
        finder = MatchFinder(np.array(text, dtype=np.int64))
        found, places = finder.find([np.array(s, dtype=np.int64) for s in samples])
    assert found.tolist() == [brute_force(np.array(s), np.array(text)) for s in samples]
    for length, place, sample in zip(found, places, samples, strict=True):
        assert (place >= 0) == (length > 0)
        assert not length or bytes(text[place : place + length]) in bytes(sample)


def test_a_planted_copy_is_found_whole():
    rng = np.random.default_rng(1)
    text = rng.integers(0, 90, 200_000)
    sample = np.concatenate([rng.integers(0, 90, 50), text[70_000:70_123], rng.integers(0, 90, 50)])
    assert MatchFinder(text).longest([sample, rng.integers(0, 90, 80)])[0] in (123, 124, 125)
    begins = [0, 70_000, PIECE - 50, 2 * PIECE - 1, len(text) - 123]
    lengths, places = MatchFinder(text).find([text[begin : begin + 123] for begin in begins])
    assert lengths.tolist() == [123] * 5 and places.tolist() == begins
