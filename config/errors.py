"""Error messages for config.yaml: one line each, with the place, the value, the rule and the nearest known name."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

from pydantic import AfterValidator, BaseModel
from ruamel.yaml.error import YAMLError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
NAME_RULE = "must consist of letters, digits, '_' and '-', begin with a letter or digit, and be no Windows device name"
# Windows takes these for devices, with any suffix; no file can have such a name there
DEVICES = re.compile("con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)


def describe(problem: Any, schema: type[BaseModel], layers: dict[str, dict[str, Any]]) -> str:
    """One line for one pydantic problem: its place in the file, the value, the rule, the nearest name.

    `layers` are the merged parts of the configuration by the prefix of their keys; the last one that sets the key is
    the place of the mistake.
    """
    location = [str(part) for part in problem["loc"]]
    prefixes = [prefix for prefix, layer in layers.items() if holds(layer, location)]
    where = (prefixes[-1] if prefixes else "") + ".".join(location)
    if problem["type"] == "extra_forbidden":
        return f"{where}: no such key{nearest(location[-1], known_keys(schema, location[:-1]))}"
    if problem["type"] == "model_type":
        return f"{where}: expected keys with values, found {problem['input']!r}"
    if problem["type"] == "value_error":
        return f"{where}: {problem['ctx']['error']}".removeprefix(": ")
    rule = problem["msg"].removeprefix("Input ")
    return f"{where}: {problem['input']!r} {rule}"


def holds(layer: dict[str, Any], location: list[str]) -> bool:
    """Whether a layer has a value at this path of keys."""
    value: Any = layer
    for part in location:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return bool(location)


def known_keys(section: Any, location: list[str]) -> list[str]:
    """The keys that the schema allows at this path of keys."""
    for part in location:
        section = section.model_fields[part].annotation
    return [key for key in section.model_fields if key != "name"]


def nearest(name: str, names: Iterable[str]) -> str:
    """The text "; did you mean 'x'?" with the nearest name, or "" if none is near."""
    lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    return f"; did you mean {lower[close[0]]!r}?" if close else ""


def describe_yaml(error: YAMLError) -> str:
    """One line for a YAML error: line, column and what is wrong."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    text = getattr(error, "problem", None) or str(error)
    return place + " ".join(text.split())


def one_of(names: Iterable[str]) -> AfterValidator:
    """A pydantic check that accepts only these names."""
    choices = list(names)

    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(choices)}{nearest(value, choices)}")
        return value

    return AfterValidator(check)


def is_safe_name(name: object) -> bool:
    """Whether a dataset can have this name: it becomes a file name, so it may contain no dot, slash or device name."""
    return isinstance(name, str) and NAME.fullmatch(name) is not None and not DEVICES.fullmatch(name)
