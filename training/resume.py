"""The file that an interrupted training goes on from: whose it is, and what it holds."""

from typing import Any

from pydantic import ValidationError

from config.schema import RunConfig
from generation.checkpoint import read_archive, write_archive
from text.corpus import Corpus
from utils import hash_json

STATE_FORMAT = "4"  # raised when the content changes


def write_state(run: RunConfig, corpus: Corpus, content: dict[str, Any]) -> None:
    """Write the state of a run of this data; `content` is all that going on needs."""
    data = {"data_sha256": corpus.sha256, "vocabulary": corpus.vocabulary.characters}
    write_archive(run.state_file(), {"format": STATE_FORMAT, "config": run.model_dump(), **data, **content})


def read_state(run: RunConfig, corpus: Corpus) -> dict[str, Any] | None:
    """The state that an earlier training with the same data and settings has left; None if it is another's.

    Raises Damaged where the file is cut short, by a power loss for example.
    """
    state = read_archive(run.state_file())
    return state if belongs_to(state, run, corpus) else None


def belongs_to(state: dict[str, Any], run: RunConfig, corpus: Corpus) -> bool:
    """Whether a state is of this very data, read in the same way, and of settings that shape the same weights."""
    if state.get("data_sha256") != corpus.sha256 or not read_alike(state, corpus):
        return False
    if state.get("format") == "3":  # held a hash of all settings in place of the settings
        return state.get("training_sha256") == hash_json(run.training_settings())
    try:
        return state.get("format") == STATE_FORMAT and run.trains_like(type(run).stored(state["config"]))
    except (KeyError, ValidationError):
        return False


def read_alike(state: dict[str, Any], corpus: Corpus) -> bool:
    """Whether a state counts on the characters that the data have here."""
    if "vocabulary" in state:
        return state["vocabulary"] == corpus.vocabulary.characters
    return not corpus.reading_log.control_characters  # an earlier version, which did not drop them
