"""What messages are made of: counts with nouns, text that cannot steer a terminal."""

import math
import os
import re
import shlex
from pathlib import Path

from command.messages import argument, clock, counted, error_text, number, printable, shorter, with_error
from tests.helpers import MODULES


def test_a_count_has_its_noun_in_the_right_number():
    assert [counted(n, "document") for n in (0, 1, 2, 2000)] == [
        "0 documents", "1 document", "2 documents", "2,000 documents",
    ]  # fmt: skip
    assert [counted(n, "minute") for n in (0.5, 1.0)] == ["0.5 minutes", "1 minute"]


def test_figures_that_mean_nothing_are_not_shown():
    nan, inf = math.nan, math.inf
    assert [number(value, "+.2f") for value in (1.5, nan, -inf)] == ["+1.50", "-", "-"]
    assert [with_error(*pair) for pair in ((1, 0.5), (1, nan), (inf, nan))] == ["1.000 ± 0.500", "1.000 ± -", "-"]
    seconds = (0.4, 200, 3900, 30 * 86_400, 1e9, inf, nan)
    assert [clock(each) for each in seconds] == ["0m00s", "3m20s", "1h05m", "720h00m", "over 100 days", "?", "?"]


def test_what_a_message_says_to_type_can_be_typed(monkeypatch):
    paths = [Path("models/a-b_1.pt"), Path("my models/$HOME.pt"), "it's.pt"]
    assert shlex.split(" ".join(map(argument, paths))) == list(map(str, paths))
    assert argument(paths[0]) == "models/a-b_1.pt"
    with monkeypatch.context() as windows:  # where apostrophes quote nothing
        windows.setattr(os, "name", "nt")
        paths = ("C:\\models\\a.pt", "C:\\my models\\a.pt", "C:\\R&D\\(1).pt", "\\\\host\\data$\\")
        typed = [argument(path) for path in paths]
    assert typed[:2] == ["C:\\models\\a.pt", '"C:\\my models\\a.pt"']
    assert typed[2:] == ['"C:\\R&D\\(1).pt"', '"\\\\host\\data$\\\\"']


def test_no_figure_and_no_line_is_longer_than_a_screen():
    assert [number(value, "+.2f") for value in (-(2.0**62), 1e308)] == ["-4.6e+18", "+1.0e+308"]
    assert [number(value, ".1f") for value in (999_999, 1e9)] == ["999999.0", "1.0e+09"]
    assert with_error(-(2**62), 1e300) == "-4.6e+18 ± 1.0e+300" and with_error(1e308, math.nan) == "1.0e+308 ± -"
    assert shorter("x" * 1000) == "x" * 1000 and shorter("x" * 1001 + "y") == f"{'x' * 500}...{'x' * 499}y"


def test_what_would_steer_a_terminal_shows_as_an_escape():
    assert printable("a\x1b[31m\r\x07\x9b\u202e\udcff b") == r"a\x1b[31m\r\x07\x9b\u202e\udcff b"
    assert printable("tab\there\nand é 漢 🙂") == "tab\there\nand é 漢 🙂"


def test_no_message_counts_one_documents():
    nouns = "documents|characters|lines|parameters|samples|network calls|steps|minutes|tokens|texts|rows|files|pictures"
    nouns += "|courses|attempts|machines"
    bare = re.compile(rf"\{{(?![A-Z_]+\b)[^{{}}]*\}} (?:real |distinct )?(?:{nouns})\b")  # a constant is never 1
    assert not [
        f"{path.name}: {found[0]}" for path in MODULES for found in bare.finditer(path.read_text(encoding="utf-8"))
    ]


def test_an_error_of_a_file_names_the_file_and_one_without_words_its_kind():
    assert error_text(OSError(28, "No space left on device", "models/a.pt")) == "models/a.pt: No space left on device"
    assert error_text(OSError(28, "No space left on device")) == "[Errno 28] No space left on device"
    assert error_text(ValueError("two\nlines")) == "two\nlines" and error_text(MemoryError()) == "MemoryError"


def test_of_one_document_no_error_is_known():
    assert with_error(0.5, 0.01) == "0.500 ± 0.010" and with_error(0.002, 0.0) == "0.002 ± -"
