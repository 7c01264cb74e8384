"""Print a few lines of each of the demo's sample files."""

import io
import sys
import textwrap
from pathlib import Path

OUTPUTS = Path(__file__).resolve().parents[1] / "outputs"
SHOWN = 8

if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without this alphabet shows ?
    for name in ("python_topics", "python_docstrings"):
        lines = (OUTPUTS / f"{name}_samples.txt").read_text(encoding="utf-8").splitlines()
        print(f"\n{name}: {SHOWN} of {len(lines)} samples\n")
        for line in lines[:SHOWN]:
            print(textwrap.fill(line, width=100, initial_indent="  ", subsequent_indent="    "))
