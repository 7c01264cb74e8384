"""Trainings as tasks of a Ray cluster, on machines that share the project's folder."""

import math
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import torch

from command.cluster import connected, ray_library, reason_of
from config.schema import RunConfig
from training.events import Hear, Message
from training.lanes import lane_count
from training.worker import FAILED, Cores, Outcome, Sender, train_to_outcome
from utils import CPU, parallel_tasks

TRIES = 4  # of a training whose machine dies: each goes on from the state that the last one saved
PARTS = 10_000  # of a GPU, by which Ray counts; what it rounds up would not fit


class RayLanes:
    """Each training is a task with cores, and a share of a GPU, of its own, on whichever machine has them free.

    Steps are cut as on this machine, so the results are those of `LocalLanes` where processors compute alike.
    """

    def __init__(self, address: str, jobs: str, runs: list[RunConfig]) -> None:
        """Connect to the cluster at `address`; "": the one of this machine, started if there is none."""
        self.ray = ray = connected(address)
        found = ray.cluster_resources()
        cores, gpus = int(found.get("CPU", 1)), found.get("GPU", 0)
        self.count = lane_count(jobs, runs, lambda runs: int(gpus) or cores)
        self.a_card = math.ceil(self.count / gpus) if gpus else 0  # trainings that share a GPU
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self.machines = [(int(node.get("CPU", 0)), int(node.get("GPU", 0)) * self.a_card) for node in alive]
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )  # the mailbox lives as long as this machine, whichever other dies
        self.mailbox = ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()
        folder = runs[0].model_file().parent
        folder.mkdir(parents=True, exist_ok=True)
        # that every node must see; it goes with this object
        self.marker = tempfile.NamedTemporaryFile(dir=folder, prefix=".shared-")  # noqa: SIM115
        self.tasks: dict[Any, RunConfig] = {}  # by Ray's reference

    def submit(self, run: RunConfig, at_once: int) -> None:
        cores = cores_of_each(self.machines, min(self.count, at_once))
        share = PARTS // self.a_card / PARTS if self.a_card else 0
        task = self.ray.remote(
            num_cpus=cores, num_gpus=share, max_retries=TRIES - 1, max_calls=1, scheduling_strategy="SPREAD"
        )(train_on_node)
        place = (Path.cwd(), Path(self.marker.name).absolute())
        reference = task.remote(run, Cores(cores, parallel_tasks(CPU)), self.mailbox, place)
        self.tasks[reference] = run

    def finished(self, seconds: float, hear: Hear) -> list[Outcome]:
        ended, _ = self.ray.wait(list(self.tasks), timeout=seconds)
        names = {run.name for run in self.tasks.values()}
        for message in self.ray.get(self.mailbox.take.remote()):
            if message.name in names:  # a machine that was lost may still be heard
                hear(message)
        return [self.outcome(reference) for reference in ended]

    def outcome(self, reference: Any) -> Outcome:
        run = self.tasks.pop(reference)
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            return Outcome(run.name, FAILED, f"Ray: {reason_of(error)}", retryable=True)

    def stop(self) -> None:
        self.mailbox.stop.remote()

    def kill(self) -> None:
        for reference in self.tasks:
            self.ray.cancel(reference, force=True)


def cores_of_each(machines: list[tuple[int, int]], trainings: int) -> int:
    """The most cores that each of so many trainings can have at once, for a training runs on one machine.

    Of each machine its cores, and how many trainings its GPUs take: where there are any, none runs without.
    """
    if any(most for _, most in machines):
        machines = [(cores, most) for cores, most in machines if most]
    else:
        machines = [(cores, cores) for cores, _ in machines]

    def fit(each: int) -> bool:
        return sum(min(cores // each, most) for cores, most in machines) >= trainings

    return max(filter(fit, range(1, max(cores for cores, _ in machines) + 1)), default=1)


class Mailbox:
    """An actor on the machine of the queue: keeps what trainings say, and tells them whether to stop."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.stopping = False

    def put(self, message: Message) -> bool:
        """Keep a message; -> whether to stop."""
        self.messages.append(message)
        return self.stopping

    def take(self) -> list[Message]:
        """What has come since this was last asked."""
        messages, self.messages = self.messages, []
        return messages

    def stop(self) -> None:
        self.stopping = True


def train_on_node(run: RunConfig, cores: Cores, mailbox: Any, place: tuple[Path, Path]) -> Outcome:
    """What a task runs. `place`: the working directory, and a file that is there if the folder of models is shared."""
    folder, marker = place
    if there := folder.is_dir():
        os.chdir(folder)  # from which the run's own paths are meant
    if not (there and marker.exists() and run.data_file().is_file()):
        what = f"{platform.node()} does not see {folder}, {run.data_file()} and {run.model_file().parent}"
        return Outcome(run.name, FAILED, f"{what}; share these folders under the same names, by NFS for example")
    ray = ray_library()
    torch.set_num_threads(cores.used)
    replies: list[Any] = []

    def send(message: Message) -> None:
        replies.append(mailbox.put.remote(message))

    def stop_asked() -> bool:
        ready, replies[:] = ray.wait(replies, num_returns=len(replies), timeout=0) if replies else ([], [])
        return any(ray.get(ready))  # of each: the last has hardly been sent when this is asked

    outcome = train_to_outcome(run, Sender(run, send, stop_asked), cores.cut_for)
    ray.get(replies)  # so that all was heard before the end is
    return outcome
