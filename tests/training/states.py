"""Trainings that stop at a step, and changes to the state that they leave, for the tests of going on."""

from typing import Any

import pytest

from config.schema import RunConfig
from generation.archive import read_archive, write_archive
from tests.helpers import Quiet
from training.events import Stopped
from training.resume import STATE_BYTES
from training.trainer import train_model


def stop(run: RunConfig, step: int) -> Quiet:
    """Train to a step and stop there; -> what listened."""
    listener = Quiet(stop_at=step)
    with pytest.raises(Stopped):
        train_model(run, listener)
    return listener


def state_of(run: RunConfig) -> dict[str, Any]:
    """The state of a run that was stopped."""
    return read_archive(run.state_file(), values_bytes=STATE_BYTES)


def change_state(run: RunConfig, **parts: Any) -> None:
    """Change parts of a run's state: to a value, or to what a function makes of the part."""
    state = state_of(run)
    new = {name: part(state[name]) if callable(part) else part for name, part in parts.items()}
    write_archive(run.state_file(), {**state, **new})


def trained_bytes(run: RunConfig) -> bytes:
    """The model of an unbroken training, which goes again."""
    train_model(run, Quiet())
    data = run.model_file().read_bytes()
    run.model_file().unlink()
    return data
