"""Other programs are sought where the user has them, and nowhere else; what is amiss with a library is told."""

import os
from pathlib import Path

import pytest

from command.libraries import library, program
from tests.helpers import posix
from utils import UserError


@posix
def test_no_program_is_taken_from_the_working_folder(tmp_path, monkeypatch):
    """A stranger's folder may hold one of its name."""
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    for folder in (own, foreign):
        folder.mkdir()
        (folder / "git").write_text("#!/bin/sh\n")
        (folder / "git").chmod(0o755)
    monkeypatch.chdir(foreign)
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "../foreign", str(own)]))
    assert program("git") == str(own / "git")
    Path(own / "git").chmod(0o644)  # no program
    assert program("git") == ""


def test_a_library_that_is_there_and_cannot_be_loaded_is_not_called_missing(tmp_path, monkeypatch):
    """As where Windows lacks a DLL of it, or a library that it needs itself is missing."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, source, reason in (
        ("broken_dll", "raise ImportError('DLL load failed')", "is installed, but cannot be loaded (DLL load failed)"),
        ("in_need", "import absent_part", "is installed, but cannot be loaded (No module named 'absent_part')"),
        ("absent", "", "is not installed"),
    ):
        if source:
            (tmp_path / f"{name}.py").write_text(source)
        with pytest.raises(UserError) as told:
            library(name)
        assert str(told.value) == f"{name} {reason}; pip install -r requirements-export.txt"
