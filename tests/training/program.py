"""train.py as a program of its own, for tests that send it signals or take away what surrounds it."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

import train
from config.schema import RunConfig
from tests.helpers import ROOT, SECONDS, TINY, change_config
from training.queue import Queue


def models_beside(config: Path) -> dict[str, bytes]:
    """The models of the project with this configuration, by their files' names."""
    return {file.name: file.read_bytes() for file in sorted((config.parent / "models").glob("*.pt"))}


def of_datasets(config: Path, lines: dict[str, list[str]]) -> None:
    """Give a project these datasets, and two shards to a step."""
    for name, text in lines.items():
        (config.parent / "datasets" / f"{name}.txt").write_text("\n".join(text) + "\n", encoding="utf-8")
    change_config(config, training={**TINY["training"], "batch_size": 16}, datasets={name: {} for name in lines})


def queued(config: Path, *arguments: str) -> Queue:
    """What train.py would train, not begun."""
    return train.queue_of(train.parse_arguments(["--config", str(config), *arguments]))


def minutes_of(runs: list[RunConfig]) -> dict[str, float]:
    """Each dataset's share of the time, to a thousandth of a minute."""
    return {run.name: round(run.training.max_minutes, 3) for run in runs}


class Program:
    """train.py --all in a process group of its own; each training, or the first `alone`, lasts long enough to meet."""

    def __init__(self, path: Path, *arguments: str, steps: int = 120, alone: bool = False, **options) -> None:
        yaml = YAML()
        settings = yaml.load(path)
        if alone:
            settings["datasets"] = {"one": {}}
        settings["training"] |= {"max_steps": steps, "validations": 12, "patience": 0}
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(settings, file)
        self.path, self.models = path, path.parent / "models"
        self.command = [sys.executable, str(ROOT / "train.py"), "--all", "--config", str(path), *arguments]
        self.options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}

    def start(self) -> subprocess.Popen:
        process = start(self.command, **self.options)
        assert process.stdout
        while "bits/char" not in process.stdout.readline():  # the first validation: it trains
            assert process.poll() is None
        return process

    def finish(self) -> str:
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=SECONDS, check=True)
        return done.stdout


def start(command: list[str], **options) -> subprocess.Popen:
    """A process group of its own, which hears SIGHUP; nohup may have had it ignored, here and so there."""
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process = subprocess.Popen(command, start_new_session=True, **options)
    signal.signal(signal.SIGHUP, hangup)
    return process


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def trainings(pid: int) -> list[int]:
    """The processes in which a queue trains."""
    return [child for child in children(pid) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def hears(pid: int, number: int) -> bool:
    """Whether a process handles a signal."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


def hears_ctrl_c(pid: int) -> bool:
    """Whether Python has begun and made it a KeyboardInterrupt."""
    return hears(pid, signal.SIGINT)


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(100):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False
