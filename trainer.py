"""One training, a plain function of its resolved config: train_model(run, reporter) -> Checkpoint. Prints nothing."""

import time
from pathlib import Path

from checkpoint import Checkpoint
from config import RunConfig
from status import Reporter, Stopped, unless_full
from training import Diverged, Training
from utils import check_writable

SAVE_SECONDS = 300  # resume state is saved at least so often, and after every validation


def train_model(run: RunConfig, reporter: Reporter) -> Checkpoint:
    """Train one model to the end of its budget, or until held-out text stops improving; saves it and its metrics."""
    check_writable(Path(run.paths.models))
    training = Training(run)
    reporter.started(run, training.corpus, training.parameters, training.device, training.total_steps)
    training.restore(reporter)
    saved = time.monotonic()
    try:
        while True:
            if measured := training.validation_due():  # the first thing too where a validation was interrupted
                training.validate(reporter)
                reporter.validated(training.status)
            if measured or time.monotonic() - saved > SAVE_SECONDS:
                unless_full(reporter, training.save_state)
                saved = time.monotonic()
            if training.finished():
                return training.complete(reporter)
            try:
                training.advance(training.batches.batch(training.status.step))
            except (Diverged, MemoryError, RuntimeError) as error:
                reporter.note(training.recover(error))
            reporter.stepped(training.status)
            if reporter.stopping():
                raise Stopped
    except Stopped:
        training.save_state()
        raise
