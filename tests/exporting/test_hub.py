"""A folder for Hugging Face: it writes what the model writes, and is made again, over nothing else."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import export
import generate
from generation.checkpoint import load_checkpoint, save_checkpoint
from tests.exporting.hubs import card, export_folder, trained
from tests.helpers import ROOT, largest_file, posix

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: requirements-export.txt")
pytest.importorskip("safetensors", reason="safetensors is not installed: requirements-export.txt")
__all__ = ["trained"]  # a fixture


def test_the_folder_writes_what_the_model_writes_and_its_code_runs(trained):
    assert export_folder() == 0
    for model, output in (("models/toy.pt", "a.txt"), ("hub/toy", "b.txt")):
        assert generate.main(["--model", model, "--samples", "10", "--output", output]) == 0
    written = Path("hub/toy/samples.txt").read_bytes()
    assert Path("a.txt").read_bytes() == Path("b.txt").read_bytes() == written
    [code] = re.findall(r"```python\n(.*?)```", card(), re.DOTALL)
    assert len(code.splitlines()) < 20
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run([sys.executable, "-c", code], cwd="hub", env=environment, capture_output=True, timeout=300)
    assert ran.stdout.replace(b"\r\n", b"\n") == written, ran.stderr


def test_mistakes_are_one_line(trained, capsys, monkeypatch):
    capsys.readouterr()
    assert export_folder("--language", "English") == 2
    rule = "must be an ISO 639 code such as en, or code or multilingual"
    assert capsys.readouterr().err == f"error: --language English: {rule}\n"
    Path("hub/toy").mkdir(parents=True)
    Path("hub/toy/README.md").write_text("mine", "utf-8")
    assert export_folder() == 2
    error = capsys.readouterr().err.replace(os.sep, "/")
    what = "not known as this program's: the list of what it wrote there, "
    assert error.startswith(f"error: hub/toy/README.md: {what}") and error.endswith(
        ".written.jsonl, is missing or empty; name another --out, or replace it with --overwrite\n"
    )
    assert len(list(Path("hub/toy").iterdir())) == 1
    for name in ("safetensors", "huggingface_hub"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            assert export_folder() == 2
            what = f"{name} is not installed; pip install -r requirements-export.txt"
            assert capsys.readouterr().err == f"error: {what}\n"


def test_a_folder_can_be_exported_again_from_itself(trained, capsys):
    assert export_folder() == 0
    assert export.main(["hub", "--model", "hub/toy", "--out", "again/toy"]) == 0
    for name in ("model.safetensors", "config.json", "vocabulary.json", "samples.txt"):
        assert Path("again/toy", name).read_bytes() == Path("hub/toy", name).read_bytes()


def test_a_folder_is_not_written_over_by_what_is_made_of_it(trained, capsys):
    assert export_folder() == 0
    before = {path: path.read_bytes() for path in Path("hub/toy").iterdir()}
    reads = "model.safetensors: this command reads it; name another"
    for arguments, option in (
        (["hub", "--model", "hub/toy", "--out", "hub/toy"], "--out"),
        (["safetensors", "--model", "hub/toy"], "--output"),
    ):
        capsys.readouterr()
        assert export.main([*arguments, "--overwrite"]) == 2
        assert f"{reads} {option}" in capsys.readouterr().err
    assert generate.main(["--model", "hub/toy", "--output", "hub/toy/config.json", "--overwrite"]) == 2
    assert "config.json: this command reads it" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path("hub/toy").iterdir()} == before


def test_a_picture_made_read_only_stays_though_the_card_shows_none(trained, capsys):
    assert export_folder() == 0
    there = Path("hub/toy/learning_curve.png")
    there.chmod(0o444)
    Path("models/toy.png").unlink()
    capsys.readouterr()
    assert export_folder() == 0 and there.exists() and "learning curve" not in card()
    assert f"{there}: read-only, so it stays, though it is of an earlier model" in capsys.readouterr().out.splitlines()


@posix
def test_a_full_disk_leaves_no_card_of_another_model(trained, capsys):
    assert export_folder() == 0
    before, checkpoint = card(), load_checkpoint(Path("models/toy.pt"))
    other = {name: tensor + 1 for name, tensor in checkpoint.weights.items()}
    save_checkpoint(Path("models/toy.pt"), replace(checkpoint, weights=other, metrics=checkpoint.metrics))
    with largest_file(20_000):
        assert export_folder("--overwrite") == 2
    assert "model.safetensors: File too large" in capsys.readouterr().err.replace(os.sep, "/")
    assert card() == before and export_folder() == 0 and card() != before
