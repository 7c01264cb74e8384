"""Take a model out of this program: python export.py page --model models/NAME.pt"""

import argparse
from pathlib import Path

from command.options import MODEL, Parser, add_command, add_config, add_data, add_overwrite, add_sampler, named_file
from command.program import run_command, run_program
from pages.themes import THEMES

# rows of exporting.html and exporting.quantise, which import torch; a test compares them
PLATFORMS = ("none", "fxhash", "highlight")
WEIGHTS = ("int8", "int8-grouped", "float16")


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description="Take a model out of this program, to where it runs without it.")
    commands = parser.add_subparsers(dest="command", required=True)
    add_page(add_command(commands, "page", "one HTML file in which the model writes, without a network"))
    onnx = add_command(commands, "onnx", "the network as ONNX, for texts of any length")
    onnx.add_argument("--output", type=named_file, help="file to write (default: the model's, with .onnx)")
    safetensors = add_command(commands, "safetensors", "weights, config.json and vocabulary.json")
    safetensors.add_argument("--output", type=Path, help="folder to write to (default: the model's without .pt)")
    add_hub(hub := add_command(commands, "hub", "a folder as Hugging Face shows it; nothing is uploaded"))
    for command in (onnx, safetensors, hub):
        command.add_argument("--model", type=Path, required=True, help=MODEL)
        add_overwrite(command)
    return parser.parse_args(argv)


def add_page(page: argparse.ArgumentParser) -> None:
    page.add_argument("--model", type=Path, required=True, help=MODEL)
    page.add_argument("--output", type=named_file, help="file to write (default outputs/NAME_live.html)")
    page.add_argument("--title", help="shown on the page (default: the set's, or the dataset's name)")
    page.add_argument(
        "--theme",
        choices=("auto", *THEMES),
        help="colours (default: the set's, or auto: paper or night by the viewer's)",
    )
    page.add_argument(
        "--platform",
        choices=PLATFORMS,
        default="none",
        help="where the page is shown; that platform's script must lie beside it",
    )
    page.add_argument(
        "--weights", choices=WEIGHTS, default="int8", help="how weights are kept (default int8, a scale per row)"
    )
    page.add_argument(
        "--quantised", type=named_file, metavar="MODEL", help="also write the model with the page's weights"
    )
    page.add_argument("--set", type=Path, metavar="FOLDER", help="show this set's tokens, as the model wrote them")
    page.add_argument("--unproven", action="store_true", help="skip the proof that the page writes what Python does")
    page.add_argument("--seed", type=int, default=0, help="seed of the page's documents (default 0)")
    add_sampler(page)  # which the page then has for good
    add_config(page, "names the folders of texts and outputs")
    add_data(page)
    add_overwrite(page)


def add_hub(hub: argparse.ArgumentParser) -> None:
    hub.add_argument("--out", "--output", type=Path, required=True, metavar="FOLDER", help="folder to write to")
    hub.add_argument(
        "--language", action="append", default=[], metavar="CODE", help="language of the texts, as en; repeatable"
    )
    hub.add_argument("--device", default="auto", help="device that writes the card's samples (default auto)")
    add_config(hub, "names the folder of reports, from which the card takes its figures")


def main(argv: list[str] | None = None) -> int:
    return run_command(run_subcommand, parse_arguments(argv))


def run_subcommand(arguments: argparse.Namespace) -> int:
    from exporting.hub import export_hub
    from exporting.onnx import export_onnx
    from exporting.page import export_page
    from exporting.safetensors import export_safetensors

    commands = {"page": export_page, "onnx": export_onnx, "safetensors": export_safetensors, "hub": export_hub}
    return commands[arguments.command](arguments)


if __name__ == "__main__":
    run_program(main)
