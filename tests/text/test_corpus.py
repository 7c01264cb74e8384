"""Every data rule: what is read, dropped, counted, split, encoded; and what stops with a reason."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import toy_lines, tree
from tests.text.loaded import ALPHABET, everything, texts
from text import corpus
from text.corpus import Lengths, load_corpus, load_trained_corpus, stores_of
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


def test_the_store_is_reused_until_bytes_or_settings_change(tiny_run, monkeypatch):
    run = tiny_run(toy_lines(30))
    load_corpus(run)
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "encode_into", None)  # not called again
        load_corpus(run)
    load_corpus(tiny_run(toy_lines(31)))
    assert len([path for path in stores_of(run).iterdir() if path.is_dir()]) == 1  # the old store is gone


def test_encoding_removes_no_folder_but_its_own_stores(tiny_run):
    run = tiny_run(toy_lines(30), name="huggingface")
    load_corpus(run)
    [old] = [path for path in stores_of(run).iterdir() if path.is_dir()]
    hub = run.data_file().parent / ".cache/huggingface/hub"
    strangers = [hub, stores_of(run) / "notes", stores_of(run) / ("0" * 16), stores_of(run) / f"{'1' * 16}.part"]
    for folder in strangers:
        folder.mkdir(parents=True)
        (folder / "model.bin").write_bytes(b"mine")
    shutil.copytree(old, stores_of(run) / "copied")  # the files of a store, but not its name
    shutil.copytree(old, stores_of(run) / ("2" * 16))
    (stores_of(run) / ("2" * 16) / "thesis.txt").write_bytes(b"mine")
    (stores_of(run) / ("3" * 16)).symlink_to(stores_of(run) / "copied", target_is_directory=True)
    foreign = [*strangers, *(stores_of(run) / name for name in ("copied", "2" * 16, "3" * 16))]
    before = tree(*foreign)
    (stores_of(run) / f"{'4' * 16}.part").mkdir()  # left by an encoding that was killed
    (stores_of(run) / f"{'4' * 16}.part/tokens.bin").write_bytes(b"ab")
    load_corpus(tiny_run(toy_lines(31), name="huggingface"))
    assert tree(*foreign) == before and not old.exists() and not (stores_of(run) / f"{'4' * 16}.part").exists()


def test_a_store_that_another_process_deletes_before_it_is_opened_is_made_again(tiny_run, monkeypatch):
    run = tiny_run(toy_lines(30))
    before = load_corpus(run).train.ids.tobytes()
    [store] = [path for path in stores_of(run).iterdir() if path.is_dir()]
    whole, found = corpus.holds_encoding, []

    def delete_after(*arguments):
        found.append(whole(*arguments))
        if len(found) == 1:
            shutil.rmtree(store)
        return found[-1]

    monkeypatch.setattr(corpus, "holds_encoding", delete_after)
    assert load_corpus(run).train.ids.tobytes() == before and found == [True, False]


def test_what_stands_in_the_place_of_a_store_is_left_and_named(tiny_run):
    run = tiny_run(toy_lines(30))
    load_corpus(run)
    [store] = [path for path in stores_of(run).iterdir() if path.is_dir()]
    (store / "info.json").write_bytes(b"cut short")
    (store / "thesis.txt").write_bytes(b"mine")
    before = tree(store)
    with pytest.raises(UserError, match="holds files that are not this program's; move it away"):
        load_corpus(run)
    assert tree(store) == before


def test_what_a_system_puts_into_a_folder_is_no_stranger_in_a_store(tiny_run):
    run = tiny_run(toy_lines(30))
    load_corpus(run)
    [store] = [path for path in stores_of(run).iterdir() if path.is_dir()]
    for name in (".DS_Store", "Thumbs.db", "Desktop.ini"):
        (store / name).write_bytes(b"litter")
    before = tree(store)
    load_corpus(run)
    assert tree(store) == before
    (store / "info.json").write_bytes(b"cut short")
    load_corpus(run)
    assert len(list(store.iterdir())) == 4


def test_text_that_a_model_was_not_trained_on_is_refused_before_anything_is_encoded(tiny_run, tmp_path):
    run = tiny_run(toy_lines(30))
    before = tree(tmp_path)
    with pytest.raises(UserError, match=r"toy.txt: not the text that m.pt was trained on; name that with --data"):
        load_trained_corpus(run, "0" * 64, Path("m.pt"))
    assert tree(tmp_path) == before


def test_the_encoding_of_a_judged_model_takes_the_place_of_no_other(tiny_run, monkeypatch):
    run = tiny_run(toy_lines(30))
    own = load_corpus(run)
    theirs = [run.model_copy(update={"seed": seed}) for seed in (5, 6)]
    for each in theirs:
        load_trained_corpus(each, own.sha256, Path("m.pt"))
    judged = [path for path in stores_of(run).rglob("info.json") if path.parent.parent != stores_of(run)]
    assert len(judged) == 1  # the old one is gone
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "encode_into", None)  # not called again
        load_corpus(run)
        for each in (run, theirs[1]):
            load_trained_corpus(each, own.sha256, Path("m.pt"))
    load_corpus(tiny_run(toy_lines(31)))
    assert judged[0].is_file()


def test_a_file_that_changes_while_it_is_read_is_refused(tiny_run, monkeypatch):
    run = tiny_run(toy_lines(30))
    hashes = iter(["before", "after"])
    monkeypatch.setattr(corpus, "hash_file", lambda path: next(hashes))
    with pytest.raises(UserError, match="changed while it was read"):
        load_corpus(run)
    assert [path.name for path in stores_of(run).iterdir()] == [".lock"]


@pytest.mark.parametrize("settings", [{}, {"data": {"format": "stream"}}])
def test_a_file_that_grows_while_it_is_read_is_refused(tiny_run, monkeypatch, settings):
    run, honest = tiny_run(toy_lines(30), **settings), corpus.survey

    def survey(run):
        found = honest(run)
        with run.data_file().open("a", encoding="utf-8") as file:
            file.write("one more line\n")
        return found

    monkeypatch.setattr(corpus, "survey", survey)
    with pytest.raises(UserError, match="changed while it was read"):
        load_corpus(run)


@pytest.mark.parametrize("name", ["info.json", "tokens.bin", "lengths.npy", "held_out.npy"])
@pytest.mark.parametrize("size", [0, 10, -2])
def test_an_encoding_cut_short_is_made_anew(tiny_run, name, size):
    run = tiny_run(toy_lines(50))
    before = everything(load_corpus(run))
    [file] = (run.data_file().parent / ".cache").glob(f"*/*/*/{name}")
    file.write_bytes(file.read_bytes()[:size])
    assert everything(load_corpus(run)) == before
    assert file.stat().st_size > 10


@pytest.mark.parametrize("name", ["info.json", "tokens.bin", "lengths.npy", "held_out.npy"])
def test_an_encoding_with_a_wrong_byte_is_made_anew(tiny_run, name):
    run = tiny_run(toy_lines(50))
    load_corpus(run)
    [file] = (run.data_file().parent / ".cache").glob(f"*/*/*/{name}")
    before = file.read_bytes()
    for place in (len(before) - 4, len(before) // 2):
        file.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
        load_corpus(run)
        assert file.read_bytes() == before


@pytest.mark.parametrize("judged", [False, True])
def test_no_encoding_is_believed_that_is_not_of_the_text(tiny_run, judged):
    run = tiny_run(toy_lines(50))
    sha256 = load_corpus(run).sha256
    other = run.model_copy(update={"seed": 5}) if judged else run
    load = partial(load_trained_corpus, other, sha256, Path("m.pt")) if judged else partial(load_corpus, run)
    before = everything(load())
    stores = [file.parent for file in stores_of(run).rglob("info.json")]
    [store] = [folder for folder in stores if (folder.parent.name == corpus.JUDGED) == judged]
    ids = np.fromfile(store / "tokens.bin", dtype=np.uint16)
    lengths = np.load(store / "lengths.npy")
    forged = [
        ("tokens.bin", np.random.default_rng(0).permutation(ids).tobytes()),
        ("tokens.bin", (ids + 60_000).tobytes()),
        ("info.json", b"[" * 200_000),
        *(
            ("lengths.npy", corpus.array_bytes(wrong))
            for wrong in (lengths * 1.0, -lengths, lengths[:3], lengths[::-1])
        ),
        *(("held_out.npy", corpus.array_bytes(lengths * 0 + value)) for value in (0, 1, True)),
    ]
    for name, content in forged:
        (store / name).write_bytes(content)
        assert everything(load()) == before, name


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["fifo", "link"])
@pytest.mark.parametrize("name", ["info.json", "tokens.bin"])
def test_what_is_no_file_in_an_encoding_is_not_read(tiny_run, make, name):
    run = tiny_run(toy_lines(50))
    load_corpus(run)
    [store] = [file.parent for file in stores_of(run).rglob("info.json")]
    (store / name).unlink()
    make(store / name)
    with pytest.raises(UserError, match="holds files that are not this program's; move it away"):
        load_corpus(run)


def test_two_encodings_of_a_dataset_wait_for_each_other(tiny_run):
    runs = [tiny_run(toy_lines(4000), data={"vocab_size": size}) for size in (20, 30)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(load_corpus, runs * 2))
    assert [c.vocabulary.size for c in found] == [21, 31, 21, 31]
    assert all(len(c.train.document(0)) == c.train.lengths[0] for c in found)


def test_lengths_are_drawn_as_they_occurred():
    lengths = Lengths.of(np.array([5, 7, 7, 7]))
    assert [lengths.draw(u) for u in (0.0, 0.2499, 0.25, 0.9999)] == [5, 5, 7, 7]
