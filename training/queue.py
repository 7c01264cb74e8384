"""The queue of trainings: one after another, each in its own process, and a table at the end."""

import contextlib
import signal
import sys
from collections.abc import Callable

from rich.table import Table
from rich.text import Text

from config.command_line import stop_signals
from config.data_file import no_data
from config.messages import printable
from config.schema import RunConfig
from generation.archive import set_aside
from generation.checkpoint import Checkpoint, load_checkpoint
from generation.console import make_console
from training.resume import drop_state, start_sha256
from training.start import beginning_of, maker_of
from training.worker import FAILED, MISSING, SKIPPED, STOPPED, Outcome, TrainingProcess, bits_text, exclusive_training
from utils import Result, UserError, hash_file, size_of

LEAST_MINUTES = 0.01  # of any dataset's share of the hours, since 0 would mean no limit
POLL_SECONDS = 0.2  # how often the queue checks whether it was asked to stop


class Queue:
    """Trains runs in order. A failure does not stop the others; Ctrl+C or SIGTERM saves the state and stops all."""

    def __init__(self, runs: list[RunConfig], force: bool, command: str) -> None:
        self.runs, self.force, self.command = runs, force, command
        self.console = make_console()
        self.outcomes: list[Outcome] = []
        self.done: dict[str, bool] = {}
        self.failed: dict[str, Outcome] = {}  # what went wrong before or in the training of a dataset
        self.stop = False
        self.training: TrainingProcess | None = None

    def run_all(self) -> int:
        """-> exit status: 0, 1 if any failed or was missing, 130 if stopped."""
        for run in self.runs if self.force else ():  # all before the first, so that a stop leaves none as done
            self.attempt(run, self.forget)
        handlers = {number: signal.signal(number, self.ask_to_stop) for number in stop_signals()}
        try:
            for run in self.runs:
                outcome = self.failed.get(run.name) or self.attempt(run, self.run_one)
                self.outcomes.append(outcome)
                self.print_outcome(outcome)
                self.stop |= outcome.state == STOPPED
                if self.stop:
                    break
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        self.show_table()
        if self.stop:
            lost = "" if self.outcomes[-1].state == FAILED else "; nothing is lost"
            self.console.print(Text(printable(f"stopped{lost}. To go on: {self.command}")))  # whole, to be typed
            return 130
        return 1 if {outcome.state for outcome in self.outcomes} & {FAILED, MISSING} else 0

    def ask_to_stop(self, number: int, frame: object) -> None:
        """The first signal ends the training after its current step, the second at once."""
        if self.stop:
            if self.training:
                self.training.kill()
            sys.exit(130)
        self.stop = True

    def attempt(self, run: RunConfig, work: Callable[[RunConfig], Result]) -> Result | Outcome:
        """Do this for a dataset. What goes wrong is the outcome of this one alone."""
        try:
            return work(run)
        except BrokenPipeError:
            raise
        except (UserError, OSError) as error:
            self.failed[run.name] = Outcome(run.name, FAILED, str(error))
            return self.failed[run.name]

    def run_one(self, run: RunConfig) -> Outcome:
        """Train one dataset unless it is done; try once more after a failure that may not come again."""
        if not run.data_file().is_file():
            return Outcome(run.name, MISSING, no_data(run.data_file(), f"no file {run.data_file()}"))
        outcome = self.train_unless_done(run)
        if outcome.retryable and not self.stop:
            self.console.print(f"{run.name}: {outcome.detail}; trying once more")
            outcome = self.train_unless_done(run)
        return outcome

    def train_unless_done(self, run: RunConfig) -> Outcome:
        """Train, or say that it was done before; a model of other data or settings is kept aside."""
        if run.model_file().is_file():
            with exclusive_training(run):
                checkpoint, reason = finished_model(run)
                if checkpoint:
                    # a kill may have come between the model and this; a state of more time is another training's
                    drop_state(run, checkpoint.data_sha256, checkpoint.run.minutes())
                    detail = "done before with this data and config; --force trains anew"
                    return Outcome(run.name, SKIPPED, detail, bits=bits_text(checkpoint.metrics))
                self.check_start(run)
                self.console.print(f"{run.name}: {reason}; training anew")
                self.set_aside(run)
        else:
            self.check_start(run)
        return self.train(run)

    def check_start(self, run: RunConfig) -> None:
        """Raise UserError, before anything is set aside, if the run cannot start from what it names."""
        start = maker_of(run, self.runs)
        if start and start.name in {o.name for o in self.outcomes if o.state in (FAILED, MISSING)}:
            raise UserError(f"not begun: it starts from {start.name}, which was not trained (see above)")
        beginning_of(run)

    def train(self, run: RunConfig) -> Outcome:
        """Train in a process of its own, and pass a stop on to it."""
        self.training, stopping = TrainingProcess(run, self.still_to_come(run)), False
        while not (outcome := self.training.outcome(POLL_SECONDS)):
            if self.stop and not stopping:
                self.training.stop()
                stopping = True
        self.training = None
        self.console.show_cursor()  # a live line hides it, and a killed process does not bring it back
        return Outcome(run.name, STOPPED, "at once") if self.stop and outcome.retryable else outcome

    def still_to_come(self, run: RunConfig) -> list[tuple[float, float]]:
        """Of each dataset to come: an estimate of the characters to train on; seconds at most."""
        later = self.runs[self.runs.index(run) + 1 :]
        return [(characters_of(other), 60 * other.minutes()) for other in later if not self.done_before(other)]

    def done_before(self, run: RunConfig) -> bool:
        """Whether a later run was done when this was first asked: it reads data and model."""
        if run.name not in self.done:
            self.done[run.name] = self.status_of(run) == "done"
        return self.done[run.name]

    def status_of(self, run: RunConfig) -> str:
        """done, interrupted or new, without a change to any file."""
        with contextlib.suppress(OSError):  # the data cannot be read: what reads them next says why
            if not self.force and finished_model(run)[0]:
                return "done"
        return "interrupted" if run.state_file().is_file() and not self.force else "new"

    def forget(self, run: RunConfig) -> None:
        """Make a dataset untrained, for --force: the state goes, and the model is kept aside."""
        if run.data_file().is_file():
            if not maker_of(run, self.runs):
                self.check_start(run)
            with exclusive_training(run):
                drop_state(run, hash_file(run.data_file()))
                if run.model_file().is_file():
                    self.set_aside(run)

    def set_aside(self, run: RunConfig) -> None:
        self.console.print(f"{run.name}: the old file is kept as {set_aside(run.model_file())}")

    def print_outcome(self, outcome: Outcome) -> None:
        mark = "error: " if outcome.state in (FAILED, MISSING) else ""
        self.console.print(f"{mark}{outcome.name}: {outcome.state}: {outcome.detail}")

    def show_table(self) -> None:
        table = Table("dataset", "state", "documents", "parameters", "minutes", "bits/char")
        for column in table.columns:
            column.no_wrap = True
        for o in self.outcomes:
            table.add_row(o.name, o.state, o.documents, o.parameters, o.minutes, o.bits)
        self.console.print(table)


def characters_of(run: RunConfig) -> float:
    """About how many characters a run trains on: a byte each in every epoch, and no more than its steps hold."""
    epochs, steps = size_of(run.data_file()) * run.training.epochs, run.training.max_steps
    return min(epochs, steps * run.training.batch_size * run.model.context) if steps else epochs


def share_hours(runs: list[RunConfig], hours: float) -> list[RunConfig]:
    """Each run with its share of the hours, by the size of its file; a run without a file gets none."""
    sizes = [size_of(run.data_file()) for run in runs]
    minutes = [max(60 * hours * size / max(sum(sizes), 1), LEAST_MINUTES) if size else 0 for size in sizes]
    return [
        run.model_copy(update={"training": run.training.model_copy(update={"max_minutes": share})}) if share else run
        for run, share in zip(runs, minutes, strict=True)
    ]


def finished_model(run: RunConfig) -> tuple[Checkpoint | None, str]:
    """The model on disk if it came from this very data and config and had as much time; else None, and why."""
    if not run.model_file().is_file():
        return None, f"no file {run.model_file()}"
    try:
        found = load_checkpoint(run.model_file())
    except UserError as error:  # a damaged model
        return None, str(error)
    alike = found.run.trains_like(run) and found.data_sha256 == hash_file(run.data_file())
    if (start := start_sha256(run)) and found.start:  # the model that it started from was trained anew since
        alike &= found.start.model_sha256 == start
    if alike and found.run.minutes() >= run.minutes():
        return found, ""
    return None, f"{run.model_file()} came from other data or settings, or less time"
