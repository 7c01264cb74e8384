"""What train.py says of a dataset's name or file that is none: what is wrong, and what to type."""

import bz2
import gzip
import lzma
import os
import zipfile
from pathlib import Path

import pytest

import train
from config.data_file import no_data
from config.names import NAME_RULE
from tests.helpers import posix

RULE = f"a dataset's name {NAME_RULE}"
TYPED = [
    ("one.txt", "--dataset 'one.txt': takes a name, not a file; type --dataset one"),
    ("datasets/one.txt", "--dataset 'datasets/one.txt': takes a name, not a file; type --dataset one"),
    (
        "other/mine.txt",
        "--dataset 'other/mine.txt': takes a name, not a file; "
        "copy it to datasets/mine.txt and type --dataset mine",
    ),
    ("my tweets", f"datasets/my tweets.txt: {RULE}; rename it to my_tweets.txt and type --dataset my_tweets"),
    ("my tweets.txt", f"datasets/my tweets.txt: {RULE}; rename it to my_tweets.txt and type --dataset my_tweets"),
    ("notes.md", f"datasets/notes.md: {RULE}; rename it to notes.txt and type --dataset notes"),
    ("notes", "datasets/notes.txt: no such file, but notes.md is there; rename it to notes.txt"),
    ("poems", "datasets/poems.txt: no such file, but poems.rtf is there; save it as plain text, poems.txt"),
    ("poems.rtf", f"datasets/poems.rtf: {RULE}; save it as plain text, poems.txt and type --dataset poems"),
    (
        "other/two.txt",
        "--dataset 'other/two.txt': takes a name, not a file; copy it to datasets/two.txt and type --dataset two",
    ),
    ("packed", "datasets/packed.txt: no such file, but packed.txt.gz is there; unpack it to packed.txt"),
    ("packed.txt.gz", f"datasets/packed.txt.gz: {RULE}; unpack it to packed.txt and type --dataset packed"),
    ("table", "datasets/table.txt: no such file, but table.csv.gz is there; "
     "python prepare.py datasets/table.csv.gz --name table makes a text of it"),
    ("table.csv.gz", f"datasets/table.csv.gz: {RULE}; "
     "python prepare.py datasets/table.csv.gz --name table makes a text of it and type --dataset table"),
    ("tabs", "datasets/tabs.txt: no such file, but tabs.tab is there; "
     "python prepare.py datasets/tabs.tab --name tabs makes a text of it"),
    ("tight", "datasets/tight.txt: no such file, but tight.csv.7z is there; unpack it first"),
    ("recorded",
     "config.yaml: no dataset 'recorded' here, and no file datasets/recorded.txt; did you mean 'configured'?"),
    ("folder", "datasets/folder.txt: is a folder, not a file; put a text file there, one document per line"),
    ("tow", "config.yaml: no dataset 'tow' here, and no file datasets/tow.txt; did you mean 'two'?"),
    ("ONE", "config.yaml: no dataset 'ONE' here, and no file datasets/ONE.txt; did you mean 'one'?"),
    ("../up", f"--dataset '../up': {RULE}"),
    ("nul", f"--dataset 'nul': {RULE}"),
    ("", f"--dataset '': {RULE}"),
    ("\x1b[31m", f"--dataset '\\x1b[31m': {RULE}"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A project with a config.yaml, two datasets, and files that are none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("device: cpu\ndatasets: {one: , configured: }\n")
    for name in ("datasets", "other", "datasets/folder.txt", "datasets/configured.txt"):
        (tmp_path / name).mkdir()
    for name in (
        "datasets/one.txt",
        "datasets/two.txt",
        "datasets/my tweets.txt",
        "datasets/notes.md",
        "datasets/poems.rtf",
        "other/mine.txt",
        "other/two.txt",
    ):
        (tmp_path / name).write_text("a\nb\nc\n")
    (tmp_path / "datasets/table.csv.gz").write_bytes(gzip.compress(b"a,b\n"))
    (tmp_path / "datasets/recorded.source.json").write_text("{}")
    (tmp_path / "datasets/tabs.tab").write_text("a\tb\n")
    (tmp_path / "datasets/tight.csv.7z").write_bytes(b"7z")
    (tmp_path / "datasets/packed.txt.gz").write_bytes(gzip.compress(b"a\nb\n"))
    return tmp_path


@pytest.mark.parametrize(("typed", "message"), TYPED)
def test_a_name_that_is_no_dataset_is_answered_with_what_to_type(folder, capsys, typed, message):
    assert train.main(["--check", f"--dataset={typed}"]) == 2
    assert capsys.readouterr().err.replace(os.sep, "/") == f"error: {message}\n"


@posix
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "is a pipe or a device, not a file"),
        (lambda path: path.symlink_to("nowhere"), "is a link to a file that is not there"),
    ],
)
def test_what_is_no_file_says_what_it_is(folder, capsys, make, why):
    make(folder / "datasets" / "x.txt")
    assert train.main(["--check", "--dataset", "x"]) == 2
    message = f"error: datasets/x.txt: {why}; put a text file there, one document per line\n"
    assert capsys.readouterr().err == message


def test_a_dataset_of_the_config_whose_file_is_none_says_what_it_is(folder, capsys):
    why = "is a folder, not a file; put a text file there, one document per line"
    assert train.main(["--check", "--dataset", "configured"]) == 1
    assert f"error: configured: {Path('datasets/configured.txt')}: {why}\n" in capsys.readouterr().out
    assert train.main(["--dataset", "configured"]) == 1
    assert f"error: configured: missing: {Path('datasets/configured.txt')}: {why}\n" in capsys.readouterr().out


TRUE = "or run prepare.py on it under its true name, for example NAME"


def office(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "a")


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("text.txt", "a")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.write_bytes(gzip.compress(b"a")), f"is compressed (gzip); unpack it first; {TRUE}.csv.gz"),
        (lambda path: path.write_bytes(bz2.compress(b"a")), f"is compressed (bzip2); unpack it first; {TRUE}.csv.bz2"),
        (
            lambda path: path.write_bytes(bz2.compress(b"a", 1)),
            f"is compressed (bzip2); unpack it first; {TRUE}.csv.bz2",
        ),
        (lambda path: path.write_bytes(lzma.compress(b"a")), f"is compressed (xz); unpack it first; {TRUE}.csv.xz"),
        (zipped, f"is a zip archive, an office document or a model; plain text is needed; {TRUE}.zip"),
        (office, "is a zip archive, an office document or a model; plain text is needed"),
        (lambda path: path.write_bytes(b"{\\rtf1\\ansi a}\n"), "is RTF; save it as plain text"),
        (lambda path: path.write_bytes(b"PAR1"), f"is a Parquet table; plain text is needed; {TRUE}.parquet"),
        (lambda path: path.write_bytes(b"%PDF-1.7\n%\xe2\n"), "is a PDF; save its text as plain text"),
        (lambda path: path.write_text("a\nb\n", encoding="utf-16"), "is UTF-16; save it as UTF-8"),
    ],
)
@pytest.mark.parametrize("policy", ["error", "skip"])
def test_what_is_no_plain_text_says_what_it_is(folder, capsys, make, what, policy):
    (folder / "config.yaml").write_text(f"device: cpu\ndata: {{invalid_utf8: {policy}}}\n")
    make(folder / "datasets" / "x.txt")
    assert train.main(["--check", "--dataset", "x"]) == 1
    assert f"error: x: {Path('datasets/x.txt')}: {what}\n" in capsys.readouterr().out


@posix
def test_a_pipe_in_the_place_of_a_text_is_named():
    """As <(zcat text.gz) of a shell is, which can be read but once."""
    reading, writing = os.pipe()
    try:
        what = f"/dev/fd/{reading}: is a pipe or a device, not a file; put a text file there, one document per line"
        assert no_data(Path(f"/dev/fd/{reading}"), "missing") == what
    finally:
        os.close(reading)
        os.close(writing)
