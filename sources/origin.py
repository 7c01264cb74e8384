"""The record of where a text is from, NAME.source.json: its files, what was chosen, what was counted."""

import json
from collections.abc import Sequence
from typing import Any

from command.messages import printable
from config.errors import listed
from config.origin import LONGEST
from sources.log import SourceLog
from sources.unpack import Plain
from utils import SOFTWARE, VERSION, sha256, utf8

FORMAT = 1
MOST_NAMED = 1000  # files that a record names; of more it holds one hash
LONGEST_NAME = 300  # characters of a file's name in it


def record_of(
    asked: dict[str, Any], column: str, files: Sequence[Plain], text: tuple[str, int], log: SourceLog
) -> bytes:
    """The record of a text of this SHA-256 and size. Files are named without their folders."""
    listing = [
        {"name": name_of(plain), "kind": plain.found.kind, "bytes": plain.bytes, "sha256": plain.version}
        if plain.found.kind != "git"
        else {"name": name_of(plain), "kind": "git", "commit": plain.version}
        for plain in files
    ]
    options = {key: value for key, value in asked.items() if key not in ("source", "license", "column")}
    record = {
        "format": FORMAT,
        "program": f"{SOFTWARE} {VERSION}",
        "source": asked["source"] or in_words(asked, column, files)[:LONGEST],
        "license": asked["license"],
        "text": {"sha256": text[0], "bytes": text[1], "documents": log.documents, "characters": log.characters},
        "files": listing[:MOST_NAMED],
        "files_in_all": {"count": len(listing), "sha256": sha256("\n".join(json.dumps(file) for file in listing))},
        "column": column,
        **options,
        "rows": log.rows,
        "left_out": dict(log.left_out),
        "not_numbers": {name: count for name, (count, _) in log.not_numbers.items()},
        "changed": dict(log.changed),
        "replaced_characters": log.replaced,
        "repeated_documents": log.repeated,
    }
    return utf8(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def name_of(plain: Plain) -> str:
    """A file's name without its folder, and the member of an archive."""
    name = plain.found.path.absolute().name
    return printable(f"{name}/{plain.found.member}" if plain.found.member else name)[:LONGEST_NAME]


def in_words(asked: dict[str, Any], column: str, files: Sequence[Plain]) -> str:
    """Where a text is from in a sentence, where the user gives none."""
    chosen = f"columns {asked['join']}" if asked["join"] else f"column {column}"
    where = f", where {asked['where']}" if asked["where"] else ""
    return printable(" ".join(f"{listed(name_of(plain) for plain in files)}, {chosen}{where}".split()))
