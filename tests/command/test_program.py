"""A command's mistakes are lines and a status, and it notices when its reader has left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import generate
from command.program import run_command
from tests.helpers import COMMANDS, ROOT, SECONDS, needs_proc, posix
from tests.training.program import hears, start
from utils import UserError

# sent as soon as a command has loaded this library, or handles signals at all
MOMENTS = {"SIGINT": "", "SIGTERM": "numpy", "SIGHUP": "libtorch_cpu"}


def test_a_command_turns_mistakes_into_lines_and_a_status(capsys):
    def fail():
        raise UserError("one\ntwo")

    assert run_command(fail) == 2
    assert capsys.readouterr().err == "error: one\nerror: two\n"
    assert run_command(lambda: 0) == 0


def test_no_mistake_steers_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert generate.main(["--model", "\x1b[2J.pt"]) == 2
    with pytest.raises(SystemExit):
        generate.main(["--model", "one.pt", "\x1b[31m"])
    errors = capsys.readouterr().err
    assert "\x1b" not in errors and r"error: \x1b[2J.pt: " in errors and r"unrecognized arguments: \x1b[31m" in errors


@pytest.mark.parametrize(
    "command", ["train.py --dataset a", "generate.py --model a", "collection.py verify a", "evaluate.py --all"]
)
def test_a_python_without_the_libraries_is_one_line(command):
    """As in a terminal where .venv is not active, or one whose folder was moved."""
    name, *arguments = command.split()
    isolated = [sys.executable, "-S", "-E", str(ROOT / name)]  # without site-packages
    done = subprocess.run([*isolated, *arguments], capture_output=True, text=True, check=False)
    fix = (
        "activate .venv and install requirements.txt into it, or make it anew if its folder was moved (docs/install.md)"
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {sys.executable} has no module ") and done.stderr.endswith(f": {fix}\n")


def of_readers_that_have_left(*command: str) -> tuple[int | None, bytes]:
    """-> exit status, and what stderr got, of a command whose stdout nobody reads."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([sys.executable, *command], env={**environment, "PYTHONPATH": str(ROOT)}, **pipes)
    process.stdout.close()
    _, errors = process.communicate()
    return process.returncode, errors


@posix
def test_a_reader_that_has_left_is_noticed_though_the_text_was_buffered():
    program = "import sys; from command.program import run_program; sys.stdin.read();"
    assert of_readers_that_have_left("-c", program + "run_program(lambda: print('text') or 0)") == (141, b"")


@posix
def test_help_that_nobody_reads_is_no_traceback():
    late = "import sys, runpy; sys.stdin.read(); sys.argv = ['x', '--help'];"
    late += f"runpy.run_path({str(ROOT / 'generate.py')!r}, run_name='__main__')"
    assert of_readers_that_have_left("-c", late) == (141, b"")


@posix
def test_a_mistake_that_nobody_reads_keeps_its_status(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, str(ROOT / "generate.py"), "--model", "missing.pt"]
    assert subprocess.run(command, stderr=writing, cwd=tmp_path, check=False).returncode == 2
    os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it is Linux's")
def test_a_full_disk_behind_stdout_is_one_line():
    code = "from command.program import run_program; run_program(lambda: print('text') or 0)"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, cwd=ROOT, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "error: standard output: No space left on device\n")


MISTAKES = {
    "prepare": ["one.csv", "--name", "one"],
    "train": ["--all", "--check"],
    "generate": ["--model", "one.pt"],
    "evaluate": ["--all"],
    "collection": ["verify", "set"],
    "export": ["hub", "--model", "one.pt", "--out", "one"],
    "import_model": ["notebook", "one.pt", "--vocabulary", "one.txt"],
}


@posix
@needs_proc
@pytest.mark.parametrize("number", MOMENTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_stops_a_command_from_its_first_moment(tmp_path, command, number):
    """While torch is imported, in the middle of which an exception could end in an abort."""
    line = [sys.executable, str(ROOT / f"{command}.py"), *MISTAKES[command]]
    process = start(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (hears(process.pid, signal.SIGTERM) and loaded(process.pid, MOMENTS[number])):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(getattr(signal, number))
    assert process.communicate(timeout=SECONDS) == ("", "stopped\n") and process.returncode == 130


def loaded(pid: int, library: str) -> bool:
    """Whether a process has loaded a library."""
    return library in Path(f"/proc/{pid}/maps").read_text()


@posix
def test_a_signal_stops_work_that_has_begun_and_what_it_holds_is_closed(tmp_path):
    code = """
import sys, time
from command.program import run_program
from command.disk import atomic_path
from pathlib import Path
def work():
    with atomic_path(Path("file")):
        print("begun", flush=True)
        time.sleep(60)
run_program(work)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True, **pipes)
    assert process.stdout and process.stdout.readline() == "begun\n"
    process.terminate()
    assert process.communicate(timeout=SECONDS) == ("", "stopped\n") and process.returncode == 130
    assert not list(tmp_path.iterdir())


@posix
def test_a_second_signal_ends_a_command_that_does_not_listen():
    code = """
import time
from command.program import run_program
def work():
    while True:
        try:
            print("again", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            pass
run_program(work)
"""
    environment, pipes = {**os.environ, "PYTHONPATH": str(ROOT)}, dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, **pipes)
    for _ in range(2):
        assert process.stdout and process.stdout.readline() == "again\n"
        process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=SECONDS) == ("", "stopped\n") and process.returncode == 130
