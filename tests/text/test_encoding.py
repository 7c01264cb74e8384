"""The encoding beside a text: when it is used again or made anew, what it leaves alone, and what it believes."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import pipes, toy_lines, tree
from tests.text.loaded import everything
from text import corpus
from text.corpus import load_corpus, load_trained_corpus, stores_of
from utils import UserError


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
    with pytest.raises(UserError, match=r"toy.txt: not the text that m.pt was trained on; name that with --data, with"):
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


@pipes
@pytest.mark.parametrize(
    "make", [lambda path: os.mkfifo(path), lambda path: path.symlink_to("/dev/zero")], ids=["fifo", "link"]
)
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
