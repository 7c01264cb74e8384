"""A queue without a terminal, a home or room on the disk; and half a minute of everything at random."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, SECONDS, needs_proc, posix
from tests.training.program import Program

pytestmark = [pytest.mark.slow, posix]


def test_neither_a_terminal_nor_a_home_is_needed(project):
    program = Program(project[0], steps=6)
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *program.command]
    done = subprocess.run(closed, env={**os.environ, "HOME": "/dev/null/none"}, timeout=SECONDS, check=False)
    assert done.returncode == 0 and (program.models / "two.pt").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it is Linux's")
def test_a_log_that_is_full_or_knows_no_such_letters_ends_nothing(project):
    path, _ = project
    (path.parent / "datasets" / "one.txt").write_text("\n".join(f"Привет, мир {k} 🙂" for k in range(80)), "utf-8")
    program = Program(path, steps=6)
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(program.command, stdout=full, stderr=subprocess.PIPE, timeout=SECONDS, check=False)
    assert done.returncode == 0 and done.stderr == b"" and (program.models / "two.pt").is_file()
    (program.models / "one.pt").unlink()
    done = subprocess.run(
        program.command, env={**os.environ, "PYTHONIOENCODING": "cp1252"}, capture_output=True, timeout=SECONDS
    )
    assert done.returncode == 0 and b"one: trained" in done.stdout and b"once more" not in done.stdout


def test_a_disk_that_takes_no_model_is_one_line_and_leaves_no_part(project):
    import resource

    program = Program(project[0], steps=6)
    program.models.mkdir()
    (program.models / "one.pt").write_bytes(b"another model")

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))

    done = subprocess.run(program.command, preexec_fn=small_files, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert len(re.findall("failed: .*: File too large", done.stdout)) == 2
    assert "not saved, and going on: " in done.stdout and "once more" not in done.stdout
    assert (program.models / "one.pt").read_bytes() == b"another model"
    assert {file.suffix for file in program.models.iterdir()} - {".pt"} <= {".jsonl", ".lock"}
    assert len([*program.models.glob("*.pt")]) == 1


@needs_proc
def test_half_a_minute_of_the_soak():
    soak = [sys.executable, str(ROOT / "benchmarks" / "soak.py"), "--minutes", "0.5"]
    done = subprocess.run(soak, capture_output=True, text=True, timeout=5 * SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"rounds \| [1-9]", done.stdout) and re.search(r"files byte-identical \| [1-9]", done.stdout)
