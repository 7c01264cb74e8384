"""Several trainings at once against one after another: python benchmarks/jobs.py --output benchmarks/results/jobs.md

Trains the largest texts of a folder, the first part of each, by turns with --jobs 1 and with another number, and
compares the models byte for byte.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environment import ROOT, heading, publish

from utils import size_of

SETTINGS = """\
preset: {preset}
device: cpu
training: {{max_steps: {steps}, validations: 2, validation_characters: 2000}}
datasets: {{{names}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, default=ROOT / "datasets", help="folder of text files")
    parser.add_argument("--count", type=int, default=15, help="trainings")
    parser.add_argument("--kilobytes", type=int, default=300, help="of each text")
    parser.add_argument("--steps", type=int, default=60, help="of each training")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--jobs", default="auto", help="compared with 1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    first, second = ["--jobs", "1"], ["--jobs", arguments.jobs]
    rows, ratios, more, results = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder), arguments)
        for number in range(1, arguments.rounds + 1):
            took = {}
            for way in (first, second) if number % 2 else (second, first):
                load = os.getloadavg()[0]
                seconds, cpu, models = train_all(Path(folder), way)
                took[way is second] = seconds
                results.append(models)
                rows.append(f"| {number} | `{' '.join(way)}` | {seconds:.1f} | {cpu:.1f} | {load:.1f} |")
                print(rows[-1], flush=True)
            ratios.append(took[False] / took[True])
            more.append((took[True] - took[False]) / arguments.count)
    same = all(models == results[0] for models in results)
    lines = [
        *heading(f"{arguments.count} trainings, {' '.join(second)} beside {' '.join(first)}"),
        f"{arguments.count} texts, the first {arguments.kilobytes} kB of each, `{arguments.preset}`, {arguments.steps} "
        f"steps each. Models byte-identical in all runs: {'yes' if same else 'NO'}.",
        f"`{' '.join(first)}` takes {statistics.median(ratios):.2f} times as long (median; {min(ratios):.2f} to "
        f"{max(ratios):.2f}); the other {statistics.median(more):.1f} seconds more for each training.",
        "", "| round | way | seconds | of the processors | load before |", "|--:|--:|--:|--:|--:|", *rows,
    ]  # fmt: skip
    publish(lines, arguments.output)


def write_project(folder: Path, arguments: argparse.Namespace) -> None:
    """A folder with a config and the texts, none of them encoded yet."""
    (folder / "datasets").mkdir()
    found = sorted(arguments.texts.glob("*.txt"), key=size_of, reverse=True)[: arguments.count]
    for path in found:
        content = path.read_bytes()[: 1000 * arguments.kilobytes].decode("utf-8", "ignore")
        (folder / "datasets" / path.name).write_text(content, encoding="utf-8")
    names = ", ".join(f"{path.stem}: {{}}" for path in found)
    common = (ROOT / "config.yaml").read_text(encoding="utf-8")
    presets = common[common.index("presets:") :].split("\ndatasets:")[0]
    settings = SETTINGS.format(preset=arguments.preset, steps=arguments.steps, names=names)
    (folder / "config.yaml").write_text(f"{settings}{presets}\n", encoding="utf-8")


def train_all(folder: Path, way: list[str]) -> tuple[float, float, dict[str, bytes]]:
    """-> seconds, seconds of all processors, the models; what is encoded and trained is removed again."""
    command = [sys.executable, str(ROOT / "train.py"), "--all", "--force", *way]
    began, spent = time.perf_counter(), children_seconds()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds, spent = time.perf_counter() - began, children_seconds() - spent
    models = {path.name: path.read_bytes() for path in (folder / "models").glob("*.pt")}
    for path in [*(folder / "models").iterdir(), *(folder / "datasets" / ".cache").rglob("*")]:
        if path.is_file():
            path.unlink()
    return seconds, spent, models


def children_seconds() -> float:
    """Processor time of all processes that this one has started and waited for, and of theirs; 0 on Windows."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    main()
