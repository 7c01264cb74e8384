"""--where: which rows it takes, of which columns and numbers, and that it reaches nothing else."""

import contextlib
import csv
import gc
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import prepare
from sources.engine import connect, fetched
from sources.log import SourceLog
from sources.where import Filter
from tests.helpers import ROOT, SECONDS, posix
from tests.sources.helpers import assert_refused, run, write_table
from utils import UserError


@pytest.fixture(autouse=True)
def table(home) -> None:
    write_table()


@pytest.mark.parametrize(
    ("where", "taken"),
    [
        ("id = 1", "1"), ("id > 2 AND id < 5", "34"), ("stars = 'x'", "4"), ("title IS NULL", "25"),
        ("\"review text\" LIKE '%one%'", "1"), ("ID IN (1, 4)", "14"), ("length(title) = 4 -- only", "1"),
        ("id = 1 OR stars = '4.5'", "12"),
    ],
)  # fmt: skip
def test_where_is_an_expression_of_columns(where, taken):
    pytest.importorskip("duckdb")
    assert run("a.csv", "--column", "id", "--where", where) == list(taken)


def test_where_compares_numbers_as_numbers_if_the_first_rows_are():
    pytest.importorskip("duckdb")
    rows = [[str(n % 100), f"text number {n}"] for n in range(9000)]
    rows[8000][0] = "many"  # beyond the rows that are looked at: no number, so it is never above 98.5
    with Path("b.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["n", "text"], *rows])
    assert run("b.csv", "--where", "n > 98.5") == [text for n, text in rows if n == "99"]


CASES = [{"x": "aaa bbb", "X": "one one", "x_1": "", "t": "first text"},
         {"x": "two two", "X": "aaa bbb", "x_1": "", "t": "second text"}]  # fmt: skip


def write_parquet(duckdb, path: Path) -> None:
    """These rows. DuckDB writes no names that differ in case alone, so one is changed in the file."""
    names = ", ".join(CASES[0]).replace("X", "Y")
    values = ", ".join(str(tuple(row.values())) for row in CASES)
    duckdb.connect().execute(f"COPY (SELECT * FROM (VALUES {values}) AS v({names})) TO '{path}'")
    written = path.read_bytes()
    assert written.count(b"\x01Y") == 2  # a name after its length: of a column, and of the place of its values
    path.write_bytes(written.replace(b"\x01Y", b"\x01X"))


@pytest.mark.parametrize("kind", ["json", "xml", "csv", "parquet"])
def test_names_that_differ_in_case_alone_are_told_apart(kind):
    duckdb = pytest.importorskip("duckdb")
    path = Path(f"b.{kind}")
    if kind == "parquet":
        write_parquet(duckdb, path)
    elif kind == "json":
        path.write_text(json.dumps(CASES))
    elif kind == "xml":
        rows = ("".join(f' {key}="{value}"' for key, value in row.items()) for row in CASES)
        path.write_text(f"<p>{''.join(f'<row{row}/>' for row in rows)}</p>")
    else:
        path.write_text("\n".join(map(",".join, [CASES[0], *(row.values() for row in CASES)])) + "\n")
    assert run(path.name, "--column", "X") == ["one one", "aaa bbb"]
    assert run(path.name, "--join", "x X") == ["aaa bbb one one", "two two aaa bbb"]
    for name, text in (("x_2", "first text"), ("X_3", "second text"), ('"X_3"', "second text")):
        assert run(path.name, "--column", "t", "--where", f"{name} = 'aaa bbb'") == [text]
    for name in ("x", "X"):
        line = f"""--where '"{name}" = 1': Referenced column "{name}" not found in FROM clause!; it has x_2, X_3"""
        assert_refused(path.name, "--column", "t", "--where", f'"{name}" = 1', line=line)
    Path("c.json").write_text('[{"aB": "a b", "Ab": "c d"}]')
    what = "c.json has several of this name, aB, Ab; type one as it is written"
    assert_refused("c.json", "--column", "ab", line=f"--column 'ab': {what}")


SECRET = Path(__file__).as_posix()


@pytest.mark.parametrize(
    "where",
    [
        f"id IN (SELECT 1 FROM read_text('{SECRET}'))", f"EXISTS (SELECT * FROM '{SECRET}')",
        "EXISTS (SELECT * FROM glob('/*'))", "EXISTS (SELECT * FROM read_csv('https://example.org/a.csv'))",
        "EXISTS (SELECT * FROM read_csv('a.csv'))", "id = 1; COPY (SELECT 1) TO 'evil.csv'", "id = 1) UNION (SELECT 1",
        "INSTALL httpfs", "id = getenv('HOME')", "count(id) > 1", "row_number() OVER () > 1", "id = ?", " ", "nix = 1",
        "EXISTS (SELECT * FROM duckdb_secrets())", "EXISTS (SELECT * FROM sniff_csv('/etc/passwd'))", "id, 1", "*",
    ],
)  # fmt: skip
def test_where_reaches_no_file_and_no_network(where):
    pytest.importorskip("duckdb")
    assert_refused("a.csv", "--where", where, starts="--where ")
    assert sorted(path.name for path in Path().iterdir() if path.is_file()) == ["a.csv"]


@pytest.mark.parametrize(
    ("numbers", "where", "taken"),
    [
        (["1", "9" * 30, "-5"], "n > 0", [0, 1]), (["1" * 30, "1" * 29 + "2"], f"n = {'1' * 30}", [0]),
        (["1" * 30, "1.5"], "n > 1", [0, 1]), (["1" * 50, "1" * 49 + "2"], f"n = '{'1' * 50}'", [0]),
        (["1", str(2**63 - 1), str(-(2**63))], f"n = {-(2**63)} OR n = {2**63 - 1}", [1, 2]),
    ],
)  # fmt: skip
def test_numbers_of_any_length_are_compared_exactly(numbers, where, taken):
    pytest.importorskip("duckdb")
    Path("b.csv").write_text("n,text\n" + "".join(f"{n},text number {k}\n" for k, n in enumerate(numbers)))
    assert run("b.csv", "--column", "text", "--where", where) == [f"text number {k}" for k in taken]


FAR = ["5", str(2**60)] * 500  # whole numbers that DOUBLE does not hold, as many as are looked at


@pytest.mark.parametrize(
    ("where", "taken"),
    [
        ("n = 5 AND t LIKE 'b%'", ["b 2"]), ("n > 4 AND n < 5", ["b 1"]), ("n BETWEEN 999 AND 1001", ["b 4"]),
        ("n > 1e38", ["b 5"]),
        ("n & 1 = 1 AND t = 'b 2'", ["b 2"]), (f"n = {2**60 + 1}", ["b 3"]), (f"m = {2**60 + 1} AND n < 5", ["b 1"]),
    ],
)  # fmt: skip
def test_no_number_is_rounded_to_a_whole_one(where, taken):
    """A fraction, or what is too large, far behind whole numbers alone."""
    pytest.importorskip("duckdb")
    rows = [(n, n, "a") for n in FAR]
    rows += [("4.6", 2**60 + 1, "b 1"), ("5", 2**60, "b 2"), (2**60 + 1, 1, "b 3"), ("1e3", 1, "b 4")]
    rows.append(("9" * 39, 1, "b 5"))
    with Path("b.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["n", "m", "t"], *rows])
    assert run("b.csv", "--column", "t", "--where", where) == taken


@pytest.mark.parametrize("where", ["title.length() > 4", "COLUMNS('title') = 'Nothing'", "lower(title) = 'nothing'"])
def test_a_column_is_found_in_whatever_way_it_is_asked_about(where):
    pytest.importorskip("duckdb")
    assert run("a.csv", "--column", "id", "--where", where) == ["3"]


def test_a_number_that_has_not_what_is_asked_is_missing_and_counted(capsys):
    """Bits, of which only whole numbers have some."""
    pytest.importorskip("duckdb")
    Path("b.csv").write_text("n,t\n" + "1,a\n2,b\n" * 500 + "4.6,c\n3,d\n")
    assert run("b.csv", "--column", "t", "--where", "n & 1 = 1") == [*["a"] * 500, "d"]
    told = "1 row: 'n' is no number ('4.6', for example), so --where takes it for missing"
    assert told in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("missing", ["NA", "N/A", "\\N", "null", "None"])
def test_the_marks_of_what_is_missing_are_no_texts(missing, capsys):
    """As R, databases and Python write them among numbers."""
    values = ["1", missing, "7", "2", missing]
    Path("a.csv").write_text("score,text\n" + "".join(f"{value},words of {n}\n" for n, value in enumerate(values)))
    assert run("a.csv", "--where", "score > 1") == ["words of 2", "words of 3"]
    assert run("a.csv", "--where", "score IS NULL", "--overwrite") == ["words of 1", "words of 4"]
    what = f"2 rows: 'score' is no number ({missing!r}, for example), so --where takes it for missing"
    assert what in capsys.readouterr().out


def test_an_expression_that_is_nested_too_deeply_is_one_line():
    pytest.importorskip("duckdb")
    with pytest.raises(UserError, match="is nested too deeply; for example 'stars = 5'"):
        Filter("+".join(["id"] * 900) + " > 0", ["id"], [["1"]], SourceLog())


@pytest.mark.parametrize("where", ["starz = 5", "5 = starz", "stars = 5 OR 5 = starz", 'length("starz") > 2'])
def test_a_misspelt_name_is_set_right(where):
    pytest.importorskip("duckdb")
    line = f"--where {where!r}: Referenced column \"starz\" not found in FROM clause!; did you mean 'stars'?"
    assert_refused("a.csv", "--where", where, line=line)


def test_all_names_are_told_where_none_is_near():
    pytest.importorskip("duckdb")
    names = "it has id, stars, title, review text, review"
    line = f"--where 'zq = 5': Referenced column \"zq\" not found in FROM clause!; {names}"
    assert_refused("a.csv", "--where", "zq = 5", line=line)


def test_a_column_whose_name_is_part_of_another_is_not_asked_about(capsys):
    pytest.importorskip("duckdb")
    rows = "".join(f"{n},en,text number {n}\n" for n in range(1000))
    Path("b.csv").write_text(f"age,language,text\n{rows}many,de,text of age\n")
    assert run("b.csv", "--column", "text", "--where", "language = 'de'") == ["text of age"]
    assert "is no number" not in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--where", "--column", "--join", "--encoding"])
def test_an_option_without_a_value_is_no_choice(option, capsys):
    with pytest.raises(SystemExit) as ended:
        prepare.main(["a.csv", option, "", "--name", "x"])
    assert ended.value.code == 2 and not Path("datasets").exists()
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith(f"error: argument {option}: an empty text; leave the option out, or give it a value")


NUMBERS = ["1.5", "2", "nan", "NaN", "inf", "-Infinity", "", "7", "1e999"]


@pytest.mark.parametrize(
    ("numbers", "where", "taken"),
    [
        (NUMBERS, "n > 1.6", [1, 7]), (NUMBERS, "n < 1.6", [0]), (NUMBERS, "n != 2", [0, 7]),
        (NUMBERS, "NOT n > 5", [0, 1]),
        (NUMBERS, "n IS NULL", [2, 3, 4, 5, 6, 8]),
        (NUMBERS, "n / 0 > 1 OR 0.0 / (n - 2) > 1 OR n = 2", [1]),
        (["1", str(2**62 + 1), "NaN", "-inf"], f"n > {2**62}", [1]), (["nan", "inf"], "n IS NULL", [0, 1]),
        ([str(n) for n in range(1000)] + ["nan", "many"], "n > 998", [999]),
        ([str(n) for n in range(1000)] + ["many", "0x3e7", "1e999"], "n > 998", [999]),
    ],
)  # fmt: skip
def test_what_is_no_number_among_numbers_is_missing_and_counted(numbers, where, taken, capsys):
    pytest.importorskip("duckdb")
    Path("b.csv").write_text("n,text\n" + "".join(f"{n},text number {k}\n" for k, n in enumerate(numbers)))
    assert run("b.csv", "--column", "text", "--where", where) == [f"text number {k}" for k in taken]
    wrong = [n for n in numbers if n and (n.lower().lstrip("-")[0] in "nim" or n in ("1e999", "0x3e7"))]
    what = f"'n' is no number ({wrong[0]!r}, for example), so --where takes it for missing"
    told = f"{len(wrong)} row{'s' * (len(wrong) > 1)}: {what}"
    assert told in capsys.readouterr().out.splitlines()
    assert json.loads(Path("datasets/x.source.json").read_text())["not_numbers"] == {"n": len(wrong)}
    line = f"b.csv: no document is left of {len(numbers):,} rows: {len(numbers):,} not taken by --where, {told}"
    assert_refused("b.csv", "--column", "text", "--where", "n > 5000 AND n < 1", line=line, name="y")


@pytest.mark.parametrize(
    "where",
    ["n > nan", "n > 'nan'", "n != 'NaN'::DOUBLE", "n < CAST('-nan' AS FLOAT)", "n > 'inf'", "n < 1e400", "nan < n",
     "n BETWEEN 1 AND '-infinity'", "n IN (1, 'nan')", "t = 'one' OR n = 'nan'", "n > infinity",
     "coalesce(n, 'nan') > 1", "NOT n BETWEEN 1 AND '-inf'", "n > 'inf'::DOUBLE - 'inf'::DOUBLE",
     "n > (SELECT 'nan'::DOUBLE)"],
)  # fmt: skip
def test_nothing_is_compared_with_what_is_no_number(where):
    pytest.importorskip("duckdb")
    Path("b.csv").write_text(
        "n,t,text\n1.5,nan,text one\n2,inf,text two\n,'nan'::DOUBLE,text three\n3,1e1000,text four\n"
    )
    fix = "compare with a number; 'stars IS NULL', for example, is true of what is none"
    line = f"--where {where!r}: NaN and infinities are no numbers; {fix}"
    assert_refused("b.csv", "--column", "text", "--where", where, line=line)


@pytest.mark.parametrize("text", ["nan", "inf", "'nan'::DOUBLE", "1e1000", "Infinity"])
def test_a_text_may_be_called_as_what_is_no_number(text):
    pytest.importorskip("duckdb")
    Path("b.csv").write_text(f"t,text\n{text},text one\ntwo,text two\n")
    where = "t = '" + text.replace("'", "''") + "'"
    assert run("b.csv", "--column", "text", "--where", where) == ["text one"]
    assert run("b.csv", "--column", "text", "--where", f"{where} OR length(t) > 90", "--overwrite") == ["text one"]


def test_half_a_character_in_a_row_costs_no_other():
    pytest.importorskip("duckdb")
    sent = b"From a@b Thu Jan  1 00:00:00 2026\nSubject: %s\nContent-Type: text/plain; charset=utf-7\n\n%s\n\n"
    Path("a.mbox").write_bytes(sent % (b"one", b"half +2D0- of it") + sent % (b"two", b"hello there"))
    for where in ("length(text) > 5", "text LIKE 'h%'"):
        assert run("a.mbox", "--where", where) == ["half  of it", "hello there"]


@posix
@pytest.mark.parametrize("milliseconds", [0.3, 1, 3, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60])
def test_a_signal_is_heard_whenever_it_comes(milliseconds):
    """DuckDB swallows what a signal raises in the thread that asks it, while it is set up too."""
    pytest.importorskip("duckdb")

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    gc.disable()  # hypothesis listens to it, and what a signal raises while it does is lost
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
            with contextlib.closing(connect()) as connection:
                list(fetched(connection, "x", "SELECT sum(a.range * b.range) FROM range(50000) a, range(50000) b"))
    finally:
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@posix
def test_a_signal_stops_an_expression_that_takes_hours():
    pytest.importorskip("duckdb")
    where = "levenshtein(repeat('x', 600000), repeat('y', 600000)) > 5"
    command = [sys.executable, str(ROOT / "prepare.py"), "a.csv", "--name", "x", "--where", where]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + SECONDS
    try:
        while not [*Path("datasets").glob(".cache/*/x.prepare/text")] and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(2)
        process.terminate()
        assert process.wait(20) == 130 and process.communicate()[1].endswith("stopped\n")
    finally:
        process.kill()
    assert not [*Path("datasets").glob(".cache/*/x.prepare")]
