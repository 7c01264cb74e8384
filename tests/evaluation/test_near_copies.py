"""Documents that are nearly recited are copies, however short; real text, which nearly repeats itself too, is none."""

import numpy as np
import pytest

from evaluation.matches import MatchFinder
from evaluation.near_copies import FEWEST, NEIGHBOURS, PASSAGE, RECITED, Chance, passage_length, shares_in_one
from evaluation.reference import Reference
from evaluation.report import voice_page
from tests.evaluation.references import encode, sentences
from tests.evaluation.voices import GREEK, judge, training_lines
from tests.helpers import Quiet, make_run, prose
from text.corpus import load_corpus
from training.trainer import train_model

SYLLABLES = [
    "ka", "lo", "mi", "tu", "re", "sa", "no", "fi", "de", "ru", "pa", "ge", "bo", "ti", "ma", "lu", "she", "on",
]  # fmt: skip


def names(count: int, seed: int) -> list[str]:
    """Distinct short texts, as of towns: some have the first words of others, as names do."""
    rng = np.random.default_rng(seed)
    made = ("".join(rng.choice(SYLLABLES, size=rng.integers(5, 9))) for _ in range(count))
    return sorted({*made})


LETTERS = {
    "last": lambda line: line[:-1] + ("b" if line[-1] != "b" else "k"),
    "first": lambda line: ("b" if line[0] != "b" else "k") + line[1:],
    "middle": lambda line: line[: len(line) // 2] + "b" + line[len(line) // 2 + 1 :],
    "left out": lambda line: line[: len(line) // 2] + line[len(line) // 2 + 1 :],
    "added": lambda line: f"{line}b",
}


@pytest.fixture(scope="module")
def boilerplate(tmp_path_factory):
    """A voice whose documents are short, and some long ones share a long passage: so a long match is no copy."""
    shared = "pull request of the branch that fixes the build of all docs"
    long = [f"{name} {shared} {' '.join(names(40, k)[:7])}" for k, name in enumerate(names(60, 2))]
    run = make_run(tmp_path_factory.mktemp("boilerplate"), [*names(1500, 1), *long], "toy")
    train_model(run, Quiet())
    return run


@pytest.mark.parametrize("changed", LETTERS)
def test_lines_with_a_letter_changed_are_copies_where_real_texts_share_longer_passages(boilerplate, tmp_path, changed):
    lines = [line for line in training_lines(boilerplate) if " " not in line][:100]
    found = judge(boilerplate, tmp_path, list(map(LETTERS[changed], lines)))
    assert found.copies.bound > max(map(len, lines))  # no match alone tells
    assert found.copies.gauge == "memorising" and len(found.copies.flagged) > 80
    assert "safe" not in "\n".join(voice_page(found))


def test_new_text_of_such_a_voice_is_creating(boilerplate, tmp_path):
    known = {*training_lines(boilerplate)}
    for seed in range(5, 10):
        found = judge(boilerplate, tmp_path, [name for name in names(260, seed) if name not in known][:200])
        assert found.copies.gauge == "creating" and found.copies.share < 0.02


def test_some_recited_lines_among_new_text_are_found(boilerplate, tmp_path):
    known = training_lines(boilerplate)
    recited = [LETTERS["middle"](line) for line in known if " " not in line][:40]
    found = judge(boilerplate, tmp_path, [*prose(GREEK, 160, 5), *recited])
    assert found.copies.gauge in ("in between", "memorising") and len(found.copies.flagged) > 30


def test_real_text_is_not_accused_whatever_its_lengths(tiny_run):
    """Made of eleven words, many short sentences share nearly all of theirs with one other; long ones do not."""
    reference = Reference(load_corpus(tiny_run(sorted(set(sentences(3000, 0))))), 32, visible_only=True)
    for seed in range(9, 14):
        texts = encode(reference, sentences(340, seed))
        fresh = [ids for ids, line in zip(texts, reference.are_lines(texts), strict=True) if not line][:300]
        kinds = reference.copies(fresh, reference.matches(fresh))
        assert kinds.all.mean() < 0.02 and kinds.beyond < 0.01 * len(fresh)
    near = shares_in_one([reference._ids(document) for document in fresh], reference.finders) >= RECITED
    assert near.mean() > 0.05  # so it is not for want of them


def test_the_share_in_one_document_is_that_of_brute_force():
    rng = np.random.default_rng(0)
    documents = [rng.integers(1, 6, size=size) for size in rng.integers(0, 60, size=40)]
    text = np.concatenate([np.append(rng.integers(1, 90, size=40), 0) for _ in range(30)])
    planted = [np.concatenate([text[k * 41 : k * 41 + 18], [99], text[k * 41 + 19 : k * 41 + 40]]) for k in range(30)]
    two = [np.concatenate([text[41:61], text[82:102]]), np.concatenate([text[20:40], text[0:20]])]
    found = shares_in_one([*planted, *two], [MatchFinder(text)])
    assert found[:30] == pytest.approx([39 / 40] * 30)  # all but the letter that was changed
    assert found[30:] == pytest.approx([1 / 2, 1])  # half of two documents each; both halves of one
    assert shares_in_one(documents, [MatchFinder(np.concatenate(planted))]).max() < RECITED
    assert shares_in_one([np.array([1, 2]), np.array([], dtype=int)], [MatchFinder(text)]).tolist() == [0, 0]
    assert [passage_length(size) for size in (2, 12, 20, 32, 4000)] == [3, 3, 5, PASSAGE, PASSAGE]


def test_passages_are_sought_around_each_place_of_a_long_text():
    """What the parts of a sample match first may lie far apart: in continuous text, and where a text repeats itself."""
    rng = np.random.default_rng(1)
    recited, phrase, before, between = (rng.integers(1, 90, size=size) for size in (150, 50, 1000, 1000))
    text = np.concatenate([phrase, before, recited, phrase, between])
    changed = recited.copy()
    changed[20::40] = 99
    assert shares_in_one([np.concatenate([changed, phrase])], [MatchFinder(text)])[0] == pytest.approx(196 / 200)


def test_chance_is_that_of_the_nearest_lengths():
    lengths = np.repeat([10, 20, 30], NEIGHBOURS)
    recited = np.concatenate([np.arange(NEIGHBOURS) % 2 == 0, np.arange(NEIGHBOURS) % 4 == 0, np.zeros(NEIGHBOURS)])
    chance = Chance.of(lengths[::-1], recited[::-1].astype(bool))
    near, count = chance.at(np.array([10, 20, 31]))
    assert near.tolist() == [50, 25, 0] and count == NEIGHBOURS
    all_of = np.ones(100, dtype=bool)
    expected = 50 + 100 / 302  # and one more in all that are known
    assert chance.judge(np.full(100, 10), all_of)[1] == pytest.approx(100 - expected - 2 * expected**0.5)
    few = np.arange(100) < 3
    assert not chance.judge(np.full(100, 10), few)[0].any()  # as real text does
    flagged, beyond = chance.judge(np.full(100, 31), few)
    assert flagged.sum() == 3  # one alone is a copy where real text has none
    assert beyond == pytest.approx(3 - 100 / 302 - 2 * (100 / 302) ** 0.5)
    for real, found in ((FEWEST, 3), (FEWEST - 1, 0)):  # of fewer, that none does says little
        alike = Chance.of(np.full(real, 31), np.zeros(real, dtype=bool))
        assert alike.judge(np.full(200, 31), np.arange(200) < 3)[0].sum() == found
    few_known = Chance.of(np.array([5]), np.array([False]))
    assert few_known.judge(np.array([5, 50]), np.array([True, True]))[1] == 0  # of one document nothing is known
