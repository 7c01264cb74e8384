"""Error messages for config.yaml: one line each, with the place, the value, the rule and the nearest known name."""

import datetime
import difflib
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import AfterValidator, BaseModel, ValidationError
from ruamel.yaml.error import YAMLError

MOST_SHOWN = 100  # characters that a message shows of a value
MOST_BITS = 100  # of a number that a message shows
MOST_LISTED = 20  # names that a message lists
PLAIN = (bool, float, type(None), datetime.date, datetime.time)  # whose own repr is short


class ShortRepr(reprlib.Repr):
    """A repr whose time and length have bounds, whatever the value: a few bytes of aliases can stand for millions."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring = 3, MOST_SHOWN

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() < MOST_BITS else f"<a number of {x.bit_length():,} bits>"

    def repr_instance(self, x: object, level: int) -> str:
        if isinstance(x, bytes):
            x = x[:MOST_SHOWN]
        return repr(x) if isinstance(x, (*PLAIN, bytes)) else f"<{type(x).__name__}>"


def shown(value: object) -> str:
    """A value as messages show it: its repr, cut where that is long."""
    text = ShortRepr().repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def place(location: Sequence[object]) -> str:
    """A path of keys as messages show it: joined by dots, a key cut or quoted where it is long or unprintable."""
    return ".".join(
        part if isinstance(part, str) and part.isprintable() and len(part) <= MOST_SHOWN else shown(part)
        for part in location
    )


def listed(names: Iterable[str]) -> str:
    """The first names of many, joined by commas, and how many more there are."""
    every = [name if name.isprintable() else shown(name) for name in names]
    more = len(every) - MOST_LISTED
    return ", ".join(every[:MOST_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def describe(problem: Any, schema: type[BaseModel], layers: dict[str, dict[str, Any]]) -> str:
    """One line for one pydantic problem: its place in the file, the value, the rule, the nearest name.

    `layers` are the merged parts of the configuration by the prefix of their keys; the last one that sets the key is
    the place of the mistake.
    """
    location = problem["loc"]
    prefixes = [prefix for prefix, layer in layers.items() if holds(layer, location)]
    where = (prefixes[-1] if prefixes else "") + place(location)
    if problem["type"] == "extra_forbidden":
        return f"{where}: no such key{nearest(location[-1], known_keys(schema, location[:-1]))}"
    if problem["type"] == "missing":
        return f"{where}: is missing"
    if problem["type"] == "model_type":
        return f"{where}: expected keys with values, found {shown(problem['input'])}"
    if problem["type"] == "value_error":
        return f"{where}: {problem['ctx']['error']}".removeprefix(": ")
    rule = problem["msg"].removeprefix("Input ")
    return f"{where}: {shown(problem['input'])} {rule}"


def first_problem(error: ValidationError) -> str:
    """The place of the first problem in a file of ours, and the rule it breaks."""
    problem = error.errors()[0]
    where = ".".join(map(str, problem["loc"]))
    return f"{where + ': ' if where else ''}{problem['msg'].removeprefix('Value error, ')}"


def holds(layer: dict[str, Any], location: Sequence[object]) -> bool:
    """Whether a layer has a value at this path of keys."""
    value: Any = layer
    for part in location:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return bool(location)


def known_keys(section: Any, location: Sequence[Any]) -> list[str]:
    """The keys that the schema allows at this path of keys."""
    for part in location:
        section = fields_of(section)[part].annotation if part in fields_of(section) else None
    return [key for key in fields_of(section) if key != "name"]


def fields_of(section: Any) -> dict[str, Any]:
    """The fields of a pydantic model, by key; none of any other type, such as X | None."""
    return getattr(section, "model_fields", {})


def nearest(name: object, names: Iterable[str]) -> str:
    """The text "; did you mean 'x'?" with the nearest name, or "" if none is near."""
    text = name[:MOST_SHOWN].lower() if isinstance(name, str) else ""
    lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(text, lower, n=1, cutoff=0.5)
    return f"; did you mean {lower[close[0]]!r}?" if close else ""


def describe_yaml(error: YAMLError) -> str:
    """One line for a YAML error: line, column and what is wrong."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    text = " ".join((getattr(error, "problem", None) or str(error)).split())
    return line + (text if len(text) <= 3 * MOST_SHOWN else f"{text[: 3 * MOST_SHOWN]}...")


def one_of(names: Iterable[str]) -> AfterValidator:
    """A pydantic check that accepts only these names."""
    choices = list(names)

    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"{shown(value)} is not one of {', '.join(choices)}{nearest(value, choices)}")
        return value

    return AfterValidator(check)
