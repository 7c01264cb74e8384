"""Each rule finds what it is for, and leaves alone what only looks like it."""

import json
import os
import random
import sys
import time

import numpy as np
import pytest
from ruamel.yaml import YAML

import collection
from config.sets import Rules
from nft.formats import BESIDE_UNSPACED, OWN_CAPITALS, SET_FORMAT, WORDS_APART
from nft.rules import BLOT, Candidate, Judge, degenerate
from tests.helpers import TINY, Quiet
from text.personal import handles, personal
from text.vocabulary import fold
from training.trainer import train_model


def judge(**rules) -> Judge:
    return Judge(Rules(**rules), copy_bound=10)


@pytest.fixture
def of_words(tmp_path):
    """A function (words, action, format of the set) -> a judge by a list of these words."""

    def made(*words: str, action: str = "drop", set_format: int = SET_FORMAT) -> Judge:
        path = tmp_path / "words.txt"
        path.write_text("\n".join(words) + "\n", "utf-8")
        return Judge(Rules(words=action, word_list=str(path)), 10, set_format)

    return made


def candidate(text: str, match: int = 0, line: bool = False) -> Candidate:
    return Candidate(text, match, line)


def test_what_is_masked_is_the_number_and_not_the_date_before_it():
    masked = judge(personal="mask").judge(candidate("on 2020-01-01 (555) 123-4567!")).text
    assert masked == f"on 2020-01-01 {BLOT * 14}!"


@pytest.mark.parametrize("piece", [":", "a", "1 ", "a@", "1.", "ab:", "(1", "-", "@a.", "話", "話@", "１－"])
def test_no_text_takes_the_rules_long(piece):
    began = time.perf_counter()
    text = piece * (8000 // len(piece)) + "!"
    personal(text), degenerate(text), handles(text)
    assert time.perf_counter() - began < 5


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


@pytest.mark.parametrize("part", ["hahahaha!", "----------ab", "hahahaha oh, ", "abcab-"])
def test_a_loop_with_repeats_inside_is_found_and_was_not_in_earlier_sets(part):
    text = f"so:{part * 4}."
    assert [text[start:end] for start, end in degenerate(text)][-1:] == [part * 4]
    assert (degenerate(text, as_earlier=True) == []) == (part != "abcab-")


def test_loops_are_those_of_their_definition():
    """A part of 2 to 60 characters that repeats 4 times, over 24 characters or more."""
    draw = random.Random(0)
    for _ in range(2000):
        text = "".join(draw.choices("ab", k=20)) + draw.choice(["a", "ab", "aab", "abbab"]) * draw.randint(1, 12) + "x"
        spans = degenerate(text)
        looped = any(
            text[i : i + n] * (k := max(4, -(-24 // n))) == text[i : i + k * n]
            for n in range(2, 12)
            for i in range(len(text))
        )
        assert bool([span for span in spans if span[1] - span[0] >= 24]) == looped, text


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


@pytest.mark.parametrize(("similarity", "dropped"), [(0.96, "near_duplicates"), (0.97, "")])
def test_near_duplicates_are_as_near_as_the_rules_say(similarity, dropped):
    """24 letters of 25, one of them a capital."""
    rules = judge(similarity=similarity)
    rules.accept("Add tests for the parser!")
    assert rules.judge(candidate("Add tests for the Parsers")).dropped == dropped


def test_of_two_listed_words_the_longer_is_masked(of_words):
    rules = of_words("hell", "hell fire", action="mask")
    assert rules.judge(candidate("a hell fire b")).text == f"a {BLOT * 9} b"


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("混蛋", "你这个混蛋走开", True), ("나쁜", "나쁜놈이다", True), ("ばか", "おばかさん", True),
        ("เลว", "คนเลวมาก", True),
        ("कर", "वह करें", False), ("कर", "वह कर रहा", True), ("darn", "darning", False),
        ("darn", "x混darn混x", True), ("sex", "SEXしたい", True), ("line", "LINE交換", True), ("fuck", "ครับfuck", True),
        ("sex", "Essexで", False), ("ﾊﾞｶ", "ｵﾊﾞｶｻﾝ", True),
    ],
)  # fmt: skip
def test_a_listed_word_is_found_in_scripts_without_spaces_and_is_no_part_of_a_word_elsewhere(
    of_words, word, text, found
):
    assert of_words(word).judge(candidate(text)).dropped == "words" * found


def test_sets_of_an_earlier_format_keep_their_bounds_of_words(of_words):
    earlier = of_words("混蛋", "कर", set_format=WORDS_APART - 1)
    assert [earlier.judge(candidate(text)).dropped for text in ("你这个混蛋走开", "वह करें")] == ["", "words"]


@pytest.mark.parametrize(("rule", "text"), [("personal", "電話は090-1234-5678です"), ("handles", "谢谢@xiaoming")])
def test_sets_of_an_earlier_format_find_nothing_that_touches_a_script_without_spaces(rule, text):
    judges = [Judge(Rules(**{rule: "drop"}), 1000, of) for of in (BESIDE_UNSPACED - 1, BESIDE_UNSPACED)]
    assert [judge.judge(candidate(text)).dropped for judge in judges] == ["", rule]


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("scheiße", "SO EINE SCHEISSE", True), ("μαλάκας", "ΕΙΣΑΙ ΜΑΛΑΚΑΣ", True), ("πρωτεΐνη", "ΠΡΩΤΕΪΝΗ", True),
        ("él", "EL", False), ("café", "CAFÉ", True),
    ],
)  # fmt: skip
def test_a_listed_word_is_found_in_the_capitals_of_its_language(of_words, word, text, found):
    assert of_words(word).judge(candidate(text)).dropped == "words" * found


def test_sets_of_an_earlier_format_find_listed_words_as_before(of_words):
    for text, since in (("SEXしたい", BESIDE_UNSPACED), ("ｵﾊﾞｶｻﾝ", BESIDE_UNSPACED), ("SCHEISSE", OWN_CAPITALS)):
        judges = [of_words("sex", "scheiße", "ﾊﾞｶ", set_format=of) for of in (since - 1, since)]
        assert [judge.judge(candidate(text)).dropped for judge in judges] == ["", "words"]


def test_a_word_is_found_however_its_list_is_encoded(of_words):
    """Programs of macOS part a letter from its accent."""
    assert of_words("cafe\u0301").judge(candidate("a caf\u00e9 here")).dropped == "words"


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


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_word_list_that_is_no_text_file_is_one_line(studio, tmp_path, capsys):
    _, make = studio
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes("b\na\u00e9".encode("latin-1"))
    os.mkfifo(tmp_path / "pipe")
    what = "; in collection.word_list, name a text file with one word a line"
    for name, why in (
        ("none", "no such file" + what), ("folder", "is a folder, not a file" + what),
        ("pipe", "is a pipe or a device, not a file" + what),
    ):  # fmt: skip
        assert make("set", 1, word_list=str(tmp_path / name))[0] == 2
        assert capsys.readouterr().err == f"error: {tmp_path / name}: {why}\n"
    assert make("set", 1, word_list=str(tmp_path / "latin"))[0] == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'latin'} line 2: byte 0xe9 is not UTF-8; save it as UTF-8\n"
    assert not (tmp_path / "set").exists()


@pytest.fixture
def parrot(tiny_run, tmp_path):
    """A model that has learnt its few lines by heart: a canary sentence in some, an e-mail address in others."""
    canary = "the canary sings at noon"
    lines = [f"{canary} {letter}" for letter in "abcdefgh"] + [f"mail jo@example.org {letter}" for letter in "abcdef"]
    rng = np.random.default_rng(0)
    lines += ["".join(rng.choice(list("abcdefgh jklmnop"), 20)) for _ in range(24)]
    run = tiny_run(
        lines, "parrot",
        model={"layers": 2, "heads": 2, "width": 48, "context": 48, "noise_width": 16, "dropout": 0.0},
        diffusion={"process": "absorbing"},
        training={"batch_size": 8, "max_steps": 400, "validations": 1, "learning_rate": 0.01},
        sampling={"steps": 16, "temperature": 0.7},
    )  # fmt: skip
    train_model(run, Quiet())
    config = tmp_path / "parrot.yaml"

    def make(out: str, size: int, **rules) -> list[dict]:
        with config.open("w", encoding="utf-8") as file:
            YAML().dump(
                {**TINY, "paths": run.paths.model_dump(), "collection": rules, "datasets": {"parrot": {}}}, file
            )
        arguments = ["--model", str(run.model_file()), "--config", str(config), "--out", str(tmp_path / out)]
        collection.main(["make", *arguments, "--size", str(size)])
        return [json.loads(line) for line in (tmp_path / out / "samples.jsonl").read_text("utf-8").splitlines()]

    return make


def test_a_planted_canary_an_address_and_a_duplicate_are_caught(parrot):
    free = parrot("free", 40, copies="flag", personal="flag", duplicates="flag", near_duplicates="keep")
    flags = [flag for record in free for flag in record["flags"]]
    assert {"copies", "personal", "duplicates"} <= set(flags)
    assert all("copies" in record["flags"] for record in free if "canary sings at noon" in record["text"])
    assert all("personal" in record["flags"] for record in free if "@example.org" in record["text"])
    strict = parrot("strict", 40, attempts=3)
    kept = [record["text"] for record in strict if record["accepted"]]
    assert not any("canary sings at noon" in text or "@example.org" in text for text in kept)
    assert len(set(kept)) == len(kept)
    assert any(not record["accepted"] and len(record["dropped"]) == 3 for record in strict)  # no endless loop
    masked = parrot("masked", 40, copies="keep", duplicates="keep", near_duplicates="keep", personal="mask")
    assert any(BLOT in record["text"] and record["drawn_sha256"] != record["sha256"] for record in masked)
    assert not any("@example.org" in record["text"] for record in masked)


def test_twelve_equal_characters_in_a_row_are_degenerate_and_eleven_are_not():
    assert degenerate("a" + "-" * 12) == [(1, 13)] and degenerate("a" + "-" * 11) == []
