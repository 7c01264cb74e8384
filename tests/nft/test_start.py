"""A set of a model that started from another one: its start is named, and what that had learnt from is no new text."""

import json

import pytest

import collection
from generation.checkpoint import load_checkpoint
from nft import commands
from nft.formats import OWN_BOUND, SET_FORMAT, TWINS_APART
from nft.store import indented_json
from tests.helpers import WORDS, Quiet, prose, shape, toy_lines
from tests.nft.sets import info_of
from training.trainer import train_model


@pytest.fixture
def started_studio(studio, tiny_run):
    """-> (the start's run, the run of a model that started from it, a function that makes a set with that)."""
    start, make = studio
    run = shape(tiny_run(["add the cache " + str(i) for i in range(60)], name="second"), start_from="toy")
    train_model(run, Quiet())
    return start, run, lambda out, *options: make(out, 3, "--model", str(run.model_file()), *options)


def test_a_set_names_the_start_of_its_model(started_studio, verify):
    _, run, make = started_studio
    status, folder = make("set")
    record = load_checkpoint(run.model_file()).start
    assert status == 0 and record and record.name == "toy"
    for name in ("set.json", "provenance.json"):
        assert json.loads((folder / name).read_text(encoding="utf-8"))["start"] == record.model_dump()
    assert json.loads((folder / "json/1.json").read_text(encoding="utf-8"))["properties"]["started_from"] == "toy"
    status, out = verify(folder)
    assert status == 0 and "everything matches" in out


def test_a_forged_start_is_found(started_studio, verify):
    _, _, make = started_studio
    folder = make("set")[1]
    info = info_of(folder)
    for forged in (
        {key: value for key, value in info.items() if key != "start"},
        {**info, "start": {**info["start"], "name": "b"}},
    ):
        (folder / "set.json").write_text(indented_json(forged), encoding="utf-8")
        assert collection.main(["export", str(folder)]) == 0
        status, printed = verify(folder)
        assert status == 1 and "set.json: start is not the model's" in printed


def test_without_the_text_of_the_start_no_set_is_made_and_none_matches(started_studio, verify, capsys):
    start, run, make = started_studio
    folder = make("set")[1]
    start.data_file().unlink()
    assert make("other")[0] == 2
    error = capsys.readouterr().err
    assert f"{run.model_file()}: learnt also from the text of toy, which is not here as it was" in error
    assert "put it back where" in error and "--base" not in error  # which would not write it
    status, printed = verify(folder)
    assert status == 0 and "everything matches" not in printed
    assert "not checked: copies, novelty, invented words and dropped texts: the text of toy, which the model" in printed


def test_text_that_both_learnt_sets_no_bound_but_in_sets_of_the_fourth_format(studio, tiny_run, verify, monkeypatch):
    """A start as a base is has the text of the model without the characters that this does not know."""
    _, make = studio
    lines = list(map(" ".join, zip(prose(WORDS, 200, 1), prose(WORDS, 200, 2), strict=False)))
    train_model(tiny_run(lines, name="first"), Quiet())
    halves = [(line[: len(line) // 2], line[len(line) // 2 :]) for line in lines]
    parted = [chr(0x1F600 + k % 60).join(pair) for k, pair in enumerate(halves)]
    run = tiny_run(parted, name="second", data={"vocab_size": len(set("".join(lines))) + 1})
    train_model(shape(run, start_from="first"), Quiet())
    bounds = {}
    for version in (SET_FORMAT, OWN_BOUND - 1, TWINS_APART - 1):
        monkeypatch.setattr(commands, "SET_FORMAT", version)
        for size in (2, 4):  # made, and made larger
            status, folder = make(f"set{version}", size, "--model", str(run.model_file()))
            assert status == 0 and verify(folder)[1].endswith(f"{size} tokens: everything matches\n")
        bounds[version] = info_of(folder)["copy_bound"]
    assert bounds[SET_FORMAT] < bounds[TWINS_APART - 1]


def test_documents_in_which_no_copies_are_sought_are_named(studio, tiny_run, verify, capsys):
    """A model says itself that it learnt from a sample alone; evaluate.py compares its texts with all of the text."""
    _, make = studio
    run = tiny_run(toy_lines(60), name="few", data={"max_documents": 20})
    train_model(run, Quiet())
    status, folder = make("set", 3, "--model", str(run.model_file()))
    left = "40 documents of the text, which data.max_documents left out of the model's training"
    assert status == 0 and f"copies are not sought in {left}; evaluate.py --samples does" in capsys.readouterr().out
    status, printed = verify(folder)
    assert status == 0 and f"not checked: copies of {left}; evaluate.py --samples looks" in printed
    assert "everything matches" not in printed
