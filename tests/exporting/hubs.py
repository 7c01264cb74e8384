"""A trained model with its learning curve, and the folder for Hugging Face that is made of it."""

from pathlib import Path

import pytest

import export
from tests.helpers import Quiet, make_run, toy_lines
from training.curve import plot_curve
from training.trainer import train_model

ABSORBING = {"diffusion": {"process": "absorbing"}, "sampling": {"sampler": "surest", "stretch": 8, "revisions": 1}}
CONFIG = 'datasets: {toy: {license: CC BY-SA 4.0, source: "https://a.example\\nand <b>`b`</b>"}}\n'


class Drawing(Quiet):
    """Draws the learning curve, as the process of a training does."""

    def __init__(self, run) -> None:
        super().__init__()
        self.run = run

    def finishing(self, status) -> None:
        plot_curve(status, self.run)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A model, models/toy.pt, of a project in the working directory; the training itself knew no licence."""
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path, toy_lines(120), **ABSORBING)
    train_model(run, Drawing(run))
    Path("config.yaml").write_text(CONFIG, "utf-8")
    return run


def export_folder(*options: str) -> int:
    return export.main(["hub", "--model", "models/toy.pt", "--out", "hub/toy", *options])


def card() -> str:
    return Path("hub/toy/README.md").read_text("utf-8")
