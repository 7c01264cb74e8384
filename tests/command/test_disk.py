"""Files are whole or absent, whatever stops a write, and wait for what holds them for a moment."""

import contextlib
import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import prepare
import train
from command import disk
from command.disk import atomic_path, write_atomic


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_atomic(path, "old é\n")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_bytes() == "old é\n".encode() and [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_failed_write_names_the_file_and_not_its_temporary_one(tmp_path):
    path = tmp_path / "file.txt"
    for name in (None, "other"):
        with pytest.raises(OSError, match="No space left") as failed, atomic_path(path):
            raise OSError(28, "No space left on device", name)
        assert failed.value.filename == str(name or path)


@pytest.mark.parametrize("held", [0, 1, 3, 99])
def test_a_file_that_a_scanner_holds_for_a_moment_is_replaced_after_it(tmp_path, monkeypatch, held):
    """Windows refuses to replace a file that any program has open."""
    new, path, tried, waited, honest = tmp_path / "new", tmp_path / "old", [], [], os.replace

    def refusing(*paths) -> None:
        tried.append(paths)
        if len(tried) <= held:
            raise PermissionError(13, "Access is denied")
        honest(*paths)

    new.write_text("new", encoding="utf-8")
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(disk, "os", SimpleNamespace(name="nt"))
    monkeypatch.setattr(os, "replace", refusing)
    monkeypatch.setattr(time, "sleep", waited.append)
    with pytest.raises(PermissionError) if held == 99 else contextlib.nullcontext():
        disk.replace(new, path)
    assert path.read_text(encoding="utf-8") == ("old" if held == 99 else "new")
    assert len(tried) == min(held, 3) + 1 and sum(waited) <= 2 and len(waited) == min(held, 3)


@pytest.mark.parametrize(("change", "program"), [("replace", prepare), ("rmdir", prepare), ("replace", train)])
def test_a_folder_that_a_scanner_looks_into_is_waited_for(home, capsys, monkeypatch, change, program):
    """The folder in which prepare.py works goes; train.py gives an encoded text its name."""
    refused, honest = set(), getattr(os, change)

    def refusing(path, *more, **options) -> None:
        if path not in refused:
            refused.add(path)
            raise PermissionError(13, "Access is denied", str(path))
        honest(path, *more, **options)

    Path("a.txt").write_text("hello there\nhow are you\n", encoding="utf-8")
    monkeypatch.setattr(disk, "os", SimpleNamespace(name="nt", fsync=os.fsync))
    monkeypatch.setattr(os, change, refusing)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    options = ["a.txt", "--name", "x"] if program is prepare else ["--dataset", "toy", "--check"]
    assert program.main(options) == 0, capsys.readouterr().err
    assert refused


def test_on_macos_the_drive_is_told_to_keep_the_order(tmp_path, monkeypatch):
    for knows in (True, False):
        asked: list[object] = []

        def control(descriptor, request, asked=asked, knows=knows) -> None:
            asked.append((os.fstat(descriptor).st_size, request))
            if not knows:
                raise OSError(errno.ENOTSUP, "Operation not supported")

        monkeypatch.setattr(disk, "sys", SimpleNamespace(platform="darwin"))
        monkeypatch.setattr(disk, "fcntl", SimpleNamespace(fcntl=control), raising=False)
        monkeypatch.setattr(os, "fsync", lambda descriptor, asked=asked: asked.append("fsync"))
        with (tmp_path / "file").open("w") as file:
            file.write("four")
            disk.sync(file)
        assert asked == ["fsync", (4, 85)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_file_is_for_those_whom_the_umask_lets_read_it(tmp_path):
    path, found = tmp_path / "file.txt", []
    before = os.umask(0o077)
    try:
        for mask in (0o077, 0o022, 0o002):
            os.umask(mask)
            path.unlink(missing_ok=True)
            write_atomic(path, "new")
            found.append(path.stat().st_mode & 0o777)
    finally:
        os.umask(before)
    path.chmod(0o640)
    write_atomic(path, "replaced")
    assert found == [0o600, 0o644, 0o664] and path.stat().st_mode & 0o777 == 0o640


def test_a_disk_that_lets_no_mode_be_set_takes_file_after_file(tmp_path, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "chmod", refuse)
    for text in ("one", "two"):
        write_atomic(tmp_path / "state", text)
        assert (tmp_path / "state").read_text() == text


def test_what_a_killed_write_left_goes_with_a_later_one(tmp_path):
    names = (".[a].abcd0123.part", ".[a].abcd0124.part", ".a.abcd0125.part", ".[a].original.part", ".[a].my-draft.part")
    old, young, *others = (tmp_path / name for name in names)
    for part in (old, young, *others):
        part.touch()
    now = time.time()
    for part, minutes in ((old, 90), (young, 30), *((other, 90) for other in others)):
        os.utime(part, (now - 60 * minutes,) * 2)
    write_atomic(tmp_path / "[a]", "whole")  # a name that is a pattern to glob
    assert sorted(tmp_path.iterdir()) == sorted([young, *others, tmp_path / "[a]"])
