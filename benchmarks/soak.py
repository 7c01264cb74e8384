"""Train and generate while killing both at random instants: python benchmarks/soak.py --minutes 60 [--output FILE]

Rounds of `train.py --all` over three small datasets and of `generate.py`, each begun again with the same command until
it is done. At the end of a round every model and every sample file must hold the bytes of the unbroken run, and nothing
else may lie beside them. Linux only: it looks its processes up in /proc.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from environment import heading
from ruamel.yaml import YAML

from utils import write_atomic

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("one", "two", "three")
SAMPLES = 40
LONGEST = 1.2  # to a kill at most, of what the slowest command takes that nobody ends
CUT = 0.3  # share of the kills after which a state file is cut short, as a power loss may
SETTINGS = {
    "device": "cpu",
    "data": {"vocab_size": 64},
    "model": {"layers": 1, "heads": 2, "width": 32, "context": 64, "noise_width": 8},
    "diffusion": {"process": "absorbing"},
    "training": {
        "batch_size": 4, "epochs": 1000, "max_steps": 150, "validations": 30, "validation_characters": 200,
        "patience": 0,
    },
    "sampling": {"sampler": "surest", "stretch": 8, "revisions": 2, "revised": 0.25, "overlap": 16},
    "datasets": {name: {} for name in NAMES},
}  # fmt: skip


class Soak:
    """A project in a folder, its unbroken results, and what has been done to it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random, self.counts = folder, random.Random(seed), Counter()
        (folder / "datasets").mkdir()
        for name in NAMES:
            lines = [" ".join(self.random.choices(name + "abcdefgh", k=9)) + f" {k}" for k in range(300)]
            (folder / "datasets" / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        with (folder / "config.yaml").open("w", encoding="utf-8") as file:
            paths = {key: str(folder / key) for key in ("datasets", "models", "outputs")}
            YAML().dump({**SETTINGS, "paths": paths}, file)
        config = ["--config", str(folder / "config.yaml")]
        self.train = ["train.py", "--all", *config]
        self.generate = [
            ["generate.py", *config, "--model", str(self.model(name)), "--samples", str(SAMPLES)] for name in NAMES
        ]
        self.longest = 0.0
        for command in (self.train, *self.generate):
            began = time.monotonic()
            self.start(command).wait()
            self.longest = max(self.longest, LONGEST * (time.monotonic() - began))
        self.expected = {path: path.read_bytes() for path in self.results()}
        if len(self.expected) != 3 * len(NAMES):  # a model, a text and its .jsonl each
            raise SystemExit(f"the unbroken run left {sorted(map(str, self.expected))}")

    def model(self, name: str) -> Path:
        return self.folder / "models" / f"{name}.pt"

    def results(self) -> list[Path]:
        return [*self.folder.glob("models/*.pt"), *self.folder.glob("outputs/[!.]*")]

    def start(self, command: list[str]) -> subprocess.Popen:
        log = (self.folder / "log").open("a", encoding="utf-8")
        return subprocess.Popen(
            [sys.executable, ROOT / command[0], *command[1:]], stdout=log, stderr=log, start_new_session=True
        )

    def until_done(self, command: list[str]) -> None:
        """Run a command, end it, run it again, until it ends by itself."""
        process, orphaned = self.start(command), False
        while True:
            try:
                status = process.wait(self.random.uniform(0.2, self.longest))
            except subprocess.TimeoutExpired:
                orphaned |= self.harm(process)
            else:
                if not status:
                    self.counts["commands that ended well"] += 1
                    return
                # 1 is right where a training lost its process twice; whoever was ended here says nothing of itself
                if status > 0 and status != 130 and not (orphaned and status == 1):
                    raise SystemExit(f"{command} ended with {status}: see {self.folder / 'log'}")
                process, orphaned = self.start(command), False

    def harm(self, process: subprocess.Popen) -> bool:
        """End a command from outside in one of some ways; -> whether it was its training's process alone."""
        inner = children(process.pid)
        ways = {
            "kill -9, all its processes": lambda: os.killpg(process.pid, signal.SIGKILL),
            "kill -9, the command alone": process.kill,
            "SIGTERM": process.terminate,
            "Ctrl+C": lambda: os.killpg(process.pid, signal.SIGINT),
        }
        alone = "kill -9, the training alone"
        if inner:
            ways[alone] = lambda: os.kill(inner[-1], signal.SIGKILL)
        way = self.random.choice(list(ways))
        with contextlib.suppress(ProcessLookupError):  # it ended in this very moment
            ways[way]()
        self.counts[way] += 1
        if way == alone:
            return True
        process.wait()
        for pid in inner:  # a training whose queue was killed saves its state and ends
            while running(pid):
                time.sleep(0.05)
        states = list(self.folder.glob("models/*.resume.pt"))
        if states and self.random.random() < CUT:
            os.truncate(states[0], self.random.randrange(states[0].stat().st_size))
            self.counts["state files cut short"] += 1
        return False

    def check(self) -> None:
        """Every result is the unbroken one's, byte for byte, no state is left, and no traceback was shown."""
        log = (self.folder / "log").read_text(encoding="utf-8")
        if "Traceback" in log:
            raise SystemExit(f"a traceback was shown: {log[log.index('Traceback') :][:5000]}")
        found = {path: path.read_bytes() for path in self.results()}
        wrong = [str(path) for path in {*self.expected, *found} if self.expected.get(path) != found.get(path)]
        if wrong:
            raise SystemExit(f"not as in the unbroken run: {wrong}")
        self.counts["files byte-identical"] += len(found)
        self.counts["hidden parts of files that kill -9 met in the writing"] += len(list(self.folder.glob("*/.*.part")))

    def round(self) -> None:
        for name in ("models", "outputs", "datasets/.cache"):
            shutil.rmtree(self.folder / name)
        for command in (self.train, *self.generate):
            self.until_done(command)
        self.check()
        self.counts["rounds"] += 1


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # no /proc, or the process has just ended
        return []


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill and resume at random instants; no byte may change.")
    parser.add_argument("--minutes", type=float, default=60, help="how long; a round that has begun is finished")
    parser.add_argument("--seed", type=int, default=0, help="of the instants and ways")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    # in the background it is ignored, and so it would be in the children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), arguments.seed)
        while not soak.counts["rounds"] or time.monotonic() < end:
            soak.round()
            print(dict(soak.counts), flush=True)
        log = (Path(folder) / "log").read_text(encoding="utf-8")
        soak.counts["trainings that went on from a state"] = log.count("going on from step")
    lines = [
        *heading(f"A soak of {arguments.minutes:g} minutes"),
        "Three datasets, a model each. Every model and sample file at the end of every round held the bytes of the",
        "unbroken run; no traceback was shown.",
        "",
        "| what | how often |",
        "|---|--:|",
        *(f"| {what} | {count:,} |" for what, count in sorted(soak.counts.items())),
    ]
    if arguments.output:
        write_atomic(arguments.output, "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
