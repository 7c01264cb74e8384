"""Finds tables, JSON and archives that bear the name of a text, and says how prepare.py reads them."""

import csv
import json
import re
from pathlib import Path

from command.messages import argument
from config.names import is_safe_name
from config.schema import RunConfig
from utils import COMPRESSED, UserError, unreadable

HEAD = 1 << 16  # bytes, or characters, by which a file is known
ENOUGH = 3  # lines that tell; fewer may be anything
MOST_LINES = 100
DELIMITERS = ",;\t|"
NAME = re.compile(r"[^\W\d][\w .-]{0,40}")  # of a column
JSON_LIST = re.compile(r'\[\s*\{\s*"')
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
PACKED_AS = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "zstd": ".zst"}
# how a file begins -> what its name would end in
BEGINNINGS = {
    **{begin: f".csv{PACKED_AS[by]}" for begin, by in COMPRESSED.items() if by in PACKED_AS},
    b"PK": ".zip",
    b"PAR1": ".parquet",
}
OFFICE = (b"[Content_Types].xml", b"_rels/", b"mimetype")  # first files of the archives that office documents are
NAME_AT = 30  # where in an archive the name of its first file begins


def true_name(begin: bytes) -> str:
    """What to do with an archive or a table that begins so; "" for anything else."""
    suffix = next((suffix for magic, suffix in BEGINNINGS.items() if begin.startswith(magic)), "")
    if suffix == ".zip" and begin[NAME_AT:].startswith(OFFICE):
        return ""
    return f"; or run prepare.py on it under its true name, for example NAME{suffix}" if suffix else ""


def head_lines(path: Path) -> list[str]:
    """The first whole lines of a text that are not blank."""
    if unreadable(path):  # as that of a training that goes on without it
        return []
    with path.open("rb") as file:
        head = file.read(HEAD)
    return whole_lines(head.decode("utf-8-sig", "replace"), cut=len(head) == HEAD)


def whole_lines(text: str, *, cut: bool) -> list[str]:
    """The first lines of a text that are not blank; of one that is `cut`, without the last if there are others."""
    lines = text.split("\n")
    return [line for line in (lines[:-1] or lines if cut else lines) if line.strip()][:MOST_LINES]


def check_text(run: RunConfig) -> None:
    """Raise UserError for a text that begins with a JSON list of objects, or whose first lines are all JSON objects.

    Continuous text may be anything.
    """
    path = run.data_file()
    if not run.data.stream and is_json(head_lines(path)):
        raise UserError(f"{path}: is JSON, not a text; {how_to(path, '.json')}")


def check_samples(path: Path, text: str) -> None:
    """Raise UserError if the text of a file of samples is JSON or a table: no line of it is a document to be judged."""
    lines = whole_lines(text[:HEAD], cut=len(text) > HEAD)
    if kind := "JSON" if is_json(lines) else "a table" if is_table(lines) else "":
        raise UserError(f"{path}: is {kind}, not a text; name a text file, one document per line")


def is_json(lines: list[str]) -> bool:
    return bool(JSON_LIST.match("\n".join(lines))) or (len(lines) >= ENOUGH and all(map(is_object, lines)))


def how_to(path: Path, suffix: str) -> str:
    """What to type to make a text of a file that should end in `suffix`."""
    other = path.with_suffix(suffix)
    rename = "" if other == path else f"rename it to {other.name}, then "
    name = path.stem if is_safe_name(path.stem) else "NAME"
    return f"{rename}python prepare.py {argument(other)} --name {name}"


def is_object(line: str | bytes) -> bool:
    """Whether a line is a JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def suspicion(run: RunConfig) -> str:
    """A line for a text that looks like a table, which it may be or not; "" for any other, and for continuous text."""
    path = run.data_file()
    if run.data.stream or not is_table(head_lines(path)):
        return ""
    return f"{path.name} looks like a table; if it is one, {how_to(path, '.csv')}"


def is_table(lines: list[str]) -> bool:
    return any(are_rows(lines, delimiter) for delimiter in DELIMITERS)


def are_rows(lines: list[str], delimiter: str) -> bool:
    """Whether lines are rows of equal length under names of columns, one of which holds numbers alone."""
    try:
        names, *rows = list(csv.reader(lines, delimiter=delimiter))[:-1]  # the last may be cut within quotes
    except (csv.Error, ValueError):
        return False
    named = len(names) > 1 and all(NAME.fullmatch(name.strip()) for name in names)
    if len(rows) < ENOUGH - 1 or not named or any(len(row) != len(names) for row in rows):
        return False
    return any(all(NUMBER.fullmatch(cell.strip()) for cell in column) for column in zip(*rows, strict=True))
