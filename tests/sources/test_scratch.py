"""Files and folders of any name are read, and what is made on the way goes at the end."""

import errno
import json
import os
import tempfile
from pathlib import Path

import pytest

import prepare
from sources import scratch
from tests.helpers import posix
from tests.sources.helpers import assert_refused, run

ROWS = [{"text": "hello there friend"}, {"text": "how are you"}]
TEXTS = [row["text"] for row in ROWS]


@pytest.fixture(autouse=True)
def engine(home):
    """DuckDB, and names beside which a file lies that they match as a pattern."""
    Path("r1").write_text("another file")
    return pytest.importorskip("duckdb")


def write(path: Path, duckdb) -> None:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        duckdb.connect().execute(f"COPY (SELECT unnest({TEXTS}) AS text) TO 'plain.parquet'")
        Path("plain.parquet").replace(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


@posix
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("name", [b"r[1]", b"*", b"a?{b,c}", b"it's", b"caf\xff", b"k[1]/r", b"\xff/r", b"year=1/a\\b"])
def test_a_file_of_any_name_is_read(name, suffix, engine):
    path = Path(os.fsdecode(name) + f".{suffix}")
    write(path, engine)
    write(path.with_name(f"r1.{suffix}"), engine)
    assert run(str(path)) == TEXTS
    path.write_bytes(b'[{"text": "a b"}, {"te')
    if b"\xff" not in name:
        assert_refused(str(path), starts=f"{path}: ")


def test_a_cache_on_another_disk_costs_no_text(engine, monkeypatch):
    """As datasets/.cache is where it is a link: no file can be renamed from there."""
    write(Path("r1.jsonl"), engine)
    rename = Path.replace

    def from_one_disk(source, target):
        if ".prepare" in str(source) and ".prepare" not in str(target):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", from_one_disk)
    assert run("r1.jsonl") == TEXTS


@posix
@pytest.mark.parametrize("name", [b"d[1]", b"caf\xff"])
def test_a_folder_of_texts_of_any_name_takes_them(name, engine, tmp_path, monkeypatch):
    folder = Path(os.fsdecode(name))
    folder.mkdir()
    monkeypatch.chdir(folder)
    write(Path("a.jsonl"), engine)
    assert run("a.jsonl", "--where", "length(text) > 11") == TEXTS[:1]
    temporary = Path("t[1]").absolute()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert prepare.main(["a.jsonl", "--name", "y"]) == 2 and not [*temporary.iterdir()]


def refuse(*_) -> None:
    raise OSError(1314, "A required privilege is not held by the client")


@pytest.mark.parametrize("missing", [["symlink"], ["symlink", "link"]])
def test_a_system_without_links_reads_the_same(missing, engine, monkeypatch):
    for name in missing:
        monkeypatch.setattr(os, name, refuse)
    write(Path("r[1].jsonl"), engine)
    assert run("r[1].jsonl") == TEXTS and Path("r[1].jsonl").stat().st_nlink == 1


def test_a_read_only_file_gets_no_second_name(tmp_path, monkeypatch):
    """Windows would not delete it: its mode is that of the file."""
    monkeypatch.setattr(os, "symlink", refuse)
    for mode, names in ((0o644, 2), (0o444, 1)):
        file, link = tmp_path / f"{mode}", tmp_path / f"{mode}.link"
        file.write_bytes(b"text")
        file.chmod(mode)
        scratch.link_or_copy(file, link)
        assert link.read_bytes() == b"text" and file.stat().st_nlink == names


@pytest.mark.parametrize("name", ["O'Brien (1) - Contoso, Inc; a & b # %20 ~ $HOME", "अनिल é\u0301", "json=7"])
def test_a_folder_of_an_odd_name_is_read_where_it_is(name, engine, monkeypatch):
    Path(name).mkdir()
    monkeypatch.chdir(name)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    write(Path("a.jsonl"), engine)
    assert run("a.jsonl") == TEXTS
