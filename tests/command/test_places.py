"""What stands at a path is told on every system, and names that Windows keeps are found."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from command import outputs
from command.outputs import Outputs
from command.places import is_reserved, is_same_place
from utils import UserError

RESERVED = [
    "poems: best.txt",
    "run_12:30.txt",
    "aux.txt",
    "COM1",
    "conin$",
    "lpt².txt",
    "nul .txt",
    "a?.txt",
    "a.",
    "a ",
    "a|b",
    "a\x1fb",
]
PLAIN = ["poems.txt", "auxiliary.txt", "com.txt", "a b.c", ".hidden", "é.txt", "a'b"]


@pytest.mark.parametrize("name", RESERVED)
def test_a_name_that_windows_keeps_is_refused_before_any_work(name, tmp_path, monkeypatch):
    """There it would be the stream of a file, or a device, and only the last step would fail."""
    monkeypatch.setattr(outputs, "os", SimpleNamespace(name="nt", path=os.path))
    with pytest.raises(UserError) as error:
        Outputs(tmp_path, [name], [], overwrite=False)
    assert str(error.value) == f"{tmp_path / name}: cannot be written: no file of Windows has such a name"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_name_is_none_that_windows_keeps(name):
    assert not is_reserved(name)


def test_a_command_that_reads_a_file_does_not_write_it_whatever_its_name(tmp_path):
    read, other = tmp_path / "read.txt", tmp_path / "other.txt"
    read.write_text("mine", encoding="utf-8")
    os.link(read, other)
    for name in ("read.txt", "other.txt"):
        with pytest.raises(UserError, match="this command reads it"):
            Outputs(tmp_path, [name], [read], overwrite=True)


def test_files_without_numbers_are_told_apart_by_their_names(tmp_path, monkeypatch):
    """As on some network drives of Windows, where to Python all files are one."""
    for name in ("model.pt", "samples.txt"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    stat = Path.stat

    def without_number(path, **options) -> os.stat_result:
        mode, _, _, *others = stat(path, **options)
        return os.stat_result((mode, 0, 0, *others))

    monkeypatch.setattr(Path, "stat", without_number)
    monkeypatch.setattr(Path, "samefile", lambda path, other: path.exists() and other.exists())
    Outputs(tmp_path, ["samples.txt"], [tmp_path / "model.pt"], overwrite=True)
    with pytest.raises(UserError, match="this command reads it"):
        Outputs(tmp_path, ["samples.txt"], [tmp_path / "samples.txt"], overwrite=True)


def test_two_names_that_differ_in_case_are_one_place_where_they_are_one_file(tmp_path, monkeypatch):
    (tmp_path / "Tweets.pt").write_text("model", encoding="utf-8")
    small, great = tmp_path / "tweets.pt", tmp_path / "Tweets.pt"
    assert is_same_place(small, great) == small.exists()  # as the disk here has it
    monkeypatch.setattr(Path, "samefile", lambda path, other: True)  # a disk of macOS
    assert is_same_place(small, great) and not is_same_place(small, tmp_path / "other.pt")
