"""What a set holds, and changes to it as a forger would make them, for the tests of sets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


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
