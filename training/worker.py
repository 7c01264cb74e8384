"""One training in a process of its own: if it is killed or runs out of memory, the queue and the others go on."""

import contextlib
import ctypes
import errno
import math
import multiprocessing
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch

from command.disk import write_atomic
from command.lock import exclusive_lock
from command.messages import error_text, with_error
from command.outputs import check_ours
from command.program import make_streams_safe
from config.schema import RunConfig
from generation.course import Change
from text.corpus import Corpus
from training.display import start_notes
from training.events import Advance, Hear, Listener, Message, Note, Status, Stopped
from training.trainer import train_model
from training.utilisation import share_of_a_character
from utils import UserError, out_of_memory

TRAINED, SKIPPED, MISSING, FAILED, STOPPED = "trained", "skipped", "missing", "failed", "stopped"
ADVANCE_SECONDS = 0.2  # between messages that say how far a training is
LOCK_SECONDS = 5  # to wait for a training that still saves its state after its queue was killed
LESS_MEMORY = "give fewer --jobs, lower training.batch_size or choose a smaller preset"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a disk on which nothing is to be tried again
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


class Cores(NamedTuple):
    """How many cores a training computes on, and for how many its steps are divided into parts.

    The result depends on the second alone.
    """

    used: int
    cut_for: int


class TrainingProcess:
    """A training under way. `receive` takes its next message; `stop` makes it save its state and end."""

    def __init__(self, run: RunConfig, cores: Cores) -> None:
        self.name, self.cores, self.started, self.stopping = run.name, cores, False, False
        self.link, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=train_in_process, args=(run, cores, theirs), daemon=True)
        with ctrl_c_blocked():  # the process inherits this: the queue hears Ctrl+C and passes it on
            self.process.start()
        theirs.close()  # while it is open here, the link would not report that the process has ended

    def receive(self) -> Message | Outcome:
        """The next message of the training, waited for; the last one says how it ended."""
        try:
            if self.died_unheard() and not self.link.poll():
                raise EOFError
            message: Message | Outcome = self.link.recv()
        except (EOFError, OSError):
            self.process.join()
            if self.stopping and not self.started:
                return Outcome(self.name, STOPPED, "at once")
            return Outcome(self.name, FAILED, self.exit_reason(), retryable=True)
        self.started = True
        if isinstance(message, Outcome):
            self.process.join()
        return message

    def died_unheard(self) -> bool:
        """Whether its process ended without a word. Windows holds the link open here until the process takes it."""
        return not self.started and not self.process.is_alive()

    def exit_reason(self) -> str:
        """Why the process ended without an outcome, from its exit status."""
        code = self.process.exitcode or 0
        if code >= 0:
            return f"its process ended with status {code}"
        names = {number.value: number.name for number in signal.Signals}
        how = names.get(-code, f"signal {-code}")
        return f"its process was ended by {how}{KILLED if how == 'SIGKILL' else ''}"

    def stop(self) -> None:
        self.stopping = True
        if not self.started:  # it still reads its data and does not look at the link; nothing is lost
            self.process.terminate()
        with contextlib.suppress(OSError):
            self.link.send("stop")

    def kill(self) -> None:
        self.process.kill()


@contextlib.contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Hold Ctrl+C back, also from what starts meanwhile. It is delivered afterwards, but on Windows it is lost."""
    if sys.platform == "win32":
        ignore = ctypes.WinDLL("kernel32").SetConsoleCtrlHandler
        ignore(None, True)
        try:
            yield
        finally:
            ignore(None, False)
        return
    can = hasattr(signal, "pthread_sigmask")
    if can:
        resource_tracker.ensure_running()  # otherwise process.start() starts it, which unblocks Ctrl+C
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if can:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class Sender(Listener):
    """The listener of a training in its process: sends the queue messages, and asks it whether to stop."""

    def __init__(self, run: RunConfig, send: Hear, stop_asked: Callable[[], bool]) -> None:
        self.run, self.send, self.stopping = run, send, stop_asked
        self.status, self.sent = Status(run.name), 0.0
        self.documents = self.parameters = ""
        self.share = math.nan  # of the card that one character a second takes

    def started(self, run: RunConfig, corpus: Corpus, parameters: int, device: torch.device, steps: int) -> None:
        self.documents, self.parameters = corpus.documents_text, f"{parameters / 1e6:.2f}M"
        self.share = share_of_a_character(run, corpus, device)
        for text in start_notes(run, corpus, parameters, device, steps):
            self.note(text)

    def resumed(self, status: Status) -> None:
        self.status = status
        self.note(f"going on from step {status.step:,}")

    def note(self, text: str) -> None:
        self.send(Note(self.run.name, text))

    def stepped(self, status: Status) -> None:
        self.status = status
        if time.monotonic() - self.sent > ADVANCE_SECONDS:
            self.advance()

    def validated(self, status: Status, course: list[Change]) -> None:
        self.status = status
        self.advance(validated=True, course=course)

    def advance(self, **news: Any) -> None:
        status = replace(self.status, history=self.status.history[-1:])
        self.send(Advance(status, used=self.share * status.speed, **news))
        self.sent = time.monotonic()

    def finishing(self, status: Status) -> None:
        """Draw the learning curve: before the model is saved, so that a kill leaves no model without its curve."""
        try:
            from training.curve import plot_curve  # matplotlib is slow to import, and only the end needs it

            plot_curve(status, self.run)
        except Exception as error:  # whatever is wrong with a picture, the model is worth more
            self.note(f"learning curve not saved, and going on: {error_text(error)}")


def train_in_process(run: RunConfig, cores: Cores, link: Connection) -> None:
    """What the process runs. It stops when the queue says so or has ended, and at SIGTERM."""
    signals: list[int] = []

    def stop_asked() -> bool:
        try:
            return bool(signals) or link.poll()
        except OSError:  # Windows reports in this way that the queue has ended
            return True

    def send(message: Message | Outcome) -> None:
        with contextlib.suppress(OSError):  # the queue may have ended
            link.send(message)

    def terminate(number: int, frame: object) -> None:
        signals.append(number)
        if not sender.parameters:  # still reading its data, so that nothing looks at `signals` yet
            raise Stopped

    make_streams_safe()
    sender = Sender(run, send, stop_asked)
    for number in IGNORED:  # a terminal sends these to every process; the queue passes them on
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminate)
    torch.set_num_threads(cores.used)
    send(train_to_outcome(run, sender, cores.cut_for))


def exclusive_training(run: RunConfig) -> AbstractContextManager[None]:
    """Keep other processes from a dataset's model and state."""
    busy = f"another process is training {run.model_file()}"
    return exclusive_lock(run.model_file().with_name(f".{run.name}.lock"), busy, LOCK_SECONDS)


def train_to_outcome(run: RunConfig, sender: Sender, cut_for: int) -> Outcome:
    """Train; -> how it ended, also after an error."""

    def ended(state: str, detail: str, bits: str = "", *, retryable: bool = False) -> Outcome:
        minutes = f"{sender.status.seconds / 60:.1f}"
        return Outcome(
            run.name, state, detail, documents=sender.documents, parameters=sender.parameters, minutes=minutes,
            bits=bits, retryable=retryable,
        )  # fmt: skip

    try:
        with exclusive_training(run):
            checkpoint = train_model(run, sender, cut_for=cut_for)
    except Stopped:
        return ended(STOPPED, "nothing is lost")
    except UserError as error:
        return ended(FAILED, str(error))
    except Exception as error:  # the queue goes on after any failure
        if out_of_memory(error):
            return ended(FAILED, OUT_OF_MEMORY)
        if isinstance(error, OSError) and error.filename:  # a scanner lets a file go; a full disk stays full
            return ended(FAILED, error_text(error), retryable=error.errno not in FULL)
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
