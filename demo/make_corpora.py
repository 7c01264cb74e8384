"""Two small corpora from the documentation that ships with Python itself, written to datasets/. Downloads nothing.

python_topics.txt: paragraphs of the language reference. python_docstrings.txt: first sentences of docstrings.
"""

import ast
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

DATASETS = Path(__file__).resolve().parents[1] / "datasets"
SHORTEST = 20  # characters: below this a line is a heading or a fragment
LONGEST_SENTENCE = 120


def paragraphs() -> Iterator[str]:
    """Prose paragraphs of the reference: neither headings, nor code and grammar, which are indented."""
    for text in topics.values():
        for block in re.split(r"\n\s*\n", text):
            prose = " ".join(block.split())
            sentences = prose[:1].isupper() and prose.endswith((".", ":"))
            if sentences and not block.startswith(" ") and len(prose) > 2 * SHORTEST:
                yield prose


def first_sentences() -> Iterator[str]:
    """The first sentence of every docstring in the standard library, read from its source, never imported."""
    warnings.simplefilter("ignore", SyntaxWarning)
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if {"site-packages", "test", "tests", "idle_test"} & set(path.relative_to(library).parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue  # files kept broken or in other encodings on purpose, for the library's own tests
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                yield first_sentence(ast.get_docstring(node) or "")


def first_sentence(docstring: str) -> str:
    opening = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) ", opening)[0]


def main() -> None:
    sentences = (s for s in first_sentences() if SHORTEST <= len(s) <= LONGEST_SENTENCE and s.endswith("."))
    for name, documents in (("python_topics", paragraphs()), ("python_docstrings", sentences)):
        lines = sorted(set(documents))
        path = DATASETS / f"{name}.txt"
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")
        print(f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}: {len(lines):,} documents")


if __name__ == "__main__":
    sys.exit(main())
