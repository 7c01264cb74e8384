"""The house of docs/design.md: every module has its place, and imports only what stands above it or to its left."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_modules_import_only_what_comes_before_them():
    rows = re.findall(r"^\| \d+ \| ([^|]*) \|", (ROOT / "docs/design.md").read_text(encoding="utf-8"), re.MULTILINE)
    order = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(order) == sorted(path.stem for path in ROOT.glob("*.py"))
    for name in order:
        source = (ROOT / f"{name}.py").read_text(encoding="utf-8")
        imported = re.findall(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE)
        later = [other for other in imported if other in order and order.index(other) >= order.index(name)]
        assert not later, f"{name} imports {later}"


def test_every_promise_of_reliability_names_a_test_that_exists():
    promised = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/reliability.md").read_text(encoding="utf-8")))
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    assert promised and not [name for name in promised if f"def {name}(" not in tests]
