"""Runs a benchmark script once more, on one core, in a process and a folder of its own."""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any


def on_one_core(script: str, *words: object) -> dict[str, Any]:
    """What the script prints last, as JSON, when it runs with these words and with --output, its folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, script, *map(str, words), "--output", folder]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(*words, found, flush=True)
    return found
