"""What is not this program's stays as it is: the whole tree is compared before and after every command."""

import json
from pathlib import Path

import pytest

import collection
import evaluate
import generate
from config.loader import Config
from generation.checkpoint import read_archive, write_archive
from tests.helpers import TINY, Quiet, toy_lines, tree
from training.trainer import train_model

GENERATE = ["--samples", "3", "--steps", "2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The bytes of a tiny model of datasets/toy.txt, whose lines are `toy_lines(60)`."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "toy.txt").write_text("\n".join(toy_lines(60)) + "\n", encoding="utf-8")
    paths = {key: str(folder) for key in ("datasets", "models", "outputs")}
    run = Config(folder / "c.yaml", {**TINY, "paths": paths}).resolve("toy")
    train_model(run, Quiet())
    return run.model_file().read_bytes()


@pytest.fixture
def home(tmp_path, trained, monkeypatch):
    """The current folder: a config.yaml, a text and its model."""
    monkeypatch.chdir(tmp_path)
    for path, content in {
        "config.yaml": json.dumps({"collection": {"copies": "keep"}, "datasets": {"toy": {}}}).encode(),
        "datasets/toy.txt": ("\n".join(toy_lines(60)) + "\n").encode(),
        "models/toy.pt": trained,
    }.items():
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_bytes(content)
    return tmp_path


MODEL = ["--model", "models/toy.pt"]
COMMANDS = {
    "generate": lambda: generate.main([*MODEL, *GENERATE]),
    "evaluate": lambda: evaluate.main([*MODEL, "--count", "3"]),
    "make": lambda: collection.main(["make", *MODEL, "--size", "2", "--out", "outputs/set"]),
    "verify": lambda: collection.main(["verify", "outputs/set", *MODEL]),
}


def test_no_path_of_a_model_file_is_taken(home):
    hostile = {"datasets": str(home / "theirs/d"), "models": str(home / "theirs/m"), "outputs": str(home / "theirs/o")}
    content = read_archive(Path("models/toy.pt"))
    content["config"]["paths"] = hostile
    content["config"]["data"]["file"] = "theirs.txt"
    write_archive(Path("models/toy.pt"), content)
    (home / "theirs/d").mkdir(parents=True)
    (home / "theirs/d/theirs.txt").write_bytes(Path("datasets/toy.txt").read_bytes())
    before = tree(home / "theirs", home / "datasets/toy.txt", home / "models")
    assert [command() for command in COMMANDS.values()] == [0, 0, 0, 0]
    assert tree(home / "theirs", home / "datasets/toy.txt", home / "models") == before
    assert Path("outputs/toy_samples.txt").is_file() and Path("outputs/toy_evaluation.md").is_file()


def test_a_text_elsewhere_is_named_on_the_command_line(home, capsys):
    Path("datasets/toy.txt").rename("elsewhere.txt")
    assert COMMANDS["evaluate"]() == 2
    assert capsys.readouterr().err == (
        "error: datasets/toy.txt: no such file; name the text that models/toy.pt was trained on with --data\n"
    )
    assert evaluate.main([*MODEL, "--count", "3", "--data", "elsewhere.txt"]) == 0
    assert evaluate.main(["--all", "--data", "elsewhere.txt"]) == 2
    assert "--data names the text of one model" in capsys.readouterr().err
