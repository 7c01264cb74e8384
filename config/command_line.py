"""Options that several commands share, and the bounds of their numbers. Imports nothing heavy: --help must not wait."""

import argparse
import os
import sys
from collections.abc import Callable

# what the command line may ask of a sampler: least and most
SAMPLING_BOUNDS: dict[str, tuple[float, float | None]] = {
    "seed": (0, None), "steps": (1, 4096), "stretch": (1, 4096), "revisions": (0, 1000), "batch_size": (1, None),
    "temperature": (1e-3, 10), "top_p": (1e-3, 1),
}  # fmt: skip


def run_command(command: Callable[..., int], *arguments: object) -> int:
    """Run a command; -> its exit status: 2 after an error, 130 after Ctrl+C, 141 if the reader (`| head`) has left."""
    try:
        from utils import make_streams_safe  # only now, after --help: torch takes a second to import

        make_streams_safe()
        try:
            status = command(*arguments)
            sys.stdout.flush()  # notices here, rather than at exit, that a reader has left
            return status
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at exit
            return 141
        except Exception as error:
            return report_error(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def report_error(error: Exception) -> int:
    """Print one line per problem on stderr; -> exit status 2. An error that only a bug can cause is raised again."""
    from utils import UserError, out_of_memory

    if isinstance(error, UserError):
        lines = str(error).splitlines()
    elif out_of_memory(error):
        lines = ["out of memory"]
    elif isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        lines = [f"{error.filename or 'a file'}: {error.strerror or error}"]
    else:
        raise error
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    return 2


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """How texts are drawn."""
    of_the_model = "(default: the model's config)"
    parser.add_argument(
        "--seed", type=int, default=0, help="the set's seed: text k follows from model, seed and k alone (default 0)"
    )
    parser.add_argument("--steps", type=int, help=f"tweedie, euler: noise levels, a network call each {of_the_model}")
    parser.add_argument("--stretch", type=int, help=f"surest: characters of which each call writes one {of_the_model}")
    parser.add_argument("--revisions", type=int, help=f"surest: how often a part is written again {of_the_model}")
    parser.add_argument("--temperature", type=float, help=f"below 1 safer, above 1 wilder {of_the_model}")
    parser.add_argument(
        "--top-p", type=float, help=f"keep the likeliest characters up to this mass, 0-1 {of_the_model}"
    )
    parser.add_argument("--batch-size", type=int, help="texts written together; none depends on it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default auto)")


def sampling_options(arguments: argparse.Namespace) -> dict[str, float | None]:
    """What the command line asks of a sampler; None where it does not say."""
    return {key: getattr(arguments, key) for key in ("steps", "stretch", "revisions", "temperature", "top_p")}


def check_numbers(arguments: argparse.Namespace, bounds: dict[str, tuple[float, float | None]]) -> None:
    """Refuse the first number of a command line that lies outside its bounds."""
    from utils import UserError

    for name, (low, high) in bounds.items():
        value = getattr(arguments, name)
        if value is not None and (not value >= low or (high is not None and value > high)):
            rule = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
            raise UserError(f"--{name.replace('_', '-')} {str(value).removesuffix('.0')}: must be {rule}")
