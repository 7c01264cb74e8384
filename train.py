"""Train models, one after the other or several at once: python train.py --dataset NAME, or --all"""

import argparse
from typing import TYPE_CHECKING, Any

from command.messages import argument
from command.options import CONFIG_FILE, Parser, add_config, add_ray
from command.program import run_command, run_program

if TYPE_CHECKING:
    from config.schema import RunConfig
    from training.lanes import Lanes
    from training.queue import Queue

MOST_MINUTES = 600_000  # over a year


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description="Train a character-level diffusion model for each dataset.")
    which = parser.add_mutually_exclusive_group(required=True)
    dataset = "a dataset of the config, or NAME.txt in the datasets folder; repeatable"
    which.add_argument("--dataset", action="append", metavar="NAME", help=dataset)
    which.add_argument("--all", action="store_true", help="every dataset of the config")
    parser.add_argument(
        "--base",
        action="store_true",
        help="with --all: train one base model on all the datasets first, and start every model from it",
    )
    parser.add_argument(
        "--more",
        action="store_true",
        help="with one --dataset: train its finished model further, --minutes or all epochs more, instead of anew",
    )
    add_config(parser, "the configuration")
    parser.add_argument(
        "--preset", help="tiny (for minutes), cpu (for hours, the default), baby, or another of the config"
    )
    minutes = "most minutes for each model (default: the config's, no limit); a base takes a quarter of their sum first"
    parser.add_argument("--minutes", type=float, help=minutes)
    parser.add_argument(
        "--hours", type=float, help="hours for all models together, in equal shares, less for a text below a megabyte"
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        help="trainings at once, each in its own process with its share of the cores; auto: one for each core of "
        "a CPU, one on a GPU, with --ray one for each GPU (default 1, with --ray auto)",
    )
    add_ray(parser, "train on")
    parser.add_argument("--check", action="store_true", help="show the plan and what the data are like; train nothing")
    parser.add_argument("--device", help="auto, cpu, cuda or mps, instead of the config's")
    parser.add_argument(
        "--force",
        action="store_true",
        help="train anew what is done or was stopped; the old model is kept as NAME.previous.pt, "
        "a state only if it holds more minutes than this training may take",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    return run_command(train, parse_arguments(argv))


def train(arguments: argparse.Namespace) -> int:
    from training.check import check_runs

    queue = queue_of(arguments)
    if arguments.check:
        return check_runs(queue, arguments.config)
    return queue.run_all()


def queue_of(arguments: argparse.Namespace) -> "Queue":
    """The trainings that are asked for, each with its share of the time; it writes the text of a base."""
    from config.loader import load_config
    from training.base import BASE_SHARE, with_base, write_base_text
    from training.further import with_more_time
    from training.hours import share_hours
    from training.order import in_order
    from training.queue import Queue
    from training.tensorboard import check_tensorboard
    from utils import UserError

    check_times(arguments)
    config = load_config(arguments.config)
    overrides: dict[str, Any] = {
        key: value for key in ("device", "preset") if (value := getattr(arguments, key)) is not None
    }
    if arguments.minutes is not None:
        overrides["training"] = {"max_minutes": arguments.minutes}
    if arguments.all and not config.datasets:
        raise UserError(f"{config.path}: datasets is empty, so --all has nothing to train")
    names = list(dict.fromkeys(arguments.dataset or config.datasets))
    runs = in_order([config.resolve(name, **overrides) for name in names])
    check_tensorboard(runs)
    check_together(arguments, len(runs))
    lanes = lanes_of(arguments, runs)
    if arguments.hours is not None:
        runs = share_hours(runs, arguments.hours * (1 - BASE_SHARE if arguments.base else 1), lanes.count)
    anew = arguments.force
    if arguments.base:
        base, *voices = in_order(with_base(config, runs, overrides, lanes.count if arguments.hours else 1))
        written = write_base_text(base, runs, keep=arguments.check)
        anew |= written != base  # --check found that the base's text will be another: then all are trained anew
        runs = [written, *voices]
    if arguments.more:
        runs = [with_more_time(runs[0])]
    return Queue(runs, anew, command_of(arguments), lanes)


def check_times(arguments: argparse.Namespace) -> None:
    """Raise UserError for a time limit out of bounds."""
    from utils import UserError

    for key, most in (("minutes", MOST_MINUTES), ("hours", MOST_MINUTES // 60)):
        value = getattr(arguments, key)
        if value is not None and not 0 < value <= most:
            raise UserError(f"--{key} {str(value).removesuffix('.0')}: must be above 0, and at most {most}")


def check_together(arguments: argparse.Namespace, datasets: int) -> None:
    """Raise UserError for options that do not go together."""
    from utils import UserError

    if arguments.base and not arguments.all:
        raise UserError("--base: learns from all datasets, so it goes with --all")
    if arguments.hours is not None and arguments.minutes is not None:
        raise UserError("--hours and --minutes exclude each other; leave one out")
    if arguments.more and (datasets != 1 or arguments.all or arguments.check or arguments.force):
        raise UserError("--more: trains one finished model further, so it goes with one --dataset alone")


def lanes_of(arguments: argparse.Namespace, runs: "list[RunConfig]") -> "Lanes":
    """Where the trainings run, and how many at once."""
    if arguments.ray is None:
        from training.lanes import LocalLanes, lane_count

        return LocalLanes(lane_count("1" if arguments.jobs is None else arguments.jobs, runs))
    from training.ray_lanes import RayLanes

    return RayLanes(arguments.ray, "auto" if arguments.jobs is None else arguments.jobs, runs)


def command_of(arguments: argparse.Namespace) -> str:
    """The command that goes on where this one was stopped."""
    everything = ["--all", *["--base"] * arguments.base]
    words = everything if arguments.all else [word for name in arguments.dataset for word in ("--dataset", name)]
    words += ["--more"] * arguments.more
    for key in ("config", "preset", "minutes", "hours", "device", "jobs", "ray"):
        if (value := getattr(arguments, key)) not in (None, CONFIG_FILE):
            words += [f"--{key}", str(value)] if value != "" else [f"--{key}"]
    return " ".join(["python train.py", *map(argument, words)])


if __name__ == "__main__":
    run_program(main)
