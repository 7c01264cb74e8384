"""Make the text of a dataset from downloads: python prepare.py reviews.csv --name reviews"""

import argparse
from pathlib import Path

from command.messages import counted, say
from command.options import Parser, add_config, add_overwrite, check_numbers
from command.program import run_command, run_program


def given(text: str) -> str:
    """The value of an option; an empty one, as of a shell's variable without one, would be no choice."""
    if not text:
        raise argparse.ArgumentTypeError("an empty text; leave the option out, or give it a value")
    return text


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        description="Make datasets/NAME.txt, one document per line, from CSV, TSV, JSON, JSON lines or Parquet files, "
        "mailboxes, Stack Exchange's XML dumps, .txt and .md files, also packed (.gz, .bz2, .xz, .zst, .zip), or git "
        "repositories."
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="SOURCE", help="files, folders, globs, or ARCHIVE.zip/FILE"
    )
    parser.add_argument(
        "--git", type=Path, action="append", default=[], metavar="PATH", help="a git repository's commits"
    )
    parser.add_argument("--name", required=True, help="name of the dataset")
    columns = parser.add_mutually_exclusive_group()
    most = "the column of the text (default: the one that holds most prose)"
    columns.add_argument("--column", default=argparse.SUPPRESS, type=given, help=most)
    several = 'several columns: "title. body"; each word names one'
    columns.add_argument("--join", default=argparse.SUPPRESS, type=given, metavar="TEMPLATE", help=several)
    rows = 'which rows to take: "stars = 5 AND year > 2020"'
    parser.add_argument("--where", default=argparse.SUPPRESS, type=given, metavar="SQL", help=rows)
    parser.add_argument(
        "--unit", choices=("line", "paragraph", "file"), default="",
        help="what a document of a .txt or .md file is (default: a line; in folders and archives, a file)",
    )  # fmt: skip
    parser.add_argument("--max-documents", type=int, default=0, help="take a random sample of so many, always the same")
    parser.add_argument("--min-characters", type=int, default=1, help="leave out shorter documents")
    parser.add_argument("--max-characters", type=int, default=0, help="leave out longer documents")
    parser.add_argument("--keep-html", action="store_true", help="leave HTML's tags and entities as they are")
    names = "encoding of files that are not UTF-8, as cp1252, latin-1, utf-16; before what XML declares"
    parser.add_argument("--encoding", default=argparse.SUPPRESS, type=given, help=names)
    parser.add_argument("--source", default="", metavar="TEXT", help="where the texts are from, for sets")
    parser.add_argument("--license", default="", metavar="TEXT", help="licence of the texts, for sets")
    add_config(parser, "names the folder of texts")
    add_overwrite(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    return run_command(prepare, parse_arguments(argv))


def prepare(arguments: argparse.Namespace) -> int:
    from command.console import progress
    from command.outputs import Outputs
    from config.data_file import RECORD
    from config.errors import listed
    from config.loader import run_to_prepare
    from sources.files import find_files
    from sources.pipeline import Request, make_text
    from sources.report import report
    from sources.scratch import scratch_folder
    from utils import size_of

    check_numbers(arguments, {"max_documents": (0, None), "min_characters": (1, None), "max_characters": (0, None)})
    run = run_to_prepare(arguments.config, arguments.name)
    path = run.data_file()
    request = Request.of(vars(arguments))
    found, unread = find_files(arguments.files, arguments.git)
    if unread:  # before anything can go wrong, since that may be why
        say(f"not read: {counted(len(unread), 'file')}: {listed(unread)}")
    names = [path.name, path.with_suffix(RECORD).name]
    inputs = [arguments.config, *(file.path for file in found)]
    outputs = Outputs(path.parent, names, inputs, overwrite=arguments.overwrite, option="--name")
    with scratch_folder(path) as scratch, progress("bytes read", sum(size_of(file.path) for file in found)) as advance:
        made = make_text(request, found, scratch, advance, stream=run.data.stream)
        outputs.place(made.text, made.sha256, made.record)
    for line in report(made, run, arguments.config):
        say(line)
    return 0


if __name__ == "__main__":
    run_program(main)
