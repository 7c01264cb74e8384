"""DuckDB: what it may do, and the JSON and Parquet files that it reads; the only module that imports it.

It can reach neither the network nor a file but the one that is read: external access is off, and its settings locked.
"""

import contextlib
import json
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from command.libraries import library
from config.data_file import MOST_LINE
from sources.log import SourceLog
from sources.tables import SAMPLED, Rows, Table, check_width, distinct
from sources.unpack import BLOCK_BYTES
from text.disguise import is_object
from utils import UserError

T = TypeVar("T")

MEMORY = "512MB"
FETCHED = 128  # rows at a time
FIRST_LINES = 100  # that tell whether a file of JSON holds an object a line
LISTENING = 0.1  # seconds after which a signal is heard at the latest
INTERRUPTIONS = 20  # of a query, LISTENING apart: it may not have begun at the first, and one function outlasts all
SETTINGS = {
    "threads": 2, "memory_limit": MEMORY, "temp_directory": "", "enable_external_file_cache": False,
    "autoinstall_known_extensions": False, "autoload_known_extensions": False, "allow_community_extensions": False,
    # a division by zero has no value, and a root or a logarithm that is none is an error: never NaN or an infinity
    "ieee_floating_point_ops": False, "error_on_division_by_zero": False,
    "disabled_optimizers": "filter_pushdown",  # so that a plan shows --where as a whole, with all its constants
}  # fmt: skip


def connect(*paths: Path) -> Any:
    """A database in memory that can read these files and touch nothing else."""
    connection = library("duckdb", "prepare", "DuckDB").connect(config=SETTINGS)
    allowed = f"allowed_paths = [{', '.join(quoted(str(path.absolute())) for path in paths)}]"
    last = ("enable_external_access = false", "lock_configuration = true")
    for setting in ("enable_progress_bar = false", allowed, *last):
        interruptible(connection, partial(connection.execute, f"SET {setting}"))
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


def fetched(connection: Any, name: str, query: str, parameters: Sequence[object] = ()) -> Iterator[Any]:
    """The rows of a query, a few at a time. Raises UserError with one line for what DuckDB cannot read."""
    import duckdb

    try:
        cursor = interruptible(connection, partial(connection.execute, query, list(parameters)))
        while rows := cursor.fetchmany(FETCHED):  # soon done: a thread for each would cost a third of the speed
            yield from rows
    except duckdb.OutOfMemoryException:
        what = f"needs more than {MEMORY} of memory: its rows are too long, or too many are in one piece"
        raise UserError(f"{name}: {what}") from None
    except duckdb.Error as error:
        raise UserError(f"{name}: {reason(error)}") from None
    except RuntimeError as error:
        if "interrupted" in str(error):  # what it makes of a signal, whose KeyboardInterrupt it swallows
            raise KeyboardInterrupt from None
        raise


def interruptible(connection: Any, work: Callable[[], T]) -> T:
    """The result of work that asks a database. A signal is heard meanwhile: one SQL function may take hours.

    A thread does the work: Python hears signals in the first one alone, and there DuckDB swallows what they raise.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)

    try:
        Thread(target=run, daemon=True).start()
        while not done.done():
            wait([done], LISTENING)
    except KeyboardInterrupt:
        for _ in range(INTERRUPTIONS):  # a connection that is busy cannot be closed
            connection.interrupt()
            if wait([done], LISTENING).done:
                break
        raise
    return done.result()


def query_rows(path: Path, name: str, query: str) -> Generator[Any, None, None]:
    """The rows of a query about a file, which is closed at their end: Windows removes no file that is open.

    An error names it by `name`, for `path` may be one that was made for DuckDB.
    """
    try:
        with contextlib.closing(connect(path)) as connection:
            yield from fetched(connection, name, query)
    except UserError as error:
        raise UserError(str(error).replace(str(path.absolute()), name)) from None


def json_text(text: str | None, kind: str | None) -> str | None:
    """A value as text: the texts of a list joined by spaces, and none for Python's bare NaN."""
    if kind == "DOUBLE" and text in ("NaN", "nan"):  # as Python writes what is missing
        return None
    if text and kind == "ARRAY":
        with contextlib.suppress(ValueError, RecursionError):
            items = json.loads(text)
            if all(isinstance(item, str | None) for item in items):
                return " ".join(filter(None, items))
    return text


def open_json(path: Path, name: str) -> Table:
    """A file of JSON objects, one a line or in one list; its columns are the keys of the first thousand.

    A line that is no JSON is left out and counted; what is wrong in a list is an error.
    """
    lines = is_lines(path)
    if not lines:
        check_end(path, name)
    options = "format='newline_delimited', ignore_errors=true" if lines else "format='auto'"
    options += f", maximum_object_size={MOST_LINE}, hive_partitioning=false"  # a folder a=b is no column
    source = f"read_json_objects({quoted(str(path.absolute()))}, {options})"
    keys = f"SELECT json_keys(json), json_type(json) FROM (SELECT json FROM {source} LIMIT {SAMPLED})"
    found: dict[str, None] = {}
    for names, kind in query_rows(path, name, keys):
        if kind not in (None, "OBJECT", "NULL"):  # a null is a row without text
            raise UserError(f"{name}: holds {str(kind).lower()}s; JSON objects are needed, which name their columns")
        found |= dict.fromkeys(names or ())
        check_width(name, len(found))

    def read(wanted: Sequence[int], log: SourceLog) -> Rows:
        keys = [[*found][number] for number in wanted]
        places = [quoted("/" + key.replace("~", "~0").replace("/", "~1")) for key in keys]
        at = f"[{', '.join(places)}]"  # all at once: DuckDB would parse the row anew for each
        query = f"SELECT json IS NULL, json_extract_string(json, {at}), json_type(json, {at}) FROM {source}"
        for number, (bad, texts, kinds) in enumerate(query_rows(path, name, query), 1):
            if bad:
                log.bad_row("that is no JSON", f"{name} record {number}")
            else:
                yield [*map(json_text, texts, kinds)]

    return Table([*found], read)


def check_end(path: Path, name: str) -> None:
    """Raise UserError for a list without an end: DuckDB takes one that is cut behind a comma for whole."""
    with path.open("rb") as file:
        begin = file.read(BLOCK_BYTES).lstrip()
        file.seek(max(0, path.stat().st_size - BLOCK_BYTES))
        end = file.read().rstrip()
    if begin.startswith(b"[") and not end.endswith(b"]"):
        raise UserError(f"{name}: is cut short: the list that it begins with has no end")


def is_lines(path: Path) -> bool:
    """Whether a file holds a JSON object a line: the first that is not blank, or most of the first hundred.

    The first may be damaged as any other; of a list that is written with line breaks few lines are objects.
    """
    with path.open("rb") as file:
        lines = [line for line in file.read(MOST_LINE).lstrip().split(b"\n", FIRST_LINES)[:FIRST_LINES] if line.strip()]
    objects = [*map(is_object, lines[:1])]
    if not any(objects):
        objects += map(is_object, lines[1:])
    return sum(objects) > len(objects) / 2


def open_parquet(path: Path, name: str) -> Table:
    """A Parquet file. What is no text is read as text, but bytes are none unless they are UTF-8."""
    file = quoted(str(path.absolute()))
    source = f"read_parquet({file}, hive_partitioning=false)"
    cells = [
        parquet_cell(identifier(str(column)), str(kind))
        for column, kind, *_ in query_rows(path, name, f"DESCRIBE SELECT * FROM {source}")
    ]
    check_width(name, len(cells))

    def read(wanted: Sequence[int], log: SourceLog) -> Rows:
        return query_rows(path, name, f"SELECT {', '.join(cells[number] for number in wanted)} FROM {source}")

    # DuckDB numbers names that differ in case alone; these are the file's own
    schema = query_rows(path, name, f"SELECT name, num_children FROM parquet_schema({file})")
    return Table(distinct(top_names([(str(column), int(children or 0)) for column, children in schema])), read)


def parquet_cell(column: str, kind: str) -> str:
    """The SQL of a value as text; the texts of a list are joined by spaces."""
    if kind == "BLOB":  # UTF-8 that some programs write without saying that it is text, or a picture
        return f"TRY(decode({column}))"
    if kind in ("VARCHAR[]", "BLOB[]"):
        texts = column if kind == "VARCHAR[]" else f"list_transform({column}, lambda item: TRY(decode(item)))"
        return f"array_to_string({texts}, ' ')"
    if "BLOB" in kind:
        return "NULL"
    return f"CAST({f'to_json({column})' if kind.endswith((']', ')')) else column} AS VARCHAR)"  # as JSON has it


def top_names(schema: Sequence[tuple[str, int]]) -> list[str]:
    """The names of the columns, from all nodes of a schema, depth first: name and number of children."""
    names, nested = [], 0
    for name, children in schema[1:]:  # the first is the root
        if nested:
            nested -= 1
        else:
            names.append(name)
        nested += children
    return names


def columns_in(connection: Any, expression: str) -> set[str] | None:
    """The names of columns in an expression of SQL, as it has them; None: all. Raises UserError if it is none."""
    import duckdb

    try:
        duckdb.SQLExpression(expression)
    except duckdb.Error as error:
        raise UserError(reason(error)) from None
    query = f"SELECT 1 WHERE (\n{expression}\n)"
    ((parsed,),) = fetched(connection, "", "SELECT json_serialize_sql(?)", [query])
    try:
        nodes, names = [json.loads(str(parsed))], set()
    except RecursionError:
        raise UserError("is nested too deeply") from None
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            names.update(node["column_names"] if node.get("class") == "COLUMN_REF" else ())
            names.update((node["schema"], node["catalog"]) if node.get("class") == "FUNCTION" else ())  # text.length()
            if node.get("class") == "STAR":
                return None
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
    return names
