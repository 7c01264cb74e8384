"""A vocabulary's round trip, and what it does not know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from text.vocabulary import Vocabulary

CHARACTERS = "\nabcé🙂 \u2028\x00"


@given(st.text(alphabet=CHARACTERS))
def test_vocabulary_round_trip(text):
    vocabulary = Vocabulary(CHARACTERS)
    assert vocabulary.decode(vocabulary.encode(text)) == text


@given(st.text())
def test_unknown_characters_become_unk(text):
    vocabulary = Vocabulary("\nab")
    expected = [{"\n": 0, "a": 1, "b": 2}.get(c, 3) for c in text]
    assert vocabulary.encode(text).tolist() == expected
    assert vocabulary.decode(vocabulary.encode(text)) == "".join(c if c in "\nab" else "\ufffd" for c in text)
    assert vocabulary.size == 4 and vocabulary.unk == 3


@pytest.mark.parametrize("characters", ["", "ab\n", "\naa"])
def test_vocabulary_refuses_what_is_none(characters):
    with pytest.raises(ValueError, match="starts with the newline"):
        Vocabulary(characters)
