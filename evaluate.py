"""Measure how a trained model writes, and whether it copies: python evaluate.py --model models/NAME.pt, or --all"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from command.options import (
    MODEL,
    MOST_SAMPLES,
    Parser,
    add_config,
    add_data,
    add_overwrite,
    check_numbers,
    config_option,
)
from command.program import report_error, run_command, run_program

if TYPE_CHECKING:  # it imports torch, for which --help does not wait
    from command.outputs import Outputs
    from config.loader import Config
    from config.schema import RunConfig
    from evaluation.evaluator import Request
    from evaluation.records import Evaluation

TABLE_WIDTH = 120  # columns that the closing table needs


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        description="Measure trained models: likelihood, samples, copies, and how well voices can be told apart."
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", type=Path, help=MODEL)
    which.add_argument("--all", action="store_true", help="every trained model of the config, compared with the others")
    add_config(parser, "names the datasets and the folders of texts, models and outputs")
    add_data(parser)
    add_overwrite(parser)
    parser.add_argument(
        "--samples",
        type=Path,
        metavar="PATH",
        help="judge this text file, one document per line, instead of drawing; with --all a folder of NAME_samples.txt",
    )
    parser.add_argument("--count", type=int, default=200, help="documents to judge per model (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the drawn samples (default 0)")
    parser.add_argument("--output", type=Path, help="folder of the reports (default: the config's folder of outputs)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default auto)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    return run_command(evaluate, parse_arguments(argv))


def evaluate(arguments: argparse.Namespace) -> int:
    from command.console import PlainConsole
    from config.loader import config_or_defaults, load_config
    from evaluation import report
    from evaluation.evaluator import Request, compare_voices
    from generation.folder import model_name
    from utils import pick_device

    check_options(arguments)
    console = PlainConsole(patient=True)  # who reads the first lines alone still gets every report
    console.width = max(console.width, TABLE_WIDTH)
    config = load_config(arguments.config) if arguments.all else config_or_defaults(arguments.config)
    request = Request(arguments.count, arguments.seed, pick_device(arguments.device), config, arguments.data)
    files = {model_name(arguments.model): arguments.model} if arguments.model else trained_models(config, console.print)
    evaluations: list[Evaluation] = []
    pages: dict[str, Path] = {}  # of the voices, by name
    folder = arguments.samples if arguments.all else None
    samples = {name: folder / f"{name}_samples.txt" if folder else arguments.samples for name in files}
    # of all voices: no report may replace what another voice is judged by
    inputs = [*files.values(), *filter(None, samples.values())]
    inputs += [config.resolve(name).data_file() for name in files if arguments.all]
    joint = outputs_of(arguments, config.shared(), report.JOINT_FILES, inputs) if arguments.all else None
    status = 0
    for place, (name, file) in enumerate(files.items(), start=1):
        try:
            with console.busy(f"judging {name}, {place} of {len(files)}"):
                evaluation, outputs = judge(arguments, request, name, file, samples[name], inputs)
            evaluations.append(evaluation)  # in the tables even if its report cannot be written
            pages[name] = report.write_voice(evaluation, outputs)
            console.print(f"{report.summary(evaluation)}  ({pages[name]})")
        except Exception as error:  # report_error raises bugs again; the other voices are still judged
            status = report_error(error)
    if evaluations:
        console.print(report.table(evaluations))
    if joint and len(evaluations) > 1:
        with console.busy("comparing the voices"):
            comparison = compare_voices(evaluations)
        console.print(f"all voices: {report.write_all(comparison, evaluations, pages, joint)}")
    if console.reader_left:
        raise BrokenPipeError
    return status


def check_options(arguments: argparse.Namespace) -> None:
    from command.disk import check_writable
    from utils import UserError

    check_numbers(arguments, {"count": (2, MOST_SAMPLES), "seed": (0, None)})
    if arguments.all and arguments.data:
        raise UserError("--data names the text of one model; with --all, the config names the texts")
    if arguments.all and arguments.samples and not arguments.samples.is_dir():
        raise UserError(f"--samples {arguments.samples}: with --all, name the folder that holds NAME_samples.txt")
    if arguments.output:
        check_writable(arguments.output)


def judge(
    arguments: argparse.Namespace, request: "Request", name: str, file: Path, samples: Path | None, inputs: list[Path]
) -> tuple["Evaluation", "Outputs"]:
    """Evaluate one model; -> also the files of its report, which are checked before."""
    from evaluation import report
    from evaluation.evaluator import evaluate_voice
    from generation.checkpoint import load_checkpoint, named_weights
    from utils import check_readable

    if samples:  # before minutes of work
        check_readable(samples, "name a text file of samples, one document per line")
    checkpoint = load_checkpoint(file)
    run = request.config.placed(checkpoint.run, arguments.data)
    outputs = outputs_of(arguments, run, report.voice_files(name), inputs)
    with named_weights(file):
        return evaluate_voice(name, file, samples, request, checkpoint), outputs


def outputs_of(arguments: argparse.Namespace, run: "RunConfig", names: list[str], inputs: Iterable[Path]) -> "Outputs":
    """The files of a report, which go to --output or to the folder of this machine's config."""
    from command.outputs import Outputs

    folder = arguments.output or Path(run.paths.outputs)
    return Outputs(folder, names, [arguments.config, run.data_file(), *inputs], overwrite=arguments.overwrite)


def trained_models(config: "Config", say: Callable[[str], None] = print) -> dict[str, Path]:
    """The model files of the config's datasets that have one, by name."""
    from utils import UserError

    files = {name: config.resolve(name).model_file() for name in config.datasets}
    trained = {name: file for name, file in files.items() if file.is_file()}
    for name in files:
        if name not in trained:
            say(f"{name}: not trained yet, left out")
    if not trained:
        command = f"python train.py --all{config_option(config.path)}"
        raise UserError(
            f"{config.path}: none of its datasets is trained yet; {command}, or judge another model with --model"
        )
    return trained


if __name__ == "__main__":
    run_program(main)
