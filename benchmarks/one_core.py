"""Runs a benchmark script again for each of its tasks, on a core, in a process and a folder of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from training import stopwatch


def on_cores(script: str, tasks: Iterable[Sequence[object]], at_once: int | None = None) -> list[dict[str, Any]]:
    """What `on_one_core` gives for the words of each task, so many of them at once (default: one a core)."""
    with ThreadPoolExecutor(at_once or os.cpu_count()) as pool:
        return list(pool.map(lambda words: on_one_core(script, *words), tasks))


def count_processor_time() -> None:
    """Have trainings in this process end after minutes of processor time, so that other work hardly matters."""
    stopwatch.time = SimpleNamespace(perf_counter=time.process_time, process_time=time.process_time)  # pyright: ignore


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
