"""Take in a model of another program: python import_model.py notebook FILE --vocabulary TEXT"""

import argparse
from pathlib import Path

from command.messages import counted, say
from command.options import Parser, add_command, named_file
from command.program import run_command, run_program


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description="Turn a model of another program into a model file of this one.")
    sources = parser.add_subparsers(dest="source", required=True)
    notebook = add_command(sources, "notebook", "a checkpoint of the notebook ash80/diffusion-gpt")
    notebook.add_argument("file", type=Path, help="the notebook's model, as torch.save wrote it")
    notebook.add_argument(
        "--vocabulary",
        type=Path,
        required=True,
        metavar="TEXT",
        help="the text it was trained on, or a file with all its characters",
    )
    notebook.add_argument("--heads", type=int, default=6, help="attention heads; the file does not tell (default 6)")
    notebook.add_argument("--output", type=named_file, help="model file to write (default models/NAME.pt)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    return run_command(import_model, parse_arguments(argv))


def import_model(arguments: argparse.Namespace) -> int:
    from generation.notebook_import import import_notebook

    output = arguments.output or Path("models") / f"{arguments.file.stem}.pt"
    checkpoint = import_notebook(arguments.file, arguments.vocabulary, arguments.heads, output)
    parameters, characters = checkpoint.metrics["parameters"], checkpoint.vocabulary.size
    say(f"{output}: {counted(parameters, 'parameter')}, {counted(characters, 'character')}")
    return 0


if __name__ == "__main__":
    run_program(main)
