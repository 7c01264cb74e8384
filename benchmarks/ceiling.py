"""Checks evaluate.py: real text, given as samples, must be found real. python benchmarks/ceiling.py --output FILE

Gives evaluate.py real held-out documents as if they were samples: each corpus's second half, judged beside its first.
Every figure should agree with the ceiling within its interval, but for the few that chance leaves outside 95 %.
"""

import argparse
import json
import tempfile
from pathlib import Path

from environment import heading, publish

import evaluate
from command.disk import write_atomic
from config.loader import load_config
from evaluation.metrics import Interval
from evaluation.reference import Reference
from evaluation.stored import StoredInterval
from text.corpus import load_corpus
from text.vocabulary import as_line

FIXED = ("duplicates", "copies")  # which real text has none of, by construction


def write_real(config: Path, folder: Path, count: int) -> None:
    """NAME_samples.txt of each dataset: held-out documents that evaluate.py will not compare them with."""
    loaded = load_config(config)
    for name in evaluate.trained_models(loaded):
        run = loaded.resolve(name)
        corpus = load_corpus(run)
        held_out = Reference(corpus, run.model.context).held_out
        chosen = held_out[-min(count, len(held_out) // 2) :]
        texts = (corpus.vocabulary.decode(document) for document in chosen)
        lines = "".join(f"{as_line(text) if corpus.stream else text}\n" for text in texts)
        write_atomic(folder / f"{name}_samples.txt", lines)


def interval(stored: dict[str, float | None]) -> Interval:
    """An interval of evaluation.json."""
    return Interval(**StoredInterval.model_validate(stored).model_dump())


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge real text as samples, for every trained dataset.")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"))
    parser.add_argument("--count", type=int, default=200, help="documents a corpus at most (default 200)")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_real(arguments.config, folder, arguments.count)
        options = ["--all", "--config", str(arguments.config), "--samples", name, "--count", str(arguments.count)]
        if evaluate.main([*options, "--output", name]):
            raise SystemExit("evaluate.py failed")
        found = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    lines = heading("Real text judged as samples")
    figures = list(next(iter(found["voices"].values()))["figures"])
    lines += [
        "Held-out documents as samples / other held-out documents; **bold** where they differ beyond 95 % intervals.",
        *("", f"| corpus | documents | attribution | {' | '.join(figures)} |", "|---|" + "--:|" * (len(figures) + 2)),
    ]
    outside, counted = 0, [figure for figure in figures if figure not in FIXED]
    for name, writer in found["voices"].items():
        cells = []
        for figure in figures:
            own, real = (interval(writer["figures"][figure][side]) for side in ("samples", "real"))
            text = f"{own.value:.3f} / {real.value:.3f}"
            differs = own.measured and not own.agrees(real)
            cells.append(f"**{text}**" if differs else text)
            outside += figure in counted and differs
        share = found["attribution"][name]
        lines.append(
            f"| {name} | {writer['compared']} | {share['samples']:.2f} / {share['real']:.2f} | {' | '.join(cells)} |"
        )
    total = len(counted) * len(found["voices"])
    lines += [
        "",
        f"{outside} of {total} figures ({', '.join(FIXED)} apart) lie outside; chance leaves {0.05 * total:.0f}.",
    ]
    publish(lines, arguments.output)


if __name__ == "__main__":
    main()
