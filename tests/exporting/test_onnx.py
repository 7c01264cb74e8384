"""The network as ONNX: it computes what torch does, for every shape of network and any length of text."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import export
from exporting import libraries
from exporting.onnx import Exporter, largest_difference
from generation.checkpoint import network_of, save_checkpoint
from tests.exporting.voices import voice_with

onnx = pytest.importorskip("onnx", reason="onnx is not installed: requirements-export.txt")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: requirements-export.txt")
SHAPES = {
    "attention in every block": {},
    "attention in the last block": {"layers": 3, "attention_layers": 1},
    "other sizes": {"layers": 2, "width": 12, "heads": 3, "noise_width": 9, "conv_width": 3},
    "a convolution of one tap": {"heads": 1, "conv_width": 1},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_network_computes_what_torch_does(tmp_path, shape):
    checkpoint = voice_with(tmp_path, model=shape)
    network = network_of(checkpoint).eval()
    data = Exporter(checkpoint.run.model, checkpoint.weights).model(network.head.out_features, {})
    assert largest_difference(data, network) < 1e-4
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    ids = torch.randint(5, (2, 71))  # longer than the context, and as many rows as one likes
    sigma, given = torch.tensor([0.5, 2.0]), torch.zeros(2, 71, dtype=torch.bool)
    (found,) = session.run(["logits"], {"ids": ids.numpy(), "sigma": sigma.numpy(), "given": given.numpy()})
    with torch.no_grad():
        expected = network(ids, sigma, given).numpy()
    assert np.allclose(found, expected, atol=1e-4) and expected.std() > 1


def test_a_wrong_weight_is_seen(tmp_path):
    checkpoint = voice_with(tmp_path)
    weights = {**checkpoint.weights, "noise.mlp.2.bias": checkpoint.weights["noise.mlp.2.bias"] + 0.01}
    data = Exporter(checkpoint.run.model, weights).model(checkpoint.vocabulary.size, {})
    assert largest_difference(data, network_of(checkpoint).eval()) > 1e-3


def test_the_command_writes_a_file_that_names_its_vocabulary_and_config(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    checkpoint = voice_with(tmp_path)
    save_checkpoint(Path("m.pt"), checkpoint)
    assert export.main(["onnx", "--model", "m.pt"]) == 0
    assert capsys.readouterr().out.startswith("m.onnx: 0.0")
    properties = runtime.InferenceSession("m.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(properties["vocabulary"]) == checkpoint.vocabulary.characters
    assert json.loads(properties["config"])["model"] == checkpoint.run.model.model_dump()
    before = Path("m.onnx").read_bytes()
    assert export.main(["onnx", "--model", "m.pt"]) == 0 and Path("m.onnx").read_bytes() == before


@pytest.mark.parametrize("command", ["onnx", "safetensors"])
def test_without_its_library_an_export_is_one_line(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    save_checkpoint(Path("m.pt"), voice_with(tmp_path))

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(libraries.importlib, "import_module", missing)
    assert export.main([command, "--model", "m.pt"]) == 2
    message = f"error: {command} is not installed; pip install -r requirements-export.txt\n"
    assert capsys.readouterr().err == message
