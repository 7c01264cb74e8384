"""Writes documents on all machines of a Ray cluster."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from command.cluster import connected, ray_library, reason_of
from command.messages import counted, say
from diffusion.sampler_settings import SamplerSettings
from generation.checkpoint import Checkpoint
from generation.draft import Draft, Written
from generation.writer import VERSIONS, Progress, ThisMachine, Writer, machine_of, precision_name
from utils import CPU, UserError, map_on_cores, pick_device, sha256, torch_generator

READY_SECONDS = 30  # in which a machine with free cores is ready to write
POLL_SECONDS = 1.0
SHARES = 4  # of each machine in a batch: small ones let a fast machine take more of them


@contextmanager
def on_machines(writer: Writer, checkpoint: Checkpoint, address: str | None) -> Iterator[Writer]:
    """The writer of a model, whose documents are written on a Ray cluster; None: on this machine, as before."""
    if address is None:
        yield writer
        return
    if writer.device.type not in ("cpu", "cuda"):
        raise UserError(f"--ray: a cluster writes on cpu or cuda, not on {writer.device.type}; add --device cpu")
    ray = connected(address)
    try:
        yield replace(writer, machines=RayMachines(ray, checkpoint, writer))
    finally:  # also after Ctrl+C: or agents of a cluster that was begun here would stay for a minute
        ray.shutdown()


class Share(NamedTuple):
    """Every so-many-th draft of a batch from the first one on, which one machine writes."""

    first: int
    drafts: list[Draft]


class RayMachines:
    """The machines of a Ray cluster: each is sent the model once, through Ray, and then writes share after share.

    All compute as this machine does, in its precision; one that does not is left out, for a text would depend on which
    writes it. If one is lost, another writes its share.
    """

    def __init__(self, ray: Any, checkpoint: Checkpoint, writer: Writer) -> None:
        """Begin on every machine of the cluster that has such a device. Raises UserError if none has."""
        self.ray, self.kind, self.answer, device = ray, machine_of(writer), answer_of(writer), writer.device
        places = [place for node in ray.nodes() if node["Alive"] for place in places_of(node, device)]
        if not places:
            raise UserError(f"--ray: no machine of the cluster has a {device.type} to write on")
        self.count, self.cores = len(places), max(cores for _, cores, _ in places)
        self.free: list[Any] = []
        self.busy: dict[Any, tuple[Any, Share | None]] = {}  # by Ray's reference: the machine, and what it writes
        model = [ray.put(in_precision(checkpoint, device))]  # in a list, which Ray passes on as it is
        there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        for node, cores, gpus in places:
            options = {"num_cpus": cores, "num_gpus": gpus, "scheduling_strategy": there(node, soft=False)}
            machine = ray.remote(**options)(WritingMachine).remote()
            self.busy[machine.load.remote(model, device.type, cores, VERSIONS)] = (machine, None)
        if not ray.wait(list(self.busy), timeout=READY_SECONDS)[0]:
            say("waiting for a machine of the cluster whose cores are free")

    def written(
        self, writer: Writer, drafts: list[Draft], settings: SamplerSettings, progress: Progress | None = None
    ) -> list[Written]:
        """As `ThisMachine.written`. Raises UserError when the last machine is lost."""
        count = self.share_count(writer, drafts)
        waiting = [Share(first, drafts[first::count]) for first in range(count)]
        done: dict[int, Written] = {}  # by the place of the draft
        while len(done) < len(drafts):
            while waiting and self.free:
                machine, share = self.free.pop(), waiting.pop(0)
                self.busy[machine.written.remote(share.drafts, settings)] = (machine, share)
            for share, found in self.ended():
                if found is None:
                    waiting.insert(0, share)
                    continue
                done |= dict(zip(range(share.first, len(drafts), count), found, strict=True))
                if progress:
                    progress(len(found))
        return [done[place] for place in range(len(drafts))]

    def share_count(self, writer: Writer, drafts: list[Draft]) -> int:
        """Some shares for each machine; fewer, down to one, if they would not fill a call on each of its cores."""
        filled = sum(draft.to_write for draft in drafts) // (self.cores * writer.call_positions)
        return min(len(drafts), max(self.count, min(SHARES * self.count, filled)))

    def ended(self) -> Iterator[tuple[Share, list[Written] | None]]:
        """The shares that have ended since this was last asked: what was written; None: their machine was lost."""
        ready, _ = self.ray.wait(list(self.busy), timeout=POLL_SECONDS)
        for reference in ready:
            machine, share = self.busy.pop(reference)
            try:
                found = self.ray.get(reference)
                if share or self.is_alike(*found):
                    self.free.append(machine)
            except self.ray.exceptions.RayTaskError as error:  # what went wrong there is an error as it would be here
                raise (error.cause or error) from None
            except self.ray.exceptions.RayError as error:
                found = None
                self.lost(error)
            if share:
                yield share, found

    def is_alike(self, kind: str, answer: str) -> bool:
        """Whether a machine computes as this one does; says so if not. Raises UserError if no other is left."""
        if (kind, answer) == (self.kind, self.answer):
            return True
        what = f"a machine of the cluster computes otherwise ({kind}) than this one ({self.kind})"
        if kind == self.kind:
            what = f"a machine of the cluster ({kind}) computes other numbers than this one"
        if not self.free and not self.busy:
            raise UserError(f"--ray: {what}, so texts would come out different, and no other is left")
        say(f"{what}, so it is left out: texts would come out different")
        return False

    def lost(self, error: Exception) -> None:
        """Say that a machine was lost. Raises UserError if it was the last."""
        left = len(self.free) + len(self.busy)
        if not left:
            raise UserError(f"Ray: no machine is left: {reason_of(error)}") from None
        say(f"a machine of the cluster was lost, and what it held is drawn again; {counted(left, 'machine')} left")


def places_of(node: dict[str, Any], device: torch.device) -> list[tuple[str, int, int]]:
    """What writes on a node of the cluster, each with its cores and GPUs: all its cores together, or each GPU."""
    found = {key: int(node["Resources"].get(key, 0)) for key in ("CPU", "GPU")}
    if device.type == "cpu":
        return [(node["NodeID"], found["CPU"], 0)] if found["CPU"] else []
    return [(node["NodeID"], 1, 1)] * found["GPU"]


def in_precision(checkpoint: Checkpoint, device: torch.device) -> Checkpoint:
    """A model whose config names the precision in which this machine computes, where it said `auto`."""
    precision = precision_name(checkpoint.run.training.precision, device)
    return replace(checkpoint, run=checkpoint.run.with_training(precision=precision))


def answer_of(writer: Writer) -> str:
    """SHA-256 of what the network answers to one question: no name of a processor tells all that changes a text."""
    length = writer.run.model.context
    rows = max(1, writer.call_positions // length)  # as many as of texts: libraries choose by the size
    ids = torch.randint(writer.vocabulary.size, (rows, length), generator=torch_generator(CPU, "answer"))
    sigma = torch.linspace(0, 1, rows)

    def ask(ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            ids, given = ids.to(writer.device), torch.zeros_like(ids, dtype=torch.bool, device=writer.device)
            return writer.network(ids, sigma.to(writer.device), given).float().cpu()

    (answer,) = map_on_cores(writer.device, ask, [ids])  # as texts are written
    return sha256(answer.numpy().tobytes())


class WritingMachine:
    """What Ray runs on a machine of the cluster."""

    def load(self, model: list[Any], device: str, cores: int, versions: str) -> tuple[str, str]:
        """Be ready to write, and say how this machine computes, in words and by an answer. `model`: Ray's reference.

        Raises UserError for other versions than those.
        """
        if versions != VERSIONS:
            fix = "install the same on both"
            raise UserError(f"--ray: {platform.node()} has version {VERSIONS}, and this machine {versions}; {fix}")
        torch.set_num_threads(cores)
        self.writer = Writer.of(ray_library().get(model[0]), pick_device(device))
        return machine_of(self.writer), answer_of(self.writer)

    def written(self, drafts: list[Draft], settings: SamplerSettings) -> list[Written]:
        return ThisMachine().written(self.writer, deepcopy(drafts), settings)  # Ray's arrays cannot be written to
