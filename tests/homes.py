"""A folder with a config, a text and its tiny model, for tests of what commands leave as it is; and links."""

import json
import os
from pathlib import Path

import pytest

from config.loader import Config
from tests.helpers import TINY, Quiet, toy_lines
from training.trainer import train_model

GENERATE = ["--samples", "3", "--steps", "2"]
TEXT = "datasets/toy.txt"
OWN = [Path(path) for path in ("config.yaml", TEXT, "models/toy.pt")]
MODEL = ["--model", "models/toy.pt"]


@pytest.fixture(scope="session")
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
    return furnished(tmp_path, trained, monkeypatch)


def furnished(folder: Path, trained: bytes, patch: pytest.MonkeyPatch) -> Path:
    patch.chdir(folder)
    for path, content in {
        "config.yaml": json.dumps({"collection": {"copies": "keep"}, "datasets": {"toy": {}}}).encode(),
        "datasets/toy.txt": ("\n".join(toy_lines(60)) + "\n").encode(),
        "models/toy.pt": trained,
    }.items():
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_bytes(content)
    return folder


def link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def hard_link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    os.link(target, path)
