"""A model as safetensors: another program can build the network from the files alone, and it computes the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import export
from config.schema import ModelConfig
from generation.checkpoint import network_of, save_checkpoint
from model import DiffusionTransformer
from tests.exporting.voices import voice_with

safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed: requirements-export.txt")


def test_the_network_can_be_built_from_the_files_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    checkpoint = voice_with(tmp_path)
    save_checkpoint(Path("m.pt"), checkpoint)
    assert export.main(["safetensors", "--model", "m.pt"]) == 0
    assert capsys.readouterr().out == "m: model.safetensors, config.json, vocabulary.json\n"
    config, vocabulary = (json.loads(Path("m", name).read_text("utf-8")) for name in ("config.json", "vocabulary.json"))
    assert "".join(vocabulary) == checkpoint.vocabulary.characters and config["characters"] == len(vocabulary)
    assert (config["unknown_id"], config["mask_id"]) == (len(vocabulary), len(vocabulary) + 1)
    assert str(tmp_path) not in Path("m/config.json").read_text("utf-8")  # where a model was made is nobody's business
    network = DiffusionTransformer(ModelConfig(**config["model"]), config["mask_id"] + 1, config["mask_id"])
    network.load_state_dict(safetensors.load_file("m/model.safetensors"))
    ids, sigma, given = torch.arange(20).view(1, 20), torch.tensor([0.4]), torch.zeros(1, 20, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(network.eval()(ids, sigma, given), network_of(checkpoint).eval()(ids, sigma, given))


def test_weights_that_share_their_memory_are_written_each(tmp_path, monkeypatch):
    """As a stranger's file may hold them; the library refuses to write such tensors."""
    monkeypatch.chdir(tmp_path)
    checkpoint = voice_with(tmp_path)
    shared = checkpoint.weights["blocks.0.conv_mlp.weight"]
    weights = {**checkpoint.weights, "blocks.0.conv_attention.weight": shared}
    save_checkpoint(Path("m.pt"), replace(checkpoint, weights=weights))
    assert export.main(["safetensors", "--model", "m.pt"]) == 0
    assert torch.equal(safetensors.load_file("m/model.safetensors")["blocks.0.conv_attention.weight"], shared)


def test_files_of_others_are_left(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_checkpoint(Path("m.pt"), voice_with(tmp_path))
    Path("m").mkdir()
    Path("m/config.json").write_text("mine")
    assert export.main(["safetensors", "--model", "m.pt"]) == 2
    assert "config.json: not known as this program's" in capsys.readouterr().err
    assert [path.name for path in Path("m").iterdir()] == ["config.json"]
