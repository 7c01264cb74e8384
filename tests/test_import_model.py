"""The notebook's models come in whole: the same outputs, the same characters, through the project's own samplers."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluate
import export
import generate
import import_model
from exporting.hub import LIBRARIES
from generation.archive import read_archive, write_archive
from generation.checkpoint import load_checkpoint, network_of
from generation.notebook_model import NotebookNetwork
from tests.helpers import NOTEBOOK_SHAPE, make_run, shape
from training.start import beginning_of
from utils import UserError

CHARACTERS = "\t !\nabcdefghij"  # sorted, as the notebook numbers them, the newline is not the first


@pytest.fixture
def source(tmp_path):
    """A random network of the notebook's, saved as the notebook does, and the text it would have been trained on."""
    torch.manual_seed(0)
    network = NotebookNetwork(NOTEBOOK_SHAPE, len(CHARACTERS), len(CHARACTERS)).eval()
    torch.save({f"_orig_mod.{key}": value for key, value in network.state_dict().items()}, tmp_path / "model.pth")
    (tmp_path / "text.txt").write_text(CHARACTERS * 3, encoding="utf-8")
    return network, tmp_path


def run_import(folder, *options):
    arguments = ["notebook", str(folder / "model.pth"), "--vocabulary", str(folder / "text.txt")]
    return import_model.main([*arguments, "--heads", "2", "--output", str(folder / "bard.pt"), *options])


def test_an_imported_model_answers_as_it_did(source):
    network, folder = source
    assert run_import(folder) == 0
    checkpoint = load_checkpoint(folder / "bard.pt")
    vocabulary = checkpoint.vocabulary
    assert vocabulary.characters == "\n\t !abcdefghij" and vocabulary.size == len(CHARACTERS)
    text = "abc ij!\nde"
    old = torch.tensor([["".join(sorted(CHARACTERS)).index(c) for c in text]])
    new = torch.from_numpy(vocabulary.encode(text).astype(np.int64)).unsqueeze(0)
    sigma, given = torch.tensor([0.7]), torch.zeros_like(new, dtype=torch.bool)
    ids = vocabulary.encode("".join(sorted(CHARACTERS))).astype(np.int64)  # the new id of each old one
    with torch.no_grad():
        expected, found = network(old, sigma, given), network_of(checkpoint).eval()(new, sigma, given)
    torch.testing.assert_close(found[..., ids], expected)


def test_what_state_dict_returns_is_taken_in_with_all_it_carries(source):
    network, folder = source
    torch.save(network.state_dict(), folder / "model.pth")
    assert run_import(folder) == 0
    metrics = load_checkpoint(folder / "bard.pt").metrics
    assert metrics == {"parameters": sum(p.numel() for p in network.parameters())}


def test_a_file_of_any_name_is_taken_in(source):
    _, folder = source
    assert run_import(folder, "--output", str(folder / "a name (1).pt")) == 0
    assert load_checkpoint(folder / "a name (1).pt").run.name == "notebook"


def test_an_imported_model_is_no_start_of_a_training(source):
    _, folder = source
    run_import(folder)
    with pytest.raises(UserError) as error:
        beginning_of(shape(make_run(folder), start_from=str(folder / "bard.pt")))
    what = "an imported model; only one that train.py made can be a start"
    assert str(error.value) == f"training.start_from: {folder / 'bard.pt'}: {what}"


def test_an_imported_model_writes_through_the_same_samplers(source, capsys):
    _, folder = source
    run_import(folder)
    options = ["--model", str(folder / "bard.pt"), "--samples", "3", "--steps", "8", "--output"]
    assert generate.main([*options, str(folder / "out.txt")]) == 0
    objects = [json.loads(line) for line in (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [len(o["text"]) for o in objects] == [32] * 3
    assert set("".join(o["text"] for o in objects)) <= set(CHARACTERS)
    assert objects[0]["grid"] == "geometric" and objects[0]["steps"] == 8
    assert generate.main([*options, str(folder / "prefixed.txt"), "--prefix", "abé"]) == 2
    assert "'é', which is not among the 14 characters" in capsys.readouterr().err


def test_an_imported_model_has_no_card(source, monkeypatch, capsys):
    """It would say what nobody knows: the seed, the minutes, that it learnt from nothing else."""
    for name in LIBRARIES:
        pytest.importorskip(name)
    _, folder = source
    run_import(folder)
    monkeypatch.chdir(folder)
    assert export.main(["hub", "--model", "bard.pt", "--out", "hub"]) == 2
    what = "a network of the notebook, of whose training a card could say nothing; export.py safetensors takes it"
    assert capsys.readouterr().err == f"error: bard.pt: {what}\n" and not Path("hub").exists()


def test_an_imported_model_cannot_be_judged_and_says_why(source, monkeypatch, capsys):
    _, folder = source
    run_import(folder)
    monkeypatch.chdir(folder)
    assert evaluate.main(["--model", "bard.pt", "--data", "text.txt"]) == 2
    message = "bard.pt: does not say which text it learnt, as imported models do not; it cannot be judged\n"
    assert capsys.readouterr().err == f"error: {message}"
    content = read_archive(folder / "bard.pt")
    absorbing = {**content["config"], "diffusion": {"process": "absorbing"}}
    for wrong in ({"data_sha256": "0" * 64}, {"config": absorbing}):
        write_archive(folder / "wrong.pt", {**content, **wrong})
        assert generate.main(["--model", "wrong.pt", "--output", "out.txt"]) == 2
        named = "error: wrong.pt: not a model of this program: network: one of the notebook has uniform noise"
        assert capsys.readouterr().err.startswith(named)


def without(key):
    return lambda folder, state: torch.save({k: v for k, v in state.items() if k != key}, folder / "model.pth")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda folder, state: (folder / "text.txt").write_text("ab\n"), "3 distinct characters, where it knows 14"),
        (
            lambda folder, state: (folder / "text.txt").write_text("abcdefghijklmn"),
            "14 distinct characters, no newline",
        ),
        (lambda folder, state: (folder / "text.txt").unlink(), "text.txt: no such file"),
        (lambda folder, state: torch.save({"a": torch.zeros(2)}, folder / "model.pth"), "no weights 'transformer.wte"),
        (
            lambda folder, state: torch.save({**state, "epoch": 5}, folder / "model.pth"),
            "config: epoch is none of its",
        ),
        (
            lambda folder, state: torch.save({**state, 3: None}, folder / "model.pth"),
            "config: 3 is none of its",
        ),
        (without("lm_head.linear.bias"), "config: lm_head.linear.bias is missing"),
        (lambda folder, state: (folder / "model.pth").write_bytes(b"none"), "not a model file, or damaged"),
        (lambda folder, state: (folder / "bard.pt").touch(), "bard.pt: exists already; name another"),
    ],
)
def test_what_cannot_be_imported_is_named(source, capsys, change, message):
    network, folder = source
    change(folder, network.state_dict())
    assert run_import(folder) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert re.search(r"(model\.pth|text\.txt|bard\.pt): ", error)
    assert not (folder / "bard.pt").exists() or (folder / "bard.pt").stat().st_size == 0


@pytest.mark.parametrize(
    "heads, message", [("3", "width 16 must be a multiple of twice heads, 6"), ("0", "model.heads: 0 should be")]
)
def test_heads_that_do_not_fit_are_named(source, capsys, heads, message):
    _, folder = source
    assert run_import(folder, "--heads", heads) == 2
    assert message in capsys.readouterr().err
