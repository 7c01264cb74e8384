"""DuckDB, which reads JSON and Parquet and answers --where; the only module that imports it.

It can reach neither the network nor a file but the one that is read: external access is off, and its settings locked.
"""

import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from config.errors import listed, nearest
from sources.log import SourceLog
from sources.tables import MOST_COLUMNS, Row, Table, is_number
from sources.unpack import MOST_ROW
from utils import UserError

MEMORY = "512MB"
FETCHED = 128  # rows at a time
SAMPLED = 1000  # rows that tell the keys of JSON objects
NUMBER = '"number of the row"'
WHOLE = {"BIGINT": 1 << 63, "HUGEINT": 1 << 127}  # types of whole numbers, and what is too large for them
SETTINGS = {
    "threads": 2, "memory_limit": MEMORY, "temp_directory": "", "enable_external_file_cache": False,
    "autoinstall_known_extensions": False, "autoload_known_extensions": False, "allow_community_extensions": False,
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


def rows_of(path: Path, name: str, query: str) -> Iterator[Row]:
    """The rows of a query about a file, which is closed at their end: Windows removes no file that is open."""
    with contextlib.closing(connect(path)) as connection:
        yield from fetched(connection, name, query)


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
        if kind not in (None, "OBJECT"):
            raise UserError(f"{name}: holds {str(kind).lower()}s; JSON objects are needed, which name their columns")
        found |= dict.fromkeys(names or ())
        if len(found) > MOST_COLUMNS:
            raise UserError(f"{name}: has more than {MOST_COLUMNS:,} columns; is it a table of texts?")

    def read(wanted: Sequence[int], log: SourceLog) -> Iterator[Row]:
        names = [[*found][number] for number in wanted]
        cells = [f"json->>{quoted('/' + key.replace('~', '~0').replace('/', '~1'))}" for key in names]
        for number, (bad, *row) in enumerate(
            rows_of(path, name, f"SELECT {', '.join(['json IS NULL', *cells])} FROM {source}"), 1
        ):
            if bad:
                log.bad_row("that is no JSON", f"{name} record {number}")
            else:
                yield row

    return Table([*found], read)


def is_lines(path: Path) -> bool:
    """Whether a file begins with a whole JSON object on its first line that is not blank."""
    with path.open("rb") as file:
        head = file.read(MOST_ROW).lstrip()
    try:
        return isinstance(json.loads(head.split(b"\n", 1)[0]), dict)
    except (ValueError, RecursionError):
        return False


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

    A column whose values in the sample are all numbers is one of numbers; what is none further on is no value. Names
    that differ in case alone, which SQL does not tell apart, are numbered, so that neither is taken for the other.
    """

    def __init__(self, where: str, columns: Sequence[str], sample: Sequence[Row]) -> None:
        self.connection, self.where = connect(), where
        import duckdb

        try:
            duckdb.SQLExpression(where)
        except duckdb.Error as error:
            raise UserError(f"--where {where!r}: {reason(error)}; for example 'stars = 5'") from None
        asked = where.lower()
        self.used = [n for n, name in enumerate(columns) if name and name.lower().replace('"', '""') in asked]
        self.names = sql_names(columns)
        cells = [
            f"{typed(f'r[{place}]', [row[number] for row in sample])} AS {identifier(self.names[number])}"
            for place, number in enumerate(self.used, 2)
        ]
        rows = """SELECT unnest(from_json(?::JSON, '[["VARCHAR"]]')) AS r"""
        inner = f"SELECT {', '.join([f'r[1]::INT AS {NUMBER}', *cells])} FROM ({rows})"
        self.query = f"SELECT {NUMBER} FROM ({inner}) WHERE (\n{where}\n) ORDER BY ALL"

    def __call__(self, rows: Sequence[Row]) -> list[int]:
        """Some rows, of which each holds the columns `used` in order -> the numbers of those it is true of."""
        content = json.dumps([[str(number), *row] for number, row in enumerate(rows)])
        try:
            return [int(row[0] or 0) for row in fetched(self.connection, "", self.query, [content])]
        except UserError as error:
            hint = self.known_names() if "not found" in str(error) else ""
            raise UserError(f"--where {self.where!r}{error}{hint}") from None

    def known_names(self) -> str:
        """What to type in place of a name that no column has."""
        alike = listed(self.names[number] for number in self.used)
        return nearest(self.where.split()[0], self.names) or (f"; it has {alike}" if alike else "")


def sql_names(columns: Sequence[str]) -> list[str]:
    """The names of columns, each another whatever its case."""
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


def typed(cell: str, values: Sequence[str | None]) -> str:
    """A cell as a number where all these values are numbers, else as text; an empty one has no value."""
    present = [value for value in values if value]
    kind = "DOUBLE" if present and all(map(is_number, present)) else ""
    if present and all(map(is_whole, present)):  # where none is exact, they are compared as texts
        largest = max(abs(int(value)) for value in present)
        kind = next((kind for kind, limit in WHOLE.items() if largest < limit), "")
    return f"TRY_CAST({cell} AS {kind})" if kind else f"NULLIF({cell}, '')"


def is_whole(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return text.isascii()
