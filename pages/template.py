"""Fills the templates of HTML pages, so that no text in them is ever read as markup or script."""

import json
import re
from pathlib import Path
from typing import Any


def filled(template: Path, contents: dict[str, str]) -> str:
    """A template with its places filled, all at once: a title or a text may hold what looks like a place."""
    places = re.compile("|".join(map(re.escape, contents)))
    return places.sub(lambda place: contents[place[0]], template.read_text(encoding="utf-8"))


def script_json(value: Any) -> str:
    """A value to stand in a script: "<" becomes \\u003c, because only "</script" can end one."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
