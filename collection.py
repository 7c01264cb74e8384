"""Make a set of tokens to mint: python collection.py make --model models/NAME.pt --size 1000 --out outputs/NAME"""

import argparse
from pathlib import Path

from command.options import Parser, add_command, add_config, add_data, add_ray, add_sampling
from command.program import run_command, run_program
from pages.themes import PIECES, THEMES


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description="Make, curate, rename and verify a set of tokens to mint.")
    commands = parser.add_subparsers(dest="command", required=True)
    make = add_command(commands, "make", "draw tokens 1 to SIZE; after a stop, the same command goes on")
    make.add_argument("--model", type=Path, required=True, help="a model file, models/NAME.pt")
    make.add_argument("--size", type=int, required=True, help="how many tokens the set has")
    make.add_argument("--out", "--output", type=Path, required=True, help="the set's folder")
    add_sampling(make)
    add_ray(make, "draw on")
    add_config(make, "holds rules, licence, source and the folder of texts")
    add_data(make)
    select = add_command(commands, "select", "publish some of the tokens and leave out the others")
    select.add_argument("--keep", required=True, metavar="FILE|all", help="a file of token ids to publish, or all")
    export = add_command(
        commands,
        "export",
        "write all files again, with another title, description, base URI, pieces, theme, licence or source",
        epilog="A later make takes licence and source from config.yaml again, where it names them.",
    )
    export.add_argument("--license", help="licence of the texts")
    export.add_argument("--source", help="where the texts are from")
    courses = add_command(commands, "draw-courses", "draw again how the texts of an earlier set were written")
    verify = add_command(commands, "verify", "recompute all files and hashes, and draw some tokens again")
    add_config(verify, "names the folder of texts")
    add_data(verify)
    verify.add_argument("--tokens", type=int, default=10, help="how many tokens to draw again (default 10)")
    verify.add_argument("--token", type=int, action="append", metavar="ID", help="draw this token again; repeatable")
    for command in (courses, verify):
        command.add_argument("--model", type=Path, help="the model file (default: its path when the set was made)")
        command.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default auto)")
    for command in (select, export, courses, verify):
        command.add_argument("folder", type=Path, help="the set's folder")
    for command in (make, export):
        command.add_argument("--title", help="the collection's title (of a new set: the dataset's name)")
        command.add_argument("--description", help="one sentence about the collection")
        command.add_argument("--base-uri", help="where images will be, as ipfs://CID; empty: beside the metadata")
        command.add_argument("--live", help="where a page of export.py page --set will be, which shows each token")
        command.add_argument("--pieces", help=f"files that show a text being written: {', '.join(PIECES)}; none")
        command.add_argument("--theme", help=f"colours, and what noise looks like: {', '.join(THEMES)}")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    return run_command(run_subcommand, parse_arguments(argv))


def run_subcommand(arguments: argparse.Namespace) -> int:
    from nft.commands import export_set, make_set, redraw_courses, select_tokens
    from nft.verify import verify_set

    commands = {
        "make": make_set, "select": select_tokens, "export": export_set, "draw-courses": redraw_courses,
        "verify": verify_set,
    }  # fmt: skip
    return commands[arguments.command](arguments)


if __name__ == "__main__":
    run_program(main)
