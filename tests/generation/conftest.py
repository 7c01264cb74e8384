"""A small trained model's file, for the tests that change it."""

from pathlib import Path

import pytest

from tests.helpers import Quiet, make_run
from training.trainer import train_model


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A small trained model's file."""
    run = make_run(tmp_path_factory.mktemp("hostile"))
    train_model(run, Quiet())
    return run.model_file()
