"""A command's mistakes are lines and a status, and it notices when its reader has left."""

import os
import subprocess
import sys

import pytest

from config.command_line import run_command
from tests.helpers import ROOT
from utils import (
    UserError,
)


def test_a_command_turns_mistakes_into_lines_and_a_status(capsys):
    def fail():
        raise UserError("one\ntwo")

    assert run_command(fail) == 2
    assert capsys.readouterr().err == "error: one\nerror: two\n"
    assert run_command(lambda: 0) == 0


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is another error elsewhere")
def test_a_reader_that_has_left_is_noticed_though_the_text_was_buffered():
    code = (
        "import sys; from config.command_line import run_command; sys.stdin.read();"
        "sys.exit(run_command(lambda: print('text') or 0))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([sys.executable, "-c", code], env={**environment, "PYTHONPATH": str(ROOT)}, **pipes)
    process.stdout.close()
    _, errors = process.communicate()
    assert process.returncode == 141 and errors == b""
