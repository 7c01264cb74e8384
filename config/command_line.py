"""Command-line options that several commands share, and how a command runs: its errors and its exit status.

torch is imported only inside functions, so that --help does not wait for it.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

CONFIG_FILE = Path("config.yaml")  # that commands read unless --config names another
# least and most of the sampling options; None: no limit
SAMPLING_BOUNDS: dict[str, tuple[float, float | None]] = {
    "seed": (0, None), "steps": (1, 4096), "stretch": (1, 4096), "revisions": (0, 1000), "batch_size": (1, None),
    "temperature": (1e-3, 10), "top_p": (1e-3, 1),
}  # fmt: skip


def run_command(command: Callable[..., int], *arguments: object) -> int:
    """Run a command and return its exit status: 2 after an error, 130 after Ctrl+C, 141 if `| head` ended first."""
    try:
        from utils import make_streams_safe  # imports torch, which takes a second

        make_streams_safe()
        try:
            status = command(*arguments)
            sys.stdout.flush()  # raises BrokenPipeError here rather than at exit
            return status
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python reports it again at exit
            return 141
        except Exception as error:
            return report_error(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


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
        lines = [f"{error.filename or 'a file'}: {error.strerror or error}"]
    else:
        raise error
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    return 2


def add_config(parser: argparse.ArgumentParser, use: str) -> None:
    parser.add_argument("--config", type=Path, default=CONFIG_FILE, help=f"{use} (default {CONFIG_FILE})")


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
        "--stretch", type=int, help=f"surest: stretch length; each call writes one character of every stretch {default}"
    )
    parser.add_argument("--revisions", type=int, help=f"surest: how often the worst part is written again {default}")
    parser.add_argument("--temperature", type=float, help=f"below 1: safer text, above 1: wilder {default}")
    parser.add_argument("--top-p", type=float, help=f"keep the likeliest characters up to this mass, 0-1 {default}")
    parser.add_argument("--batch-size", type=int, help="texts written at once; it changes speed, not the texts")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default auto)")


def sampling_options(arguments: argparse.Namespace) -> dict[str, float | None]:
    """Sampler settings given on the command line; None for those not given."""
    return {key: getattr(arguments, key) for key in ("steps", "stretch", "revisions", "temperature", "top_p")}


def check_numbers(arguments: argparse.Namespace, bounds: dict[str, tuple[float, float | None]]) -> None:
    """Raise UserError for the first number on the command line that is outside its bounds."""
    from utils import UserError

    for name, (low, high) in bounds.items():
        value = getattr(arguments, name)
        if value is not None and (not value >= low or (high is not None and value > high)):
            rule = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
            raise UserError(f"--{name.replace('_', '-')} {str(value).removesuffix('.0')}: must be {rule}")
