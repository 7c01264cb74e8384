"""A tiny trained model and the command that makes sets with it."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

import collection
from tests.helpers import TINY, Quiet, make_run
from training.trainer import train_model

OF_STUDIO = {"license": "CC0-1.0", "source": "made up", "collection": {"copies": "keep"}}


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory) -> bytes:
    """The file of a tiny trained model."""
    run = make_run(tmp_path_factory.mktemp("toy"), **OF_STUDIO)
    train_model(run, Quiet())
    return run.model_file().read_bytes()


@pytest.fixture
def studio(tmp_path, tiny_run, toy_model):
    """A tiny trained model and a config for it; -> (run, a function that makes a set with it)."""
    run = tiny_run(**OF_STUDIO)
    run.model_file().parent.mkdir()
    run.model_file().write_bytes(toy_model)
    config = tmp_path / "config.yaml"

    def make(out: str, size: int, *options: str, **rules) -> tuple[int, Path]:
        sections = {**TINY, "paths": run.paths.model_dump(), "license": run.license, "source": run.source}
        with config.open("w", encoding="utf-8") as file:
            YAML().dump({**sections, "collection": {"copies": "keep", **rules}, "datasets": {"toy": {}}}, file)
        arguments = ["--model", str(run.model_file()), "--config", str(config), "--out", str(tmp_path / out)]
        return collection.main(["make", *arguments, "--size", str(size), *options]), tmp_path / out

    return run, make


@pytest.fixture
def verify(tmp_path, capsys):
    """A function that verifies a set where its text is at hand; -> (exit status, what it prints)."""

    def run(folder: Path, *options: str, tokens: int = 99) -> tuple[int, str]:
        capsys.readouterr()
        config = ["--config", str(tmp_path / "config.yaml")]
        status = collection.main(["verify", str(folder), *config, "--tokens", str(tokens), *options])
        return status, capsys.readouterr().out

    return run
