"""What a set holds, and changes to it as a forger would make them, for the tests of sets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from generation.course import Change
from nft.courses import course_line, course_of
from utils import UserError


def texts(folder: Path) -> list[str]:
    return [record["text"] for record in records(folder)]


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]


def alter(path: Path, old: str, new: str) -> None:
    """Replace one passage of a text file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")


def change_tokens(folder: Path, token: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change fields of a token's record, and write its line as canonical JSON."""
    found = records(folder)
    found[token - 1] |= change(found[token - 1])
    lines = [json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for record in found]
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    fit_courses(folder)


def fit_courses(folder: Path) -> None:
    """Give each token whose course leads to another text a course that writes its text at once."""
    path = folder / "courses.jsonl"
    fitting = []
    for line, record in zip(path.read_bytes().splitlines(keepends=True), records(folder), strict=True):
        try:
            course_of(line, record)
            fitting.append(line)
        except UserError:
            text = record["text"]
            fitting.append(course_line(record["token_id"], [Change(1, list(range(len(text))), text)] if text else []))
    path.write_bytes(b"".join(fitting))
