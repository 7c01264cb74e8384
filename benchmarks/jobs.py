"""Several trainings at once against one after another: python benchmarks/jobs.py --output benchmarks/results/jobs.md

Trains the largest texts of a folder, the first part of each, by turns with --jobs 1 and with another number, and
compares the models byte for byte.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from environment import heading

from utils import size_of, write_atomic

ROOT = Path(__file__).resolve().parents[1]
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
    rows, ratios, results = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder), arguments)
        for number in range(1, arguments.rounds + 1):
            took = {}
            for jobs in ("1", arguments.jobs) if number % 2 else (arguments.jobs, "1"):
                load = os.getloadavg()[0]
                took[jobs], cpu, models = train_all(Path(folder), jobs)
                results.append(models)
                rows.append(f"| {number} | {jobs} | {took[jobs]:.0f} | {cpu:.0f} | {load:.1f} |")
                print(rows[-1], flush=True)
            ratios.append(took["1"] / took[arguments.jobs])
    same = all(models == results[0] for models in results)
    lines = [
        *heading(f"{arguments.count} trainings, --jobs {arguments.jobs} beside one after another"),
        f"{arguments.count} texts, the first {arguments.kilobytes} kB of each, `{arguments.preset}`, {arguments.steps} "
        f"steps each. Models byte-identical in all runs: {'yes' if same else 'NO'}.",
        f"One after another takes {statistics.median(ratios):.2f} times as long (median; {min(ratios):.2f} to "
        f"{max(ratios):.2f}).",
        "", "| round | jobs | seconds | of the processors | load before |", "|--:|--:|--:|--:|--:|", *rows,
    ]  # fmt: skip
    print("\n".join(lines))
    if arguments.output:
        write_atomic(arguments.output, "\n".join(lines) + "\n")


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


def train_all(folder: Path, jobs: str) -> tuple[float, float, dict[str, bytes]]:
    """-> seconds, seconds of all processors, the models; what is encoded and trained is removed again."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, str(ROOT / "train.py"), "--all", "--force", "--jobs", jobs]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    models = {path.name: path.read_bytes() for path in (folder / "models").glob("*.pt")}
    for path in [*(folder / "models").iterdir(), *(folder / "datasets" / ".cache").rglob("*")]:
        if path.is_file():
            path.unlink()
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, models


if __name__ == "__main__":
    main()
