"""The gallery of docs/: python benchmarks/gallery.py VOICE ...

Of each voice: the first picture of its set, outputs/VOICE, that shows a text being written and is small enough; the
first texts of the set, none of them chosen; and its figures beside real text's, as `evaluate.py --all` wrote them.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from command.disk import write_atomic
from evaluation.markdown import escaped

TEXTS = 5  # of each voice
MOST_BYTES = 40_000  # of a picture
PAGE = Path("docs/gallery.md")
PICTURES = PAGE.with_suffix("")
FOREWORD = """# Gallery

Two CPU cores trained fifteen voices with the preset `cpu` in a night ([how, and all
figures](../benchmarks/results/night.md)). Here are the five whose texts may be shown. Each began from a base that had
learnt from all fifteen texts. The picture is the first of a voice's set whose file has at most 40 KB; the texts are
the set's first five. None was chosen, but a set leaves out copies, repeats and personal data. In the line of figures,
real text's stand in brackets: documents that the voice never saw. For copies 0 is best, for all others to be near real
text.
"""


def figures_of(evaluation: dict[str, Any], attribution: dict[str, float]) -> str:
    """The figures of a voice in one line, real text's in brackets."""
    figures = evaluation["figures"]

    def pair(name: str, form: str) -> str:
        found, real = (format(figures[name][whose]["value"], form) for whose in ("samples", "real"))
        return f"{found} ({real})"

    bits = evaluation["likelihood"]["held_out"]["bits"]
    return ", ".join(
        (
            f"{bits:.2f} bits a character (NELBO)",
            f"taken for its own source {attribution['samples']:.0%} ({attribution['real']:.0%})",
            f"known words {pair('known words', '.1%')}",
            f"trigram divergence {pair('trigram divergence', '.3f')}",
            f"longest match with the source {pair('longest match', '.0f')} characters",
            f"copies {pair('copies', '.1%')}",
        )
    )


def section(name: str, folder: Path, figures: str, source: str) -> str:
    """One voice of the page; its picture is copied beside the page."""
    numbered = sorted((folder / "images").glob("*.svg"), key=lambda path: int(path.stem))
    picture = next(path for path in numbered if path.stat().st_size <= MOST_BYTES)
    shutil.copyfile(picture, PICTURES / f"{name}.svg")
    texts = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    shown = "\n".join(f"1. {escaped(text)}" for text in texts[:TEXTS])
    return f"""## {name}

<img src="gallery/{name}.svg" width="420" alt="Token {picture.stem} of {name}, as it was written">

{figures}.{f" Source: {source}." if source else ""}

{shown}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the gallery.")
    parser.add_argument("voices", nargs="+")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"))
    arguments = parser.parse_args()
    evaluated = json.loads((arguments.outputs / "evaluation.json").read_text(encoding="utf-8"))
    PICTURES.mkdir(exist_ok=True)
    sections = []
    for name in arguments.voices:
        folder = arguments.outputs / name
        source = json.loads((folder / "set.json").read_text(encoding="utf-8")).get("source", "")
        figures = figures_of(evaluated["voices"][name], evaluated["attribution"][name])
        sections.append(section(name, folder, figures, source))
    write_atomic(PAGE, "\n".join([FOREWORD, *sections]))


if __name__ == "__main__":
    main()
