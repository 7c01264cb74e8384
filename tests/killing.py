"""Ends a command at its n-th change to a folder, and compares what is left; commands are forks of one warm process."""

import builtins
import importlib
import io
import json
import mmap
import multiprocessing
import os
import re
import shutil
import signal
import stat
import sys
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

# what the warm process has imported: every module that a command imports inside a function
WARM = (
    "tests.killing", "torch._dynamo", "matplotlib.pyplot", "nft.verify", "nft.commands", "evaluation.report",
    "evaluation.evaluator", "exporting.hub", "exporting.onnx", "exporting.page", "exporting.safetensors",
    "generation.notebook_import", "training.check", "training.curve", "training.queue", "training.worker",
    "sources.pipeline",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# audit events of calls that change a folder; their first argument is a path
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.link", "os.symlink"}
# kill -9 leaves what the system was given; a power cut only what a file's last fsync has brought to the disk
WAYS = ("kill all", "kill alone", "power cut")
PART = re.compile(r"\..+\.part")  # the documented rest of a write that was ended
# files that grow or change while a command runs; every other one is the old one or the new one at any moment
GROWING = re.compile(
    r".*(\.resume(\.previous(-\d+)?)?\.pt|\.metrics\.jsonl|\.written\.jsonl|/(samples|courses)\.jsonl)|datasets/\.cache/.*"
)
ROOT = Path(__file__).resolve().parents[1]
open_file, fsync = io.open, os.fsync


@cache
def warm() -> Any:
    """A context of multiprocessing whose processes are forks of one that has imported all of this project."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(WARM))
    return context


@dataclass(frozen=True)
class Plan:
    """Where a command runs, and at which point of change it ends (0: never) or of which moments a copy is kept."""

    folder: Path
    counter: Path  # a file outside the folder; so is the log of all output
    log: Path
    at: int = 0
    way: str = WAYS[0]
    kept: Path | None = None  # a folder for copies of all that an end at each point would leave

    def ending(self, at: int, way: str) -> "Plan":
        return replace(self, at=at, way=way)

    def points(self) -> int:
        """How many points the last command passed, all its processes together."""
        return int.from_bytes(self.counter.read_bytes(), "little")


class Watch:
    """Counts the points of change of this process, and ends it at the planned one.

    A point is a moment before a change below the folder: a file is opened for writing, written, synced, cut, renamed
    or removed, or a folder made or removed. A write has a second point, when half of it is done.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.dying = plan, False
        self.unsynced: dict[int, int] = {}  # inode of a file -> bytes that are on the disk for certain
        self.last: list[tuple] = []  # the state of all files at the last copy
        with plan.counter.open("rb+") as file:
            self.count = mmap.mmap(file.fileno(), 8)  # shared by the processes of a command
        os.chdir(plan.folder)  # names that are relative to an open folder then count too
        io.open = builtins.open = self.open
        os.fsync = self.fsync
        sys.addaudithook(self.hear)

    def below(self, path: Any) -> bool:
        """Whether an argument of a call is a path below the folder, or an open file: no command opens others."""
        if isinstance(path, int):
            return stat.S_ISREG(os.fstat(path).st_mode)
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        return Path(os.fsdecode(path)).absolute().is_relative_to(self.plan.folder)

    def hear(self, event: str, arguments: tuple) -> None:
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if (opened or event in CHANGES) and not self.dying and self.below(arguments[0]):
            self.point()

    def point(self) -> None:
        number = int.from_bytes(self.count[:], "little") + 1
        self.count[:] = number.to_bytes(8, "little")
        if self.plan.kept and (state := self.state()) != self.last:
            self.last = state
            shutil.copytree(self.plan.folder, self.plan.kept / f"{number:04}, {WAYS[0]}")
            power_cut = self.plan.kept / f"{number:04}, {WAYS[2]}"
            shutil.copytree(self.plan.folder, power_cut)
            self.lose_unsynced(power_cut)
        if number == self.plan.at:
            self.end()

    def state(self) -> list[tuple]:
        """What tells whether files of the folder have changed; the documented rests of writes do not count."""
        found = [(path, path.stat()) for path in whole_files(self.plan.folder)]
        return [(path, s.st_ino, s.st_size, s.st_mtime_ns, self.unsynced.get(s.st_ino)) for path, s in found]

    def end(self) -> None:
        self.dying = True
        if self.plan.way == "power cut":
            self.lose_unsynced(self.plan.folder)
        if self.plan.way == "kill alone":
            os.kill(os.getpid(), signal.SIGKILL)
        os.killpg(0, signal.SIGKILL)

    def lose_unsynced(self, where: Path) -> None:
        """Cut every file of the folder, or of a copy of it, to what is on the disk for certain."""
        for path in self.plan.folder.rglob("*"):
            if path.is_file() and path.stat().st_ino in self.unsynced:
                os.truncate(where / path.relative_to(self.plan.folder), self.unsynced[path.stat().st_ino])

    def open(self, file: Any, mode: str = "r", buffering: int = -1, *text: Any, **options: Any) -> Any:
        """io.open, but what is written below the folder passes points."""
        if not set(mode) & set("wax+") or not self.below(file):
            return open_file(file, mode, buffering, *text, **options)
        bare, own = mode.replace("b", "").replace("t", ""), ("closefd", "opener")
        raw = WatchedFile(file, bare, **{key: options.pop(key) for key in own if key in options})
        raw.watch = self
        if buffering == 0:
            return raw
        binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return binary if "b" in mode else io.TextIOWrapper(binary, *text, **options)

    def fsync(self, descriptor: int) -> None:
        self.point()
        fsync(descriptor)
        self.unsynced.pop(os.fstat(descriptor).st_ino, None)


class WatchedFile(io.FileIO):
    """A file whose writes and cuts are points."""

    watch: Watch

    def changes(self) -> None:
        found = os.fstat(self.fileno())
        self.watch.unsynced.setdefault(found.st_ino, found.st_size)

    def write(self, data: Any, /) -> int:
        self.changes()
        self.watch.point()
        view = memoryview(data).cast("B")
        half = super().write(view[: len(view) // 2]) or 0
        self.watch.point()
        return half + (super().write(view[half:]) or 0)

    def truncate(self, size: int | None = None, /) -> int:
        self.changes()
        self.watch.point()
        return super().truncate(size)


def run_command(command: list[str], plan: Plan) -> int:
    """Run a command, as ["generate", "--model", ...], in a fork; -> its status, below 0 if a signal ended it."""
    process = start_command(command, plan)
    process.join()
    return process.exitcode


def start_command(command: list[str], plan: Plan, *, program: bool = False) -> Any:
    """Start a command in a fork that leads a process group, or as a program of its own; -> the process."""
    plan.counter.write_bytes(bytes(8))
    process = warm().Process(target=run_program if program else run_watched, args=(command, plan))
    process.start()
    return process


def run_program(command: list[str], plan: Plan) -> None:
    """What the fork does that becomes a program, whose changes nobody counts."""
    write_to(plan.log)
    os.chdir(plan.folder)
    os.setpgid(0, 0)
    os.execv(sys.executable, [sys.executable, str(ROOT / f"{command[0]}.py"), *command[1:]])


def run_watched(command: list[str], plan: Plan) -> None:
    """What any other fork does."""
    from multiprocessing import forkserver

    from training import worker

    worker.CONTEXT, worker.train_in_process = warm(), partial(train_watched, plan, os.getpid())
    forkserver._forkserver.ensure_running = lambda: None  # it runs; up to Python 3.11 a child would start another
    write_to(plan.log)
    Watch(plan)
    try:
        os.setpgid(0, 0)
        status = importlib.import_module(command[0]).main(command[1:])
    except KeyboardInterrupt:  # before or after what a program does
        status = 130
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def train_watched(plan: Plan, group: int, *arguments: Any) -> None:
    """What the process of a training does, in the group of its command."""
    from training import worker

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a new process of the queue has it blocked until it is ignored
    try:
        os.setpgid(0, group)
    except PermissionError:  # the whole group was killed a moment ago, and so would this process have been
        os.kill(os.getpid(), signal.SIGKILL)
    write_to(plan.log)
    Watch(plan)
    worker.train_in_process(*arguments)


def write_to(log: Path) -> None:
    """Send all that this process prints to a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the documented rests of writes, as far as runs can be equal."""
    return {path.relative_to(folder).as_posix(): comparable(path) for path in whole_files(folder)}


def whole_files(folder: Path) -> list[Path]:
    """The files below a folder, in order, but for the documented rests of writes."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not PART.fullmatch(path.name))


def comparable(path: Path) -> bytes:
    """The bytes of a file without what a clock has put into them: the learning curve's axis of minutes, and minutes."""
    data = path.read_bytes()
    if path.parent.name == "models" and path.suffix == ".png":
        return data[:8] + data[-12:]  # the first bytes and the last of a whole picture
    if path.name.endswith(".metrics.jsonl"):
        return b"\n".join(json.dumps({**json.loads(line), "minutes": 0}).encode() for line in data.splitlines())
    return data


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """A line for each file that is missing, not expected, or has other bytes."""

    def what(name: str) -> str:
        return "missing" if name not in found else "not expected" if name not in expected else "other bytes"

    return [f"{name}: {what(name)}" for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]


def torn(found: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    """A line for each file that an ended command has left neither as it was nor as it is to be."""
    wrong = [name for name, data in found.items() if data not in (old.get(name), new.get(name))]
    return [f"{name}: neither old nor new" for name in wrong if not GROWING.fullmatch(name)]
