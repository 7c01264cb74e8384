"""Print the first lines of a demo's sample file: python demo/show.py NAME"""

import io
import sys
import textwrap
from pathlib import Path

OUTPUTS = Path(__file__).resolve().parents[1] / "outputs"
SHOWN = 8


def main(name: str) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without this alphabet shows ?
    lines = (OUTPUTS / f"{name}_samples.txt").read_text(encoding="utf-8").splitlines()
    print(f"\n{name}: the first {SHOWN} of {len(lines)} samples\n")
    for line in lines[:SHOWN]:
        print(textwrap.fill(line, width=100, initial_indent="  ", subsequent_indent="    "))
    print()


if __name__ == "__main__":
    main(sys.argv[1])
