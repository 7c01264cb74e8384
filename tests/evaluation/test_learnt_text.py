"""Copies of the texts that a voice's start had learnt from are copies; a text that is not at hand is named."""

import math
from pathlib import Path

import pytest

from evaluation import learnt_text
from evaluation.learnt_text import joined, lines_of, without
from evaluation.reference import Reference
from evaluation.report import summary, voice_page
from generation.aside import set_aside
from generation.checkpoint import SeenText, Start, load_checkpoint
from tests.evaluation.voices import GREEK, LEARNT, judge, training_lines
from tests.helpers import WORDS, Quiet, config_of, make_run, prose, shape
from text.corpus import Split, load_corpus
from training.trainer import train_model
from utils import hash_file


@pytest.fixture(scope="module")
def started_voice(tmp_path_factory):
    """A voice of commit messages that started from one of Greek letters: -> (the runs of both)."""
    folder = tmp_path_factory.mktemp("start")
    greek = make_run(folder, prose(GREEK, 500, 1), "greek", training=LEARNT)
    train_model(greek, Quiet())
    build = shape(make_run(folder, prose(WORDS, 500, 1), "build", training=LEARNT), start_from="greek")
    train_model(build, Quiet())
    return greek, build


def test_copies_of_what_the_start_had_learnt_from_are_copies(started_voice, tmp_path):
    greek, build = started_voice
    of_greek = judge(build, tmp_path, training_lines(greek)[:60])
    assert len(of_greek.copies.flagged) == 60 and of_greek.copies.gauge == "memorising"
    assert judge(build, tmp_path, prose(WORDS, 60, 7)).copies.gauge == "creating"
    assert "Training started from the model greek." in "\n".join(voice_page(of_greek))
    assert of_greek.plain()["start"] == "greek" and of_greek.plain()["unseen"] == []


def test_copies_of_what_the_start_of_a_stream_had_learnt_from_are_copies(started_voice, tmp_path):
    greek, _ = started_voice
    root, stream = greek.model_file().parents[1], {"format": "stream"}
    run = shape(make_run(root, prose(WORDS, 500, 2), "stream", training=LEARNT, data=stream), start_from="greek")
    train_model(run, Quiet())
    lines = greek.data_file().read_text(encoding="utf-8").splitlines()[:60]
    in_a_row = ["\\n".join(lines[k : k + 3]) for k in range(57)]  # as the file has them
    for copied in (lines, in_a_row):
        found = judge(run, tmp_path, copied)
        assert found.copies.gauge == "memorising" and len(found.copies.flagged) > 0.9 * len(copied)
    assert min(judge(run, tmp_path, in_a_row).matches) > max(map(len, lines))  # across the ends of lines
    assert judge(run, tmp_path, prose([word[::-1] for word in WORDS], 60, 7)).copies.gauge == "creating"


def test_letters_that_a_voice_lacks_hide_no_copy_of_what_its_start_had_learnt_from(tmp_path):
    lines = [" ".join(word.title() for word in line.split()) for line in prose(GREEK, 400, 1)]
    start = make_run(tmp_path, [line.replace("Mu", "Mú") for line in lines], "start", training=LEARNT)
    train_model(start, Quiet())
    run = shape(make_run(tmp_path, prose([*WORDS, "gamma", "kappa", "zeta"], 800, 1)), start_from="start")
    train_model(run, Quiet())
    learnt = training_lines(start)[:60]
    for form in (str, str.lower, str.swapcase):
        found = judge(run, tmp_path, list(map(form, learnt))).copies
        assert found.gauge == "memorising" and len(found.flagged) == 60, form
    assert judge(run, tmp_path, prose(WORDS, 60, 7)).copies.gauge == "creating"


def test_a_text_of_the_start_that_is_not_at_hand_is_named(started_voice, tmp_path):
    greek, build = started_voice
    data, lines = greek.data_file().read_bytes(), training_lines(greek)[:60]
    for change in (lambda path: path.write_bytes(data + b"more\n"), Path.unlink):
        try:
            change(greek.data_file())
            found = judge(build, tmp_path, lines)
            new = judge(build, tmp_path, prose(WORDS, 60, 7))
        finally:
            greek.data_file().write_bytes(data)
        assert "Not compared with the text of greek, which it learnt from too." in "\n".join(voice_page(found))
        assert "not compared with the text of greek" in summary(found)
        assert new.copies.gauge == "not checked" and "safe" not in "\n".join(voice_page(new))
        assert found.plain()["unseen"] == ["greek"] and len(found.copies.flagged) < 60


def test_held_out_text_that_the_start_may_have_learnt_is_named(started_voice, tmp_path):
    greek, build = started_voice
    again = shape(greek.model_copy(update={"seed": 7, "name": "again"}), start_from="greek")
    again = again.model_copy(update={"data": again.data.model_copy(update={"file": "greek.txt"})})
    again.data_file().with_name("again.txt").write_bytes(greek.data_file().read_bytes())
    train_model(again, Quiet())
    found = judge(again, tmp_path, prose(WORDS, 60, 7))
    count = len(load_corpus(again).held_out.lengths)
    assert found.origin.held_out_seen == count
    page = "\n".join(voice_page(found))
    assert f"**In the text of the start, greek: {count} held-out documents. It may have learnt them" in page
    assert "its start may have learnt held-out text" in summary(found)
    assert judge(build, tmp_path, prose(WORDS, 60, 7)).origin.held_out_seen == 0


def test_a_text_that_was_kept_aside_is_looked_through(started_voice, tmp_path):
    greek, build = started_voice
    path, lines = greek.data_file(), training_lines(greek)[:60]
    data = path.read_bytes()
    try:
        kept = set_aside(path)
        path.write_bytes(b"another\n")
        assert kept.name == "greek.previous.txt" and judge(build, tmp_path, lines).copies.gauge == "memorising"
    finally:
        kept.replace(path)
    assert path.read_bytes() == data


def test_a_text_that_a_model_names_often_is_read_once(started_voice, tmp_path, monkeypatch):
    _, build = started_voice
    checkpoint, calls = load_checkpoint(build.model_file()), []
    monkeypatch.setattr(learnt_text, "lines_of", lambda *arguments: calls.append(1) or lines_of(*arguments))
    text = checkpoint.start.texts[0]
    often = checkpoint.start.model_copy(update={"texts": [text] * 1000})
    found = learnt_text.seen_text(load_corpus(build), build, often, config_of(build))
    assert len(calls) == 1 and not found.missing
    one = checkpoint.start.model_copy(update={"texts": [text]})
    assert len(found.text.ids) == len(learnt_text.seen_text(load_corpus(build), build, one, config_of(build)).text.ids)


@pytest.mark.parametrize(("signs", "visible_only"), [("\U0001f600", False), ("\u0103", True)])
def test_text_that_a_base_shares_with_a_voice_sets_no_bound(tmp_path, signs, visible_only):
    """A base learns it without the characters that the voice does not know."""
    words = [f"{word} {chr(ord(signs) + 2 * k)}" for k, word in enumerate(GREEK)] + GREEK
    run = make_run(tmp_path, prose(words, 400, 1), data={"vocab_size": len(set("".join(GREEK))) + 2})
    corpus = load_corpus(run)
    alike = [corpus.vocabulary.decode(document).replace("\ufffd", "") for document in corpus.train]
    base = make_run(tmp_path, alike, "base")
    start = Start(name="base", model_sha256="0" * 64, texts=[SeenText(name="base", sha256=hash_file(base.data_file()))])
    found = learnt_text.seen_text(corpus, run, start, config_of(run))
    alone = Reference(
        corpus, 64, learnt_text.seen_text(corpus, run, None, config_of(run)).text, visible_only=visible_only
    )
    reference = Reference(corpus, 64, *found.apart, own=found.own, visible_only=visible_only)
    joint = Reference(corpus, 64, found.text, visible_only=visible_only)
    assert reference.copy_bound == alone.copy_bound < joint.copy_bound
    learnt = [corpus.vocabulary.encode(text) for text in alike]
    assert found.twins.sum() > 100 and not found.missing and all(reference.are_lines(learnt))
    assert (reference.matches(learnt) >= [len(document) // 2 for document in learnt]).all()


@pytest.mark.parametrize("form", ["lines", "stream"])
def test_other_texts_that_a_base_learnt_set_no_bound(tmp_path, form):
    """Theirs may repeat whole passages, as reviews and logs do."""
    run = make_run(tmp_path, prose(GREEK, 400, 1), data={"format": form})
    passage = " ".join(GREEK[:8])
    logs = [" ".join((passage, *lines)) for lines in zip(*(prose(GREEK, 400, k) for k in range(2, 6)), strict=True)]
    base = make_run(tmp_path, logs, "base", data={"format": form})
    start = Start(name="base", model_sha256="0" * 64, texts=[SeenText(name="base", sha256=hash_file(base.data_file()))])
    corpus = load_corpus(run)
    found = learnt_text.seen_text(corpus, run, start, config_of(run))
    own, joint = (Reference(corpus, 256, *found.apart, own=begin) for begin in (found.own, math.inf))
    assert own.copy_bound < len(passage) <= joint.copy_bound
    learnt = [corpus.vocabulary.encode(line) for line in logs]
    assert (own.matches(learnt) == [len(line) for line in learnt]).all()  # sought in all the same


def test_held_out_text_that_a_start_may_have_learnt_is_named_where_letters_of_it_are_unknown(tmp_path):
    lines = [line.replace("beta", f"bet{chr(0x103 + 2 * (k % 20))}") for k, line in enumerate(prose(GREEK, 400, 1))]
    run = make_run(tmp_path, lines, data={"vocab_size": len(set("".join(GREEK))) + 2})
    other = make_run(tmp_path, lines, "other")
    texts = [SeenText(name="other", sha256=hash_file(other.data_file()))]
    corpus, start = load_corpus(run), Start(name="other", model_sha256="0" * 64, texts=texts)
    assert corpus.reading_log.unknown_characters
    assert learnt_text.seen_text(corpus, run, start, config_of(run)).held_out == len(corpus.held_out.lengths)


def test_a_start_may_have_learnt_from_a_text_without_a_line(started_voice, tmp_path):
    _, build = started_voice
    empty = tmp_path / "empty.txt"
    empty.touch()
    assert len(lines_of(empty, build.data, load_corpus(build).vocabulary).lengths) == 0


def test_documents_of_both_texts_are_sought_once(started_voice):
    greek, build = (load_corpus(run).train for run in started_voice)
    assert len(without(greek, greek).lengths) == 0 and len(without(greek, build).lengths) == len(greek.lengths)
    both = joined([greek, Split(build.ids, build.starts[3:5], build.lengths[3:5])])
    assert [both.document(i).tolist() for i in (0, len(greek.lengths) + 1)] == [
        greek.document(0).tolist(),
        build.document(4).tolist(),
    ]
