"""Project against reference, interleaved: python benchmarks/bench.py (make bench). Writes benchmarks/results/bench.md.

On a GPU, with --device cuda, training is compared, on the same card; the rest is the CPU's.

Every measurement runs in a process of its own, project and reference in turn, so that each starts cold and its peak
memory is its own. Needs datasets/github_commits.txt, or another corpus of short documents with --dataset.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import sides
from environment import ROOT, heading, peak_megabytes, publish
from sides import BABY, SMALL

# what is trained: preset of the project, size of the reference, steps of each, whether a reference's row is a document
ROWS: dict[str, tuple[str, dict[str, int], tuple[int, int], bool]] = {
    "training, baby-GPT size, batch 64": ("baby", BABY, (2, 1), False),
    "training, baby-GPT size, batch 64 / a short document a row": ("baby", BABY, (2, 1), True),
    "training, 2 layers of 192, batch 16 / 4 of 128, 64": ("tiny", SMALL, (40, 5), False),
    "training, 2 layers of 192, batch 16 / 4 of 128, a short document a row": ("tiny", SMALL, (40, 5), True),
}
TIMES = {"cpu": 1, "cuda": 20}  # as many steps


def measured_apart(*arguments: str) -> dict[str, float]:
    """What one measurement prints from a process of its own, with that process's peak memory."""
    found = subprocess.run([sys.executable, __file__, "--one", *arguments], capture_output=True, text=True, cwd=ROOT)
    if found.returncode:
        raise RuntimeError(f"{arguments}: exit status {found.returncode}: {found.stderr[-500:]}")
    return json.loads(found.stdout.splitlines()[-1])


def measure_one(what: str, side: str, dataset: str, argument: str) -> dict[str, float]:
    alone: dict[str, Callable[[], dict[str, float]]] = {
        "reference quality": lambda: sides.reference_quality(dataset, float(argument)),
        "quality absorbing": lambda: sides.project_quality(dataset, "absorbing", float(argument)),
        "quality uniform": lambda: sides.project_quality(dataset, "uniform", float(argument)),
        "large corpus": lambda: sides.large_corpus(dataset, int(argument)),
    }
    found = alone[what]() if what in alone else {"rate": training_rate(what, side, dataset, argument)}
    return {**found, "peak_mb": peak_megabytes()}


def training_rate(what: str, side: str, dataset: str, device: str) -> float:
    """Characters a second of one side of a row."""
    (preset, size, (own, other), documents), n = ROWS[what], TIMES[device]
    measures = {
        "project": lambda: sides.project_training(dataset, preset, n * own, device=device),
        "reference": lambda: sides.reference_training(dataset, size, n * other, device, documents=documents),
    }
    return measures[side]()


def spread(values: list[float]) -> str:
    """Median, and the range of all."""
    form = ",.0f" if max(values) >= 100 else ".2f"
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def compared(dataset: str, device: str, rounds: int) -> list[str]:
    """A Markdown row for each comparison."""
    lines = []
    for what in ROWS:
        found: dict[str, list[dict[str, float]]] = {"reference": [], "project": []}
        for _ in range(rounds):
            for side, results in found.items():
                results.append(measured_apart(what, side, dataset, device))
        rates = {side: [result["rate"] for result in results] for side, results in found.items()}
        ratios = [own / other for own, other in zip(rates["project"], rates["reference"], strict=True)]
        memory = " / ".join(f"{max(r['peak_mb'] for r in found[side]):,.0f}" for side in ("project", "reference"))
        cells = [what, "characters/s", spread(rates["project"]), spread(rates["reference"]), spread(ratios), memory]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def to_quality(dataset: str, minutes: float) -> list[str]:
    """How soon the project is where the reference is after so many minutes, in Markdown."""
    goal = measured_apart("reference quality", "reference", dataset, str(minutes))
    lines = [
        f"The reference, {goal['parameters']:,.0f} parameters, reaches {goal['bits']:.2f} ± {goal['error']:.2f} "
        f"held-out bits per character in {minutes:g} minutes ({goal['characters'] / 1e6:.1f}M characters)."
    ]
    for process in ("absorbing", "uniform"):
        found = measured_apart(f"quality {process}", "project", dataset, str(goal["bits"]))
        sooner = (
            f"{60 * minutes / found['seconds']:.0f} times sooner" if found["bits"] <= goal["bits"] else "not reached"
        )
        lines.append(
            f"The project ({process}) has {found['bits']:.2f} after {found['seconds']:.0f} seconds "
            f"({found['characters'] / 1e6:.2f}M characters): {sooner}."
        )
        print(lines[-1], flush=True)
    return [*lines, ""]


def only_on_a_cpu(arguments: argparse.Namespace) -> list[str]:
    """Time to quality, a large corpus, how soon a command answers."""
    quality = to_quality(arguments.dataset, arguments.minutes)
    large = measured_apart("large corpus", "project", arguments.dataset, str(arguments.megabytes))
    starts = [sides.help_seconds() for _ in range(5)]
    rest = [
        f"A corpus of {large['megabytes']:,.0f} MB is encoded at {large['megabytes_per_second']:.1f} MB/s and then "
        f"trained on, with at most {large['peak_mb']:,.0f} MB of memory in all.",
        f"`train.py --help` takes {spread(starts)} seconds.",
    ]
    print(*rest, sep="\n")
    return [*quality, *rest]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the project against a plain reference, in turn.")
    parser.add_argument("--dataset", default="github_commits", help="a corpus of short documents in datasets/")
    parser.add_argument("--device", choices=TIMES, default="cpu")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side, in turn (default 3)")
    parser.add_argument("--minutes", type=float, default=15, help="of the reference's training (default 15)")
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the corpus to encode (default 1000)")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/bench.md", help="Markdown file")
    parser.add_argument("--one", nargs=4, metavar=("WHAT", "SIDE", "DATASET", "ARGUMENT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    os.chdir(ROOT)
    if arguments.one:
        what, side, dataset, argument = arguments.one
        print(json.dumps(measure_one(what, side, dataset, argument)))
        return
    lines = heading("Project and reference")
    lines += [
        f"Medians of {arguments.rounds} runs of each, in turn, with their range; the ratio is of neighbouring runs.",
        *("", "| what | unit | project | reference | ratio | peak MB |", "|---|---|--:|--:|--:|--:|"),
        *compared(arguments.dataset, arguments.device, arguments.rounds),
        "",
    ]
    if arguments.device == "cpu":
        lines += only_on_a_cpu(arguments)
    publish(lines, output)


if __name__ == "__main__":
    main()
