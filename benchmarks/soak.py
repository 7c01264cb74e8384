"""Run every command while ending it at random: python benchmarks/soak.py --minutes 60 [--output FILE]

A round trains, writes, evaluates, and makes, selects from, exports and verifies a set. Each command is ended at random
instants by signals, or at random changes to a file (see tests/killing.py), and run again until it is done. Then every
file must hold the bytes of the unbroken run. Most runs are forks of a warm process, some start as programs do.
Linux only: it looks its processes up in /proc.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from environment import heading, publish
from ruamel.yaml import YAML

from tests.killing import WAYS, Plan, differences, run_command, start_command, torn, tree

NAMES = ("one", "two")
MODEL = "--model models/one.pt"
COMMANDS = [
    "train --dataset one",
    "train --all",
    f"generate {MODEL} --samples 30 --seed 1",
    f"generate {MODEL} --samples 30",  # over the files of the other seed
    f"evaluate {MODEL} --count 8 --seed 1",
    "evaluate --all --count 8",
    f"collection make {MODEL} --size 12 --batch-size 3 --out outputs/set",
    "collection select outputs/set --keep keep.txt",
    "collection export outputs/set --title another",
    "collection verify outputs/set",
    f"collection make {MODEL} --size 16 --batch-size 1 --out outputs/set --title both",
    "collection select outputs/set --keep all",
]
PROGRAMS, LEFT_ALONE, AT_A_CHANGE = 0.05, 0.2, 0.5  # shares of the runs
EARLIEST, LONGEST = 0.02, 1.2  # seconds; to the end of a run at most, of what the unbroken one took
CUT = 0.3  # share of the ends after which a file that grows is cut short, as a power cut may
SHOWN = 4000  # characters of the log that a failure prints
HANGS = 300  # seconds after which a command that nobody ends any more is said to hang
SETTINGS = {
    "device": "cpu",
    "data": {"vocab_size": 64},
    "model": {"layers": 1, "heads": 2, "width": 32, "context": 64, "noise_width": 8},
    "diffusion": {"process": "absorbing"},
    "training": {
        "batch_size": 4, "epochs": 1000, "max_steps": 40, "validations": 8, "validation_characters": 200,
        "patience": 0,
    },
    "sampling": {"sampler": "surest", "stretch": 8, "revisions": 2, "revised": 0.25, "overlap": 16},
    "collection": {"copies": "keep"},
    "datasets": {name: {} for name in NAMES},
}  # fmt: skip


@dataclass(frozen=True)
class Unbroken:
    """A command that nobody ended: the files after it, how long it took as a fork, and its points of change."""

    command: list[str]
    expected: dict[str, bytes]
    seconds: float
    points: int

    @property
    def name(self) -> str:
        """The command without its options."""
        return " ".join(self.command[: 1 + (self.command[0] == "collection")])


class Soak:
    """A project in a folder, its unbroken results, and what has been done to it."""

    def __init__(self, root: Path, seed: int) -> None:
        self.random, self.counts, self.old = random.Random(seed), Counter(), dict[str, bytes]()
        self.plan = Plan(root / "project", root / "counter", root / "log")
        self.fresh = root / "fresh"
        self.write_project(self.plan.folder)
        shutil.copytree(self.plan.folder, self.fresh)
        self.commands = [self.unbroken(words.split()) for words in COMMANDS]
        began = time.monotonic()
        self.ends_by_itself(start_command(self.commands[-1].command, self.plan, program=True))
        self.startup = time.monotonic() - began

    def write_project(self, folder: Path) -> None:
        (folder / "datasets").mkdir(parents=True)
        for name in NAMES:
            lines = [" ".join(self.random.choices(name + "abcdefgh", k=9)) + f" {k}" for k in range(200)]
            (folder / "datasets" / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "keep.txt").write_text("1, 3-7, 12", encoding="utf-8")
        with (folder / "config.yaml").open("w", encoding="utf-8") as file:
            YAML().dump(SETTINGS, file)

    def unbroken(self, command: list[str]) -> Unbroken:
        began = time.monotonic()
        if status := run_command(command, self.plan):
            self.fail(f"the unbroken {command} ended with {status}")
        return Unbroken(command, tree(self.plan.folder), time.monotonic() - began, self.plan.points())

    def fail(self, what: str, expected: dict[str, bytes] | None = None) -> NoReturn:
        """End with what is wrong; the project stays, and beside it the files that it should hold."""
        root = self.plan.log.parent
        for name, data in (expected or {}).items():
            (root / "expected" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "expected" / name).write_bytes(data)
        log = self.plan.log.read_text(encoding="utf-8")[-SHOWN:]
        raise SystemExit(f"{what}\n{dict(self.counts)}\nkept: {root}; the end of its log:\n{log}")

    def ends_by_itself(self, process: Any) -> int:
        process.join(HANGS)
        if process.exitcode is None:
            self.fail("a command hangs")
        return process.exitcode

    def round(self) -> None:
        shutil.rmtree(self.plan.folder)
        shutil.copytree(self.fresh, self.plan.folder)
        self.old = tree(self.plan.folder)
        for unbroken in self.commands:
            while not self.run(unbroken):
                pass
            self.check(unbroken)
            self.old = unbroken.expected
        self.counts["rounds"] += 1

    def run(self, unbroken: Unbroken) -> bool:
        """Run a command once, to its end or not; -> whether it is done."""
        command, chance, program = unbroken.command, self.random.random(), self.random.random() < PROGRAMS
        if chance < LEFT_ALONE:
            if status := self.ends_by_itself(start_command(command, self.plan, program=program)):
                self.fail(f"{command}, which nobody ended, ended with {status}")
            return True
        if chance < LEFT_ALONE + AT_A_CHANGE:
            at, way = self.random.randint(1, unbroken.points), self.random.choice(WAYS)
            process = start_command(command, self.plan.ending(at, way))
            status = self.ends_by_itself(process)
            met = f"at a change: {way}" if self.plan.points() >= at else ""
        else:
            process = start_command(command, self.plan, program=program)
            met = self.end_at_an_instant(process, unbroken.seconds + self.startup * program)
            status = self.ends_by_itself(process)
        if met and (status or "alone" in met):  # or the signal came too late; a training ended alone is tried once more
            self.ended(unbroken, met, process.pid)
        if met and status:
            self.cut_short(unbroken)
        return not status

    def end_at_an_instant(self, process: Any, seconds: float) -> str:
        """End a command from outside, in one of some ways, if it still runs at a random instant; -> the way."""
        process.join(self.random.uniform(EARLIEST, max(EARLIEST, LONGEST * seconds)))
        with contextlib.suppress(ProcessLookupError):
            while os.getpgid(process.pid) != process.pid:  # it has not begun
                time.sleep(0.001)
        if process.exitcode is not None:
            return ""
        ways = {
            "kill -9, all its processes": (os.killpg, process.pid, signal.SIGKILL),
            "kill -9, the command alone": (os.kill, process.pid, signal.SIGKILL),
            "SIGTERM": (os.kill, process.pid, signal.SIGTERM),
            "Ctrl+C": (os.killpg, process.pid, signal.SIGINT),
            "a closed terminal": (os.killpg, process.pid, signal.SIGHUP),
        }
        if inner := others(process.pid):
            ways["kill -9, the training alone"] = (os.kill, inner[-1], signal.SIGKILL)
        way = self.random.choice(list(ways))
        send, *what = ways[way]
        with contextlib.suppress(ProcessLookupError):  # it ended in this very moment
            send(*what)
        return f"at an instant: {way}"

    def ended(self, unbroken: Unbroken, way: str, group: int) -> None:
        """Count an end, and look at what the command has left."""
        deadline = time.monotonic() + HANGS
        while others(group):  # a training whose queue was killed saves its state and ends
            time.sleep(0.01)
            if time.monotonic() > deadline:
                self.fail("a training outlives its queue")
        self.counts.update(["ends in all", way, f"of {unbroken.name}"])
        if wrong := torn(tree(self.plan.folder), self.old, unbroken.expected):
            self.fail(f"{unbroken.command}, {way}: {wrong}", unbroken.expected)

    def cut_short(self, unbroken: Unbroken) -> None:
        """Now and then cut a file that an ended command was adding to."""
        growing = {"train": "models/*.resume.pt", "collection make": "outputs/set/[sc]*s.jsonl"}
        for path in self.plan.folder.glob(growing.get(unbroken.name, "nothing")):
            if self.random.random() < CUT:
                os.truncate(path, self.random.randint(0, path.stat().st_size))
                self.counts["states and unfinished sets cut short"] += 1

    def check(self, unbroken: Unbroken) -> None:
        """Every file is the unbroken run's, byte for byte, and no traceback was shown."""
        log = self.plan.log.read_text(encoding="utf-8")
        if "Traceback" in log:
            self.fail("a traceback was shown")
        self.plan.log.write_bytes(b"")
        self.counts["trainings that went on from a state"] += log.count("going on from step")
        for path in self.plan.folder.glob("models/*.resume.previous*.pt"):  # the damaged one, kept as promised
            path.unlink()
        found = tree(self.plan.folder)
        if wrong := differences(found, unbroken.expected):
            self.fail(f"{unbroken.command}: not as in the unbroken run: {wrong}", unbroken.expected)
        self.counts["commands done, files compared"] += 1
        self.counts["files byte-identical"] += len(found)


def others(group: int) -> list[int]:
    """The processes of a group but its leader, those that have ended left out, in order of their ids."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            state, _, its_group = path.read_text().rsplit(")", 1)[1].split()[:3]
            if int(its_group) == group and state != "Z" and int(path.parent.name) != group:
                found.append(int(path.parent.name))
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description="End and run again, at random; no byte may change.")
    parser.add_argument("--minutes", type=float, default=60, help="how long; a round that has begun is finished")
    parser.add_argument("--seed", type=int, default=0, help="of the instants and ways")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    # in the background or under nohup they are ignored, and so they would be in the children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    end = time.monotonic() + 60 * arguments.minutes
    root = Path(tempfile.mkdtemp(prefix="soak-"))  # kept if anything is wrong
    soak = Soak(root, arguments.seed)
    while not soak.counts["rounds"] or time.monotonic() < end:
        soak.round()
        print(dict(soak.counts), flush=True)
    shutil.rmtree(root)
    lines = [
        *heading(f"A soak of {arguments.minutes:g} minutes"),
        f"{soak.counts['ends in all']:,} ends, 0 differences. After every command every file held the bytes of the",
        "unbroken run. At every end each file that does not grow was whole, the old one or the new one. No traceback",
        "was shown.",
        "",
        "| what | how often |",
        "|---|--:|",
        *(f"| {what} | {count:,} |" for what, count in sorted(soak.counts.items())),
    ]
    publish(lines, arguments.output)


if __name__ == "__main__":
    main()
