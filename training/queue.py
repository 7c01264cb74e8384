"""The queue of trainings: in order, or several at once, each in its own process, and a table at the end."""

import contextlib
import signal
import sys
from collections.abc import Callable
from functools import partial

from rich.table import Table
from rich.text import Text

from command.console import PlainConsole
from command.messages import error_text, printable
from command.program import EXIT_STOPPED, Repeats, stop_signals
from config.data_file import no_data
from config.names import is_safe_name
from config.schema import RunConfig
from generation.aside import set_aside
from training.display import QueueDisplay
from training.finished import finished_model
from training.lanes import Lanes, LocalLanes
from training.order import characters_of, longest_first, maker_of
from training.resume import drop_state, forget_states, next_state, spent_minutes
from training.start import beginning_of
from training.worker import FAILED, MISSING, SKIPPED, STOPPED, Outcome, bits_text, exclusive_training
from utils import Result, UserError, hash_file, size_of

POLL_SECONDS = 0.2  # how often the queue checks whether it was asked to stop


class Queue:
    """Trains runs in one lane in order, in several the longest first. A failure does not stop the others.

    Ctrl+C or SIGTERM saves the states and stops all. The queue writes no file of its own, so a kill costs it nothing:
    the same command finds each run done by its model file (`finished_model`), or begun by its state file
    (`take_state`, in the training's process), or new. A lock file says which runs another command trains.
    """

    def __init__(self, runs: list[RunConfig], force: bool, command: str, lanes: Lanes | None = None) -> None:
        self.runs, self.force, self.command = runs, force, command
        self.absent = {run.name for run in runs if not size_of(run.data_file())}  # whose text is not there, or empty
        self.lanes = lanes or LocalLanes(1)
        self.console = PlainConsole()
        self.display = QueueDisplay(self.console, self.lanes.count, len(runs))
        self.waiting = longest_first(runs) if self.lanes.count > 1 else [*runs]
        self.running: dict[str, RunConfig] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.done: dict[str, bool] = {}  # what `done_before` found
        self.failed: dict[str, Outcome] = {}  # why a dataset could not be begun, or made untrained
        self.retried: set[str] = set()
        self.repeats = Repeats()
        self.stop = self.lost = False  # whether it was asked to stop, and whether a state could then not be saved

    def run_all(self) -> int:
        """-> exit status: 0, 1 if any failed or was missing, 130 if stopped."""
        self.console.patient = True  # a reader that leaves is noticed, and stops the trainings
        if self.force:
            self.forget_all()
        handlers = {number: signal.signal(number, self.ask_to_stop) for number in stop_signals()}
        try:
            with self.display:
                self.train_all()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self.console.reader_left:
            raise BrokenPipeError
        self.show_table()
        stopped = any(outcome.state == STOPPED for outcome in self.outcomes.values())
        if self.stop and (stopped or self.lost or self.waiting):  # else it was asked while the last one ended
            lost = "" if self.lost else "; nothing is lost"
            self.console.print(Text(printable(f"stopped{lost}. To go on: {self.command}")))  # whole, to be typed
            return EXIT_STOPPED
        return 1 if {outcome.state for outcome in self.outcomes.values()} & {FAILED, MISSING} else 0

    def train_all(self) -> None:
        """Keep the lanes full until all is trained, or all have stopped. A reader that leaves stops them too."""
        stopping = False
        while self.running or (self.waiting and not self.stop):
            self.stop |= self.console.reader_left
            if not self.stop:
                self.fill_lanes()
            elif not stopping:
                self.lanes.stop()
                stopping = True
            for outcome in self.lanes.finished(POLL_SECONDS, self.display.hear):
                self.training_ended(self.running.pop(outcome.name), outcome)

    def fill_lanes(self) -> None:
        """Begin what waits while lanes are free; what is done, missing or fails at once is over at once."""
        waited = len(self.waiting)
        while (ready := self.ready()) and len(self.running) < self.lanes.count and not self.stop:
            run, at_once = ready[0], len(self.running) + 1 + self.to_train(ready[1:])
            self.waiting.remove(run)
            outcome = self.failed.get(run.name) or self.attempt(run, partial(self.begin, at_once=at_once))
            if outcome:
                self.over(outcome)
        if len(self.waiting) != waited:  # with the lanes at work: it reads data and models
            self.display.later = self.still_to_come()

    def to_train(self, runs: list[RunConfig]) -> int:
        """How many of these runs will train; with one lane, which has all cores in any case, none is looked at."""
        if self.lanes.count == 1:
            return 0
        return sum(run.name not in self.absent and not self.done_before(run) for run in runs)

    def ready(self) -> list[RunConfig]:
        """What waits, without what starts from a model that another run is still to make."""
        return list(filter(self.start_is_made, self.waiting))

    def start_is_made(self, run: RunConfig) -> bool:
        """Whether no other run is still to make the model that this one starts from."""
        maker = maker_of(run, self.runs)
        return maker is None or maker.name in self.outcomes

    def training_ended(self, run: RunConfig, outcome: Outcome) -> None:
        """Note how a training ended, or try it once more after a failure that may not come again."""
        if outcome.retryable and not self.stop and run.name not in self.retried:
            self.retried.add(run.name)
            self.console.print(f"{run.name}: {outcome.detail}; trying once more")
            self.waiting.insert(0, run)
            return
        self.lost |= self.stop and outcome.state == FAILED
        self.stop |= outcome.state == STOPPED
        self.over(outcome)

    def over(self, outcome: Outcome) -> None:
        self.outcomes[outcome.name] = outcome
        self.display.end(outcome.name)
        mark = "error: " if outcome.state in (FAILED, MISSING) else ""
        self.console.print(f"{mark}{outcome.name}: {outcome.state}: {outcome.detail}")

    def ask_to_stop(self, number: int, frame: object) -> None:
        """The first signal ends the trainings after their current step, the second at once."""
        if self.repeats.is_one(number):
            return
        if self.stop:
            self.lanes.kill()
            sys.exit(EXIT_STOPPED)
        self.stop = True

    def attempt(self, run: RunConfig, work: Callable[[RunConfig], Result]) -> Result | Outcome:
        """Do this for a dataset. What goes wrong is the outcome of this one alone."""
        try:
            return work(run)
        except (UserError, OSError) as error:
            self.failed[run.name] = Outcome(run.name, FAILED, error_text(error))
            return self.failed[run.name]

    def begin(self, run: RunConfig, at_once: int) -> Outcome | None:
        """Begin a training, or say why not. The model of before stays until the new one is saved."""
        data = run.data_file()
        if not data.is_file():
            missing = f"no file {data}; put one document per line there, or take {run.name} out of datasets:"
            return Outcome(run.name, MISSING, no_data(data, missing))
        # it has no share of the hours, and a base may have learnt what it holds out
        if run.name in self.absent and size_of(data):
            return Outcome(run.name, MISSING, f"{data} came after the command had begun; type it again")
        if self.force and self.is_barred(run):
            self.check_start(run)
        if run.model_file().is_file():
            with exclusive_training(run):
                checkpoint, reason = finished_model(run)
                if checkpoint:
                    detail = f"done before with this data and config{reason}; --force trains anew"
                    # a kill may have come between the model and this; a state of more time is another training's
                    if longer := drop_state(run, checkpoint.data_sha256, checkpoint.run.minutes()):
                        detail += f"; {run.state_file()} stays for {longer}"
                    return Outcome(run.name, SKIPPED, detail, bits=bits_text(checkpoint.metrics))
                self.check_start(run)
                self.check_voices(run)
                if reason:
                    self.console.print(f"{run.name}: {reason}; training it, and the file stays until that is done")
        else:
            self.check_start(run)
        self.check_start_is_free(run)
        self.lanes.submit(run, at_once)
        self.running[run.name] = run
        self.display.begin(run.name)
        return None

    def check_start(self, run: RunConfig) -> None:
        """Raise UserError, before anything begins, if the run cannot start from what it names."""
        start = maker_of(run, self.runs)
        if start and start.name in self.outcomes and self.outcomes[start.name].state in (FAILED, MISSING):
            raise UserError(f"not begun: it starts from {start.name}, which was not trained (see above)")
        beginning_of(run)

    def check_start_is_free(self, run: RunConfig) -> None:
        """Raise UserError if another command trains the model that a run starts from, and so may replace it."""
        if is_safe_name(run.training.start_from) and not maker_of(run, self.runs):
            with exclusive_training(run.model_copy(update={"name": run.training.start_from})):
                pass

    def still_to_come(self) -> list[tuple[float, float]]:
        """Of each dataset that waits: an estimate of the characters to train on; seconds at most."""
        return [(characters_of(run), 60 * run.minutes()) for run in self.waiting if not self.done_before(run)]

    def done_before(self, run: RunConfig) -> bool:
        """Whether a run that waits is trained already, looked up once; False while its start is still to be made."""
        if not self.start_is_made(run):
            return False
        if run.name not in self.done:
            self.done[run.name] = self.is_done(run)
        return self.done[run.name]

    def is_done(self, run: RunConfig) -> bool:
        """Whether a run is done, without a change to any file."""
        with contextlib.suppress(OSError):  # the data cannot be read: what reads them next says why
            return not self.force and run.name not in self.absent and bool(finished_model(run)[0])
        return False

    def status_of(self, run: RunConfig) -> str:
        """done, interrupted or new, without a change to any file; reads the state where there is one."""
        if self.is_done(run):
            return "done"
        with contextlib.suppress(OSError):
            absent = run.name in self.absent  # a pipe, for example, which has no end
            state = None if self.force or absent else next_state(run, hash_file(run.data_file()))
            if state and spent_minutes(state):
                return "interrupted"
        return "new"

    def forget_all(self) -> None:
        """Make all datasets untrained, for --force, before the first is trained: so a stop leaves none as done.

        A voice is forgotten before its start, whose hash identifies the voice's state.
        """
        for run in self.runs:
            self.attempt(run, self.check_forgettable)
        for run in reversed(self.runs):
            if not self.is_barred(run):
                self.attempt(run, self.forget)

    def check_forgettable(self, run: RunConfig) -> None:
        """Raise UserError, before anything is set aside, if a run cannot begin anew."""
        if run.data_file().is_file():
            if not maker_of(run, self.runs):
                self.check_start(run)
            with exclusive_training(run):
                self.check_voices(run)

    def check_voices(self, run: RunConfig) -> None:
        """Raise UserError if another command trains a voice: what starts from this run's model, to be replaced now."""
        for voice in self.runs:
            if maker_of(voice, self.runs) is run:
                with exclusive_training(voice):
                    pass

    def is_barred(self, run: RunConfig) -> bool:
        """Whether a run, or one that makes its start, cannot begin."""
        maker = maker_of(run, self.runs)
        return run.name in self.failed or run.name in self.absent or bool(maker and self.is_barred(maker))

    def forget(self, run: RunConfig) -> None:
        """Make a dataset untrained: its states go, but for those of longer trainings, and the model is kept aside."""
        with exclusive_training(run):
            if note := forget_states(run, hash_file(run.data_file())):
                self.console.print(f"{run.name}: {note}")
            if run.model_file().is_file():
                self.console.print(f"{run.name}: the old file is kept as {set_aside(run.model_file())}")

    def show_table(self) -> None:
        table = Table("dataset", "state", "documents", "parameters", "minutes", "bits/char")
        for column in table.columns:
            column.no_wrap = True
        for o in (self.outcomes[run.name] for run in self.runs if run.name in self.outcomes):
            table.add_row(o.name, o.state, o.documents, o.parameters, o.minutes, o.bits)
        self.console.print(table)
