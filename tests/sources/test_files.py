"""Which files of a folder or an archive are read; those that are not are named."""

import gzip
import json
import os
import unicodedata
import zipfile
from pathlib import Path

import pytest

import prepare
from tests.helpers import largest_file, posix
from tests.sources.helpers import assert_refused, run

TABLE = "id,text\n1,some words here\n2,more words here\n"
WORDS = ["some words here", "more words here"]


def add_link(archive: zipfile.ZipFile, name: str, target: str) -> None:
    """As GitHub's download and zip -y keep one."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    archive.writestr(info, target)


@pytest.fixture(autouse=True)
def folder(home) -> None:
    Path("k").mkdir()


@pytest.mark.parametrize("kept", ["Mu\u0308ller.csv".encode(), b"M\x81ller.csv"])
def test_a_member_is_named_as_it_is_typed(kept):
    """macOS writes UTF-8, letter and accent apart, and old programs of Windows cp437; neither says which it is."""
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("m" * len(kept), TABLE)
    Path("a.zip").write_bytes(Path("a.zip").read_bytes().replace(b"m" * len(kept), kept))
    assert run("a.zip/Müller.csv") == run("a.zip") == WORDS
    (file,) = json.loads(Path("datasets/x.source.json").read_text("utf-8"))["files"]
    assert unicodedata.normalize("NFC", file["name"]) == "a.zip/Müller.csv"


def not_read(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("not read: ")]


def test_a_link_in_an_archive_is_no_document(capsys):
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("a.txt", "my words\n")
        add_link(archive, "README.txt", "docs/index.txt")
    assert run("a.zip") == ["my words"]
    assert not_read(capsys.readouterr().out) == ["not read: 1 file: a.zip/README.txt (a link)"]
    line = "a.zip: 'README.txt' is a link; name the file that it leads to"
    assert_refused("a.zip/README.txt", line=line, name="y")


def test_folders_in_one_another_without_an_end_are_one_line():
    """Up to Python 3.11 os.walk recurses, and a thousand of them end it."""
    Path("k", *["a"] * 101).mkdir(parents=True)
    assert_refused("k", line="k: has more than 100 folders in one another; name the one with the texts")


def test_a_file_that_is_named_and_lies_in_a_named_folder_is_read_once():
    Path("k/a.csv").write_text(TABLE)
    assert run("k", "k/a.csv", "--column", "text") == run("k/a.csv", "k", "--column", "text") == WORDS


def test_a_text_that_is_named_is_read_by_lines_wherever_its_folder_stands():
    Path("t").mkdir()
    Path("t/a.txt").write_text("one document\ntwo documents\n")
    assert run("t") == ["one document two documents"]
    assert run("t", "t/a.txt") == run("t/a.txt", "t") == ["one document", "two documents"]
    Path("b.csv").write_text(TABLE)
    assert_refused("b.csv", "--unit", "line", line="--unit line: is for plain texts, and none of the files is one")


def test_an_archive_in_a_folder_is_read_and_what_is_not_is_named(capsys):
    Path("k/README.md").write_text("about these reviews\n")
    Path("k/more.7z").write_bytes(b"7z")
    with zipfile.ZipFile("k/reviews.zip", "w") as archive:
        archive.writestr("a.csv", TABLE)
        archive.writestr("LICENSE.txt", "free\n")
        archive.writestr("inner.zip", b"PK")
        archive.writestr("__MACOSX/._a.csv", b"\0")
    assert run("k") == WORDS
    names = (Path("k/README.md"), Path("k/more.7z"), f"{Path('k/reviews.zip')}/LICENSE.txt")
    shown = f"{', '.join(map(str, names))}, {Path('k/reviews.zip')}/inner.zip"
    assert not_read(capsys.readouterr().out) == [f"not read: 4 files: {shown}"]
    assert run("k/README.md") == ["about these reviews"] and not not_read(capsys.readouterr().out)


def test_a_text_beside_what_is_not_read_is_not_all_there_is(capsys):
    Path("k/README.md").write_text("about these reviews\n")
    Path("k/data.xlsx").write_bytes(b"PK")
    Path("k/.hidden").write_bytes(b"x")
    assert run("k") == ["about these reviews"]
    assert not_read(capsys.readouterr().out) == [f"not read: 1 file: {Path('k/data.xlsx')}"]
    Path("k/labels.csv").write_text("file,label\na,1\nb,0\n")
    assert_refused("k", starts=f"{Path('k/labels.csv')}: no column holds prose; ")  # which may be why
    shown = f"{Path('k/README.md')}, {Path('k/data.xlsx')}"
    assert not_read(capsys.readouterr().out) == [f"not read: 2 files: {shown}"]


def test_a_damaged_archive_in_a_folder_is_one_line():
    Path("k/a.csv").write_text(TABLE)
    Path("k/b.zip").write_bytes(b"PK")
    assert_refused("k", starts=f"{Path('k/b.zip')}: is no whole zip archive: ")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_members_of_one_name_the_last_is_read_and_the_other_named(capsys):
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("a.csv", "id,text\n1,an old text here\n")
        archive.writestr("a.csv", TABLE)
    for name in ("a.zip", "a.zip/a.csv"):
        assert run(name) == WORDS
        assert not_read(capsys.readouterr().out) == ["not read: 1 file: a.zip/a.csv (one of this name comes later)"]


@posix
def test_no_link_leads_out_of_a_folder(home, capsys):
    for folder in ("k/in", "outside"):
        Path(folder).mkdir()
    Path("secret.txt").write_text("a secret\n")
    Path("k/in/a.txt").write_text("my words\n")
    Path("k/again.txt").symlink_to("in/a.txt")
    Path("k/b.txt").symlink_to(home / "secret.txt")
    Path("k/c.txt").symlink_to("gone")
    Path("k/d").symlink_to(home / "outside")
    os.mkfifo("k/e.txt")
    assert run("k") == ["my words", "my words"]
    out = " (a link that leads out of the folder)"
    shown = f"k/b.txt{out}, k/c.txt (no file), k/d (a link to a folder), k/e.txt (no file)"
    assert not_read(capsys.readouterr().out) == [f"not read: 4 files: {shown}"]
    assert run("k/b.txt") == ["a secret"]
    Path("linked").symlink_to("k")
    assert run("linked") == ["my words", "my words"]


def test_a_folder_that_cannot_be_listed_is_one_line(monkeypatch):
    Path("k/a.csv").write_text(TABLE)
    Path("k/b").mkdir()
    scandir = os.scandir

    def denied(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert_refused("k", starts=f"{Path('k/b')}: Permission denied")


@posix
@pytest.mark.parametrize(("packed", "name"), [(False, "text"), (True, "plain")])
def test_a_disk_without_room_is_one_line(packed, name):
    content = b"".join(b"document number %d\n" % number for number in range(9000))
    Path("a.txt.gz" if packed else "a.txt").write_bytes(gzip.compress(content) if packed else content)
    with largest_file(90_000):
        line = f"datasets/.cache/diffusion-gpt-local/x.prepare/{name}: File too large"
        assert_refused("a.txt.gz" if packed else "a.txt", line=line)


def test_names_in_an_archive_that_are_not_hidden_are_read():
    names = ("reviews.csv", "_more.csv", "data//deep.csv", "./dot.csv", "ok/good.csv")
    with zipfile.ZipFile("z.zip", "w") as archive:
        for number, name in enumerate((*names, ".hidden.csv", "__MACOSX/._a.csv")):
            archive.writestr(name, f"text\nthe row of file number {number}\n")
    assert sorted(run("z.zip", "--column", "text")) == [f"the row of file number {number}" for number in range(5)]
    for number, name in enumerate(names):
        assert run(f"z.zip/{name}", "--column", "text") == [f"the row of file number {number}"]


def test_a_member_of_an_archive_may_bear_the_signs_of_a_glob():
    with zipfile.ZipFile("z.zip", "w") as archive:
        archive.writestr("[train].csv", "text\nthe row of the file\n")
    assert run("z.zip/[train].csv", "--column", "text") == ["the row of the file"]


def test_a_missing_number_of_python_is_no_document():
    rows = [{"id": n, "text": f"words number {n}" if n % 3 else float("nan")} for n in range(30)]
    Path("a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run("a.jsonl")
    assert len(found) == 20 and "NaN" not in found
    Path("a.jsonl").write_text("".join(json.dumps({"id": n, "text": "NaN"}) + "\n" for n in range(30)))
    assert run("a.jsonl", "--column", "text", "--overwrite") == ["NaN"] * 30  # text that somebody wrote


def test_only_the_record_of_a_text_beside_it_is_no_source():
    Path("beside").mkdir()
    Path("beside/a.txt").write_text("of the text\n")
    for name in ("a", "b"):
        Path(f"beside/{name}.source.json").write_text(json.dumps([{"text": f"of {name}.source.json"}] * 3))
    assert {*run("beside")} == {"of b.source.json"}


def test_a_table_without_the_column_that_is_named_is_passed_over_where_it_was_only_found(capsys):
    """As in archives of competitions, and folders of Stack Exchange's dumps."""
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("sample_submission.csv", "id,target\n1,0\n2,1\n")
        archive.writestr("train.csv", TABLE)
    for options in (("--column", "text"), ("--join", "text")):
        assert run("a.zip", *options) == WORDS
        line = "not read, without such a column: 1 file: a.zip/sample_submission.csv"
        assert line in capsys.readouterr().out.splitlines()
        assert json.loads(Path("datasets/x.source.json").read_text())["files"][0]["name"] == "a.zip/train.csv"
    missing = "has no such column; it has id, target"
    assert_refused("a.zip", "--column", "words", starts=f"--column 'words': a.zip/sample_submission.csv {missing}")
    line = f"--column 'text': a.zip/sample_submission.csv {missing}; did you mean 'target'?"
    assert_refused("a.zip/sample_submission.csv", "a.zip/train.csv", "--column", "text", line=line)


def test_a_file_of_many_lines_in_an_archive_is_no_document_unless_somebody_says_so():
    lines = [f"a document of number {number}" for number in range(1002)]
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("train.txt", "\n".join(lines))
        archive.writestr("test.txt", "a poem\nof two lines")
    rule = "1,001 lines are seldom one document; say which they are: --unit line, --unit paragraph or --unit file"
    assert_refused("a.zip", line=f"a.zip/train.txt: {rule}")
    assert run("a.zip", "--unit", "line") == [*lines, "a poem", "of two lines"]
    assert run("a.zip", "--unit", "file") == [" ".join(lines), "a poem of two lines"]
    assert run("a.zip/train.txt") == lines and run("a.zip/test.txt", name="y") == ["a poem", "of two lines"]


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n"
LFS, PAGE = "Git LFS's pointer to a file; fetch that with git lfs pull", "a page of a website; download the file itself"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.txt", POINTER, LFS), ("a.jsonl", POINTER, LFS), ("a.parquet", POINTER, LFS),
        ("a.csv", b"\n<!DOCTYPE html>\n<p>Sign in, please, to download</p>\n", PAGE),
        ("a.parquet", b"<html><p>Sign in, please, to download</p></html>\n", PAGE),
    ],
)  # fmt: skip
def test_what_came_in_place_of_a_download_is_named(name, content, what):
    Path(name).write_bytes(content)
    assert_refused(name, line=f"{name}: is {what}; its name does not say so")


@pytest.mark.parametrize("inner", ["train.csv.zip", "posts.7z"])
def test_an_archive_that_holds_only_archives_says_what_to_do(inner, capsys):
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr(inner, b"PK")
    assert prepare.main(["a.zip", "--name", "x"]) == 2
    fix = "unpack other archives, a .tar with tar -xf, and name the folder; save pages and PDFs as .txt"
    assert capsys.readouterr().err.endswith(f"; it holds a.zip/{inner}; {fix}\n")


@pytest.mark.parametrize("name", ["aclImdb_v1.tar.gz", "yelp.tar", "a.tgz", "posts.7z"])
def test_an_archive_of_another_kind_is_to_be_unpacked(name, capsys):
    Path(name).write_bytes(b"packed")
    assert prepare.main([name, "--name", "x"]) == 2
    fix = "unpack other archives, a .tar with tar -xf, and name the folder; save pages and PDFs as .txt"
    assert capsys.readouterr().err.endswith(f"; {fix}\n")


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_packed_file_whose_name_does_not_say_what_it_holds_is_to_be_renamed(packing, capsys):
    Path(f"RC_2019-01{packing}").write_bytes(b"packed")
    assert prepare.main([f"RC_2019-01{packing}", "--name", "rc"]) == 2
    assert f"let the name say what is packed in it, as NAME.jsonl{packing}\n" in capsys.readouterr().err
