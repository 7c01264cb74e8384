"""No copy hides behind capitals, white space, characters that show nothing, or other marks."""

import json
import random

import pytest

from evaluation.copies import gauge
from evaluation.report import summary, voice_page
from tests.evaluation.voices import GREEK, judge, training_lines
from tests.helpers import WORDS, Quiet, prose
from text.corpus import load_corpus
from training.trainer import train_model
from utils import UserError

# controls, formats, a joiner, fillers, variation selectors, a tag, a blank that is no white space
UNSEEN = [
    *"\x00\x01\x7f\x9f\u00ad\u034f\u061c\u115f\u17b4\u180b\u180e\u200b\u200d\u2060\u2065\u2800\u3164\ufe00\ufe0f\ufeff",
    *"\uffa0\ufff0\U0001d173\U000e0041\U000e0100",
]


@pytest.mark.parametrize(
    ("shares", "word"),
    [
        ((0.01, 0, 0, 0), "creating"), ((0.0101, 0, 0, 0), "in between"),
        ((0.1, 0, 0, 0), "in between"), ((0.1001, 0, 0, 0), "memorising"),
        ((0, 2 / 1001 + 0.0099, 0, 0), "creating"), ((0, 2 / 1001 + 0.0101, 0, 0), "in between"),
        ((0, 0, 0.0101, 0), "in between"), ((0.005, 0.004, 0.0052, 0), "in between"), ((0, 0.001, 0, 0), "creating"),
        ((0, 0, 0, 0.1), "creating"), ((0, 0, 0, 0.1001), "repeating"),
    ],
)  # fmt: skip
def test_the_gauge_at_its_bounds(shares, word):
    assert gauge(shares, 200, 1000, True) == word


def test_the_gauge_promises_nothing_of_few_texts_or_a_part_of_them():
    nothing = (0, 0, 0, 0)
    assert gauge(nothing, 30, 1000, True) == "creating" and gauge(nothing, 29, 1000, True) == "too few to tell"
    assert gauge(nothing, 200, 1000, False) == "not checked"


@pytest.mark.parametrize("form", [str.upper, str.title, lambda line: f"{line.upper()} ALPHA"])
def test_a_copy_in_letters_of_another_case_is_a_copy(two_voices, tmp_path, form):
    run = two_voices["build"]
    lines = sorted(training_lines(run), key=len)[-40:]
    found = judge(run, tmp_path, [*prose(GREEK, 60, 5), *map(form, lines)])
    assert found.copies.gauge == "memorising" and len(found.copies.flagged) >= 40
    assert found.copies.worst[0].text in map(form, lines)  # shown as it was


def test_capitals_of_the_training_text_hide_no_copy(tiny_run, tmp_path):
    run = tiny_run([f"{line.title()} {number}" for number, line in enumerate(prose(WORDS, 400, 1))])
    train_model(run, Quiet())
    for form in (str.lower, str.upper, str.swapcase):
        copied = [form(line) for line in training_lines(run)[:40]]
        assert judge(run, tmp_path, prose(GREEK, 60, 5) + copied).copies.gauge == "memorising"


@pytest.mark.parametrize("form", ["{}", "iota {} iota", "{}!", "\u00ab{},\u00bb"])
def test_final_letters_of_greek_and_other_marks_hide_no_copy(tiny_run, tmp_path, form):
    lines = [f"{line} \u03cc\u03c1\u03bf\u03c2 {k}." for k, line in enumerate(prose(GREEK, 400, 1))]
    run = tiny_run([line.replace("a", "\u03b1").replace("s", "\u03c2") for line in lines])
    train_model(run, Quiet())
    copied = [form.format(line.removesuffix(".").upper()) for line in training_lines(run)[:40]]
    found = judge(run, tmp_path, prose(WORDS, 60, 5) + copied).copies
    assert found.gauge == "memorising" and len(found.flagged) >= 40


def test_texts_that_show_nothing_are_repeats_of_each_other(two_voices, tmp_path):
    found = judge(two_voices["build"], tmp_path, prose(GREEK, 60, 5) + ["\u200b" * k for k in range(1, 41)]).copies
    assert found.gauge == "repeating" and found.repeats == 39 and not found.flagged


@pytest.mark.parametrize("space", ["\u00a0", "\t", "\u200b \u00ad", "  ", "\u2800", "\u3164", ""])
def test_other_white_space_hides_no_copy(two_voices, tmp_path, space):
    run = two_voices["build"]
    lines = sorted(training_lines(run), key=len)[-20:]
    copied = [line.replace(" ", space) for line in [*lines, *(f"iota {line} iota" for line in lines)]]
    found = judge(run, tmp_path, [*prose(GREEK, 60, 5), *copied, "\u200b"])
    assert found.copies.gauge == "memorising" and len(found.copies.flagged) >= 40
    assert found.copies.worst[0].text in copied  # shown as it was


def test_characters_that_show_nothing_hide_no_copy_and_no_repeat(two_voices, tmp_path):
    run, new = two_voices["build"], prose(GREEK, 60, 5)
    lines = zip(UNSEEN, sorted(training_lines(run), key=len)[-len(UNSEEN) :], strict=True)
    copied = [unseen.join(form) for unseen, line in lines for form in (line, f"iota {line} iota")]
    found = judge(run, tmp_path, new + copied).copies
    assert found.gauge == "memorising" and found.flagged == [*range(60, 60 + len(copied))]
    assert judge(run, tmp_path, new + [new[0] + unseen for unseen in UNSEEN]).copies.repeats == len(UNSEEN)


@pytest.mark.parametrize("stream", [False, True])
def test_what_shows_nothing_hides_no_copy_though_the_voice_knows_it(tiny_run, tmp_path, stream):
    unseen = "\u00a0\u200d\ufe0f\u2800\u00ad"
    lines = [*prose(WORDS, 300, 1), f"a{unseen}b", *(f"soft\u00ad{k}" for k in range(30))]
    run = tiny_run(lines, data={"format": "stream"} if stream else {})
    train_model(run, Quiet())
    plain = sorted(prose(WORDS, 300, 1), key=len)[100:140]
    assert judge(run, tmp_path, plain).copies.gauge == "memorising"
    for character in unseen:
        for copied in ([character.join(line) for line in plain], [line.replace(" ", character) for line in plain]):
            assert judge(run, tmp_path, copied).copies.gauge == "memorising", ascii(character)
    if not stream:
        assert len(judge(run, tmp_path, [f"soft{k}" for k in range(30)]).copies.flagged) > 15


@pytest.mark.parametrize("stream", [False, True])
def test_letters_that_the_vocabulary_leaves_out_hide_no_copy(tiny_run, tmp_path, stream):
    lines = [line.title() for line in prose([word + word[1:] for word in WORDS], 400, 1)]
    random.Random(0).shuffle(lines)
    data = {"vocab_size": 19, "format": "stream" if stream else "lines"}
    run = tiny_run(lines, data=data, model={"context": 64})
    train_model(run, Quiet())
    assert not set("FRPCB") & set(load_corpus(run).vocabulary.characters)
    text = run.data_file().read_text(encoding="utf-8").splitlines()[50:110]
    for form in (str, str.lower, str.upper):
        found = judge(run, tmp_path, [*prose(GREEK, 60, 5), *map(form, text)]).copies
        assert found.gauge == "memorising" and len(found.flagged) > 40


FORMS = {
    "full width": lambda c: chr(ord(c) + 0xFEE0),
    "bold": lambda c: chr(ord(c) - ord("a") + 0x1D41A) if c.islower() else c,
    "acute": lambda c: f"{c}\u0301",
    "dot": lambda c: f"{c}\u0307",
}


@pytest.mark.parametrize("form", FORMS)
def test_other_forms_of_letters_hide_no_copy(two_voices, tmp_path, form):
    run = two_voices["build"]
    copied = ["".join(FORMS[form](c) if c.isalnum() else c for c in line) for line in training_lines(run)[:60]]
    found = judge(run, tmp_path, copied).copies
    assert found.gauge == "memorising" and len(found.flagged) == 60


def test_texts_of_characters_that_the_voice_does_not_know_are_not_called_safe(two_voices, tmp_path):
    run = two_voices["build"]
    foreign = ["".join(chr(ord(c) + 0x350) for c in line if c != " ") for line in prose(GREEK, 60, 5)]
    found = judge(run, tmp_path, foreign)
    assert found.copies.gauge == "not checked" and found.copies.unknown == 60
    page = "\n".join(voice_page(found))
    assert "60 documents hold many characters that the voice does not know: copies in them would not be seen." in page
    assert "safe" not in page and "60 documents not compared" in summary(found)
    few = judge(run, tmp_path, [*prose(GREEK, 97, 6), *foreign[:3]]).copies
    assert few.gauge == "not checked" and few.unknown == 3


def test_copies_with_letters_of_another_alphabet_that_look_alike_are_not_called_safe(two_voices, tmp_path):
    run = two_voices["build"]
    copied = [line.translate(str.maketrans({"e": "\u0435", "a": "\u0430"})) for line in training_lines(run)[:60]]
    found = judge(run, tmp_path, copied).copies
    assert found.gauge == "not checked" and found.unknown > 50 and not found.flagged


def test_copies_with_other_latin_letters_that_look_alike_are_not_called_safe(two_voices, tmp_path):
    run = two_voices["build"]
    capitals = str.maketrans("aeos", "\u1d00\u1d07\u1d0f\ua731")  # small ones, which are Latin letters too
    found = judge(run, tmp_path, [line.translate(capitals) for line in training_lines(run)[:60]]).copies
    assert found.gauge == "not checked" and found.unknown > 50


def test_copies_in_json_or_a_table_are_not_judged_but_those_of_a_voice_of_a_table(two_voices, tiny_run, tmp_path):
    run = two_voices["build"]
    rows = ["number,text", *(f"{n},{line}" for n, line in enumerate(training_lines(run)[:60]))]
    for lines, kind in ((rows, "a table"), ([json.dumps({"text": line}) for line in rows], "JSON")):
        with pytest.raises(UserError, match=f"is {kind}, not a text; name a text file, one document per line"):
            judge(run, tmp_path, lines)
    table = tiny_run(["number,text", *(f"{n},{line}" for n, line in enumerate(prose(WORDS, 400, 1)))])
    train_model(table, Quiet())
    assert judge(table, tmp_path, ["number,text", *training_lines(table)[:60]]).copies.gauge == "memorising"
