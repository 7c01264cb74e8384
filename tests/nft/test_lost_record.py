"""A set that was copied without its hidden files: its own files are known again, and a person's stay."""

import json
import os
import shutil
import tracemalloc
from pathlib import Path

import pytest

import collection
from nft.store import MOST_BYTES
from tests.helpers import files_in, sparse


def copied(folder, name: str):
    """A copy of a set as `cp -r set/* NAME` or a file manager makes it: without hidden files."""
    copy = folder.with_name(name)
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".*"))
    return copy


def shown(folder) -> dict[str, bytes]:
    """The files of a set but for hidden ones, by their paths in it."""
    return {name: data for name, data in files_in(folder).items() if Path(name).name[0] != "."}


def test_a_set_copied_without_hidden_files_grows_as_the_whole_one(studio, verify, capsys):
    _, make = studio
    _, folder = make("set", 3)
    copy = copied(folder, "copy")
    make("set", 5)
    capsys.readouterr()
    status, _ = make("copy", 5)
    assert status == 0 and "left as they are" not in capsys.readouterr().out
    assert shown(copy) == shown(folder)
    assert (copy / ".written.jsonl").read_bytes() == (folder / ".written.jsonl").read_bytes()
    assert verify(copy)[0] == 0


def test_of_a_set_copied_without_hidden_files_a_persons_files_stay(studio, capsys):
    _, make = studio
    _, folder = make("set", 3)
    copy = copied(folder, "copy")
    for path, content in (("images/1.png", b"art"), ("images/4.png", b"more art"), ("toy.txt", b"mine\n")):
        (copy / path).write_bytes(content)
    capsys.readouterr()
    assert make("copy", 5)[0] == 0
    left = capsys.readouterr().out
    for path, content in (("images/1.png", b"art"), ("images/4.png", b"more art"), ("toy.txt", b"mine\n")):
        assert (copy / path).read_bytes() == content and path in left
    assert json.loads((copy / "provenance.json").read_text("utf-8"))["tokens"] == 5


def test_a_copy_cut_short_is_mended_and_only_then_known(studio, capsys):
    """Courses are missing and the last token is half there: what the whole tokens make cannot be told yet."""
    _, make = studio
    _, folder = make("set", 5)
    copy = copied(folder, "copy")
    for name in ("samples.jsonl", "courses.jsonl"):
        data = (copy / name).read_bytes()
        (copy / name).write_bytes(data[: len(data) * (2 if name == "samples.jsonl" else 1) // 3])
    assert make("copy", 5)[0] == 0
    assert shown(copy) == shown(folder)


def test_a_file_that_is_too_large_for_a_set_is_not_read(studio, capsys):
    _, make = studio
    _, folder = make("set", 3)
    copy = copied(folder, "copy")
    os.truncate(copy / "images/1.png", 1 << 30)  # without room on the disk
    tracemalloc.start()
    assert collection.main(["export", str(copy)]) == 0
    assert tracemalloc.get_traced_memory()[1] < 1 << 28
    tracemalloc.stop()
    assert "left as they are" in capsys.readouterr().out and (copy / "images/1.png").stat().st_size == 1 << 30
    os.truncate(copy / "set.json", MOST_BYTES + 1)
    assert collection.main(["verify", str(copy)]) == 2
    what = f"{copy / 'set.json'}: larger than 64 MB; this program did not write it"
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {what}"


@sparse
@pytest.mark.parametrize("name", ["samples.jsonl", "courses.jsonl", ".written.jsonl"])
def test_a_file_of_lines_is_read_only_up_to_one_that_is_too_long(studio, capsys, name):
    """However large a stranger made it."""
    _, make = studio
    _, folder = make("set", 2)
    os.truncate(folder / name, 1 << 40)
    for command in (["export", str(folder)], ["select", str(folder), "--keep", "all"]):
        assert collection.main(command) == 2
        what = f"a line is longer than {MOST_BYTES:,} bytes; this program did not write it"
        what = what if name[0] != "." else "not written by this program; move it away"
        assert capsys.readouterr().err.splitlines()[-1] == f"error: {folder / name}: {what}"
