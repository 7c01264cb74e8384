"""More time for a finished model: a training that starts from the model itself, which is kept aside."""

import contextlib
from pathlib import Path

from config.messages import say
from config.schema import RunConfig
from generation.archive import kept_aside, read_archive, set_aside
from generation.checkpoint import load_checkpoint
from training.base import changed
from training.resume import STATE_BYTES
from training.start import check_alike
from training.worker import exclusive_training
from utils import UserError, hash_file


def with_more_time(run: RunConfig) -> RunConfig:
    """The run that goes on from its own finished model, or from the one kept aside by a command that was stopped.

    The model is kept aside. Raises UserError if there is none, or if it is of another network.
    """
    path = run.model_file()
    with exclusive_training(run):
        start = path if path.is_file() else stopped_start(run)
        if start is None:
            raise UserError(f"{path}: no such model, so there is none to train further; leave --more out")
        check_alike(start, load_checkpoint(start).run, run)
        kept = set_aside(path) if start == path else start
    say(f"{run.name}: trains further from {kept}")
    return changed(run, start_from=str(kept))


def stopped_start(run: RunConfig) -> Path | None:
    """Of the models kept aside, that from which a stopped training started, else the newest."""
    kept = kept_aside(run.model_file())
    with contextlib.suppress(UserError, LookupError, TypeError):  # no state, or none of this program
        start = read_archive(run.state_file(), values_bytes=STATE_BYTES)["start"]
        kept = [path for path in kept if hash_file(path) == start] or kept
    return max(kept, key=lambda path: path.stat().st_mtime, default=None)
