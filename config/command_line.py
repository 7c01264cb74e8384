"""Command-line options that several commands share, and how a command runs: its errors, signals and exit status.

torch is imported only inside functions, so that --help does not wait for it.
"""

import argparse
import contextlib
import io
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from config.messages import argument, printable, shorter

CONFIG_FILE = Path("config.yaml")  # that commands read unless --config names another
# least and most of the sampling options; None: no limit
SAMPLING_BOUNDS: dict[str, tuple[float, float | None]] = {
    "seed": (0, None), "steps": (1, 4096), "stretch": (1, 4096), "revisions": (0, 1000), "batch_size": (1, None),
    "temperature": (1e-3, 10), "top_p": (1e-3, 1),
}  # fmt: skip
TOGETHER = 1.0  # seconds in which a system sends a signal once more
EXIT_STOPPED = 130  # the exit status after a signal to stop
MOST_LINES = 100  # of errors: what comes from a file may be of any size
MOST_SAMPLES = 1_000_000  # a typing error must not write or judge for ever


def named_path(text: str) -> Path:
    """The path of an option; an empty one would be the working directory, as a shell's variable without a value is."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; name a path, . for this folder")
    return Path(text)


class Parser(argparse.ArgumentParser):
    """A parser whose errors cannot steer the terminal, whatever the arguments are, and to which "" is no path."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("type", Path, named_path)

    def error(self, message: str) -> NoReturn:
        super().error(shorter(printable(message)))


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
    except BrokenPipeError:
        silence(sys.stdout)
        status = 141
    except OSError as error:  # a full disk, for example
        silence(sys.stdout)
        complain(f"error: standard output: {error.strerror or error}")
        status = 2
    for number in signals:  # the work is done, and the status is to say so
        signal.signal(number, signal.SIG_IGN)
    sys.exit(status)


def importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported, so that no work has begun; torch's own would abort at an exception."""
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
    from utils import UserError, out_of_memory

    if isinstance(error, UserError):
        lines = str(error).splitlines()
    elif isinstance(error, FloatingPointError):
        lines = [str(error)]
    elif out_of_memory(error):
        lines = ["out of memory"]
    elif isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        lines = [f"{error.filename or 'a file, or standard output'}: {error.strerror or error}"]
    else:
        raise error
    for line in lines[:MOST_LINES]:
        complain(f"error: {shorter(line)}")
    return 2


def add_config(parser: argparse.ArgumentParser, use: str) -> None:
    parser.add_argument("--config", type=Path, default=CONFIG_FILE, help=f"{use} (default {CONFIG_FILE})")


def config_option(config: Path) -> str:
    """How a command to type names this configuration: not at all if it is the usual one."""
    return "" if config == CONFIG_FILE else f" --config {argument(config)}"


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a model's text: a model file comes from anywhere, so its own paths are not used."""
    parser.add_argument(
        "--data", type=Path, metavar="TEXT", help="the text that the model was trained on (default: the config's)"
    )


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    what = "replace outputs that this program did not write, or that were changed since"
    parser.add_argument("--overwrite", action="store_true", help=what)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how texts are written."""
    default = "(default: the model's config)"
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the draws: text k follows from model, seed and k alone (default 0)"
    )
    parser.add_argument("--steps", type=int, help=f"tweedie, euler: number of noise levels, one call each {default}")
    parser.add_argument(
        "--stretch", type=int, help=f"surest, gibbs: each call writes one character of every stretch {default}"
    )
    parser.add_argument(
        "--revisions", type=int, help=f"surest, gibbs: how often the worst part is written again {default}"
    )
    parser.add_argument("--temperature", type=float, help=f"below 1: safer text, above 1: wilder {default}")
    parser.add_argument("--top-p", type=float, help=f"keep the likeliest characters up to this mass, 0-1 {default}")
    parser.add_argument("--batch-size", type=int, help="texts written at once; it changes speed, not the texts")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default auto)")


def add_ray(parser: argparse._ActionsContainer, what: str) -> None:
    where = f"{what} the machines of a Ray cluster, by default that of this machine (see docs/machines.md)"
    parser.add_argument("--ray", nargs="?", const="", metavar="ADDRESS", help=where)


def sampling_options(arguments: argparse.Namespace) -> dict[str, float | None]:
    """Sampler settings given on the command line; None for those not given."""
    return {key: getattr(arguments, key) for key in ("steps", "stretch", "revisions", "temperature", "top_p")}


def check_numbers(arguments: argparse.Namespace, bounds: dict[str, tuple[float, float | None]]) -> None:
    """Raise UserError for the first number on the command line that is outside its bounds."""
    from utils import UserError

    for name, (low, high) in bounds.items():
        value = getattr(arguments, name)
        if value is not None and (not value >= low or (high is not None and value > high)):
            rule = f"at least {low}" if high is None else f"between {low} and {high}"
            raise UserError(f"--{name.replace('_', '-')} {str(value).removesuffix('.0')}: must be {rule}")
