"""The network as ONNX: it computes what torch does, for every shape of network and any length of text."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import export
from command import libraries
from exporting.onnx import Exporter, largest_difference
from generation.checkpoint import network_of, save_checkpoint
from tests.exporting.voices import voice_with
from tests.helpers import ROOT

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


def test_a_network_that_differs_from_torch_writes_no_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    checkpoint = voice_with(tmp_path)
    save_checkpoint(Path("m.pt"), checkpoint)
    weights = {**checkpoint.weights, "noise.mlp.2.bias": checkpoint.weights["noise.mlp.2.bias"] + 0.01}
    wrong = replace(checkpoint, weights=weights)
    monkeypatch.setattr("exporting.onnx.network_of", lambda _: network_of(wrong))
    assert export.main(["onnx", "--model", "m.pt"]) == 2
    message = (
        r"error: m\.pt: onnxruntime's logits differ from torch's by 0\.\d+, more than 0\.0001; this is an error of .*"
    )
    assert re.fullmatch(message, capsys.readouterr().err.strip())
    assert not Path("m.onnx").exists()


def test_the_example_of_the_page_writes_a_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    save_checkpoint(Path("models/github_commits.pt"), voice_with(tmp_path, model={"context": 48}))
    assert export.main(["onnx", "--model", "models/github_commits.pt"]) == 0
    capsys.readouterr()
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs/live.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example
    exec(example[1], {})
    assert re.fullmatch(r"[^\n]{30}\n", capsys.readouterr().out)


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
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(libraries.importlib, "import_module", missing)
    assert export.main([command, "--model", "m.pt"]) == 2
    message = f"error: {command} is not installed; pip install -r requirements-export.txt\n"
    assert capsys.readouterr().err == message
