"""One training in a process of its own: if it is killed or runs out of memory, the queue and the others go on."""

import contextlib
import multiprocessing
import signal
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection

from config.messages import with_error
from config.schema import RunConfig
from generation.console import make_console
from generation.outputs import check_ours
from training.display import TrainingDisplay
from training.events import Stopped
from training.trainer import train_model
from utils import UserError, exclusive_lock, make_streams_safe, out_of_memory, write_atomic

TRAINED, SKIPPED, MISSING, FAILED, STOPPED = "trained", "skipped", "missing", "failed", "stopped"
LOCK_SECONDS = 5  # to wait for a training that still saves its state after its queue was killed
LESS_MEMORY = "lower training.batch_size or choose a smaller preset"
OUT_OF_MEMORY = f"out of memory; {LESS_MEMORY}"
KILLED = f"; if nobody did that, memory ran out: {LESS_MEMORY}"
IGNORED = [number for name in ("SIGINT", "SIGHUP", "SIGBREAK") if (number := getattr(signal, name, None))]
# a new process rather than a fork: the same on every system, and it shares no memory
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
    retryable: bool = False  # a failure that a second try may not meet again


class TrainingProcess:
    """A training under way. `outcome` waits a moment for its end; `stop` makes it save its state and end."""

    def __init__(self, run: RunConfig, queued: list[tuple[float, float]]) -> None:
        self.name, self.started = run.name, False
        self.link, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=train_in_process, args=(run, queued, theirs), daemon=True)
        with ctrl_c_blocked():  # the process inherits this: the queue hears Ctrl+C and passes it on
            self.process.start()
        theirs.close()  # while it is open here, the link would not report that the process has ended

    def outcome(self, seconds: float) -> Outcome | None:
        """How the training ended; None if it still runs after so many seconds."""
        try:
            if not self.link.poll(seconds):
                return None
            outcome: Outcome | None = self.link.recv()  # None says that training has started
        except (EOFError, OSError):
            self.process.join()
            return Outcome(self.name, FAILED, self.exit_reason(), retryable=True)
        self.started = True
        if outcome:
            self.process.join()
        return outcome

    def exit_reason(self) -> str:
        """Why the process ended without an outcome, from its exit status."""
        code = self.process.exitcode or 0
        if code >= 0:
            return f"its process ended with status {code}"
        names = {number.value: number.name for number in signal.Signals}
        how = names.get(-code, f"signal {-code}")
        return f"its process was ended by {how}{KILLED if how == 'SIGKILL' else ''}"

    def stop(self) -> None:
        if not self.started:  # it still reads its data and does not look at the link; nothing is lost
            self.process.terminate()
        with contextlib.suppress(OSError):
            self.link.send("stop")

    def kill(self) -> None:
        self.process.kill()


@contextlib.contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Hold Ctrl+C back where the system can (not on Windows); it is delivered afterwards."""
    can = hasattr(signal, "pthread_sigmask")
    if can:
        resource_tracker.ensure_running()  # otherwise process.start() starts it, which unblocks Ctrl+C
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if can:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def train_in_process(run: RunConfig, queued: list[tuple[float, float]], link: Connection) -> None:
    """What the process runs. It stops when the queue says so or has ended, and at SIGTERM."""
    signals: list[int] = []

    def stop_asked() -> bool:
        try:
            return bool(signals) or link.poll()
        except OSError:  # Windows reports in this way that the queue has ended
            return True

    def send(message: Outcome | None) -> None:
        with contextlib.suppress(OSError):  # the queue may have ended
            link.send(message)

    def terminate(number: int, frame: object) -> None:
        signals.append(number)
        if not display.parameters:  # still reading its data, so that nothing looks at `signals` yet
            raise Stopped

    make_streams_safe()
    display = TrainingDisplay(make_console(), run, stop_asked, lambda: send(None), queued)
    for number in IGNORED:  # a terminal sends these to every process; the queue passes them on
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminate)
    send(train_to_outcome(run, display))


def exclusive_training(run: RunConfig) -> AbstractContextManager[None]:
    """Keep other processes from a dataset's model and state."""
    busy = f"another process is training {run.model_file()}"
    return exclusive_lock(run.model_file().with_name(f".{run.name}.lock"), busy, LOCK_SECONDS)


def train_to_outcome(run: RunConfig, display: TrainingDisplay) -> Outcome:
    """Train; -> how it ended, also after an error."""

    def ended(state: str, detail: str, bits: str = "", *, retryable: bool = False) -> Outcome:
        minutes = f"{display.status.seconds / 60:.1f}"
        return Outcome(
            run.name, state, detail, documents=display.documents, parameters=display.parameters, minutes=minutes,
            bits=bits, retryable=retryable,
        )  # fmt: skip

    try:
        with exclusive_training(run), display:
            checkpoint = train_model(run, display)
    except Stopped:
        return ended(STOPPED, "nothing is lost")
    except UserError as error:
        return ended(FAILED, str(error))
    except Exception as error:  # the queue goes on after any failure
        if out_of_memory(error):
            return ended(FAILED, OUT_OF_MEMORY)
        return ended(FAILED, unforeseen(error, run), retryable=True)
    return ended(TRAINED, str(run.model_file()), bits_text(checkpoint.metrics))


def bits_text(metrics: dict[str, float]) -> str:
    return with_error(metrics["held_out_bits"], metrics["held_out_error"])


def unforeseen(error: Exception, run: RunConfig) -> str:
    """One line for an unforeseen failure; the traceback goes to models/NAME.error.log if that can be written."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    log = run.model_file().with_suffix(".error.log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        check_ours(log, lambda found: found.startswith(b"Traceback"))
        write_atomic(log, "".join(traceback.format_exception(error)))
    except (OSError, UserError):  # a full disk, or another's file: the line must do
        return reason
    return f"{reason} (details: {log})"
