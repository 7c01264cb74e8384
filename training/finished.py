"""Whether a run needs no training: the model that stands in its place is of its data and settings, and had its time."""

from command.messages import counted
from config.schema import RunConfig
from generation.checkpoint import Checkpoint, load_checkpoint
from training.resume import NEARLY, start_sha256
from training.start import learnt_as, was_trained_further
from utils import UserError, hash_file


def finished_model(run: RunConfig) -> tuple[Checkpoint | None, str]:
    """The model on disk if it came from this very data and config and had as much time, else None; and what to say."""
    if not run.model_file().is_file():
        return None, f"no file {run.model_file()}"
    start = start_sha256(run)
    try:
        model = load_checkpoint(run.model_file())
        alike = started_alike(model, run, start)
    except UserError as error:  # a damaged model
        return None, str(error)
    if start and start == model.file_sha256:
        return None, ""  # --more says itself what it trains further
    if not alike:
        return None, f"{run.model_file()} began from {run.start_file()} as it was, which was trained anew since"
    further = was_trained_further(model)
    theirs = model.run.with_training(start_from=run.training.start_from) if further else model.run
    same_settings = model.network == "transformer" and theirs.trains_like(run)
    if not same_settings or model.data_sha256 != hash_file(run.data_file()):
        return None, f"{run.model_file()} came from other data or settings"
    if further or model.run.minutes() >= NEARLY * run.minutes():
        return model, ""
    if model.metrics.get("steps_left") == 0:  # more time would change nothing
        return model, ", with all its steps, so --more adds to it"
    had = counted(round(model.run.minutes(), 1), "minute")
    now = counted(round(run.minutes(), 1), "minute") if run.training.max_minutes else "any time"
    return None, f"{run.model_file()} had {had} at most, where {now} may be taken now"


def started_alike(model: Checkpoint, run: RunConfig, start: str) -> bool:
    """Whether a model began at a run's start file, by its hash; one trained further, by the text of that file."""
    path = run.start_file()
    if not (path and start and model.start):
        return True
    if was_trained_further(model):
        return learnt_as(load_checkpoint(path)) in model.start.texts
    return model.start.model_sha256 == start  # else what it started from was trained anew since
