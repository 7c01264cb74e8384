"""Table of trained voices for benchmarks/results: python benchmarks/voices.py --output FILE COMMAND ...

Reads models/*.pt, their metrics and outputs/*_samples.txt of the folder it is run in; measures nothing itself.
"""

import argparse
import json
from pathlib import Path

from environment import environment

from command.disk import write_atomic
from generation.checkpoint import load_checkpoint

SAMPLES, SHOWN = 3, 160


def row_and_samples(model: Path, outputs: Path) -> tuple[str, list[str]]:
    """A voice's row of the table, and its first samples."""
    checkpoint = load_checkpoint(model)
    metrics = checkpoint.metrics
    history = [json.loads(line) for line in model.with_suffix(".metrics.jsonl").read_text("utf-8").splitlines()]
    lines = (outputs / f"{model.stem}_samples.txt").read_text(encoding="utf-8").splitlines()
    cells = [
        model.stem,
        f"{metrics['parameters'] / 1e6:.2f}M",
        f"{history[-1]['minutes']:.1f}",
        f"{metrics['characters'] / 1e6:.2f}M",
        f"{metrics['held_out_bits']:.3f} ± {metrics['held_out_error']:.3f}",
        str(len(lines)),
    ]
    shown = [line if len(line) <= SHOWN else line[:SHOWN] + "…" for line in lines[:SAMPLES]]
    return f"| {' | '.join(cells)} |", shown


def main() -> None:
    parser = argparse.ArgumentParser(description="Table of the trained voices of this folder.")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--title", default="Voices")
    parser.add_argument("commands", nargs="+", help="the commands that made them, to be shown")
    arguments = parser.parse_args()
    models = [file for file in sorted(Path("models").glob("*.pt")) if file.with_suffix(".metrics.jsonl").is_file()]
    found = {model.stem: row_and_samples(model, Path("outputs")) for model in models}
    lines = [f"# {arguments.title}", "", environment() + ".", "", "```", *arguments.commands, "```", ""]
    lines += [
        "| corpus | parameters | minutes | characters seen | held-out bits/char | lines |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [row for row, _ in found.values()]
    lines += ["", f"The first {SAMPLES} samples of each, not chosen, cut at {SHOWN} characters:", ""]
    for name, (_, samples) in found.items():
        lines += [f"**{name}**", "", "```", *samples, "```", ""]
    write_atomic(arguments.output, "\n".join(lines))


if __name__ == "__main__":
    main()
