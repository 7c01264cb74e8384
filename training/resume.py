"""The file that an interrupted training goes on from: whose it is, and what it holds."""

import contextlib
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ValidationError

from command.disk import replace
from command.messages import counted
from config.schema import RunConfig
from generation.archive import Damaged, read_archive, write_archive
from generation.aside import kept_aside, set_aside
from text.corpus import Corpus
from training.events import Status, Validation
from training.step import LEAST_SHARD, MOST_SHARDS, Optimizers, check_tensor
from utils import UserError, hash_file

STATE_BYTES = 16 << 20  # of a state besides its tensors: the samples of ten thousand validations
STATE_FORMAT = "4"  # raised when the content changes
NEARLY = 0.9  # a model that had this part of the time is done: shares of --hours move with the size of any text
MOST_COUNTED = 2**53  # a float holds each whole number up to here
COUNTED = ("progress", "step", "characters", "seconds", "slowdowns", "validated")  # figures of a status, from 0 up
FINITE = ("step", "progress", "characters", "learning_rate", "minutes")  # figures of a validation, from 0 up


def write_state(run: RunConfig, corpus: Corpus, content: dict[str, Any], minutes: float) -> None:
    """Write the state of a run of this data; `content` is all that going on needs.

    `minutes`: the longest limit of time among the trainings that have used this state.
    """
    config = run.model_dump()
    config["training"]["max_minutes"] = minutes if math.isfinite(minutes) else 0
    data = {"data_sha256": corpus.sha256, "vocabulary": corpus.vocabulary.characters}
    write_archive(run.state_file(), {"format": STATE_FORMAT, "config": config, **data, **content})


def read_state(
    path: Path, run: RunConfig, corpus: Corpus, fresh: dict[str, Any], optimizers: Optimizers
) -> dict[str, Any] | None:
    """The state that an earlier training with the same data and settings has left at a path; None if it is another's.

    Raises Damaged if it is no file, or cut short, by a power loss for example, or if its parts are not of the form of
    `fresh`, the snapshot of a new training, and of its optimizers.
    """
    if not path.is_file():
        raise Damaged(f"{path}: not a file")
    state = read_archive(path, values_bytes=STATE_BYTES)
    if not (belongs_to(state, run, corpus.sha256) and read_alike(state, corpus)):
        return None
    try:
        for snapshot in (state, state if state["sound"] is None else state["sound"]):
            check_like(snapshot, fresh)
            optimizers.check(snapshot["optimizers"], snapshot["status"]["step"])
        # no machine cuts a step into more: each shard takes time and memory
        most = max(2 * MOST_SHARDS, run.training.batch_size * run.model.context // LEAST_SHARD)
        if type(state["shards"]) is not int or not 1 <= state["shards"] <= most:
            raise ValueError("shards")
    except (LookupError, TypeError, ValueError, AttributeError):
        raise Damaged(f"{path}: not a state of this program, or damaged") from None
    return state


def take_state(
    run: RunConfig, corpus: Corpus, fresh: dict[str, Any], optimizers: Optimizers, note: Callable[[str], None]
) -> dict[str, Any] | None:
    """As `read_state`, but what cannot be gone on from is moved aside, and noted.

    In its place comes one of this training that was moved aside before, the latest of several. None if there is none.
    """
    path = run.state_file()
    if replaced := path.is_symlink() or path.exists():
        try:
            if state := read_state(path, run, corpus, fresh, optimizers):
                return state
            what = "of other data, settings or version"
        except Damaged:  # from the start again, to the same end
            what = "damaged"
        note(f"{path} is {what}; it is kept as {set_aside(path)}")
    for kept in states_aside(run):
        with contextlib.suppress(UserError):
            state = read_state(kept, run, corpus, fresh, optimizers)
            if state and (replaced or not outlasts(state, run)):  # else --force has moved it aside
                replace(kept, path)
                note(f"{kept}, which was kept aside, is of this training")
                return state
    return None


def check_like(state: dict[str, Any], fresh: dict[str, Any]) -> None:
    """Raise an error unless a snapshot has the weights of `fresh`, all of them finite, and a status."""
    if not isinstance(state, dict):
        raise TypeError("snapshot")
    if state["status"]["name"] != fresh["status"]["name"]:
        raise ValueError("name")
    for part in ("model", "average", "best"):
        found, wanted = state[part], fresh[part]
        if found.keys() != wanted.keys():
            raise ValueError(part)
        for name, like in wanted.items():
            check_tensor(found[name], like)
    check_types(Status(**state["status"]))
    check_counts(state["status"], COUNTED)
    for record in state["status"]["history"]:
        check_types(Validation(**record))
        check_counts(record, FINITE)
        if not record["held_out"] >= 0 or (record.get("learnt") or 0) < 0:  # inf or nan of weights that overflow
            raise ValueError("bits")


def check_counts(figures: dict[str, Any], names: Iterable[str]) -> None:
    """Raise ValueError for a figure that is no number from 0 up."""
    for name in names:
        if not 0 <= figures[name] < MOST_COUNTED:
            raise ValueError(name)


def check_types(record: Status | Validation) -> None:
    """Raise ValueError for a value that is not of its field's type."""
    for name, kind in get_type_hints(type(record)).items():
        kind = {float: (int, float), list[Validation]: list}.get(kind, kind)
        if not isinstance(getattr(record, name), kind):
            raise ValueError(name)


def belongs_to(state: dict[str, Any], run: RunConfig, data_sha256: str) -> bool:
    """Whether this is a state, of this very data, and of settings that shape the same weights."""
    if "optimizers" not in state or state.get("data_sha256") != data_sha256:  # a model has the same hash
        return False
    if state.get("start", "") != start_sha256(run):
        return False
    try:
        return state.get("format") == STATE_FORMAT and run.trains_like(RunConfig.stored(state["config"]))
    except (KeyError, TypeError, AttributeError, ValidationError):
        return False


def start_sha256(run: RunConfig) -> str:
    """The hash of the model that a run starts from; "" if it starts from none, or that is gone."""
    path = run.start_file()
    return hash_file(path) if path and path.is_file() else ""


def drop_state(run: RunConfig, data_sha256: str, minutes: float) -> str:
    """Delete the state of this run of this data, unless its training may take longer than `minutes`.

    -> that longer training, in words, or "". The state of another run stays.
    """
    if longer := planned_minutes(own_state(run, data_sha256)):
        if NEARLY * longer > minutes:
            limit = f"of {counted(longer, 'minute')}" if math.isfinite(longer) else "without a limit of time"
            return f"a training {limit}"
        run.state_file().unlink()
    return ""


def own_state(run: RunConfig, data_sha256: str, path: Path | None = None) -> dict[str, Any] | None:
    """The state of this run of this data, in its place or in another file; None if there is none."""
    with contextlib.suppress(UserError):  # it is no file of this program
        state = read_archive(path or run.state_file(), values_bytes=STATE_BYTES)
        return state if belongs_to(state, run, data_sha256) else None
    return None


def states_aside(run: RunConfig) -> list[Path]:
    """What was moved aside from the place of a run's state, the latest first."""
    return sorted(filter(Path.is_file, kept_aside(run.state_file())), key=lambda kept: -kept.stat().st_mtime)


def next_state(run: RunConfig, data_sha256: str) -> dict[str, Any] | None:
    """The state that `take_state` finds for this run of this data, by its settings alone; None if there is none."""
    replaced = os.path.lexists(run.state_file())
    kept = (own_state(run, data_sha256, path) for path in states_aside(run))
    aside = (state for state in kept if state and (replaced or not outlasts(state, run)))
    return own_state(run, data_sha256) or next(aside, None)


def forget_states(run: RunConfig, data_sha256: str) -> str:
    """Delete the states of this run of this data, in their place and aside, but for those that outlast the run.

    Whatever is then in the place is moved aside: -> a line that says so, or "".
    """
    current, size = run.state_file(), ""
    for path in (current, *states_aside(run)):
        state = own_state(run, data_sha256, path)
        if state and not outlasts(state, run):
            path.unlink()
        elif state and path == current:
            size = f", of {counted(round(spent_minutes(state), 1), 'minute')},"
    return f"{current}{size} is kept as {set_aside(current)}" if os.path.lexists(current) else ""


def planned_minutes(state: dict[str, Any] | None) -> float:
    """How many minutes the training of a state may take; 0 if there is no state."""
    return RunConfig.stored(state["config"]).minutes() if state else 0.0


def spent_minutes(state: dict[str, Any]) -> float:
    """How many minutes of training a state holds; 0 of a damaged one."""
    with contextlib.suppress(LookupError, TypeError):
        seconds = state["status"]["seconds"]
        if isinstance(seconds, (int, float)) and 0 <= seconds < MOST_COUNTED:
            return seconds / 60
    return 0.0


def outlasts(state: dict[str, Any], run: RunConfig) -> bool:
    """Whether a state holds more minutes than a run may take; --force moves such a one aside, and deletes others."""
    return spent_minutes(state) > run.minutes()


def read_alike(state: dict[str, Any], corpus: Corpus) -> bool:
    """Whether a state counts on the characters that the data have here."""
    if "vocabulary" in state:
        return state["vocabulary"] == corpus.vocabulary.characters
    return not corpus.reading_log.control_characters  # an earlier version, which did not drop them
