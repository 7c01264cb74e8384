"""A vocabulary's round trip, and what it does not know."""

import time
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from text.vocabulary import NEWLINE, UNICODE_SIZE, Vocabulary, as_line, build_vocabulary, codepoints, nfc, of_line

CHARACTERS = "\nabcé🙂 \t\u200d"


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


@given(st.text(alphabet="aé\u0301\u0316\u0327\u05b0\u0e38한\u1100\u1161"), st.integers(1, 90))
def test_nfc_is_that_of_unicode_however_many_marks_stand_in_a_row(text, times):
    assert nfc(text * times) == unicodedata.normalize("NFC", text * times)


def test_marks_out_of_order_take_no_square_of_their_number():
    began = time.process_time()
    assert nfc("a" + "\u0301\u0316" * 100_000).startswith("á" + "\u0316" * 100_000)
    assert time.process_time() - began < 3  # unicodedata takes twenty seconds


def test_an_unknown_letter_reads_as_the_small_one_of_its_kind():
    """As the rarer of both cases, mostly the capital, "café" was compared as "cafE"."""
    known = Vocabulary("\n eatcfEAT")
    text = "café ÉtÁ ａ𝐚"
    assert known.decode(known.ids_of_alike[codepoints(text)]) == "cafe eta aa"
    assert replace(known, rarer=True).ids_of_alike[codepoints("éÁ")].tolist() == [7, 8]
    assert known.decode(known.encode("EaT")) == "EaT"


@given(st.text(alphabet="\nn\\a"))
def test_a_text_of_a_stream_is_a_line_and_comes_back(text):
    assert "\n" not in as_line(text) and of_line(as_line(text)) == text
    assert as_line(r"\nabla" + "\n") == r"\\nabla\n"


def test_no_text_of_a_model_holds_control_characters():
    vocabulary = Vocabulary("\na\x1b\x9b\r\u2028\t\x00")
    assert vocabulary.decode(np.arange(8)) == "\na\ufffd\ufffd\ufffd\ufffd\t\ufffd"


def test_a_vocabulary_holds_the_most_frequent_and_of_those_as_frequent_the_first():
    counts = np.zeros(UNICODE_SIZE, dtype=np.int64)
    counts[[ord(c) for c in "zyx"]], counts[ord("a")], counts[[0, NEWLINE]] = 5, 9, 99
    assert build_vocabulary(counts, 4).characters == "\naxy"
