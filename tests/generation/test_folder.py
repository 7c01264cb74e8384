"""A model as a folder: it writes what its file writes; a damaged or hostile one is refused in one short line."""

import errno
import json
import os
import shutil
import struct
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import collection
import evaluate
import export
import generate
import train
from generation import folder as folder_module
from generation.archive import read_archive
from generation.checkpoint import load_checkpoint, save_checkpoint
from generation.folder import CONFIG, FILES, VOCABULARY, WEIGHTS, folder_files
from tests.generation.hostile import ABSENT, changed, outcome
from tests.helpers import Quiet, make_run, one_short_line
from training.trainer import train_model

pytest.importorskip("safetensors", reason="safetensors is not installed: requirements-export.txt")
JSON = [
    ABSENT, None, True, 0, -1, 1.5, 7, 2**62, 2**70, 10**400, 1e308, "", "x", "\0", "\ud800", "a\nb",
    "/etc/passwd", "../up", "x" * 50_000, [], [1, "a"], [[[]]], {}, {"x": 1}, {"a\nb": {}},
]  # fmt: skip


@pytest.fixture
def folder(model, tmp_path) -> Path:
    """The folder of a small trained model."""
    return written(tmp_path / "toy", folder_files(read_archive(model)))


def written(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    "sections",
    [{}, {"diffusion": {"process": "absorbing"}, "sampling": {"sampler": "surest", "stretch": 8}},
     {"data": {"format": "stream", "vocab_size": 40}, "diffusion": {"process": "hybrid"}}],
)  # fmt: skip
def test_a_folder_writes_the_same_bytes_as_its_file(tmp_path, monkeypatch, sections):
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path, **sections, license="CC0", source="a\nb")
    train_model(run, Quiet())
    assert export.main(["safetensors", "--model", str(run.model_file()), "--output", "voices/toy"]) == 0
    for file, output in ((run.model_file(), "a.txt"), ("voices/toy", "b.txt")):
        arguments = ["--samples", "9", "--seed", "3", "--prefix", "fix"]
        assert generate.main(["--model", str(file), *arguments, "--output", output]) == 0
    assert Path("a.txt").read_bytes() == Path("b.txt").read_bytes()
    assert Path("a.jsonl").read_bytes().replace(b"toy.pt", b"toy") == Path("b.jsonl").read_bytes()
    mine, theirs = load_checkpoint(run.model_file()), load_checkpoint(Path("voices/toy"))
    assert all(torch.equal(theirs.weights[name], value) for name, value in mine.weights.items())
    assert replace(theirs, weights={}, lengths=mine.lengths) == replace(
        mine, weights={}, run=mine.run.model_copy(update={"device": "auto"})
    )
    assert np.array_equal(mine.lengths.values, theirs.lengths.values)
    assert np.array_equal(mine.lengths.counts, theirs.lengths.counts)


def test_a_folder_can_be_judged_and_exported_as_its_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path)
    train_model(run, Quiet())
    Path("config.yaml").write_text("datasets: {toy: }\n")
    assert export.main(["safetensors", "--model", "models/toy.pt", "--output", "voices/toy"]) == 0
    for file, output in (("models/toy.pt", "a"), ("voices/toy", "b")):
        assert evaluate.main(["--model", file, "--count", "5", "--output", output]) == 0
    assert Path("a/toy_evaluation.json").read_bytes() == Path("b/toy_evaluation.json").read_bytes()
    assert export.main(["safetensors", "--model", "voices/toy", "--output", "again"]) == 0
    assert {name: Path("again", name).read_bytes() for name in FILES} == {
        name: Path("voices/toy", name).read_bytes() for name in FILES
    }
    capsys.readouterr()
    assert collection.main(["make", "--model", "voices/toy", "--size", "2", "--out", "set"]) == 2
    what = "voices/toy: is a folder, not a file; a set is made of a model file, models/NAME.pt, whose hash it names"
    assert capsys.readouterr().err.replace(os.sep, "/") == f"error: {what}\n" and not Path("set").exists()
    Path("config.yaml").write_text("datasets: {toy: {training: {start_from: voices/toy}}}\n")
    Path("models/toy.pt").unlink()
    assert train.main(["--dataset", "toy", "--preset", "baby"]) == 1
    what = (
        "voices/toy: is a folder, not a file; a training starts from a model file, models/NAME.pt, whose hash it names"
    )
    assert f"error: toy: failed: {what}" in capsys.readouterr().out.replace(os.sep, "/")


def test_a_folder_that_is_given_as_a_dot_has_its_name(folder, tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnx"), pytest.importorskip("huggingface_hub")
    folder = folder.rename(tmp_path / "toy-1.5")  # what follows the point is no ending
    (tmp_path / "toy-1.5" / "sub").mkdir()
    for place, model in ((folder, "."), (folder / "sub", "..")):
        monkeypatch.chdir(place)
        for command, written in (
            (["generate", "--samples", "2"], "outputs/toy-1.5_samples.txt"),
            (["export", "page", "--unproven"], "outputs/toy-1.5_live.html"),
            (["export", "onnx"], "toy-1.5.onnx"),
        ):
            name, *options = command
            assert {"generate": generate, "export": export}[name].main([*options, "--model", model]) == 0
            assert Path(written).is_file(), list(place.rglob("*"))
        assert '"model": "toy-1.5"' in Path("outputs/toy-1.5_samples.jsonl").read_text("utf-8")
        capsys.readouterr()
        assert export.main(["safetensors", "--model", model]) == 2
        what = f"{Path(model, WEIGHTS)}: this command reads it; name another --output"
        assert capsys.readouterr().err == f"error: {what}\n"
        assert export.main(["hub", "--model", model, "--out", "card"]) == 0
        assert "not evaluated: there is no toy-1.5_evaluation.json" in capsys.readouterr().out


def test_a_model_without_an_ending_is_exported_into_a_folder_that_is_named(model, tmp_path, capsys):
    plain = shutil.copy(model, tmp_path / "plain")
    assert export.main(["safetensors", "--model", str(plain)]) == 2
    assert capsys.readouterr().err == f"error: {plain}: is a file; name a folder with --output\n"


def test_no_path_of_the_machine_is_in_a_folder(model):
    content = read_archive(model)
    content["config"]["training"]["start_from"] = "/home/me/secret/base.pt"
    content["config"]["paths"]["models"] = "/home/me/models"
    content["config"]["data"]["file"] = "/home/me/clients/ACME.txt"
    content["config"]["collection"]["word_list"] = "/home/me/words.txt"
    files = folder_files(content)
    assert not [name for name, data in files.items() if b"/home" in data]
    content["config"]["training"]["start_from"] = "base"
    assert json.loads(folder_files(content)[CONFIG])["training"]["start_from"] == "base"


def test_what_a_training_could_not_measure_is_null(model, tmp_path):
    content = read_archive(model)
    content["metrics"]["held_out_error"] = float("nan")
    files = folder_files(content)
    assert json.loads(files[CONFIG], parse_constant=pytest.fail)["metrics"]["held_out_error"] is None
    assert np.isnan(load_checkpoint(written(tmp_path / "m", files)).metrics["held_out_error"])


def places(value: object, path: tuple = ()) -> list[tuple]:
    """Every path of keys into nested mappings."""
    found = [(*path, key) for key in value] if isinstance(value, dict) else []
    return [*found, *(inner for key in found for inner in places(value[key[-1]], key))]


def test_every_field_of_a_config_wrong_in_every_way_loads_or_is_named(folder):
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    assert len(places(config)) > 80
    refused = 0
    for number, place in enumerate([*places(config), ("stranger",)]):
        for value in JSON[number % 4 :: 4]:  # all values over the places, a quarter at each
            (folder / CONFIG).write_text(json.dumps(changed(config, place, value)), "utf-8")
            refused += bool(outcome(folder))
    assert refused > 300


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_or_damaged_loads_or_is_named(folder, name):
    whole = (folder / name).read_bytes()
    rng = np.random.default_rng(0)
    for size in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 2):
        (folder / name).write_bytes(whole[:size])
        assert outcome(folder), size
    for _ in range(60):
        wrong = bytearray(whole)
        wrong[rng.integers(min(len(whole), 4000))] = rng.integers(256)
        (folder / name).write_bytes(bytes(wrong))
        outcome(folder)  # sane, or one short line
    (folder / name).write_bytes(whole + b"[")
    assert outcome(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (CONFIG, b"[" * 100_000, "not of a model of this program, or damaged"),
        (CONFIG, b" " * (4 << 20) + b"{}", "longer than 4,194,304 bytes; no such file needs so many"),
        (CONFIG, b"\xff", "byte 0xff is not UTF-8"),
        (VOCABULARY, b'"abc"', "not of a model of this program, or damaged"),
        (VOCABULARY, b'["\\n", "ab"]', "not of a model of this program, or damaged"),
        (VOCABULARY, b" " * (1 << 20) + b"[]", "longer than 1,048,576 bytes; no such file needs so many"),
        (WEIGHTS, struct.pack("<Q", 5 << 20) + b"{}", "not of a model of this program, or damaged"),
        (WEIGHTS, b"\x80\x02cos\nsystem\n(S'x'\ntR.", "not of a model of this program, or damaged"),
    ],
    ids=range(8),
)
def test_a_hostile_file_is_named(folder, name, content, message):
    (folder / name).write_bytes(content)
    assert f"{folder / name}" in outcome(folder) and message in outcome(folder)


def test_a_disk_that_cannot_be_read_does_not_make_a_folder_damaged(folder, monkeypatch):
    def fail(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        load_checkpoint(folder)


def test_what_a_config_says_of_ids_must_be_so(folder):
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    (folder / CONFIG).write_text(json.dumps({**config, "characters": 5}), "utf-8")
    assert outcome(folder) == f"{folder / CONFIG}: characters is 5, not {config['characters']}"


def test_without_safetensors_a_folder_is_one_line(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert generate.main(["--model", str(folder)]) == 2
    what = "safetensors is not installed; pip install -r requirements-export.txt"
    assert capsys.readouterr().err == f"error: {what}\n"


@pytest.mark.parametrize("name", [VOCABULARY, WEIGHTS])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    has = "a model's folder has model.safetensors, config.json, vocabulary.json"
    assert outcome(folder) == f"{folder / name}: no such file; {has}"
    (folder / name).mkdir()
    assert outcome(folder) == f"{folder / name}: is a folder, not a file; {has}"


def test_weights_of_another_network_or_that_are_no_numbers_are_named(folder, model):
    content = read_archive(model)
    for weights, message in (
        ({"head.bias": torch.zeros(2)}, "head.bias has the shape [2]"),
        ({"head.bias": content["weights"]["head.bias"].to(torch.float8_e4m3fn)}, "is of torch.float8_e4m3fn"),
        ({"head.bias": content["weights"]["head.bias"] * float("nan")}, "holds numbers that are not finite"),
        ({"more": torch.zeros(2)}, "more is none of its"),
    ):
        (folder / WEIGHTS).write_bytes(folder_files({**content, "weights": content["weights"] | weights})[WEIGHTS])
        assert message in outcome(folder) and one_short_line(outcome(folder))


def test_lengths_that_no_folder_holds_are_not_exported(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(folder_module, "CONFIG_BYTES", 1000)
    checkpoint = train_model(tiny_run(), Quiet())
    save_checkpoint(tmp_path / "m.pt", checkpoint)
    assert export.main(["safetensors", "--model", str(tmp_path / "m.pt")]) == 2
    assert "more than 1,000: too many lengths" in capsys.readouterr().err and not list((tmp_path / "m").iterdir())
