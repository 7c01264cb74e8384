"""Every data rule: what is read, dropped, counted, split, encoded; and what stops with a reason."""

import numpy as np
import pytest

from tests.helpers import toy_lines
from tests.text.loaded import ALPHABET, everything, texts
from text.corpus import all_text, load_corpus
from text.lengths import Lengths
from utils import UserError


def test_documents_survive_whole(tiny_run):
    lines = toy_lines(200)
    loaded = load_corpus(tiny_run(lines))
    assert everything(loaded) == sorted(lines)
    assert loaded.reading_log.documents == 200 and loaded.reading_log.characters == sum(map(len, lines))
    assert len(loaded.held_out.lengths) == pytest.approx(40, abs=20)


def test_split_is_by_document_and_does_not_depend_on_order(tiny_run):
    lines = toy_lines(200)
    first, second = (load_corpus(tiny_run(order)) for order in (lines, [*lines[::-1], "one more document"]))
    held = [set(texts(loaded.held_out, loaded.vocabulary)) for loaded in (first, second)]
    assert held[0] == held[1] - {"one more document"}
    assert not held[0] & set(texts(first.train, first.vocabulary))
    other_seed = load_corpus(tiny_run(lines).model_copy(update={"seed": 1}))
    assert set(texts(other_seed.held_out, other_seed.vocabulary)) != held[0]


def test_exact_duplicates_are_dropped_and_counted(tiny_run):
    lines = toy_lines(50)
    loaded = load_corpus(tiny_run(lines + lines[:20] + [lines[0]]))
    assert everything(loaded) == sorted(lines) and loaded.reading_log.duplicates == 21
    assert "21 duplicates dropped" in loaded.reading_log.losses()


def test_blank_lines_are_dropped_and_counted(tiny_run):
    loaded = load_corpus(tiny_run([*ALPHABET, "one", "", "  \t", "two", "\u3000"]))
    assert everything(loaded) == ["one", "two"] and loaded.reading_log.empty == 3


def test_subsample_is_seeded_and_not_the_first(tiny_run):
    lines = toy_lines(300)
    data = {"max_documents": 50}
    chosen = [
        everything(load_corpus(tiny_run(lines, data=data).model_copy(update={"seed": seed}))) for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2] and len(chosen[0]) == 50
    assert chosen[0] != sorted(lines[:50])
    assert load_corpus(tiny_run(lines, data=data)).reading_log.not_sampled == 250
    turned, kept = (load_corpus(tiny_run(some, data=data)) for some in (lines[::-1], lines))
    assert everything(turned) == everything(kept)  # whatever the order of the lines


def test_of_a_small_sample_nothing_that_is_held_out_counts_as_learnt(tiny_run):
    """It may hold out a document that the whole text would not, and learn one that it would."""
    for seed in range(20):
        run = tiny_run(toy_lines(100), data={"max_documents": 5, "held_out": 0.05}).model_copy(update={"seed": seed})
        loaded = load_corpus(run)
        learnt, held_out = (set(texts(split, loaded.vocabulary)) for split in all_text(loaded, run))
        own = [set(texts(split, loaded.vocabulary)) for split in (loaded.train, loaded.held_out)]
        assert own[0] <= learnt and held_out == own[1] and not learnt & held_out
        assert len(learnt) > 80


def test_vocabulary_is_the_training_splits_most_frequent(tiny_run):
    lines = [f"{'a' * 5}{'b' * 3}{'c' * 2}{chr(0x4E00 + i)}" for i in range(100)]
    loaded = load_corpus(tiny_run(lines, data={"vocab_size": 4}))
    assert loaded.vocabulary.characters == "\nabc"
    assert loaded.reading_log.unknown_characters == 100 and loaded.reading_log.distinct_characters == 3 + len(
        loaded.train.lengths
    )
    assert "100 characters outside the vocabulary made <unk>" in loaded.reading_log.losses()


def test_only_rare_characters_still_encode(tiny_run):
    loaded = load_corpus(tiny_run([chr(0x4E00 + i) for i in range(40)], data={"vocab_size": 2}))
    assert loaded.vocabulary.size == 3 and loaded.reading_log.documents == 40


def test_canonically_equal_documents_are_duplicates(tiny_run):
    loaded = load_corpus(tiny_run([*ALPHABET, "café", "cafe\u0301", "tea"]))
    assert everything(loaded) == ["café", "tea"] and loaded.reading_log.duplicates == 1


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"\n", "0 distinct documents, but one to learn from and one to hold out are needed"),
        (b"one line\n", "1 distinct document, but one to learn from"),
        (b"a", "1 distinct document"),
        (
            b"old\rline\rends\r",
            "its lines end in CR alone, as old programs wrote them; python prepare.py .* makes",
        ),
        (b"an old\rline end\n", "1 distinct document"),
        (b"same\nsame\nsame\n", "1 distinct document"),
    ],
)
def test_too_little_text_stops_with_the_reason(tiny_run, content, rule):
    with pytest.raises(UserError, match=rule):
        load_corpus(tiny_run(content))


def test_an_empty_file_stops_with_the_reason(tiny_run):
    run = tiny_run()
    run.data_file().write_bytes(b"")
    with pytest.raises(UserError, match="0 distinct documents"):
        load_corpus(run)
    with pytest.raises(UserError, match="a stream needs at least 2 characters"):
        load_corpus(run.model_copy(update={"data": run.data.model_copy(update={"format": "stream"})}))


def test_a_missing_file_says_what_to_do(tiny_run):
    run = tiny_run()
    run.data_file().unlink()
    with pytest.raises(
        UserError, match=r"no such file; put one document per line there, or set datasets.toy.data.file"
    ):
        load_corpus(run)


def test_two_documents_are_one_to_learn_and_one_to_hold_out(tiny_run):
    loaded = load_corpus(tiny_run(["alpha", "beta"]))
    assert len(loaded.train.lengths) == len(loaded.held_out.lengths) == 1


def test_a_stream_keeps_its_newlines_and_holds_out_its_end(tiny_run):
    text = "".join(f"line {i}\n\n" for i in range(100))
    loaded = load_corpus(tiny_run(text.encode(), data={"format": "stream", "held_out": 0.1}))
    train, held_out = texts(loaded.train, loaded.vocabulary), texts(loaded.held_out, loaded.vocabulary)
    assert train[0] + held_out[0] == text and len(held_out[0]) == round(0.1 * len(text))


def test_lengths_are_drawn_as_they_occurred():
    lengths = Lengths.of(np.array([5, 7, 7, 7]))
    assert [lengths.draw(u) for u in (0.0, 0.2499, 0.25, 0.9999)] == [5, 5, 7, 7]


def test_a_text_that_changes_before_all_of_it_is_read_is_refused(tiny_run):
    run = tiny_run([f"{line} {chr(0x4E00 + n)}" for n, line in enumerate(toy_lines(60))], data={"vocab_size": 20})
    corpus = load_corpus(run)
    assert corpus.reading_log.unknown_characters
    path = run.data_file()
    path.write_text(path.read_text(encoding="utf-8").replace("fix", "fox").replace("add", "odd"), encoding="utf-8")
    with pytest.raises(UserError, match="changed while it was read"):
        all_text(corpus, run)
