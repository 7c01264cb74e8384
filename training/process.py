"""One training in a process of its own, so that whatever ends it ends it alone. Knows nothing of the queue."""

import contextlib
import multiprocessing
import signal
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection

from config.schema import RunConfig
from training.display import TrainingDisplay, console, plot_curve
from training.events import Stopped, save_if_possible
from training.trainer import train_model
from utils import UserError, exclusive_lock, make_streams_safe, out_of_memory

TRAINED, SKIPPED, MISSING, FAILED, STOPPED = "trained", "skipped", "missing", "failed", "stopped"
LOCK_SECONDS = 5  # a training whose queue was killed saves its state first, and may still be at it
LESS_MEMORY = "lower training.batch_size or choose a smaller preset"
OUT_OF_MEMORY = f"out of memory; {LESS_MEMORY}"
KILLED = f"; if nobody did that, memory ran out: {LESS_MEMORY}"
UNHEARD = [number for name in ("SIGINT", "SIGHUP") if (number := getattr(signal, name, None))]
# a process begun anew, not a fork: the same on every system, and none of it is shared
CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Outcome:
    """How one dataset of the queue ended."""

    name: str
    state: str
    detail: str = ""
    documents: str = ""
    parameters: str = ""
    minutes: str = ""
    bits: str = ""
    retryable: bool = False  # a failure that a second try may not meet


class TrainingProcess:
    """A training under way. `answer` waits a moment for its outcome; `stop` has it save its state and end."""

    def __init__(self, run: RunConfig, later: list[tuple[float, float]]) -> None:
        self.name, self.begun = run.name, False
        self.link, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=train_in_process, args=(run, later, theirs), daemon=True)
        with ctrl_c_blocked():  # which it inherits: Ctrl+C is the queue's to pass on
            self.process.start()
        theirs.close()  # or its end would not be heard here

    def answer(self, seconds: float) -> Outcome | None:
        try:
            if not self.link.poll(seconds):
                return None
            outcome: Outcome | None = self.link.recv()
        except (EOFError, OSError):
            self.process.join()
            return Outcome(self.name, FAILED, self.silence(), retryable=True)
        self.begun = True  # its first word has no outcome in it
        if outcome:
            self.process.join()
        return outcome

    def silence(self) -> str:
        """What the exit status of a process that left without a word says."""
        code = self.process.exitcode or 0
        if code >= 0:
            return f"its process ended with status {code}"
        names = {number.value: number.name for number in signal.Signals}
        how = names.get(-code, f"signal {-code}")
        return f"its process was ended by {how}{KILLED if how == 'SIGKILL' else ''}"

    def stop(self) -> None:
        if not self.begun:  # reading and encoding, which hear no word: nothing is lost
            self.process.terminate()
        with contextlib.suppress(OSError):
            self.link.send("stop")

    def kill(self) -> None:
        self.process.kill()


@contextlib.contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Hold Ctrl+C back, where a system can; it is delivered afterwards."""
    can = hasattr(signal, "pthread_sigmask")
    if can:
        resource_tracker.ensure_running()  # or the first process would begin it, and that lets Ctrl+C through again
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if can:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def train_in_process(run: RunConfig, later: list[tuple[float, float]], link: Connection) -> None:
    """What the process does. It stops at a word from the queue, at the queue's end, or at SIGTERM."""
    asked: list[int] = []

    def told() -> bool:
        try:
            return bool(asked) or link.poll()
        except OSError:  # so Windows says that the queue is gone
            return True

    def tell(word: Outcome | None) -> None:
        with contextlib.suppress(OSError):  # the queue may be gone
            link.send(word)

    def terminate(number: int, frame: object) -> None:
        asked.append(number)
        if not display.parameters:  # no step asks yet
            raise Stopped

    make_streams_safe()
    display = TrainingDisplay(console(), run, told, lambda: tell(None), later)
    for number in UNHEARD:  # a terminal tells every process; the queue passes it on
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminate)
    tell(end_of(run, display))


def exclusive_training(run: RunConfig) -> AbstractContextManager[None]:
    """Hold a dataset's model and state against other processes."""
    busy = f"another process is training {run.model_file()}"
    return exclusive_lock(run.model_file().with_name(f".{run.name}.lock"), busy, LOCK_SECONDS)


def end_of(run: RunConfig, display: TrainingDisplay) -> Outcome:
    """Train; -> how it ended, whatever happens."""

    def ended(state: str, detail: str, bits: str = "", *, retryable: bool = False) -> Outcome:
        minutes = f"{display.status.seconds / 60:.1f}"
        return Outcome(run.name, state, detail, display.documents, display.parameters, minutes, bits, retryable)

    try:
        with exclusive_training(run), display:
            checkpoint = train_model(run, display)
            save_if_possible(display, lambda: plot_curve(display.status, run))
    except Stopped:
        return ended(STOPPED, "nothing is lost")
    except UserError as error:
        return ended(FAILED, str(error))
    except Exception as error:  # the queue outlives any one failure
        if out_of_memory(error):
            return ended(FAILED, OUT_OF_MEMORY)
        return ended(FAILED, unforeseen(error, run), retryable=True)
    return ended(TRAINED, str(run.model_file()), bits_text(checkpoint.metrics))


def bits_text(metrics: dict[str, float]) -> str:
    return f"{metrics['held_out_bits']:.3f} ± {metrics['held_out_error']:.3f}"


def unforeseen(error: Exception, run: RunConfig) -> str:
    """One line for an unforeseen failure; its traceback goes to models/NAME.error.log where that can be written."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    log = run.model_file().with_suffix(".error.log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:  # the disk is full, or models is no folder: the line must do
        return reason
    return f"{reason} (details: {log})"
