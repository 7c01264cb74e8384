"""The file that an interrupted training goes on from: whose it is, and what it holds."""

from typing import Any

from pydantic import ValidationError

from config.schema import RunConfig
from generation.checkpoint import is_ours, read_archive, write_archive
from utils import hash_json

STATE_FORMAT = "4"  # raised when the content changes


def write_state(run: RunConfig, data_sha256: str, content: dict[str, Any]) -> None:
    """Write the state of a run of this data; `content` is all that going on needs."""
    whose = {"format": STATE_FORMAT, "config": run.model_dump(), "data_sha256": data_sha256}
    write_archive(run.state_file(), {**whose, **content})


def read_state(run: RunConfig, data_sha256: str) -> dict[str, Any] | None:
    """The state that an earlier training with the same data and settings has left; None if it is another's.

    Raises Damaged where the file is cut short, by a power loss for example.
    """
    state = read_archive(run.state_file())
    return state if belongs_to(state, run, data_sha256) else None


def belongs_to(state: dict[str, Any], run: RunConfig, data_sha256: str) -> bool:
    """Whether a state is of this very data, and of settings that shape the same weights."""
    if state.get("data_sha256") != data_sha256:
        return False
    if state.get("format") == "3":  # held a hash of all settings in place of the settings
        return state.get("training_sha256") == hash_json(run.training_settings())
    try:
        return state.get("format") == STATE_FORMAT and run.trains_like(type(run).stored(state["config"]))
    except (KeyError, ValidationError):
        return False


def drop_state(run: RunConfig) -> None:
    """Delete the state of an interrupted training; anything else of that name stays."""
    if is_ours(run.state_file()):
        run.state_file().unlink()
