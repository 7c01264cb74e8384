"""The house of docs/design.md: every module stands in its room, and rooms import only what stands before them."""

import ast
import re
from pathlib import Path

from tests.helpers import COMMANDS, MODULES, ROOMS, ROOT


def room_of(module: str) -> str:
    """The folder of a module, or its own name where it stands at the root."""
    first = module.split(".")[0]
    return "commands" if first in COMMANDS else first


def imports(path: Path) -> set[str]:
    """Every name that a module imports, and every module from which it does, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def of_the_house(path: Path) -> set[str]:
    """Every module of this project that a module imports."""
    return imports(path) & set(HOUSE)


HOUSE = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES if path.stem != "__init__"}


def order() -> list[list[str]]:
    """The line of docs/design.md that names the rooms from the ground up; rooms of one rank never see each other."""
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    line = re.search(r"^utils < .*$", page, re.MULTILINE)
    assert line
    return [re.split(r", | \| ", rank) for rank in line.group().split(" < ")]


def test_rooms_import_only_what_stands_before_them():
    ranks = {room: rank for rank, rooms in enumerate(order()) for room in rooms}
    assert set(ranks) == {room_of(module) for module in HOUSE}
    wrong = [
        f"{module} imports {other}"
        for module, path in HOUSE.items()
        for other in of_the_house(path)
        if room_of(other) != room_of(module) and ranks[room_of(other)] >= ranks[room_of(module)]
    ]
    assert not wrong


def test_every_module_stands_in_the_row_of_its_room():
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)/` \|(.*)$", page, re.MULTILINE))
    inside = (module.split(".", 1) for module in HOUSE if "." in module)
    assert not [f"{room}.{name}" for room, name in inside if f"`{name}`" not in rows[room]]


def test_names_of_the_code_in_the_page_are_names_of_the_code():
    """Those with a capital letter or an underscore: so a rename reaches the page."""
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8").replace("`CHANGELOG.md`", "")
    names = [name for name in re.findall(r"`([A-Za-z_][\w.]*)`", page) if re.search("[A-Z_]", name)]
    places = [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "exporting/browser").glob("*.js")]
    code = set(re.findall(r"\w+", "\n".join(f"{path.stem}\n{path.read_text(encoding='utf-8')}" for path in places)))
    assert len(names) > 80
    assert not [name for name in names if not {*name.removesuffix(".py").split(".")} <= code]


def test_no_modules_import_each_other_in_a_circle():
    left = {module: of_the_house(path) for module, path in HOUSE.items()}
    while ground := [module for module, others in left.items() if not others & left.keys()]:
        for module in ground:
            del left[module]
    assert not left


def test_commands_are_imported_by_no_module():
    assert not [f"{m} imports {other}" for m, path in HOUSE.items() for other in imports(path) & set(COMMANDS)]


def test_diffusion_imports_torch_alone():
    for path in sorted((ROOT / "diffusion").glob("*.py")):
        rooms = {name.split(".")[0] for name in imports(path)}
        assert rooms <= {"collections", "dataclasses", "diffusion", "math", "torch", "typing"}, path


def test_a_room_is_one_question_and_passes_nothing_on():
    for room in ROOMS:
        source = (ROOT / room / "__init__.py").read_text(encoding="utf-8")
        assert len(ast.parse(source).body) == 1 and source.endswith('?"""\n'), room


def test_every_promise_of_reliability_names_a_test_that_exists():
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    rows = [row for row in page.splitlines() if re.match(r"\| (?!fault )", row)]
    assert rows and not [row for row in rows if not re.search(r" <!-- (test_\w+(, )?)+ --> \|$", row)]
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert not [name for name in re.findall(r"\btest_\w+(?!\.)\b", page) if f"def {name}(" not in tests]
