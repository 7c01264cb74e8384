"""What prepare.py makes in a test, what a refusal must be (one line, status 2, nothing written), and a table."""

import contextlib
import csv
import io
from pathlib import Path

import prepare
from tests.helpers import one_short_line, tree


def files() -> dict[Path, object]:
    """All that lies here, but for folders and the cache, in which no more than a lock may be left."""
    assert not [path for path in Path().glob("datasets/.cache/*/*") if path.suffix != ".lock"]
    return {path: content for path, content in tree(Path()).items() if path.is_file() and ".cache" not in path.parts}


def assert_refused(*arguments: str, line: str = "", starts: str = "", name: str = "x") -> None:
    """prepare.py says this line, or one that starts so, and changes nothing."""
    before = files()
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert prepare.main([*arguments, "--name", name]) == 2
    told = [each for each in said.getvalue().splitlines() if not each.startswith("bytes read: ")]
    assert len(told) == 1 and one_short_line(told[0]), told
    assert told[0].startswith(f"error: {starts}") and line in ("", told[0].removeprefix("error: ")), told[0]
    assert files() == before


def run(*arguments: str, name: str = "x") -> list[str]:
    """The documents of the text that prepare.py makes in this folder."""
    assert prepare.main([*arguments, "--name", name]) == 0
    return Path(f"datasets/{name}.txt").read_text("utf-8").splitlines()


CAFE_READS = (  # what is said of b"caf\xe9"
    "name the encoding in which it reads right: --encoding cp1252 'café', cp1251 'cafй', cp1253 'cafι', "
    "cp1255 'cafי', cp874 'caf\u0e49', koi8-r 'cafИ', mac-roman 'cafÈ'"
)
COLUMNS = ["id", "stars", "title", "review text", "review"]
ROWS = [
    ["1", "5", "Good", "I liked this one.", "a"],
    ["2", "4.5", "", "Not bad at all.", ""],
    ["3", "", "Nothing", "", ""],
    ["4", "x", "Odd", "Who gave x stars?", "b"],
    ["5", "5", "", "", ""],
]


def write_table() -> None:
    """a.csv with these rows."""
    with Path("a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *ROWS])
