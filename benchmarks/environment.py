"""What every file in results/ begins with, machine, versions and commit; and how it is written."""

import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import numpy
import torch

# for every script here: each imports this module before those of the project
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from command.disk import write_atomic

ROOT = Path(__file__).resolve().parents[1]


def environment() -> str:
    """Processor, cores, GPU, versions and commit, in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    processor = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    features = next((line for line in lines if line.startswith("flags")), "")
    extras = [name for name in ("avx512_bf16", "amx_bf16") if f" {name}" in features]
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, numpy {numpy.__version__}"
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
    except OSError:  # no git
        commit = "unknown"
    cores = f"{os.cpu_count()} cores ({', '.join(extras) or 'no bf16'})"
    gpu = f"; {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {cores}{gpu}; {versions}; commit {commit}"


def heading(title: str) -> list[str]:
    """The lines a result begins with: its title, what it stands on, the command."""
    return [f"# {title}", "", environment() + ".", "", "```", "python " + shlex.join(sys.argv), "```", ""]


def publish(lines: list[str], output: Path | None) -> None:
    """Print a result, and write it to a file if one is named."""
    print("\n".join(lines))
    if output:
        write_atomic(output, "\n".join(lines) + "\n")


def peak_megabytes() -> float:
    """Of this process so far; nan on Windows, which does not say."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
