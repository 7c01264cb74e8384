"""What is a name in config.yaml, and what a mistake is called: its place, its value, the rule. Reads no file."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

from pydantic import AfterValidator, BaseModel
from ruamel.yaml.error import YAMLError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
NAME_RULE = "must be letters, digits, '_' and '-', no sign first, and no Windows device"
DEVICES = re.compile("con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)  # no files on Windows, whatever their suffix


def describe(problem: Any, schema: type[BaseModel], layers: dict[str, dict[str, Any]]) -> str:
    """One line for one pydantic problem: where it stands in the file, its value, the rule, the nearest name."""
    location = [str(part) for part in problem["loc"]]
    holders = [prefix for prefix, layer in layers.items() if holds(layer, location)]
    where = (holders[-1] if holders else "") + ".".join(location)
    if problem["type"] == "extra_forbidden":
        return f"{where}: no such key{nearest(location[-1], known_keys(schema, location[:-1]))}"
    if problem["type"] == "model_type":
        return f"{where}: expected keys with values, found {problem['input']!r}"
    if problem["type"] == "value_error":
        return f"{where}: {problem['ctx']['error']}".removeprefix(": ")
    rule = problem["msg"].removeprefix("Input ")
    return f"{where}: {problem['input']!r} {rule}"


def holds(layer: dict[str, Any], location: list[str]) -> bool:
    value: Any = layer
    for part in location:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return bool(location)


def known_keys(section: Any, location: list[str]) -> list[str]:
    for part in location:
        section = section.model_fields[part].annotation
    return [key for key in section.model_fields if key != "name"]


def nearest(name: str, names: Iterable[str]) -> str:
    """ "; did you mean 'x'?", or nothing where no name is near."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def describe_yaml(error: YAMLError) -> str:
    """One line for a YAML error: line, column and the rule."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    text = getattr(error, "problem", None) or str(error)
    return place + " ".join(text.split())


def one_of(names: Iterable[str]) -> AfterValidator:
    """Accepts the names of a table and nothing else."""
    choices = list(names)

    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(choices)}{nearest(value, choices)}")
        return value

    return AfterValidator(check)


def is_safe_name(name: object) -> bool:
    """A dataset's name becomes a file name, so it may neither leave its folder nor look like another file's suffix."""
    return isinstance(name, str) and NAME.fullmatch(name) is not None and not DEVICES.fullmatch(name)
