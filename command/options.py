"""Command-line options that several commands share, and the bounds of their numbers.

torch is imported only inside functions, so that --help does not wait for it.
"""

import argparse
import os
from pathlib import Path
from typing import Any, NoReturn

from command.messages import argument, printable, shorter

MODEL = "a model file, models/NAME.pt, or a folder of export.py hub or safetensors"
CONFIG_FILE = Path("config.yaml")  # that commands read unless --config names another
# least and most of the sampling options; None: no limit
SAMPLING_BOUNDS: dict[str, tuple[float, float | None]] = {
    "seed": (0, None), "steps": (1, 4096), "stretch": (1, 4096), "revisions": (0, 1000), "batch_size": (1, None),
    "temperature": (1e-3, 10), "top_p": (1e-3, 1),
}  # fmt: skip
SAMPLER_OPTIONS = ("steps", "stretch", "revisions", "temperature", "top_p")  # the settings of a sampler among them
MOST_SAMPLES = 1_000_000  # a typing error must not write or judge for ever


def named_path(text: str) -> Path:
    """The path of an option. An empty one, as a shell variable without a value gives, would be the working folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; name a path, . for this folder")
    return Path(text)


def named_file(text: str) -> Path:
    """The path of a file to write. A name that ends as a folder's does is none, though pathlib drops its slash."""
    path = named_path(text)
    if os.path.basename(text) in ("", ".", ".."):  # noqa: PTH119 - the name as it was typed
        raise argparse.ArgumentTypeError(f"{text}: is a folder; name a file in it")
    return path


class Parser(argparse.ArgumentParser):
    """A parser whose errors cannot steer the terminal, whatever the arguments are, and to which "" is no path."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("type", Path, named_path)

    def error(self, message: str) -> NoReturn:
        super().error(shorter(printable(message)))


def add_command(commands: Any, name: str, does: str, **options: Any) -> argparse.ArgumentParser:
    """A subcommand; its own --help, too, begins with what it does."""
    return commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.", **options)


def add_config(parser: argparse.ArgumentParser, use: str) -> None:
    parser.add_argument("--config", type=Path, default=CONFIG_FILE, help=f"{use} (default {CONFIG_FILE})")


def config_option(config: Path) -> str:
    """The option that names this configuration in a command to type; "" for the usual one."""
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
    parser.add_argument("--seed", type=int, default=0, help="another seed writes other documents (default 0)")
    add_sampler(parser)
    parser.add_argument("--batch-size", type=int, help="documents written at once; it changes speed, not documents")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default auto)")


def add_sampler(parser: argparse.ArgumentParser) -> None:
    """Add the settings of a sampler, those of SAMPLER_OPTIONS."""
    default = "(default: as the model was trained)"
    parser.add_argument("--steps", type=int, help=f"tweedie, euler: noise levels, a network call each {default}")
    parser.add_argument(
        "--stretch",
        type=int,
        help=f"surest, gibbs: characters of a stretch; a network call writes one in each, so fewer is faster {default}",
    )
    parser.add_argument(
        "--revisions", type=int, help=f"surest, gibbs: how often the worst part is written again {default}"
    )
    parser.add_argument("--temperature", type=float, help=f"below 1: safer text, above 1: wilder {default}")
    parser.add_argument("--top-p", type=float, help=f"keep the likeliest characters up to this mass, 0.001-1 {default}")


def add_ray(parser: argparse._ActionsContainer, what: str) -> None:
    where = f"{what} the machines of a Ray cluster, by default that of this machine (see docs/machines.md)"
    parser.add_argument("--ray", nargs="?", const="", metavar="ADDRESS", help=where)


def sampling_options(arguments: argparse.Namespace) -> dict[str, float | None]:
    """Sampler settings given on the command line; None for those not given."""
    return {key: getattr(arguments, key) for key in SAMPLER_OPTIONS}


def option(key: str) -> str:
    """The option of an argument's name: top_p -> --top-p."""
    return f"--{key.replace('_', '-')}"


def check_numbers(arguments: argparse.Namespace, bounds: dict[str, tuple[float, float | None]]) -> None:
    """Raise UserError for the first number on the command line that is outside its bounds."""
    from utils import UserError

    for name, (low, high) in bounds.items():
        value = getattr(arguments, name)
        if value is not None and (not value >= low or (high is not None and value > high)):
            rule = f"at least {low}" if high is None else f"between {low} and {high}"
            raise UserError(f"{option(name)} {str(value).removesuffix('.0')}: must be {rule}")
