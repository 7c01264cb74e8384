"""More time for a finished model: a training that starts from a copy of the model, which is kept aside."""

from config.data_file import no_data
from config.messages import say
from config.schema import RunConfig
from generation.archive import copy_aside
from generation.checkpoint import load_checkpoint
from training.base import changed
from training.start import check_alike
from training.worker import exclusive_training
from utils import UserError


def with_more_time(run: RunConfig) -> RunConfig:
    """The run that goes on from its own finished model, which stays until the new one is done.

    Raises UserError if there is none, if it is of another network, or if the text is not there.
    """
    path, data = run.model_file(), run.data_file()
    if not path.is_file():
        raise UserError(f"{path}: no such model, so there is none to train further; leave --more out")
    if not data.is_file():
        raise UserError(no_data(data, f"no file {data}"))
    check_alike(path, load_checkpoint(path).run, run)
    with exclusive_training(run):
        kept = copy_aside(path)
    say(f"{run.name}: trains further from {kept}")
    return changed(run, start_from=str(kept))
