"""The queue of trainings: one after the other, each failure kept to itself. Knows nothing of how a model is trained."""

import signal
import traceback
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table

import trainer
from checkpoint import Checkpoint, load_checkpoint
from config import RunConfig
from corpus import hash_file
from progress import Watch, plot_curve
from utils import UserError, alone

DONE, SKIPPED, MISSING, FAILED, STOPPED = "trained", "skipped", "missing", "failed", "stopped"
FILE_WIDTH = 120  # columns of the closing table where no terminal limits them
OUT_OF_MEMORY = "out of memory; lower training.batch_size or choose a smaller preset"


@dataclass
class Outcome:
    """How one dataset of the queue ended."""

    name: str
    state: str
    detail: str = ""
    documents: str = ""
    parameters: str = ""
    minutes: str = ""
    bits: str = ""


class Queue:
    """Trains runs in order; a failure does not stop the others. Ctrl+C or SIGTERM saves the state and stops all."""

    def __init__(self, runs: list[RunConfig], force: bool, command: str) -> None:
        self.runs, self.force, self.command = runs, force, command
        self.console = Console(highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = FILE_WIDTH
        self.outcomes: list[Outcome] = []
        self.stop = False

    def run_all(self) -> int:
        """-> exit status: 0, 1 if any failed or was missing, 130 if stopped."""
        handlers = {number: signal.signal(number, self.ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for run in self.runs:
                self.outcomes.append(self.run_one(run))
                if self.stop:
                    break
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        self.show_table()
        if self.stop:
            self.say(f"stopped; nothing is lost. To go on: {self.command}")
            return 130
        return 1 if {outcome.state for outcome in self.outcomes} & {FAILED, MISSING} else 0

    def ask_to_stop(self, number: int, frame: object) -> None:
        """The first signal ends the run at its next step, the second at once."""
        self.stop = True
        signal.signal(number, signal.SIG_DFL)

    def run_one(self, run: RunConfig) -> Outcome:
        watch = Watch(self.console, run, lambda: self.stop, lambda speed: self.seconds_after(run, speed))
        try:
            if not run.data_file().is_file():
                return self.said(Outcome(run.name, MISSING, f"no file {run.data_file()}"))
            if done := self.already_done(run):
                return self.said(done)
            busy = f"another process is training {run.model_file()}"
            with alone(run.model_file().with_name(f".{run.name}.lock"), busy), watch:
                checkpoint = trainer.train_model(run, watch)
            plot_curve(watch.status, run)
        except trainer.Stopped:
            return self.outcome(watch, STOPPED, "state saved")
        except UserError as error:
            return self.said(self.outcome(watch, FAILED, str(error)))
        except Exception as error:  # the queue outlives any one failure
            return self.said(self.outcome(watch, FAILED, explain(error, run)))
        return self.said(self.outcome(watch, DONE, str(run.model_file()), bits_text(checkpoint.metrics)))

    def status_of(self, run: RunConfig) -> str:
        """done, interrupted or new, without a change to any file."""
        try:
            if not self.force and self.finished(run):
                return "done"
        except UserError:  # a damaged model is set aside when its training begins
            pass
        return "interrupted" if run.state_file().is_file() and not self.force else "new"

    def finished(self, run: RunConfig) -> Checkpoint | None:
        """The model on disk, if it came from this very data and config."""
        if not run.model_file().is_file():
            return None
        found = load_checkpoint(run.model_file())
        wanted = (run.training_hash(), hash_file(run.data_file()))
        return found if (found.training_sha256, found.data_sha256) == wanted else None

    def already_done(self, run: RunConfig) -> Outcome | None:
        """A skipped outcome if the model on disk came from this very data and config; another is kept aside."""
        path = run.model_file()
        if self.force:
            run.state_file().unlink(missing_ok=True)
            return None
        if not path.is_file():
            return None
        try:
            if checkpoint := self.finished(run):
                detail = "done before with this data and config; --force trains anew"
                return Outcome(run.name, SKIPPED, detail, bits=bits_text(checkpoint.metrics))
            self.say(f"{run.name}: {path} came from other data or settings; training anew")
        except UserError as error:
            self.say(f"{run.name}: {error}; training anew")
        kept = path.with_suffix(".previous.pt")
        path.replace(kept)
        self.say(f"{run.name}: the old file is kept as {kept}")
        return None

    def seconds_after(self, run: RunConfig, speed: float) -> float:
        """A guess at the time that the datasets after this one will take, at the present speed in characters/s."""
        later = self.runs[self.runs.index(run) + 1 :]
        sizes = [(other, other.data_file().stat().st_size if other.data_file().is_file() else 0) for other in later]
        times = [size * other.training.epochs / speed for other, size in sizes]
        limits = [60 * other.training.max_minutes or float("inf") for other in later]
        return sum(map(min, times, limits))

    def outcome(self, watch: Watch, state: str, detail: str, bits: str = "") -> Outcome:
        minutes = f"{watch.status.seconds / 60:.1f}"
        return Outcome(watch.run.name, state, detail, watch.documents, watch.parameters, minutes, bits)

    def said(self, outcome: Outcome) -> Outcome:
        mark = "error: " if outcome.state in (FAILED, MISSING) else ""
        self.say(f"{mark}{outcome.name}: {outcome.state}: {outcome.detail}")
        return outcome

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def show_table(self) -> None:
        table = Table("dataset", "state", "documents", "parameters", "minutes", "bits/char")
        for column in table.columns:
            column.no_wrap = True
        for o in self.outcomes:
            table.add_row(o.name, o.state, o.documents, o.parameters, o.minutes, o.bits)
        self.console.print(table)


def bits_text(metrics: dict[str, float]) -> str:
    return f"{metrics['held_out_bits']:.3f} ± {metrics['held_out_error']:.3f}"


def explain(error: Exception, run: RunConfig) -> str:
    """One line for an unforeseen failure; its traceback goes to models/NAME.error.log where that can be written."""
    exhausted = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)
    if exhausted:
        return OUT_OF_MEMORY
    reason = f"{type(error).__name__}: {error}"
    log = run.model_file().with_suffix(".error.log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:  # the disk is full, or models is no folder: the line must do
        return reason
    return f"{reason} (details: {log})"
