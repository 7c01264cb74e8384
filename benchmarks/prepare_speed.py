"""How fast prepare.py reads a CSV, and how much memory it takes at two sizes, in a folder with datasets/SOURCE.txt."""

import argparse
import csv
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environment import ROOT, heading, publish


def write_table(path: Path, texts: list[str], megabytes: int) -> None:
    """A CSV of texts drawn at random: of every ten one has line breaks, one HTML and one entities."""
    draw = random.Random(1)
    changes = [(". ", ".\n\n"), (". ", ".<br /><br />"), ("'", "&#39;")]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "stars", "text"])
        for number in itertools.count():
            if number % 1000 == 0 and file.tell() > megabytes * 1e6:
                return
            text = draw.choice(texts)
            if number % 10 < len(changes):
                text = text.replace(*changes[number % 10])
            writer.writerow([number, draw.randint(1, 5), text])


def measured(path: Path, folder: Path, *options: str) -> tuple[float, float, float]:
    """Seconds, seconds of processors, and megabytes at most, of prepare.py."""
    began = time.monotonic()
    command = [sys.executable, str(ROOT / "prepare.py"), str(path), "--name", "x", *options]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)  # of this process alone
    if status:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="yelp_reviews", help="a text in datasets/, whose lines fill the tables")
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--output", type=Path, default=Path("outputs/prepare.md"))
    arguments = parser.parse_args()
    texts = Path("datasets", f"{arguments.source}.txt").read_text(encoding="utf-8").splitlines()
    columns = ["table", "options", "seconds", "MB/s", "seconds of processors", "MB/s of a core", "most memory, MB"]
    lines = heading("How fast and in how much memory prepare.py reads")
    lines += [f"| {' | '.join(columns)} |", "|--:|---|--:|--:|--:|--:|--:|"]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.megabytes:
            path = Path(folder).absolute() / f"{size}.csv"
            write_table(path, texts, size)
            megabytes = path.stat().st_size / 1e6
            for options in ([], ["--where", "stars = 5"], ["--max-documents", "10000"]):
                wall, cores, memory = min(measured(path, path.parent, *options) for _ in range(3))
                said = " ".join(options) or "none"
                lines.append(
                    f"| {megabytes:,.0f} MB | {said} | {wall:.1f} | {megabytes / wall:.0f} | {cores:.1f} | "
                    f"{megabytes / cores:.0f} | {memory:.0f} |"
                )
                print(lines[-1], flush=True)
            path.unlink()
    publish(lines, arguments.output)


if __name__ == "__main__":
    main()
