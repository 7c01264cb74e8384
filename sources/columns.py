"""Which column holds the text, how --join makes a text of several, and what SQL calls them."""

import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from config.errors import listed, nearest
from sources.files import Found
from sources.tables import Row
from text.vocabulary import is_letter
from utils import UserError

PROSE = 0.7  # share of letters and spaces from which a value looks like prose; an address or a code has fewer
NEARLY = 0.3  # of the best column's prose, from which another is named too
SHOWN = 60  # characters of a value
NO_ROWS = "holds no rows"
JSON = ('{"', '[{"', '["', "{'", "[{'", "['")  # how JSON begins, and what Python writes of a list
WORD = re.compile(r"\w+")


def values_of(sample: Sequence[Row], number: int) -> list[str]:
    """The values of a column that are not empty."""
    return [value for row in sample if (value := row[number])]


def prose(values: Sequence[str]) -> float:
    """Characters of prose in the average of these values, weighed by how many of them differ."""
    if not values:
        return 0.0
    total = sum(len(value) for value in values if looks_like_prose(value))
    return total / len(values) * len(set(values)) / len(values)


def looks_like_json(value: str) -> bool:
    """Whether a value begins as a list or an object does."""
    return value.lstrip().startswith(JSON)


def looks_like_prose(value: str) -> bool:
    """Several words, or a few characters of a script without spaces, mostly letters; JSON is none."""
    if looks_like_json(value):
        return False
    letters = sum(map(is_letter, value)) + value.count(" ")
    return letters >= PROSE * len(value) and (len(value.split()) > 1 or not value.isascii())


def excerpt(value: str) -> str:
    return value if len(value) <= SHOWN else value[: SHOWN - 3] + "..."


def describe(columns: Sequence[str], sample: Sequence[Row]) -> list[str]:
    """A line for each column: its name, what its values are like, and the first of them."""
    width = min(max(map(len, columns), default=0), SHOWN)
    lines = []
    for number, name in enumerate(columns):
        values = values_of(sample, number)
        first = " ".join(values[0].split()) if values else ""
        mean = sum(map(len, values)) / max(len(values), 1)
        shown = f"{round(mean):5,} long, {len(set(values)):5,} different"
        lines.append(f"  {excerpt(name):{width}}  {shown}  {excerpt(first)}")
    return lines


def choose(name: str, columns: Sequence[str], sample: Sequence[Row]) -> tuple[int, str]:
    """The number of the column that holds prose, and why it is this one. Raises UserError if none does."""
    if not sample:
        raise UserError(f"{name}: {NO_ROWS}")
    scores = [prose(values_of(sample, number)) for number in range(len(columns))]
    best = max(range(len(columns)), key=scores.__getitem__, default=-1)
    if best < 0 or not scores[best]:
        fix = "or read only the files that hold texts"
        if any(looks_like_json(value) for row in sample for value in row if value):
            fix += "; if its rows lie inside a cell that holds JSON, save that as a file"
        raise UserError(f"{name}: no column holds prose; name one with --column, of {listed(columns)}; {fix}")
    values = values_of(sample, best)
    (row, *more) = sample
    within = [column for column, cell in zip(columns, row, strict=True) if cell and looks_like_json(cell)]
    if within and not more:  # as an export of chats is
        what = f"has one row, and {within[0]!r} in it holds others"
        raise UserError(f"{name}: {what}; save that list as a file of its own, or name a column with --column")
    words = sum(len(value.split()) for value in values) / len(values)
    why = f"it holds prose, {words:,.0f} words in the average of the first rows"
    also = [columns[n] for n in range(len(columns)) if n != best and scores[n] > NEARLY * scores[best]]
    return best, why + (f"; so does {listed(also)}: --column or --join takes others" if also else "")


class NoColumn(UserError):
    """A table has no column of a name."""


@contextlib.contextmanager
def passing_over(file: Found, lacking: dict[str, NoColumn], *, named: bool) -> Iterator[None]:
    """Pass over a table of a folder or an archive that lacks a column which the user `named`, and remember it."""
    try:
        yield
    except NoColumn as error:
        if file.chosen or not named:
            raise
        lacking[file.name] = error


def number_of(column: str, columns: Sequence[str], name: str, option: str) -> int:
    """The number of a column of this name, in any case if only one has it. Raises NoColumn if there is none.

    `option`: what named it on the command line, as "--column "; "" for one that an earlier file was found to have.
    """
    if column in columns:
        return columns.index(column)
    alike = [number for number, each in enumerate(columns) if each.lower() == column.lower()]
    if len(alike) > 1:
        what = f"several of this name, {listed(columns[number] for number in alike)}; type one as it is written"
        raise UserError(f"{option}{column!r}: {name} has {what}")
    if not alike:
        fix = nearest(column, columns) if option else "; name only the files that hold texts, or a column with --column"
        raise NoColumn(f"{option}{column!r}: {name} has no such column; it has {listed(columns)}{fix}")
    return alike[0]


def sql_names(columns: Sequence[str]) -> list[str]:
    """The names of columns, made distinct regardless of case."""
    lower = [name.lower() for name in columns]
    taken, many = set(lower), Counter(lower)
    names = []
    for name in columns:
        free = name
        if many[name.lower()] > 1:
            free = next(free for n in itertools.count(1) if (free := f"{name}_{n}").lower() not in taken)
            taken.add(free.lower())
        names.append(free)
    return names


def join(template: str, columns: Sequence[str], name: str) -> tuple[list[int], Callable[[Row], str]]:
    """--join: the columns that a template names, and a function of their values -> the text.

    Every word of the template is the name of a column; what stands between two of them is written as it is. An empty
    column is left out together with what stands before it, or after it where it is the first.
    """
    longest = sorted(columns, key=len, reverse=True)  # so that "review text" is found before "review"
    pattern = "|".join(re.escape(column) for column in longest if column)
    parts = re.split(rf"(?<!\w)({pattern})(?!\w)", template, flags=re.IGNORECASE)
    for between in parts[::2]:
        if found := WORD.search(between):
            number_of(found[0], columns, name, f"--join {template!r}: ")
    if len(parts) == 1:
        raise NoColumn(f"--join {template!r}: names no column; {name} has {listed(columns)}")
    numbers = [number_of(column, columns, name, "--join ") for column in parts[1::2]]
    first, *separators = parts[::2]
    *separators, last = separators

    def joined(row: Row) -> str:
        text = ""
        for number, value in enumerate(row):
            if value and value.strip():
                text += (separators[number - 1] if text else "") + value.strip()
        return first + text + last if text else ""

    return numbers, joined
