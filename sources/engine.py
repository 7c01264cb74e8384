"""DuckDB, which reads JSON and Parquet and answers --where; the only module that imports it.

It can reach neither the network nor a file but the one that is read: external access is off, and its settings locked.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Thread
from typing import Any

from config.errors import listed, nearest
from sources.columns import sql_names
from sources.log import SourceLog
from sources.tables import MOST_COLUMNS, Row, Table, is_number
from sources.unpack import MOST_ROW
from text.disguise import is_object
from utils import UserError

MEMORY = "512MB"
FETCHED = 128  # rows at a time
SHOWN = 40  # characters of a cell that is no number
SAMPLED = 1000  # rows that tell the keys of JSON objects
FIRST_LINES = 100  # that tell whether a file of JSON holds an object a line
LISTENING = 0.1  # seconds after which a signal is heard at the latest
NUMBER = '"number of the row"'
ENDLESS = re.compile("[+-]?(nan|inf|infinity)", re.IGNORECASE)  # what DuckDB and Python take for numbers too
# a text in a plan of DuckDB, which is passed over as a whole, or NaN or infinity, as it writes these numbers
ENDLESS_CONSTANT = re.compile(r"'(?:[^']|'')*'(?!::)|('-?nan'::(?:DOUBLE|FLOAT)|(?<![\w.])-?1e1000\b)")
WHOLE = {"BIGINT": 1 << 63, "HUGEINT": 1 << 127}  # types of whole numbers, and what is too large for them
SETTINGS = {
    "threads": 2, "memory_limit": MEMORY, "temp_directory": "", "enable_external_file_cache": False,
    "autoinstall_known_extensions": False, "autoload_known_extensions": False, "allow_community_extensions": False,
    # a division by zero has no value, and a root or a logarithm that is none is an error: never NaN or an infinity
    "ieee_floating_point_ops": False, "error_on_division_by_zero": False,
    "disabled_optimizers": "filter_pushdown",  # so that a plan shows --where as a whole, with all its constants
}  # fmt: skip


def connect(*paths: Path) -> Any:
    """A database in memory that can read these files and touch nothing else."""
    try:
        import duckdb
    except ImportError:
        raise UserError("DuckDB is not installed; pip install -r requirements-prepare.txt") from None
    connection = duckdb.connect(config=SETTINGS)
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET allowed_paths = [{', '.join(quoted(str(path.absolute())) for path in paths)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def quoted(text: str) -> str:
    """A string of SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name of SQL."""
    return '"' + name.replace('"', '""') + '"'


def reason(error: Exception) -> str:
    """What DuckDB says, in one short line: its first, without the kind of error."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line.split(" Error: ", 1)[-1][:300]


def fetched(connection: Any, name: str, query: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
    """The rows of a query, a few at a time. Raises UserError with one line for what DuckDB cannot read."""
    import duckdb

    try:
        cursor = connection.execute(query, list(parameters))
        while rows := cursor.fetchmany(FETCHED):
            yield from rows
    except duckdb.OutOfMemoryException:
        what = f"needs more than {MEMORY} of memory: its rows are too long, or too many are in one piece"
        raise UserError(f"{name}: {what}") from None
    except duckdb.Error as error:
        raise UserError(f"{name}: {reason(error)}") from None


def interruptible(connection: Any, work: Callable[[], list[Row]]) -> list[Row]:
    """What work that asks a database gives; a signal is heard while it lasts, as a single function may for hours.

    A thread does the work, for Python hears signals in the first one alone.
    """
    done: Future[list[Row]] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        while not done.done():
            wait([done], LISTENING)
    except KeyboardInterrupt:
        connection.interrupt()
        raise
    return done.result()


def rows_of(path: Path, name: str, query: str) -> Iterator[Row]:
    """The rows of a query about a file, which is closed at their end: Windows removes no file that is open.

    An error names it by `name`, for `path` may be one that was made for DuckDB.
    """
    try:
        with contextlib.closing(connect(path)) as connection:
            yield from fetched(connection, name, query)
    except UserError as error:
        raise UserError(str(error).replace(str(path.absolute()), name)) from None


def cell_of(pointer: str) -> str:
    """The SQL of a value as text; a bare NaN, as Python writes what is missing, is none."""
    # a type is asked for last: it would cost every row as much as its text
    missing = f"json->>{pointer} IN ('NaN', 'nan') AND json_type(json, {pointer}) = 'DOUBLE'"
    return f"CASE WHEN {missing} THEN NULL ELSE json->>{pointer} END"


def open_json(path: Path, name: str) -> Table:
    """A file of JSON objects, one a line or in one list; its columns are the keys of the first thousand.

    A line that is no JSON is left out and counted; what is wrong in a list is an error.
    """
    lines = is_lines(path)
    options = "format='newline_delimited', ignore_errors=true" if lines else "format='auto'"
    source = f"read_json_objects({quoted(str(path.absolute()))}, {options}, maximum_object_size={MOST_ROW})"
    keys = f"SELECT json_keys(json), json_type(json) FROM (SELECT json FROM {source} LIMIT {SAMPLED})"
    found: dict[str, None] = {}
    for names, kind in rows_of(path, name, keys):
        if kind not in (None, "OBJECT", "NULL"):  # a null is a row without text
            raise UserError(f"{name}: holds {str(kind).lower()}s; JSON objects are needed, which name their columns")
        found |= dict.fromkeys(names or ())
        if len(found) > MOST_COLUMNS:
            raise UserError(f"{name}: has more than {MOST_COLUMNS:,} columns; is it a table of texts?")

    def read(wanted: Sequence[int], log: SourceLog) -> Iterator[Row]:
        names = [[*found][number] for number in wanted]
        cells = [cell_of(quoted("/" + key.replace("~", "~0").replace("/", "~1"))) for key in names]
        for number, (bad, *row) in enumerate(
            rows_of(path, name, f"SELECT {', '.join(['json IS NULL', *cells])} FROM {source}"), 1
        ):
            if bad:
                log.bad_row("that is no JSON", f"{name} record {number}")
            else:
                yield row

    return Table([*found], read)


def is_lines(path: Path) -> bool:
    """Whether a file holds a JSON object a line: the first that is not blank, or most of the first hundred.

    The first may be damaged as any other; of a list that is written with line breaks few lines are objects.
    """
    with path.open("rb") as file:
        lines = [line for line in file.read(MOST_ROW).lstrip().split(b"\n", FIRST_LINES)[:FIRST_LINES] if line.strip()]
    objects = [*map(is_object, lines[:1])]
    if not any(objects):
        objects += map(is_object, lines[1:])
    return sum(objects) > len(objects) / 2


def open_parquet(path: Path, name: str) -> Table:
    """A Parquet file. What is no text is read as text; the texts of a list are joined by spaces."""
    source = f"read_parquet({quoted(str(path.absolute()))}, binary_as_string=true, hive_partitioning=false)"
    found = {str(row[0]): str(row[1]) for row in rows_of(path, name, f"DESCRIBE SELECT * FROM {source}")}
    if len(found) > MOST_COLUMNS:
        raise UserError(f"{name}: has {len(found):,} columns, more than {MOST_COLUMNS:,}; is it a table of texts?")

    def read(wanted: Sequence[int], log: SourceLog) -> Iterator[Row]:
        cells = []
        for column in ([*found][number] for number in wanted):
            cell = identifier(column)
            listing = found[column] == "VARCHAR[]"
            cells.append(f"array_to_string({cell}, ' ')" if listing else f"CAST({cell} AS VARCHAR)")
        return rows_of(path, name, f"SELECT {', '.join(cells)} FROM {source}")

    return Table([*found], read)


class Filter:
    """--where: an expression of SQL about the columns of a row, which DuckDB answers without access to any file.

    A column whose values in the sample are all numbers is one of numbers; what is none further on, and NaN or an
    infinity anywhere, is no value, and is counted: all comparisons with NaN come out the same way. Names that differ
    in case alone, which SQL does not tell apart, are numbered, so that neither is taken for the other.
    """

    def __init__(self, where: str, columns: Sequence[str], sample: Sequence[Row], log: SourceLog) -> None:
        self.connection, self.where, self.log = connect(), where, log
        import duckdb

        try:
            duckdb.SQLExpression(where)
        except duckdb.Error as error:
            raise UserError(f"--where {where!r}: {reason(error)}; for example 'stars = 5'") from None
        asked = where.lower()
        self.used = [n for n, name in enumerate(columns) if name and name.lower().replace('"', '""') in asked]
        self.names = sql_names(columns)
        kinds = [number_type([row[number] for row in sample]) for number in self.used]
        self.numbers = [place for place, kind in enumerate(kinds) if kind]
        cells = [
            f"{typed(f'r[{place}]', kind)} AS {identifier(self.names[number])}"
            for place, (number, kind) in enumerate(zip(self.used, kinds, strict=True), 2)
        ]
        rows = """SELECT unnest(from_json(?::JSON, '[["VARCHAR"]]')) AS r"""
        inner = f"SELECT {', '.join([f'r[1]::INT AS {NUMBER}', *cells])} FROM ({rows})"
        self.query = f"SELECT {NUMBER} FROM ({inner}) WHERE (\n{where}\n) ORDER BY ALL"
        wrong = [
            f"{part} FILTER (r[{n + 2}] <> '' AND {typed(f'r[{n + 2}]', kinds[n])} IS NULL)"
            for n in self.numbers
            for part in ("count(*)", f"first(r[{n + 2}][:{SHOWN}])")
        ]
        self.count = f"SELECT {', '.join(wrong)} FROM ({rows})"
        self.check_constants()

    def check_constants(self) -> None:
        """Raise UserError if something is compared with NaN or an infinity, which is above all numbers, or below."""
        row, plan = json.dumps([["0", *[None] * len(self.used)]]), ""
        with contextlib.suppress(UserError):  # is named with the rows that show it
            plan = str(self.answer(f"EXPLAIN (FORMAT json) {self.query}", row)[0][1])
        if any(any(ENDLESS_CONSTANT.findall(text)) for text in re.findall(r'"((?:[^"\\]|\\.)*)"', plan)):
            raise self.endless()

    def endless(self) -> UserError:
        fix = "compare with a number; 'stars IS NULL', for example, is true of what is none"
        return UserError(f"--where {self.where!r}: NaN and infinities are no numbers; {fix}")

    def __call__(self, rows: Sequence[Row]) -> list[int]:
        """Some rows, of which each holds the columns `used` in order -> the numbers of those it is true of."""
        listed_rows = json.dumps([[str(number), *row] for number, row in enumerate(rows)], ensure_ascii=False)
        content = listed_rows.encode("utf-8", "ignore").decode()  # without halves of characters, as cleaned
        try:
            taken = [int(row[0] or 0) for row in self.answer(self.query, content)]
        except UserError as error:
            named = re.search(r'column "(\w+)" not found', str(error))
            if named and ENDLESS.fullmatch(named[1]):
                raise self.endless() from None
            hint = self.known_names() if "not found" in str(error) else ""
            raise UserError(f"--where {self.where!r}{error}{hint}") from None
        self.count_wrong(content)
        return taken

    def answer(self, query: str, content: str) -> list[Row]:
        """The rows that a query gives of these."""
        return interruptible(self.connection, lambda: [*fetched(self.connection, "", query, [content])])

    def count_wrong(self, content: str) -> None:
        """Count the cells of some rows that are not empty and no numbers, in columns of numbers."""
        for found in self.answer(self.count, content) if self.numbers else ():
            for place, count, first in zip(self.numbers, found[::2], found[1::2], strict=True):
                self.log.not_number(self.names[self.used[place]], int(count or 0), str(first))

    def known_names(self) -> str:
        """What to type in place of a name that no column has."""
        alike = listed(self.names[number] for number in self.used)
        return nearest(self.where.split()[0], self.names) or (f"; it has {alike}" if alike else "")


def number_type(values: Sequence[str | None]) -> str:
    """The type of the numbers of a column that has these values; "" if one of them is text."""
    present = [value for value in values if value]
    numbers = [value for value in present if not ENDLESS.fullmatch(value.strip())]
    kind = "DOUBLE" if present and all(map(is_number, present)) else ""
    if numbers and all(map(is_whole, numbers)):  # where none is exact, they are compared as texts
        largest = max(abs(int(value)) for value in numbers)
        kind = next((kind for kind, limit in WHOLE.items() if largest < limit), "")
    return kind


def typed(cell: str, kind: str) -> str:
    """A cell as a number of this type, or as text where that is ""; an empty one has no value, nor has NaN."""
    if kind == "DOUBLE":
        return f"CASE WHEN isfinite(TRY_CAST({cell} AS DOUBLE)) THEN TRY_CAST({cell} AS DOUBLE) END"
    return f"TRY_CAST({cell} AS {kind})" if kind else f"NULLIF({cell}, '')"


def is_whole(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return text.isascii()
