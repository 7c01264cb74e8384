"""Other programs are sought where the user has them, and nowhere else."""

import os
from pathlib import Path

from command.libraries import program
from tests.helpers import posix


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
