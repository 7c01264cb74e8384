"""--where: an expression of SQL about the columns of a row, which DuckDB answers without access to any file."""

import contextlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence

from config.errors import listed, nearest
from sources.columns import sql_names
from sources.engine import columns_in, connect, fetched, identifier
from sources.header import is_number
from sources.log import SourceLog
from sources.tables import Row
from utils import UserError

SHOWN = 40  # characters of a cell that is no number
NUMBER = '"number of the row"'
MISSING = re.compile(r"NA|N/A|\\N|null|none", re.IGNORECASE)  # what R, databases and Python write of a missing number
ENDLESS = re.compile("[+-]?(nan|inf|infinity)", re.IGNORECASE)  # what DuckDB and Python take for numbers too
# a text in a plan of DuckDB, which is passed over as a whole, or NaN or infinity, as it writes these numbers
ENDLESS_CONSTANT = re.compile(r"'(?:[^']|'')*'(?!::)|('-?nan'::(?:DOUBLE|FLOAT)|(?<![\w.])-?1e1000\b)")
NOT_FOUND = re.compile(r'column "((?:[^"]|"")*)" not found')
WHOLE_NUMBER = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
MOST_DIGITS = 1000  # Python takes the square of their number to read them
WHOLE = {"BIGINT": 1 << 63, "HUGEINT": 1 << 127}  # types of whole numbers, and what is too large for them
ROWS = """SELECT unnest(from_json(?::JSON, '[["VARCHAR"]]')) AS r"""  # the number of each, and its cells


class Filter:
    """Which rows an expression takes.

    A column is numeric if all its values in the sample are numbers. Later values that are none, and any NaN or
    infinity, are counted and treated as missing: all comparisons with NaN have the same result. Names that differ
    in case alone are numbered, because SQL does not tell them apart.
    """

    def __init__(self, where: str, columns: Sequence[str], sample: Sequence[Row], log: SourceLog) -> None:
        self.connection, self.where, self.log = connect(), where, log
        try:
            asked = columns_in(self.connection, where)
        except UserError as error:
            raise UserError(f"--where {where!r}: {error}; for example 'stars = 5'") from None
        self.columns, self.names = columns, sql_names(columns)
        lower = None if asked is None else {name.lower() for name in asked}
        self.used = [
            number
            for number, names in enumerate(zip(columns, self.names, strict=True))
            if all(names) and (lower is None or lower & {name.lower() for name in names})
        ]
        self.kinds = tuple(number_type([row[number] for row in sample]) for number in self.used)
        self.check_constants()

    def check_constants(self) -> None:
        """Raise UserError if something is compared with NaN or an infinity, which is above all numbers, or below."""
        row, plan = json.dumps([["0", *[None] * len(self.used)]]), ""
        with contextlib.suppress(UserError):  # is named with the rows that show it
            plan = str(self.answer(f"EXPLAIN (FORMAT json) {self.query(self.kinds)}", row)[0][1])
        if any(any(ENDLESS_CONSTANT.findall(text)) for text in re.findall(r'"((?:[^"\\]|\\.)*)"', plan)):
            raise self.endless()

    def endless(self) -> UserError:
        fix = "compare with a number; 'stars IS NULL', for example, is true of what is none"
        return UserError(f"--where {self.where!r}: NaN and infinities are no numbers; {fix}")

    def __call__(self, rows: Sequence[Row]) -> list[int]:
        """Rows of the columns `used`, in that order -> the indices of those that the expression takes."""
        groups: dict[tuple[str, ...], list[list[str | None]]] = defaultdict(list)
        for number, row in enumerate(rows):
            kinds = tuple(kind_of(value, kind) for value, kind in zip(row, self.kinds, strict=True))
            groups[kinds].append([str(number), *row])
        return sorted(number for kinds, group in groups.items() for number in self.taken_if_any(group, kinds))

    def taken_if_any(self, rows: list[list[str | None]], kinds: tuple[str, ...]) -> list[int]:
        """As `taken`; where the expression fails on fractions, they are no values, and counted."""
        try:
            return self.taken(rows, kinds)
        except UserError:
            if kinds == self.kinds:
                raise
            return self.taken(rows, self.kinds)

    def taken(self, rows: list[list[str | None]], kinds: tuple[str, ...]) -> list[int]:
        """Rows that begin with their index, their columns of these types -> the indices of those taken."""
        content = json.dumps(rows, ensure_ascii=False)
        content = content.encode("utf-8", "ignore").decode()  # without halves of characters, as cleaned
        try:
            taken = [int(row[0] or 0) for row in self.answer(self.query(kinds), content)]
        except UserError as error:
            named = NOT_FOUND.search(str(error))
            if named and ENDLESS.fullmatch(named[1]):
                raise self.endless() from None
            raise UserError(f"--where {self.where!r}{error}{self.known_names(named[1]) if named else ''}") from None
        self.count_wrong(content, kinds)
        return taken

    def query(self, kinds: tuple[str, ...]) -> str:
        """The SQL that numbers the rows taken, where the columns are of these types."""
        cells = [f"r[1]::INT AS {NUMBER}"]
        for place, (number, kind) in enumerate(zip(self.used, kinds, strict=True), 2):
            cells.append(f"{typed(f'r[{place}]', kind)} AS {identifier(self.names[number])}")
        return f"SELECT {NUMBER} FROM (SELECT {', '.join(cells)} FROM ({ROWS})) WHERE (\n{self.where}\n) ORDER BY ALL"

    def answer(self, query: str, content: str) -> list[Row]:
        """The rows that a query gives of these."""
        return [*fetched(self.connection, "", query, [content])]

    def count_wrong(self, content: str, kinds: tuple[str, ...]) -> None:
        """Count the cells of some rows that are not empty and no numbers, in columns of numbers."""
        numbers = [place for place, kind in enumerate(kinds) if kind]
        wrong = [
            f"{part} FILTER (r[{place + 2}] <> '' AND {typed(f'r[{place + 2}]', kinds[place])} IS NULL)"
            for place in numbers
            for part in ("count(*)", f"first(r[{place + 2}][:{SHOWN}])")
        ]
        for found in self.answer(f"SELECT {', '.join(wrong)} FROM ({ROWS})", content) if numbers else ():
            for place, count, first in zip(numbers, found[::2], found[1::2], strict=True):
                self.log.not_number(self.names[self.used[place]], int(count or 0), str(first))

    def known_names(self, name: str) -> str:
        """What to type in place of a name that no column has, or several in another case."""
        alike = [
            known for known, column in zip(self.names, self.columns, strict=True) if column.lower() == name.lower()
        ]
        return (not alike and nearest(name, self.names)) or f"; it has {listed(alike or self.names)}"


def number_type(values: Sequence[str | None]) -> str:
    """The type of the numbers of a column that has these values; "" if one of them is text."""
    present = [value for value in values if value and not MISSING.fullmatch(value.strip())]
    numbers = [value for value in present if not ENDLESS.fullmatch(value.strip())]
    kind = "DOUBLE" if present and all(map(is_number, present)) else ""
    if numbers and all(map(is_whole, numbers)):  # where none is exact, they are compared as texts
        largest = max(abs(int(value)) for value in numbers)
        kind = next((kind for kind, limit in WHOLE.items() if largest < limit), "")
    return kind


def kind_of(value: str | None, kind: str) -> str:
    """The type of a value in a column of this type: among whole numbers, one with a fraction or too large is DOUBLE."""
    if not value or kind not in WHOLE or not is_number(value) or not math.isfinite(float(value)):
        return kind
    return kind if is_whole(value) and abs(int(value)) < WHOLE[kind] else "DOUBLE"


def typed(cell: str, kind: str) -> str:
    """A cell as a number of this type, or as text where that is ""; an empty one has no value, nor has NaN."""
    if kind == "DOUBLE":
        return f"CASE WHEN isfinite(TRY_CAST({cell} AS DOUBLE)) THEN TRY_CAST({cell} AS DOUBLE) END"
    # DuckDB would round what is not whole, and take 0x10 for a number
    return f"TRY_CAST(regexp_extract({cell}, '^{WHOLE_NUMBER.pattern}$') AS {kind})" if kind else f"NULLIF({cell}, '')"


def is_whole(text: str) -> bool:
    return len(text) <= MOST_DIGITS and bool(WHOLE_NUMBER.fullmatch(text))
