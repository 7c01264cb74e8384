"""What a long job says of itself where no terminal shows a bar."""

import errno
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.table import Table

from command import console, program
from generation.watch import watching
from tests.helpers import posix


class Closed(io.TextIOWrapper):
    """A stream whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_line_says_how_far_a_job_is_and_no_more_than_one_in_ten_seconds(monkeypatch, capsys):
    clock = iter([0.0, 4.0, 10.0, 10.0, 15.0, 25.0, 25.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.progress("documents written", 2000, 1) as advance:
        for _ in range(4):
            advance(499)
    assert capsys.readouterr().err == "documents written: 999 of 2,000\ndocuments written: 1,997 of 2,000\n"


@pytest.mark.parametrize("text", [":bug: Fix parser :sparkles:", "ratio 1:100:5", "x[:a:b]", "[bold]v2[/bold]"])
def test_a_console_shows_a_text_as_it_is(text, capsys):
    console.PlainConsole().print(text)
    assert capsys.readouterr().out == f"{text}\n"


def test_what_is_done_is_shown_without_styles_or_codes_of_a_terminal():
    shown = console.PlainConsole(file=io.StringIO(), force_terminal=True, width=200)
    with shown.busy("reading a\x1b[41mb [bold]c[/bold] :bug:"):
        pass
    assert r"reading a\x1b[41mb [bold]c[/bold] :bug:" in shown.file.getvalue()


def test_a_job_goes_on_when_its_reader_has_left(monkeypatch, tmp_path):
    monkeypatch.setattr(console, "SECONDS_A_LINE", 0)
    with (tmp_path / "log").open("wb") as file:
        monkeypatch.setattr(sys, "stderr", Closed(file))
        with console.progress("tokens drawn", 3) as advance:
            advance(1)
            advance(2)
        assert os.path.samestat(os.fstat(file.fileno()), Path(os.devnull).stat())  # nothing more is said


@posix
@pytest.mark.parametrize("show", [
    lambda: console.progress("documents written", 3), lambda: console.PlainConsole().busy("judging a voice"),
    lambda: watching(None),
], ids=["progress", "busy", "watching"])  # fmt: skip
def test_a_job_goes_on_when_its_terminal_is_closed(monkeypatch, show):
    monkeypatch.setenv("TERM", "xterm")
    keyboard, screen = os.openpty()
    with io.TextIOWrapper(os.fdopen(screen, "wb", buffering=0), write_through=True) as terminal:  # as python -u does
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        with show():
            assert sys.stderr is not terminal  # it is shown
            os.close(keyboard)
        assert (sys.stdout, sys.stderr) == (terminal, terminal)


def test_what_a_console_prints_cannot_steer_the_terminal(capsys):
    shown = console.PlainConsole()
    shown.print("a sample \x1b[2J\u202e")
    table = Table("\x1b[31mfile")
    table.add_row("\x9bname")
    shown.print(table)
    out = capsys.readouterr().out
    assert r"a sample \x1b[2J\u202e" in out and r"\x1b[31mfile" in out and r"\x9bname" in out
    assert not {"\x1b", "\x9b", "\u202e"} & set(out)


def test_a_reader_that_has_left_is_known_by_what_windows_says_too(monkeypatch):
    errors = [BrokenPipeError(), *(OSError(errno.EINVAL, "Invalid argument", *name) for name in ((), ("a?b",), ()))]
    errors[-1].winerror = 1455  # the paging file is too small
    assert [program.reader_has_left(error) for error in errors] == [True, False, False, False]
    monkeypatch.setattr(program, "os", SimpleNamespace(name="nt"))
    assert [program.reader_has_left(error) for error in errors] == [True, True, False, False]
