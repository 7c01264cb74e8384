"""How a command runs: its errors, its signals, its exit status.

Packages are imported only inside functions, so that a signal is heard from the first moment.
"""

import contextlib
import errno
import io
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, TextIO

from command.messages import error_text, printable, shorter

TOGETHER = 1.0  # seconds in which a system sends a signal once more
EXIT_STOPPED = 130  # the exit status after a signal to stop
MOST_LINES = 100  # of errors: what comes from a file may be of any size


def stop_signals() -> list[int]:
    """The signals that stop a command: Ctrl+C, SIGTERM, and a closed terminal unless `nohup` has it ignored."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none; there Ctrl+Break is a signal of its own
    closed = [hangup] if hangup and signal.getsignal(hangup) != signal.SIG_IGN else []
    return [signal.SIGINT, signal.SIGTERM, *closed, *([signal.SIGBREAK] if sys.platform == "win32" else [])]


class Repeats:
    """Tells a signal that a system sends twice from a second request: a closed terminal does so, and `timeout`.

    Ctrl+C comes once for each time that it is typed.
    """

    def __init__(self) -> None:
        self.last = -math.inf

    def is_one(self, number: int) -> bool:
        """Note a signal; -> whether it is the one before once more."""
        now, last = time.monotonic(), self.last
        self.last = now
        return number != signal.SIGINT and now - last < TOGETHER


def run_program(main: Callable[[], int]) -> NoReturn:
    """Run a command as this process and exit with its status: 130 after a signal to stop, 141 if `| head` has ended.

    A signal is heard from the first moment. A second one ends the process at once.
    """
    signals, asked, repeats = stop_signals(), False, Repeats()

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if repeats.is_one(number):
            return
        if asked or importing(frame):
            end_at_once()
        asked = True
        raise KeyboardInterrupt

    for number in signals:
        signal.signal(number, stop)
    try:
        try:
            status = main()
        except SystemExit as left:  # of argparse, after --help or a mistake
            status = int(left.code or 0)
        if sys.stdout:
            sys.stdout.flush()  # raises BrokenPipeError here rather than at exit
    except KeyboardInterrupt:
        end_at_once()
    except OSError as error:
        silence(sys.stdout)
        if not (left := reader_has_left(error)):  # a full disk, for example
            complain(f"error: {error_text(error, 'standard output')}")
        status = 141 if left else 2
    for number in signals:  # the work is done, and the status is to say so
        signal.signal(number, signal.SIG_IGN)
    sys.exit(status)


def importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: then no work has begun, and an exception could make torch abort."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def end_at_once() -> NoReturn:
    """End a command that was told to stop, without waiting for threads that still compute."""
    with contextlib.suppress(Exception):  # a reader that has left, or a line that was being written
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.write(2, b"stopped\n")
    os._exit(EXIT_STOPPED)


def run_command(command: Callable[..., int], *arguments: object) -> int:
    """Run a command and return its exit status: 2 after an error. Ctrl+C and a reader that has left end it."""
    os.environ["MPLBACKEND"] = "agg"  # pictures are files, whatever shows those of the user's other programs

    make_streams_safe()
    try:
        return command(*arguments)
    except Exception as error:
        return report_error(error)


def make_streams_safe() -> None:
    """Make stdin, stdout and stderr safe to use: a closed one leads nowhere, and output never fails to encode."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # child processes inherit the replacement
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that the console lacks shows as ?
            stream.reconfigure(errors="replace")


def reader_has_left(error: OSError) -> bool:
    """Whether an error means that nobody reads a pipe any more; Windows may call that an invalid argument."""
    # Python gives errors of Windows that it does not know this number too, but keeps Windows' own beside it
    unnamed = error.filename is None and getattr(error, "winerror", None) is None
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL and unnamed)


def complain(line: str) -> None:
    """Print a line on stderr, or nothing where nobody reads it."""
    try:
        print(printable(line), file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Let what is still to be written lead nowhere, after a reader has left: or Python reports it again at exit."""
    with contextlib.suppress(OSError, ValueError):  # it is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def report_error(error: Exception) -> int:
    """Print one line per problem on stderr and return 2. An error that only a bug can cause is raised again."""
    if isinstance(error, ModuleNotFoundError):  # first of all: what follows needs libraries itself
        fix = "activate .venv and install requirements.txt into it, or make it anew if its folder was moved"
        complain(f"error: {sys.executable} has no module {error.name}: {fix} (docs/install.md)")
        return 2
    from utils import UserError, out_of_memory

    if isinstance(error, UserError):
        lines = str(error).splitlines()
    elif isinstance(error, FloatingPointError):
        lines = [str(error)]
    elif out_of_memory(error):
        lines = ["out of memory"]
    elif isinstance(error, OSError) and not reader_has_left(error):
        lines = [error_text(error, "a file, or standard output")]
    else:
        raise error
    for line in lines[:MOST_LINES]:
        complain(f"error: {shorter(line)}")
    return 2
