"""Write documents with a trained model: python generate.py --model models/NAME.pt --samples 100"""

import argparse
import re
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from command.messages import counted, say
from command.options import (
    MODEL,
    MOST_SAMPLES,
    SAMPLING_BOUNDS,
    Parser,
    add_config,
    add_overwrite,
    add_ray,
    add_sampling,
    check_numbers,
    named_file,
    sampling_options,
)
from command.program import run_command, run_program

if TYPE_CHECKING:
    from diffusion.sampler_settings import SamplerSettings
    from generation.draft import Written
    from generation.prompt import Prompt
    from generation.writer import Progress, Writer


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description="Write documents with a trained model, one a line.")
    parser.add_argument("--model", type=Path, required=True, help=MODEL)
    parser.add_argument("--samples", type=int, default=100, help="how many documents (default 100)")
    add_sampling(parser)
    parser.add_argument("--prefix", default="", help="what every document begins with")
    parser.add_argument("--suffix", default="", help="what every document ends with")
    parser.add_argument("--template", default="", help="a whole document with a _ for each character to write")
    parser.add_argument("--length", default="", metavar="N|MIN-MAX", help="characters of each document")
    add_config(parser, "names the folder of outputs")
    parser.add_argument(
        "--output",
        type=named_file,
        help="text file to write (default outputs/NAME_samples.txt); a .jsonl goes beside it",
    )
    parser.add_argument(
        "--courses", action="store_true", help="also write how each document came to be: a .courses.jsonl"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--watch", action="store_true", help="show the documents while they are written")
    add_ray(where, "write on")
    add_overwrite(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    return run_command(generate, parse_arguments(argv))


def generate(arguments: argparse.Namespace) -> int:
    from command.outputs import Outputs
    from config.loader import config_or_defaults
    from diffusion.samplers import settings_read
    from generation.checkpoint import load_checkpoint, named_weights
    from generation.cluster import on_machines
    from generation.folder import full_name, model_files, model_name
    from generation.prompt import Prompt
    from generation.sample_files import course_file, sample_files
    from generation.writer import Writer
    from utils import pick_device

    check_numbers(arguments, {"samples": (1, MOST_SAMPLES), **SAMPLING_BOUNDS})
    check_output(arguments.output)
    checkpoint = load_checkpoint(arguments.model)
    writer = Writer.of(checkpoint, pick_device(arguments.device))
    prompt = Prompt(arguments.prefix, arguments.suffix, arguments.template, *length_range(arguments.length))
    prompt.check(writer.run, writer.vocabulary, str(arguments.model))
    settings = writer.settings(**sampling_options(arguments))
    here = config_or_defaults(arguments.config).placed(writer.run)
    output = arguments.output or Path(here.paths.outputs) / f"{model_name(arguments.model)}_samples.txt"
    objects, courses = output.with_suffix(".jsonl"), output.with_suffix(".courses.jsonl")
    names = [output.name, objects.name] + ([courses.name] if arguments.courses else [])
    inputs = [*model_files(arguments.model), arguments.config, here.data_file()]
    outputs = Outputs(output.parent, names, inputs, overwrite=arguments.overwrite, at_other_times=[courses.name])
    with named_weights(arguments.model), on_machines(writer, checkpoint, arguments.ray) as writer:
        written = write_all(arguments, writer, settings, prompt)
    texts = [document.text for document in written]
    how = {"model": full_name(arguments.model), "seed": arguments.seed, **settings_read(settings), **vars(prompt)}
    files = sample_files(texts, how, stream=writer.run.data.stream)
    if arguments.courses:
        files = (*files, course_file(document.course for document in written))
    outputs.write(*files)
    print(cost(writer, settings, prompt, texts))
    say(f"{counted(len(texts), 'document')}: {output} (with settings: {objects})")
    for name in outputs.left():
        say(f"{output.with_name(name)}: left as it is, of earlier documents; --courses writes it anew")
    return 0


def write_all(
    arguments: argparse.Namespace, writer: "Writer", settings: "SamplerSettings", prompt: "Prompt"
) -> "list[Written]":
    """Write the documents, batch by batch, and show progress; their courses are kept only if asked for."""
    from generation.writer import written_documents

    written: list[Written] = []
    size = (arguments.batch_size or writer.run.sampling.batch_size) * writer.machines.count
    with showing(arguments, writer) as (writer, progress):
        for first in range(0, arguments.samples, size):
            indices = range(first, min(first + size, arguments.samples))
            batch = written_documents(writer, arguments.seed, indices, settings, prompt=prompt, progress=progress)
            written += batch if arguments.courses else [document._replace(course=[]) for document in batch]
    return written


def cost(writer: "Writer", settings: "SamplerSettings", prompt: "Prompt", texts: list[str]) -> str:
    """How many network calls a document took, in words."""
    length = int(statistics.median(map(len, texts)))
    calls = writer.network_calls(settings, replace(prompt, shortest=length, longest=length))
    of_length = f"for a document of the median length, {counted(length, 'character')}"
    return f"{settings.sampler}: {counted(calls, 'network call')} {of_length}"


@contextmanager
def showing(arguments: argparse.Namespace, writer: "Writer") -> "Iterator[tuple[Writer, Progress | None]]":
    """A writer that shows its documents while it writes; or the same one, and a function to report progress."""
    from command.console import progress
    from generation.watch import watching
    from generation.writer import ThisMachine

    if arguments.watch:
        with watching(writer) as watch:
            yield replace(writer, machines=ThisMachine(watch)), None
    else:
        with progress("documents written", arguments.samples) as advance:
            yield writer, advance


def check_output(output: Path | None) -> None:
    from utils import UserError

    if output and output.suffix.lower() == ".jsonl":
        raise UserError(f"--output {output}: names the text file; the .jsonl is written beside it")
    if output and output.is_dir():
        raise UserError(f"--output {output}: is a folder; name a text file")


def length_range(text: str) -> tuple[int, int | None]:
    """ "N" or "MIN-MAX" -> shortest and longest; nothing: any length."""
    from config.schema import LONGEST_DOCUMENT
    from utils import UserError

    if not text:
        return 1, None
    found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text)
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= low <= high <= LONGEST_DOCUMENT:
        raise UserError(f"--length {text}: must be N or MIN-MAX, whole numbers from 1 to {LONGEST_DOCUMENT}")
    return low, high


if __name__ == "__main__":
    run_program(main)
