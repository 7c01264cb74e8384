"""A command that is ended at any change to its folder goes on, or begins anew, to the bytes of an unbroken one."""

import multiprocessing
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from generation.notebook_model import NotebookNetwork
from tests.helpers import NOTEBOOK_SHAPE, TINY, toy_lines
from tests.killing import WAYS, Plan, differences, run_command, torn, train_watched, tree, warm
from tests.nft.sets import alter

pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="needs forks, which Windows lacks"
)
SPREAD = 4  # points of each command that `make test` tries
MODEL = "models/one.pt"
# in order; where a name is None, the command only makes what the next ones find
COMMANDS = [
    (None, "train --dataset two"),
    ("train", "train --all"),
    (None, f"generate --model {MODEL} --samples 3 --seed 1"),
    ("generate", f"generate --model {MODEL} --samples 3"),
    (None, "evaluate --all --count 3 --seed 1"),
    ("evaluate one", f"evaluate --model {MODEL} --count 3"),
    ("evaluate", "evaluate --all --count 3"),
    ("make", f"collection make --model {MODEL} --size 3 --batch-size 1 --out outputs/set"),
    ("select", "collection select outputs/set --keep keep.txt"),
    ("export", "collection export outputs/set --title another"),
    ("verify", "collection verify outputs/set"),
    ("select all", "collection select outputs/set --keep all"),
    ("prepare", "prepare table.csv more.csv --name three --max-documents 20"),
    ("import", "import_model notebook notebook.pth --vocabulary notebook.txt --heads 2 --output models/notebook.pt"),
    ("draw courses", "collection draw-courses outputs/set"),
    ("hub", f"export hub --model {MODEL} --out outputs/hub"),
    ("base", "train --all --base"),
]
NAMES = [name for name, _ in COMMANDS if name]
LONG = ("base", "evaluate")  # which would take as long as all others, were each of their changes an end


@dataclass(frozen=True)
class Stage:
    """A command, the project that it finds (a copy of it), what it makes of it, and how many points it passes."""

    command: list[str]
    before: Path
    expected: dict[str, bytes]
    points: int


def write_project(folder: Path) -> None:
    (folder / "datasets").mkdir(parents=True)
    for name, seed in (("one", 0), ("two", 1)):
        (folder / "datasets" / f"{name}.txt").write_text("\n".join(toy_lines(60, seed)) + "\n", encoding="utf-8")
    training = {**TINY["training"], "max_steps": 3, "validations": 2}
    collection = {"copies": "keep"}
    with (folder / "config.yaml").open("w", encoding="utf-8") as file:
        YAML().dump({**TINY, "training": training, "collection": collection, "datasets": {"one": {}, "two": {}}}, file)
    (folder / "keep.txt").write_text("1, 3", encoding="utf-8")
    torch.manual_seed(0)
    torch.save(NotebookNetwork(NOTEBOOK_SHAPE, 4, 4).state_dict(), folder / "notebook.pth")
    (folder / "notebook.txt").write_text("abc\n", encoding="utf-8")
    for name in ("table.csv", "more.csv"):
        rows = [f"{number},{line}\n" for number, line in enumerate(toy_lines(60, len(name)))]
        (folder / name).write_text("".join(["id,text\n", *rows]), encoding="utf-8")


def forget_courses(folder: Path) -> None:
    """Make a set one of an earlier version, which kept no courses."""
    (folder / "courses.jsonl").unlink()
    alter(folder / "set.json", ',\n  "courses": true', "")


@pytest.fixture(scope="session")
def stages(tmp_path_factory) -> tuple[Plan, dict[str, Stage]]:
    """Every command run unbroken, one after the other."""
    root = tmp_path_factory.mktemp("killing")
    plan, found = Plan(root / "project", root / "counter", root / "log"), {}
    write_project(plan.folder)
    for number, (name, words) in enumerate(COMMANDS):
        before, command = root / str(number), words.split()
        if name == "draw courses":
            forget_courses(plan.folder / "outputs" / "set")
        shutil.copytree(plan.folder, before)
        assert run_command(command, plan) == 0, plan.log.read_text("utf-8")
        if name:
            found[name] = Stage(command, before, tree(plan.folder), plan.points())
    return plan, found


def after_running_again(plan: Plan, stage: Stage, left: dict[str, bytes]) -> list[str]:
    """Run a command in the folder that an ended one has left; -> what is not as it should be, before and after."""
    wrong = torn(left, tree(stage.before), stage.expected)
    status, log = run_command(stage.command, plan), plan.log.read_text("utf-8")
    # one that was ended just after the file was whole finds it there
    exists = stage.command[0] == "import_model" and "exists already" in log
    if (status and not exists) or "Traceback" in log:
        wrong.append(f"status {status}: {log}")
    return wrong + differences(tree(plan.folder), stage.expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_command_ended_at_a_change_ends_in_the_same_bytes(stages, name):
    plan, known = stages
    stage = known[name]
    wrong = {}
    for number, point in enumerate(range(1, stage.points + 1, max(1, stage.points // SPREAD))):
        shutil.rmtree(plan.folder)
        shutil.copytree(stage.before, plan.folder)
        plan.log.write_bytes(b"")
        way = WAYS[number % len(WAYS)]
        # a training that is ended alone is tried once more
        alone = stage.command[0] == "train" and way == "kill alone"
        assert run_command(stage.command, plan.ending(point, way)) == -9 or alone
        if found := after_running_again(plan, stage, tree(plan.folder)):
            wrong[f"{way} at {point} of {stage.points}"] = found
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in LONG])
def test_whatever_an_end_at_any_change_leaves_ends_in_the_same_bytes(stages, name, tmp_path):
    plan, known = stages
    stage = known[name]
    shutil.rmtree(plan.folder)
    shutil.copytree(stage.before, plan.folder)
    assert run_command(stage.command, replace(plan, kept=tmp_path)) == 0
    copies = sorted(tmp_path.iterdir())
    assert plan.points() >= stage.points and len(copies) > 1  # two of each moment after which a file was another
    seen, wrong = [], {}
    for copy in copies:
        if (left := tree(copy)) in seen:  # most points change a hidden part alone
            continue
        seen.append(left)
        shutil.rmtree(plan.folder)
        copy.rename(plan.folder)
        plan.log.write_bytes(b"")
        if found := after_running_again(plan, stage, left):
            wrong[f"{copy.name} of {stage.points}"] = found
    assert not wrong


def test_a_training_that_starts_after_its_group_was_killed_ends_in_silence(tmp_path):
    plan = Plan(tmp_path / "project", tmp_path / "counter", tmp_path / "log")
    plan.log.touch()
    gone = warm().Process(target=int)
    gone.start()
    gone.join()
    process = warm().Process(target=train_watched, args=(plan, gone.pid))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and not plan.log.read_text(encoding="utf-8")
