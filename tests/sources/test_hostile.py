"""Files made to do harm, or cut, or changed while they are read: one line, and nothing half written."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

import prepare
from command.lock import exclusive_lock
from sources.files import Found
from sources.unpack import Held, plain_file
from tests.helpers import posix
from tests.sources.helpers import CAFE_READS, assert_refused, run
from utils import UserError

ROW = b"1,some words of a text\n"
TABLE = b"id,text\n" + ROW * 50_000


def test_a_line_without_an_end_is_one_line():
    with Path("a.csv").open("wb") as file:
        file.write(b"id,text\n1,a b\n2,")
        for _ in range(40):
            file.write(b"x" * 1_000_000)
    line = "a.csv line 3: has more than 4 MB; no document is so long"
    assert_refused("a.csv", line=line)
    shutil.copy("a.csv", "a.txt")
    assert_refused("a.txt", line=line.replace("a.csv", "a.txt"))


def test_a_json_without_an_end_is_one_line():
    pytest.importorskip("duckdb")
    for name, begin in (("a.jsonl", '{"text": "a b"}\n{"text": "'), ("b.json", '[{"text": "')):
        with Path(name).open("w") as file:
            file.write(begin)
            for _ in range(60):
                file.write("x" * 1_000_000)
        assert_refused(name, starts=f"{name}: ")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"id,text\n1,caf\xe9 au lait\n", "a.csv line 2: byte 0xe9 is not UTF-8; " + CAFE_READS),
        (TABLE * 2 + b"2,caf\xe9 au lait\n", "a.csv line 100003: byte 0xe9 is not UTF-8; " + CAFE_READS),
        (b"id,text\n1,caf\xc3", "a.csv line 2: ends within a character of UTF-8; is it cut short?"),
        ("id,text\n1,a b\n".encode("utf-16-le"), "a.csv: has the zero bytes of UTF-16, or is no text; "
         "if it is UTF-16, add --encoding utf-16-le, or utf-16-be"),
        (b"\x1f\x8bid,text\n", "a.csv: is compressed (gzip); unpack it first; its name does not say so"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_utf_8_are_named_with_their_line(content, line):
    Path("a.csv").write_bytes(content)
    assert_refused("a.csv", line=line)


def test_utf_16_cut_within_a_character_is_one_line():
    Path("a.csv").write_bytes("id,text\n1,a b\n".encode("utf-16")[:-1])
    assert_refused("a.csv", starts="a.csv: is not utf-16: ")


def test_mixed_encodings_are_read_as_the_one_that_is_named(capsys):
    Path("a.csv").write_bytes(b"id,text\n1,caf\xe9 au lait\n2,\x93quoted\x94 here\n3,a \x81 b\n")
    assert prepare.main(["a.csv", "--name", "x", "--encoding", "cp1252"]) == 0
    assert Path("datasets/x.txt").read_text("utf-8") == "café au lait\n“quoted” here\na \ufffd b\n"
    assert "could not be decoded: 1 character of the text, now U+FFFD" in capsys.readouterr().out.splitlines()
    Path("b.csv").write_bytes("id,text\n1,a bc\n2,é f\n".encode("utf-16"))
    assert prepare.main(["b.csv", "--name", "x"]) == 0
    assert Path("datasets/x.txt").read_text("utf-8") == "a bc\né f\n"
    for name in ("nix", "rot13", "zlib", "a\0b"):
        assert_refused("a.csv", "--encoding", name, starts="--encoding ")


def test_a_file_that_changes_while_it_is_read_is_one_line(tmp_path):
    path = Path("a.csv")
    path.write_bytes(TABLE)
    with (
        pytest.raises(UserError, match=r"^a.csv: the file changed while it was read; start again$"),
        plain_file(Found(path, "csv"), tmp_path, "", Held()),
    ):
        path.write_bytes(TABLE + ROW)


@pytest.mark.parametrize(
    "error", [UserError("a.csv line 9: damaged"), UnicodeDecodeError("utf-8", b"\xc3", 0, 1, "end")]
)
def test_a_change_is_named_and_not_what_follows_from_it(tmp_path, error):
    """As of a download that still goes on; what is wrong in a file that stays as it is has its own line."""
    path = Path("a.csv")
    for changes in (True, False):
        path.write_bytes(TABLE)
        with (
            pytest.raises(UserError if changes else type(error)) as raised,
            plain_file(Found(path, "csv"), tmp_path, "", Held()),
        ):
            if changes:
                path.write_bytes(TABLE + ROW)
            raise error
        assert changes == (str(raised.value) == "a.csv: the file changed while it was read; start again")


DECLARES = "a.xml: defines entities or attributes, or names a file that does, which no dump needs; it is not read"
MANY = "a.xml: has more than 100 elements in one another, or 10,000 names"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "a.xml line 1: no well-formed XML: no element found"),
        ("<posts><page/></posts>",
         "a.xml: holds no element <row>, as a dump of Stack Exchange does; no other XML is read"),
        ('<posts><row Body="a b"/><row Body=', "a.xml line 1: no well-formed XML: unclosed token"),
        ('<!DOCTYPE p [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><p><row Body="&c;"/></p>', DECLARES),
        ('<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]><p><row Body="a"/>&a;</p>', DECLARES),
        ('<!DOCTYPE p SYSTEM "p.dtd"><p><row Body="a &b; c"/></p>', DECLARES),  # what it stands for would vanish
        (f'<!DOCTYPE p [<!ATTLIST row Body CDATA "{"x" * 1000}">]><p>{"<row/>" * 1000}</p>', DECLARES),
        ("<p>" * 10_000, MANY), ("<p>" + "".join(f"<p{k}/>" for k in range(20_000)), MANY),
        ("<p>" + "".join(f'<row a{k}=""/>' for k in range(20_000)), MANY),
        (f'<p><row Body="{"x" * 20_000_000}"/></p>', "a.xml line 1: a row of more than 4 MB"),
    ],
)  # fmt: skip
def test_hostile_xml_is_one_line(content, line):
    Path("a.xml").write_text(content)
    assert_refused("a.xml", line=line)


def test_a_doctype_that_declares_nothing_is_no_harm():
    Path("a.xml").write_text('<!DOCTYPE posts><posts><row Body="a b"/><row Body="c d"/></posts>')
    assert prepare.main(["a.xml", "--name", "x"]) == 0
    assert Path("datasets/x.txt").read_text() == "a b\nc d\n"


def test_a_million_columns_of_json_are_one_line():
    pytest.importorskip("duckdb")
    Path("a.json").write_text(json.dumps([{f"k{n}": "a b" for n in range(50_000)}]))
    assert_refused("a.json", starts="a.json: has more than 2,000 columns")
    Path("b.json").write_text('[{"text": ' + "[" * 100_000 + "]" * 100_000 + "}]")
    assert_refused("b.json", starts="b.json: ")
    Path("c.json").write_text('["a b", "c d"]')
    assert_refused("c.json", starts="c.json: holds varchars; JSON objects are needed")


def test_lines_that_are_no_json_are_counted_and_a_list_cut_short_is_one_line(capsys):
    pytest.importorskip("duckdb")
    lines = ['{"text": "a b"}', '{"text": "c', '{"text": "d e"}', '{"text": "f g"}', '{"text": null}']
    Path("a.jsonl").write_text("\n".join(lines))
    assert prepare.main(["a.jsonl", "--name", "x"]) == 0
    assert Path("datasets/x.txt").read_text() == "a b\nd e\nf g\n"
    said = capsys.readouterr().out.splitlines()
    assert "left out: 1 row that is no JSON" in said and "left out: 1 row empty" in said
    Path("b.json").write_text(json.dumps([{"text": "a b"}] * 5000)[:-10])
    assert_refused("b.json", starts="b.json: is cut short")
    Path("b.json").write_text('[{"text": "a b"},\n{"text": "c d"},\n')  # which DuckDB takes for whole
    assert_refused("b.json", starts="b.json: is cut short")


@pytest.mark.parametrize("first", ["null", "# of a tool", '{"text": "c', "", "null\n\nnull"])
def test_a_first_line_that_is_no_json_is_left_out_as_any_other(first):
    pytest.importorskip("duckdb")
    lines = [f'{{"text": "text number {number}"}}' for number in range(9)]
    Path("a.jsonl").write_text("\n".join([first, *lines]))
    Path("b.jsonl").write_text("\n".join([*lines, first]))
    assert run("a.jsonl") == run("b.jsonl") == [f"text number {number}" for number in range(9)]
    Path("c.json").write_text('[\n{"text": "a b"},\n{"text": "c d"}\n]')
    assert run("c.json") == ["a b", "c d"]


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"PAR1" + data[4:2000] + b"PAR1"])
def test_a_damaged_parquet_is_one_line(damage):
    duckdb = pytest.importorskip("duckdb")
    duckdb.connect().execute("COPY (SELECT 'a b ' || range AS text FROM range(100000)) TO 'a.parquet'")
    Path("a.parquet").write_bytes(damage(Path("a.parquet").read_bytes()))
    assert_refused("a.parquet", starts="a.parquet: ")


def test_a_table_most_of_whose_rows_are_not_whole_is_one_line():
    """It names a row of the file that is refused."""
    Path("a.csv").write_text("id,text\n" + "1,a,b\n" + "1,a b c d\n" * 20)
    Path("b.csv").write_text("id,text\n" + "1,a,b\n" * 6 + "1,a b\n" * 5)
    what = "b.csv: 6 of 11 rows cannot be read, as b.csv line 2: 3 of 2 columns"
    assert_refused("a.csv", "b.csv", "--column", "text", line=what)


@posix
def test_what_is_no_file_is_one_line():
    os.mkfifo("pipe.csv")
    Path("gone.csv").symlink_to("nowhere")
    Path("empty").mkdir()
    Path("a.pdf").write_bytes(b"%PDF")
    assert_refused("pipe.csv", starts="pipe.csv: is a pipe or a device")
    assert_refused("gone.csv", starts="gone.csv: is a link to a file that is not there")
    assert_refused("nix.csv", starts="nix.csv: no such file; name a file, a folder or a zip archive")
    assert_refused("*.nix", line="*.nix: no file matches")
    assert_refused("empty", starts="empty: no file in it is of a kind that is read")
    assert_refused("a.pdf", starts="a.pdf: not a kind of file that is read; these are: .csv")
    assert_refused("https://example.org/a.csv", starts="https:/example.org/a.csv: no such file")
    assert_refused("/dev/zero", starts="/dev/zero: is a pipe or a device")
    assert_refused(line="nothing to read: name files or folders, or a repository with --git")
    assert_refused("--git", "empty", line="--git empty: is no git repository; name its top folder")
    assert_refused("--git", "nix", line="--git nix: no such folder; name the folder of a git repository")


def test_two_commands_for_one_text_and_what_one_left():
    Path("a.csv").write_bytes(TABLE)
    cache = Path("datasets/.cache/diffusion-gpt-local")
    with exclusive_lock(cache / "x.prepare.lock", "held"):
        what = "another prepare.py makes x at this moment; wait for it, or choose another --name"
        assert_refused("a.csv", line=what)
    (cache / "x.prepare").mkdir()
    (cache / "x.prepare/text").write_text("of a killed command")
    (cache / "x.prepare.lock").touch()  # which it left too
    assert prepare.main(["a.csv", "--name", "x"]) == 0 and not (cache / "x.prepare").exists()
    (cache / "x.prepare").mkdir()
    (cache / "x.prepare/mine").write_text("a person's")
    assert prepare.main(["a.csv", "--name", "x"]) == 2
    assert (cache / "x.prepare/mine").read_text() == "a person's"


def test_a_folder_beside_which_no_command_left_a_lock_is_a_persons(tmp_path):
    Path("a.csv").write_bytes(TABLE)
    (tmp_path / "mine/x.prepare").mkdir(parents=True)
    (tmp_path / "mine/x.prepare/text").write_text("a person's")
    Path("datasets/.cache").mkdir(parents=True)
    Path("datasets/.cache/diffusion-gpt-local").symlink_to(tmp_path / "mine")
    assert prepare.main(["a.csv", "--name", "x"]) == 2
    assert (tmp_path / "mine/x.prepare/text").read_text() == "a person's"


def test_without_the_optional_packages_a_line_says_what_to_install(monkeypatch):
    Path("a.json").write_text('[{"text": "a b"}]')
    Path("a.csv").write_text("id,text\n1,a b\n")
    Path("a.csv.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    what = "is not installed; pip install -r requirements-prepare.txt"
    assert_refused("a.json", line=f"DuckDB {what}")
    assert_refused("a.csv", "--where", "id = 1", line=f"DuckDB {what}")
    assert_refused("a.csv.zst", line=f"zstandard {what}")
    assert prepare.main(["a.csv", "--name", "x"]) == 0
