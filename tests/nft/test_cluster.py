"""Sets drawn on a Ray cluster: the same bytes as without it, after any stop, on one machine or on several."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import ROOT, SECONDS, files_in, posix

pytest.importorskip("ray", reason="Ray is not installed: requirements-ray.txt")
SIZE, BATCH = 60, 3


def stopped(command: list[str], samples: Path, lines: int, number: signal.Signals) -> subprocess.CompletedProcess:
    """Run a command until a file has so many lines, and end it with a signal."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 10 * SECONDS
    while not (samples.is_file() and samples.read_bytes().count(b"\n") >= lines):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=SECONDS)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@posix
@pytest.mark.slow
def test_a_set_is_the_same_on_a_cluster_and_after_every_stop(studio, cluster, tmp_path):
    run, make = studio
    rules = {"copies": "drop", "similarity": 0.3}  # some texts are drawn again
    _, whole = make("whole", SIZE, **rules)
    assert b'"attempt":1' in (whole / "samples.jsonl").read_bytes()
    command = [
        sys.executable, str(ROOT / "collection.py"), "make", "--model", str(run.model_file()), "--config",
        str(tmp_path / "config.yaml"), "--out", str(tmp_path / "there"), "--size", str(SIZE), "--batch-size",
        str(BATCH), "--ray", cluster.address,
    ]  # fmt: skip
    there = tmp_path / "there"
    samples = there / "samples.jsonl"
    asked = stopped(command, samples, 2 * BATCH, signal.SIGTERM)
    assert asked.returncode == 130 and asked.stderr == "stopped\n"
    drawn = samples.read_bytes().count(b"\n")
    assert drawn % (2 * BATCH) == 0  # whole batches, one for each machine
    killed = stopped(command, samples, drawn + 1, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL and samples.read_bytes().count(b"\n") < SIZE
    done = subprocess.run(command, capture_output=True, text=True, timeout=10 * SECONDS)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert files_in(there) == files_in(whole)
