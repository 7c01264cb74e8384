"""More time for a finished model: a training that starts from a copy of the model, which is kept aside."""

from pathlib import Path

from command.messages import counted, say
from config.data_file import no_data
from config.schema import RunConfig
from generation.aside import copy_aside, kept_aside
from generation.checkpoint import Checkpoint, load_checkpoint
from text.survey import learnt_before, split_differs
from training.resume import NEARLY, own_state, planned_minutes
from training.start import check_alike
from training.worker import exclusive_training
from utils import UserError, hash_file


def with_more_time(run: RunConfig) -> RunConfig:
    """The run that goes on from its own finished model, which stays until the new one is done.

    Raises UserError if there is none, if it is of another network, if the text is not there, or another, or if the
    model has learnt what the run would hold out.
    """
    path, found = run.model_file(), check_further(run)
    with exclusive_training(run):
        if hash_file(path) != found.file_sha256:
            raise UserError(f"{path}: was replaced meanwhile; start again")
        if finished := start_of_finished_training(run, found):
            return run.with_training(start_from=str(finished))
        kept = copy_aside(path)
    say(f"{run.name}: trains further from {kept}")
    return run.with_training(start_from=str(kept))


def start_of_finished_training(run: RunConfig, found: Checkpoint) -> Path | None:
    """The start of a --more training that saved its model and was killed before it deleted its state; else None."""
    start = found.start.model_sha256 if found.start else ""
    for kept in kept_aside(run.model_file()):
        if kept.is_file() and hash_file(kept) == start:
            state = own_state(run.with_training(start_from=str(kept)), found.data_sha256)
            if 0 < NEARLY * planned_minutes(state) <= found.run.minutes():  # the state of a longer one waits for that
                return kept
    return None


def check_further(run: RunConfig) -> Checkpoint:
    """A run's own finished model, if the run can go on from it. Raises UserError if it cannot."""
    path, data = run.model_file(), run.data_file()
    if not path.is_file():
        raise UserError(f"{path}: no such model, so there is none to train further; leave --more out")
    if not data.is_file():
        raise UserError(no_data(data, f"no file {data}"))
    found = load_checkpoint(path)
    check_alike(path, found.run, run, "--more")
    if found.data_sha256 != hash_file(data):
        fix = "a voice of this one is a dataset of its own, with training.start_from"
        raise UserError(f"{data}: not the text that {path} learnt from, so --more does not go on with it; {fix}")
    if count := learnt_before(run, found.run):
        held_out = counted(count, "character" if run.data.stream else "document")
        what = f"{path} has learnt {held_out} that would be held out now, with {split_differs(run, found.run)}"
        raise UserError(f"{data}: {what}; set that back, or leave --more out to train anew")
    return found
