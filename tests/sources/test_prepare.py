"""prepare.py: files that other tools made become the text that an independent few lines make of them."""

import bz2
import csv
import gzip
import json
import lzma
import mailbox
import shutil
import sqlite3
import subprocess
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.sources.helpers import assert_refused, run

WORDS = ["the", "parser", "now", "reads", "every", "line", "of", "a", "file", "and", "says", "what", "it", "found"]


def reviews(count: int = 300) -> list[dict[str, object]]:
    """Rows with a number, a short title and a text, some of several lines, with quotes and commas."""
    texts = [" ".join(WORDS[n % 7 : n % 7 + 6]) + f' number {n}, "so" they say' for n in range(count)]
    return [
        {"id": n, "stars": n % 5 + 1, "title": f"Title {n}", "text": text.replace(" of ", "\n\nof ") if n % 3 else text}
        for n, text in enumerate(texts)
    ]


def one_line(text: object) -> str:
    return " ".join(part.strip() for part in str(text).split("\n") if part.strip())


EXPECTED = [one_line(row["text"]) for row in reviews()]


def write_csv(path: str, delimiter: str = ",") -> Path:
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "stars", "title", "text"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(reviews())
    return Path(path)


def test_csv_and_tsv_of_pythons_csv():
    write_csv("a.csv")
    write_csv("b.tsv", "\t")
    assert run("a.csv") == EXPECTED and run("b.tsv") == EXPECTED


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="sqlite3's shell is not here")
@pytest.mark.parametrize(("mode", "name"), [("-csv", "a.csv"), ("-json", "a.json")])
def test_what_sqlite_exports(mode, name):
    pytest.importorskip("duckdb")
    with sqlite3.connect("a.db") as database:
        database.execute("CREATE TABLE t (id, stars, title, text)")
        database.executemany("INSERT INTO t VALUES (:id, :stars, :title, :text)", reviews())
    done = subprocess.run(["sqlite3", "-header", mode, "a.db", "SELECT * FROM t"], capture_output=True, check=True)
    Path(name).write_bytes(done.stdout)
    assert run(name) == EXPECTED


def test_what_duckdb_exports():
    duckdb = pytest.importorskip("duckdb")
    write_csv("a.csv")
    for target, options in {"b.parquet": "", "c.csv": "(HEADER)", "d.json": "", "e.json": "(ARRAY true)"}.items():
        duckdb.connect().execute(f"COPY (SELECT * FROM read_csv('a.csv', all_varchar=true)) TO '{target}' {options}")
        assert run(target) == EXPECTED, target


def test_columns_of_bytes_beside_a_text_do_no_harm():
    duckdb = pytest.importorskip("duckdb")
    picture, captions = r"'\xFF\xD8\xFF\xE0'::BLOB", "unnest(['a dog at the sea', 'two cats asleep'])"
    bytes_beside = f"{picture} AS picture, {{'bytes': {picture}, 'path': 'a b c d'}} AS image, [{picture}] AS audio"
    duckdb.connect().execute(f"COPY (SELECT {bytes_beside}, {captions} AS caption) TO 'a.parquet'")
    assert run("a.parquet") == ["a dog at the sea", "two cats asleep"]
    assert_refused("a.parquet", "--column", "image", starts="a.parquet: no document is left of 2 rows: 2 empty")
    texts = "encode('café is open') AS text, [encode('one and'), encode('two')] AS parts"
    duckdb.connect().execute(f"COPY (SELECT {texts}) TO 'b.parquet'")
    assert run("b.parquet", "--join", "text parts") == ["café is open one and two"]


def test_where_takes_the_same_rows_of_every_kind():
    duckdb = pytest.importorskip("duckdb")
    write_csv("a.csv")
    Path("b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reviews()))
    duckdb.connect().execute("COPY (FROM 'a.csv') TO 'c.parquet'")
    expected = [one_line(row["text"]) for row in reviews() if row["stars"] == 5]
    for name in ("a.csv", "b.jsonl", "c.parquet"):
        assert run(name, "--where", "stars = 5") == expected, name


def test_keys_of_any_name_are_columns():
    pytest.importorskip("duckdb")
    Path("a.json").write_text(json.dumps([{"a/b~\"c'": f"some words {n}", "*": n, "": n} for n in range(9)]))
    assert run("a.json", "--where", '"a/b~""c\'" LIKE \'%5\'') == ["some words 5"]


def test_json_lines_and_a_list_of_pythons_json():
    pytest.importorskip("duckdb")
    Path("a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reviews()))
    Path("b.json").write_text(json.dumps(reviews(), indent=1))
    Path("c.ndjson").write_text("\ufeff" + "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in reviews()))
    assert run("a.jsonl") == run("b.json") == run("c.ndjson") == EXPECTED


def test_rows_of_many_keys_are_read_within_the_memory():
    """DuckDB parses a row anew for each expression about it, and keeps all that it made of two thousand rows."""
    pytest.importorskip("duckdb")
    row = json.dumps({f"k{n}": f"some words of number {n} and more" for n in range(45)}) + "\n"
    Path("a.jsonl").write_text(row * 2100)
    assert run("a.jsonl", "--column", "k7") == ["some words of number 7 and more"] * 2100


def test_the_texts_of_a_list_in_json_are_joined_and_no_other_list():
    pytest.importorskip("duckdb")
    lists = [["Boil the water.", "Add\nsalt."], ["One.", None, "Two."], [None, "Three."], []]
    rest = ['["a text"]', ["a", 1], [["b"]]]
    Path("a.jsonl").write_text("".join(json.dumps({"steps": value}) + "\n" for value in [*lists, *rest]))
    joined = ["Boil the water. Add salt.", "One. Two.", "Three."]
    assert run("a.jsonl", "--column", "steps") == [*joined, '["a text"]', '["a",1]', '[["b"]]']


@pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not here")
def test_zstd_of_its_own_tool():
    pytest.importorskip("zstandard")
    path = write_csv("a.csv")
    for options in ([], ["--ultra", "-22", "--long=31"]):
        subprocess.run(["zstd", "-qf", *options, path, "-o", "b.csv.zst"], check=True)
        assert run("b.csv.zst") == EXPECTED
    Path("c.csv.zst").write_bytes(Path("b.csv.zst").read_bytes()[:-100])
    assert_refused("c.csv.zst", line="c.csv.zst: damaged or cut short: its last frame has no end")


def test_zeros_behind_a_stream_of_xz_are_padding():
    packed = lzma.compress(b"some words\n")
    Path("a.txt.xz").write_bytes(packed + bytes(8) + packed + bytes(4))
    assert run("a.txt.xz") == ["some words", "some words"]


def test_gzip_bz2_xz_and_zip():
    content = write_csv("a.csv").read_bytes()
    Path("a.csv.gz").write_bytes(gzip.compress(content[:5000]) + gzip.compress(content[5000:]))
    Path("a.csv.bz2").write_bytes(bz2.compress(content))
    Path("a.csv.xz").write_bytes(lzma.compress(content))
    with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/a.csv", content)
        archive.writestr("data/README.md", "about\n")
        archive.writestr("__MACOSX/data/._a.csv", b"\0\5")
    assert run("a.csv.gz") == run("a.csv.bz2") == run("a.csv.xz") == run("a.zip") == run("a.zip/data/a.csv") == EXPECTED
    assert run("a.zip/data/README.md", name="y") == ["about"]


def test_a_mailbox_of_pythons_mailbox():
    box = mailbox.mbox("a.mbox")
    for row in reviews():
        message = EmailMessage()
        message["From"], message["Subject"] = "a@example.org", str(row["title"])
        message.set_content(f"From {row['text']}\n", cte="8bit")
        if int(str(row["id"])) % 2:
            message.add_alternative(f"<p>{row['title']}</p>", subtype="html")
        box.add(message)
    box.close()
    assert run("a.mbox") == [f"From {text}" for text in EXPECTED]
    assert run("a.mbox", "--column", "subject") == [row["title"] for row in reviews()]


def test_a_dump_of_stack_exchange():
    from xml.sax.saxutils import quoteattr

    rows = "".join(
        f'<row Id="{row["id"]}" PostTypeId="{1 + int(str(row["id"])) % 2}" '
        f"Body={quoteattr('<p>' + str(row['text']) + '</p>', {chr(10): '&#xA;'})} />\n"
        for row in reviews()
    )
    Path("Posts.xml").write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<posts>\n{rows}</posts>')
    assert run("Posts.xml") == EXPECTED


def test_folders_of_text_by_file_paragraph_and_line():
    for number, path in enumerate(("a/one.txt", "a/two.md", "b/three.txt")):
        Path("texts", path).parent.mkdir(parents=True, exist_ok=True)
        Path("texts", path).write_text(f"first {number}\nsecond\n\n\nthird {number}\n")
    Path("texts/.hidden.txt").write_text("no")
    assert run("texts") == [f"first {n} second third {n}" for n in range(3)]
    assert run("texts", "--unit", "paragraph") == [t for n in range(3) for t in (f"first {n} second", f"third {n}")]
    assert run("texts/*/*.txt", "--unit", "line") == [t for n in (0, 2) for t in (f"first {n}", "second", f"third {n}")]
    assert run("texts/a/one.txt") == ["first 0", "second", "third 0"]
