"""Where trainings run, several at a time: the protocol of such a place, and the one of processes on this machine."""

import contextlib
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Protocol

from config.schema import RunConfig
from training.events import Hear
from training.memory import memory_bytes
from training.worker import Cores, Outcome, TrainingProcess
from utils import CPU, UserError, parallel_tasks, pick_device

LANE_BYTES = 1 << 30  # of memory for a lane that --jobs auto opens


class Lanes(Protocol):
    """Runs each training in a process of its own, `count` of them at once. One training has one lane."""

    count: int

    def submit(self, run: RunConfig, at_once: int) -> None:
        """Start a training in a free lane. `at_once`: how many could run beside each other now, with this one."""
        ...

    def finished(self, seconds: float, hear: Hear) -> list[Outcome]:
        """How trainings ended, after so many seconds at most; what the others say meanwhile goes to `hear`."""
        ...

    def stop(self) -> None:
        """Ask every training to save its state and end; `finished` still says how each did."""
        ...

    def kill(self) -> None:
        """End every training at once."""
        ...


class LocalLanes:
    """Processes on this machine, which share its cores. The results are the same for any number of lanes.

    Steps are cut for all cores, as where one training has them all: a lane with fewer computes the same parts, later.
    """

    def __init__(self, count: int) -> None:
        self.count, self.cores = count, parallel_tasks(CPU)
        self.trainings: list[TrainingProcess] = []

    def submit(self, run: RunConfig, at_once: int) -> None:
        used = [training.cores.used for training in self.trainings]
        cores = share_of_cores(self.cores, used, min(self.count, at_once))
        self.trainings.append(TrainingProcess(run, Cores(cores, self.cores)))

    def finished(self, seconds: float, hear: Hear) -> list[Outcome]:
        ended: list[Outcome] = []
        ready: list[object] = []
        with contextlib.suppress(InterruptedError):  # what Windows makes of Ctrl+C, of which the queue's handler knows
            ready += wait([training.link for training in self.trainings], seconds)
        for training in [each for each in self.trainings if each.link in ready or each.died_unheard()]:
            message = training.receive()
            if isinstance(message, Outcome):
                self.trainings.remove(training)
                ended.append(message)
            else:
                hear(message)
        return ended

    def stop(self) -> None:
        for training in self.trainings:
            training.stop()

    def kill(self) -> None:
        for training in self.trainings:
            training.kill()


def share_of_cores(cores: int, used: list[int], lanes: int) -> int:
    """The cores of the next training: an equal part of those that are free, for each lane still to be filled."""
    return max(1, (cores - sum(used)) // max(1, lanes - len(used)))


def one_a_core(runs: list[RunConfig]) -> int:
    """One lane for each core of a CPU that memory allows, and one on a GPU (see benchmarks/results/jobs.md)."""
    if any(computes_on(run) != "cpu" for run in runs):
        return 1
    return int(min(parallel_tasks(CPU), memory_bytes() / LANE_BYTES))


def computes_on(run: RunConfig) -> str:
    """The kind of device that a run computes on; the CPU if that is not here, which its training reports."""
    with contextlib.suppress(UserError):
        return pick_device(run.device).type
    return "cpu"


def lane_count(jobs: str, runs: list[RunConfig], automatic: Callable[[list[RunConfig]], int] = one_a_core) -> int:
    """How many trainings run at once: a number, or `auto`, as `automatic` says; no more than there are to run."""
    if jobs == "auto":
        return max(1, min(automatic(runs), len(runs)))
    try:
        count = int(jobs)
    except ValueError:
        count = 0
    if count < 1:
        raise UserError(f"--jobs {jobs}: must be a whole number of at least 1, or auto")
    return min(count, len(runs))
