"""A model's documents as a text file, one a line, and with their settings as a JSON Lines file beside it."""

import json
from collections.abc import Iterable
from typing import Any

from generation.course import Change
from text.vocabulary import as_line
from utils import utf8


def sample_files(texts: list[str], settings: dict[str, Any], *, stream: bool) -> tuple[bytes, bytes]:
    """Both files; `settings` stand in every line of the second. Newlines in samples of a `stream` are escaped."""
    objects = [json.dumps({"index": k, "text": text, **settings}, ensure_ascii=False) for k, text in enumerate(texts)]
    lines = map(as_line, texts) if stream else texts
    plain, described = (utf8("".join(line + "\n" for line in part)) for part in (lines, objects))
    return plain, described


def course_file(courses: Iterable[list[Change]]) -> bytes:
    """How each document was written, a JSON line for each: [step, positions, characters] of every change."""
    lines = (json.dumps({"index": k, "course": course}, ensure_ascii=False) + "\n" for k, course in enumerate(courses))
    return utf8("".join(lines))
