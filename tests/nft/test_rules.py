"""Each rule finds what it is for, and leaves alone what only looks like it."""

import time

import pytest

from config.schema import CollectionConfig
from nft.rules import BLOT, Candidate, Judge, degenerate
from text.personal import handles, personal
from text.vocabulary import fold
from utils import UserError


def judge(**rules) -> Judge:
    return Judge(CollectionConfig(**rules), copy_bound=10)


def candidate(text: str, match: int = 0, line: bool = False) -> Candidate:
    return Candidate(text, match, line)


@pytest.mark.parametrize(
    "text",
    [
        "write to jane.doe+news@mail.example.org today",
        "call +49 170 1234567 or stay",
        "call (030) 123 4567 now",
        "call 555-123-4567",
        "host 192.168.0.1 is down",
        "host 2001:db8::8a2e:370:7334 is up",
        "at fe80::1 or so",
        "open 192.168.0.1:8080 now",
        "IP:10.20.30.40 is it",
        "card 4111 1111 1111 1111 123",
        "card 4111-1111-1111-1111 12/25",
        "appelez 06 12 34 56 78",
        "card 4111 1111 1111 1111 expired",
        "card 4111111111111111",
        "card 12/25 4111111111111111",
        "order 12 4111 1111 1111 1111",
        "555-123-4567 555-987-6543",
        "212-555-0123/212-555-0199",
        "(030) 123 4567 (040) 765 4321",
        "call 12/12/2020 555-123-4567",
        "on 2020-01-01 (555) 123-4567",
        "10.20.30 or 999.999.999.999 555-123-4567",
        "key AKIAIOSFODNN7EXAMPLE leaked",
        "token ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "sha d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_personal_data_is_found(text):
    assert personal(text)


@pytest.mark.parametrize(
    "text",
    [
        "released on 2010-12-03 at 10:30",
        "bump to version 1.22.3",
        "see issue 123456789",
        "the years 1999 and 2000",
        "card 4111 1111 1111 1112 is none",
        "from 2010-12-03 to 31.12.2010 12 1",
        "meet @ noon, a@b",
        "ratio 12:30:45 and 999.999.999.999",
        "closes #12345 and #67890",
        "on 12/31/2010 or 31.12.2010",
        "10 20 30 40 and 1 2 3 4 5 6 7 8",
        "std::vector and a::b",
    ],
)
def test_what_only_looks_like_personal_data_is_not(text):
    assert personal(text) == []


def test_what_is_masked_is_the_number_and_not_the_date_before_it():
    masked = judge(personal="mask").judge(candidate("on 2020-01-01 (555) 123-4567!")).text
    assert masked == f"on 2020-01-01 {BLOT * 14}!"


@pytest.mark.parametrize("piece", [":", "a", "1 ", "a@", "1.", "ab:", "(1", "-", "@a."])
def test_no_text_takes_the_rules_long(piece):
    began = time.perf_counter()
    text = piece * (8000 // len(piece)) + "!"
    personal(text), degenerate(text), handles(text)
    assert time.perf_counter() - began < 5


def test_handles_are_names_after_an_at_sign_but_not_addresses():
    assert [("@jane hi @bob_2")[a:b] for a, b in handles("@jane hi @bob_2")] == ["@jane", "@bob_2"]
    assert handles("mail me@here.org or @ home") == []


@pytest.mark.parametrize(
    "text",
    [
        "aaaaaaaaaaaaaaaa",
        "ha ha ha ha ha ha ha ha ha ha",
        "?!? --- ...",
        "----------------",
        "line one\n" * 8,
        "I love this book and its author. " * 5,
    ],
)
def test_degenerate_text_is_found(text):
    assert degenerate(text)


@pytest.mark.parametrize("text", ["sooo good", "no no no", "a -- b -- c", "1", "Fix the the thing ====="])
def test_living_text_is_not_degenerate(text):
    assert degenerate(text) == []


def test_copies_are_long_matches_and_whole_lines():
    rules = judge(copies="drop")
    assert rules.judge(candidate("new words here", 10)).dropped == ""
    assert rules.judge(candidate("new words here", 11)).dropped == "copies"
    assert rules.judge(candidate("short", 5, line=True)).dropped == "copies"


def test_duplicates_count_after_folding_and_near_ones_by_edits():
    assert fold(" a\u0308  b\u00a0c ") == "\u00e4 b c"
    rules = judge()
    rules.accept("Add tests for the parser")
    assert rules.judge(candidate("Add  tests for the parser ")).dropped == "duplicates"
    assert rules.judge(candidate("Add tests for the Parsers")).dropped == "near_duplicates"
    assert rules.judge(candidate("Drop tests of a lexer")).dropped == ""
    assert rules.judge(candidate("Add  tests for the parser "), text_only=True).dropped == ""
    assert judge(similarity=0.99).judge(candidate("Add tests for the Parsers")).dropped == ""


def test_each_rule_can_keep_flag_drop_and_some_mask(tmp_path):
    text = candidate("ask @jane about the darn thing")
    words = tmp_path / "words.txt"
    words.write_text("Darn\nheck\n", encoding="utf-8")
    assert judge(handles="keep").judge(text).flags == []
    assert judge(handles="flag").judge(text).flags == ["handles"]
    assert judge(handles="drop").judge(text).dropped == "handles"
    masked = judge(handles="mask", words="mask", word_list=str(words)).judge(text)
    assert masked.text == f"ask {BLOT * 5} about the {BLOT * 4} thing" and masked.flags == ["handles", "words"]
    assert judge(words="flag", word_list=str(words)).judge(candidate("darning")).flags == []


def test_what_is_masked_is_compared_as_published():
    rules = judge(personal="mask")
    first = rules.judge(candidate("mail jo@example.org a"))
    rules.accept(first.text)
    assert rules.judge(candidate("mail al@another.org a")).dropped in ("duplicates", "near_duplicates")


def test_a_missing_word_list_is_named():
    with pytest.raises(UserError, match=r"^collection\.word_list none\.txt: cannot be read"):
        judge(word_list="none.txt")
