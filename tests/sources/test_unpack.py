"""Packed files and archives that are damaged, cut short or made to do harm: one line, and nothing half written."""

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from sources import unpack
from sources.files import Found
from sources.unpack import opened
from tests.helpers import one_short_line
from tests.sources.helpers import assert_refused, run
from utils import UserError

ROW = b"1,some words of a text\n"
TABLE = b"id,text\n" + ROW * 50_000


def zipped(path: str, members: dict[str, bytes], **options) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


PACKERS = [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]


@pytest.mark.parametrize(("ending", "pack"), PACKERS)
@pytest.mark.parametrize("damage", [lambda data: data[:-200], lambda data: data[:60] + b"\xff\0\xff" + data[63:]])
def test_a_damaged_archive_is_one_line(ending, pack, damage):
    name = f"a.csv.{ending}"
    Path(name).write_bytes(damage(pack(os.urandom(100_000).hex().encode() + b"\n" + TABLE)))
    assert_refused(name, starts=f"{name}: damaged or cut short: ")


HALVES = b"id,text\n" + ROW * 3000, b"".join(b"%d,other words of a text\n" % number for number in range(60_000))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data, at: data[: at + 300] + bytes([data[at + 300] ^ 1]) + data[at + 301 :],
        lambda data, at: data[:at] + b"X" + data[at + 1 :], lambda data, at: data[: at + 2],
        lambda data, at: data[:at] + b"no stream", lambda data, at: data[:at] + b"\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize(("ending", "pack"), PACKERS)
def test_a_damaged_later_stream_of_a_file_is_one_line(ending, pack, damage):
    first, second = map(pack, HALVES)
    Path(f"a.csv.{ending}").write_bytes(first + second)
    assert len(run(f"a.csv.{ending}")) == 63_000
    Path(f"b.csv.{ending}").write_bytes(damage(first + second, len(first)))
    assert_refused(f"b.csv.{ending}", starts=f"b.csv.{ending}: damaged or cut short: ")


def test_a_packed_file_of_no_bytes_is_cut_short():
    Path("a.txt").write_text("some words\n")
    for ending in ("gz", "bz2", "xz", "zst"):
        if ending == "zst":
            pytest.importorskip("zstandard")
        Path(f"b.txt.{ending}").touch()
        assert_refused("a.txt", f"b.txt.{ending}", starts=f"b.txt.{ending}: damaged or cut short: ")
    Path("b.txt").touch()
    for ending, pack in PACKERS:
        Path(f"c.txt.{ending}").write_bytes(pack(b""))
        assert run("a.txt", "b.txt", f"c.txt.{ending}") == ["some words"]


def test_a_damaged_zip_is_one_line():
    zipped("a.zip", {"a.csv": TABLE})
    whole = Path("a.zip").read_bytes()
    Path("a.zip").write_bytes(whole[:-40])
    assert_refused("a.zip", starts="a.zip: is no whole zip archive: ")
    Path("a.zip").write_bytes(whole[:100] + b"\xff\0\xff" + whole[103:])
    assert_refused("a.zip", starts="a.zip/a.csv: damaged or cut short: ")


def test_a_zip_that_is_packed_by_another_method_is_not_called_damaged():
    """As Windows packs large files; only the two headers say so."""
    zipped("a.zip", {"a.csv": TABLE})
    data = bytearray(Path("a.zip").read_bytes())
    for begin, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(begin) + place] = 9
    Path("a.zip").write_bytes(data)
    what = "is packed by a method that Python does not read, as Windows' Deflate64 is; unpack it first"
    assert_refused("a.zip", line=f"a.zip/a.csv: {what}")


PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_zip_damaged_at_any_place_is_one_line(packing):
    content = b"id,text\n" + b"".join(b"%d,words of text number %d\n" % (n, n * 31) for n in range(3000))
    with zipfile.ZipFile("a.zip", "w", packing) as archive:
        archive.writestr("a.csv", content)
    whole = Path("a.zip").read_bytes()
    begin = len("a.csv") + 30  # of what is packed; there LZMA tells its version and its properties
    for place in (*range(begin, begin + 12), begin + 300, begin + 4000):
        for flipped in (1, 255):
            Path("a.zip").write_bytes(whole[:place] + bytes([whole[place] ^ flipped]) + whole[place + 1 :])
            try:
                with opened(Found(Path("a.zip"), "csv", member="a.csv")) as blocks:
                    assert b"".join(blocks) == content  # it told of no damage
            except UserError as error:
                assert one_short_line(str(error)) and str(error).startswith("a.zip")


def test_the_list_of_an_archives_files_is_read_once_not_for_each(monkeypatch):
    zipped("a.zip", {f"{number:03}.txt": b"some words of number %d\n" % number for number in range(200)})
    read: list[str] = []

    class Counted(zipfile.ZipFile):
        def __init__(self, *arguments, **options) -> None:
            read.append("once")
            super().__init__(*arguments, **options)

    monkeypatch.setattr(zipfile, "ZipFile", Counted)
    assert run("a.zip") == [f"some words of number {number}" for number in range(200)]
    assert len(read) == 2  # to find them, and to read them
    zipped("a.zip", {"000.txt": b"another archive of this name\n"})
    assert run("a.zip", "--overwrite") == ["another archive of this name"]


@pytest.mark.parametrize("error", [ValueError("odd\nbytes"), EOFError(), IndexError(3)])
def test_whatever_an_unpacker_raises_is_one_line(error, monkeypatch):
    def fail(file):
        yield b"id,text\n"
        raise error

    monkeypatch.setitem(unpack.UNPACKERS, ".gz", fail)
    Path("a.csv.gz").write_bytes(b"x")
    why = " ".join(str(error).split()) or "EOFError"
    assert_refused("a.csv.gz", line=f"a.csv.gz: damaged or cut short: {why}")


@pytest.mark.parametrize("name", ["../a.csv", "/tmp/a.csv", "x/../../a.csv", "C:\\a.csv", "..\\a.csv"])
def test_a_name_that_leads_out_of_an_archive_is_one_line(name):
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("b.csv", TABLE)
        archive.writestr(zipfile.ZipInfo("x"), TABLE)
        archive.filelist[-1].filename = name
    stored = zipfile.ZipFile("a.zip").namelist()[-1]
    assert_refused("a.zip", line=f"a.zip: holds {stored!r}, a name that leads out of its folder; nothing is read")
    assert not any(map(os.path.lexists, (name, "../a.csv")))


def test_a_zip_that_needs_a_password_is_one_line():
    zipped("a.zip", {"a.csv": TABLE})
    data = bytearray(Path("a.zip").read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + place] |= 1
    Path("a.zip").write_bytes(data)
    assert_refused("a.zip", line="a.zip/a.csv: needs a password; unpack it first")


def test_what_unpacks_to_more_than_any_text_is_one_line(monkeypatch):
    monkeypatch.setattr(unpack, "MOST_UNPACKED", 1 << 20)
    content = b"id,text\n" + b"1,a a\n" * 1_000_000
    rule = "unpacks to more than 0.0 GB, 200 times its size or 0.0 GB; unpack it yourself if you trust it"
    for ending, pack in PACKERS:
        name = f"a.csv.{ending}"
        Path(name).write_bytes(pack(content))
        assert_refused(name, line=f"{name}: {rule}")
    zipped("a.zip", {"a.csv": content})
    assert_refused("a.zip", line=f"a.zip: {rule}")
    zipped("b.zip", {f"{name}.csv": content[: 1 << 19] for name in "abc"})  # each of them less
    assert_refused("b.zip", line=f"b.zip: {rule}")
    if zstd := shutil.which("zstd"):
        Path("b.csv").write_bytes(content)
        subprocess.run([zstd, "-q", "b.csv"], check=True)
        pytest.importorskip("zstandard")
        assert_refused("b.csv.zst", line=f"b.csv.zst: {rule}")


def test_a_table_that_repeats_one_text_without_end_is_one_line(monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.setattr(unpack, "MOST_UNPACKED", 1 << 20)
    rows = "SELECT repeat('all work and no play ', 1000) AS text FROM range(20000)"  # 420 MB of text
    duckdb.connect().execute(f"COPY ({rows}) TO 'a.parquet'")
    assert Path("a.parquet").stat().st_size < 1 << 20
    rule = "holds text of more than 0.0 GB, 200 times its size or 0.0 GB; no text is packed so small"
    assert_refused("a.parquet", line=f"a.parquet: {rule}")
    duckdb.connect().execute(f"COPY ({rows.replace('20000', '20')}) TO 'b.parquet'")  # 420 KB
    zipped("b.zip", {f"{name}.parquet": Path("b.parquet").read_bytes() for name in "abc"})
    assert_refused("b.zip", line=f"b.zip: {rule}")
