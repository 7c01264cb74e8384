"""Writes documents with a trained network: draws their lengths, frames them, and denoises them window by window.

Document k depends on (checkpoint, seed, k, attempt) only, never on the documents written beside it. It has random
numbers of its own, and every network call has one fixed shape per window length, because a matrix product of another
shape may round differently.
"""

import heapq
import itertools
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import torch

from command.options import SAMPLER_OPTIONS, option
from config.schema import RunConfig
from diffusion.objectives import Diffusion, Network
from diffusion.sampler_settings import SamplerSettings
from diffusion.samplers import SAMPLERS, not_read, sample
from generation.checkpoint import Checkpoint, diffusion_of, network_of
from generation.course import ChangeRecorder
from generation.draft import Draft, Written
from generation.graphs import launched_together
from generation.prompt import ANYTHING, Prompt
from model import Denoiser
from text.lengths import Lengths
from text.vocabulary import FRAME, Vocabulary
from utils import VERSION, UserError, exact_device, map_on_cores, parallel_tasks, pick_precision

# positions of one network call: enough to fill a GPU; a CPU gains nothing from more and would waste them on spare rows
CALL_POSITIONS = {"cpu": 512, "cuda": 16_384, "mps": 16_384}
CALL_PROBABILITIES = 2**25  # positions times alphabet of the calls at one time: some 60 bytes each, 2 GB
VERSIONS = f"{VERSION}, torch {torch.__version__}"  # under which a document comes out the same again
Progress = Callable[[float], None]


class Watch(Protocol):
    """Sees drafts while they are written."""

    def __call__(self, drafts: list[Draft], ids: np.ndarray) -> None: ...  # (B, L) the state of their windows
    def done(self, drafts: Iterable[Draft]) -> None: ...  # a window of each is written


class Machines(Protocol):
    """Where drafts are written: on this machine, or on those of a cluster. The documents are the same."""

    count: int

    def written(
        self, writer: "Writer", drafts: list[Draft], settings: SamplerSettings, progress: Progress | None = None
    ) -> list[Written]:
        """The documents of these drafts, in their order; `progress` is told how many were just written, parts too."""
        ...


class ThisMachine:
    """The cores or the GPU of this machine."""

    count = 1

    def __init__(self, watch: Watch | None = None) -> None:
        self.watch = watch

    def written(
        self, writer: "Writer", drafts: list[Draft], settings: SamplerSettings, progress: Progress | None = None
    ) -> list[Written]:
        """The documents of these drafts; as many windows are written at a time as fit into the calls at once."""
        while pending := [draft for draft in drafts if not draft.finished]:
            calls = []
            while pending and len(calls) < writer.calls_at_once:
                calls.append(next_call(pending, writer.call_positions))
                pending = [draft for draft in pending if draft not in calls[-1].drafts]
            called = [draft for call in calls for draft in call.drafts]
            left = sum(draft.left for draft in called)
            map_on_cores(writer.device, lambda call: write_windows(writer, call, settings, self.watch), calls)
            if self.watch:
                self.watch.done(called)
            if progress:
                progress(left - sum(draft.left for draft in called))
        return [draft.written(writer.vocabulary) for draft in drafts]


@dataclass(frozen=True)
class Writer:
    """A trained network ready to write on a device, with its run, vocabulary and lengths."""

    run: RunConfig
    vocabulary: Vocabulary
    lengths: Lengths
    diffusion: Diffusion
    network: Network
    device: torch.device
    machines: Machines = ThisMachine()  # noqa: RUF009 - it is never changed

    @classmethod
    def of(cls, checkpoint: Checkpoint, device: torch.device) -> "Writer":
        """The network of a model on a device. Raises UserError if the weights are not of the network of its config."""
        run, vocabulary = checkpoint.run, checkpoint.vocabulary
        model = network_of(checkpoint).to(device).eval()
        network = launched_together(Denoiser(model, pick_precision(run.training.precision, device)), device)
        return cls(run, vocabulary, checkpoint.lengths, diffusion_of(run, vocabulary), network, device)

    def settings(self, **overrides: float | None) -> SamplerSettings:
        """How the run's config samples, with those overrides that are not None; an unread one is an error."""
        settings = self.run.sampling.sampler_settings()
        wanted = {key: value for key, value in overrides.items() if value is not None}
        for key in wanted:
            if key not in SAMPLERS[settings.sampler].reads:
                options = [option(each) for each in SAMPLER_OPTIONS if each in SAMPLERS[settings.sampler].reads]
                raise UserError(f"{option(key)}: {not_read(settings.sampler, options)}")
        return replace(settings, **wanted)

    @property
    def call_positions(self) -> int:
        """How many positions one network call has at most."""
        return min(CALL_POSITIONS[self.device.type], CALL_PROBABILITIES // self.vocabulary.size)

    @property
    def calls_at_once(self) -> int:
        """How many calls are made at one time."""
        positions = max(self.call_positions, self.run.model.context)  # a call has one window at least
        return fitting_calls(positions, self.vocabulary.size, parallel_tasks(self.device))

    @property
    def forbidden(self) -> list[int]:
        """The ids that are never written: the frame of documents, and `<unk>`, which stands for no one character."""
        frame = [] if self.run.data.stream else [FRAME]
        return frame + [self.vocabulary.unk] * self.vocabulary.open

    def network_calls(self, settings: SamplerSettings, prompt: Prompt) -> int:
        """How many network calls one document takes, all its windows together; `prompt` fixes its length."""
        draft, calls = Draft(self, prompt, 0, 0, 0), 0
        while not draft.finished:
            ids, given = draft.window()
            calls += SAMPLERS[settings.sampler].calls(settings, int((~given).sum()))
            draft.take(ids)
        return calls


def written_documents(
    writer: Writer, seed: int, indices: Iterable[int], settings: SamplerSettings,
    *, prompt: Prompt = ANYTHING, attempt: int = 0, progress: Progress | None = None,
) -> list[Written]:  # fmt: skip
    """Write the documents of these indices, in their order; each follows from writer, seed, index and attempt alone.

    `progress` is called with the number of documents just finished. Raises FloatingPointError for weights that give no
    numbers.
    """
    drafts = [Draft(writer, prompt, seed, index, attempt) for index in indices]
    return writer.machines.written(writer, drafts, settings, progress)


def write_documents(
    writer: Writer, seed: int, indices: Iterable[int], settings: SamplerSettings,
    *, prompt: Prompt = ANYTHING, attempt: int = 0,
) -> list[str]:  # fmt: skip
    """The texts alone of `written_documents`."""
    written = written_documents(writer, seed, indices, settings, prompt=prompt, attempt=attempt)
    return [document.text for document in written]


class Call(NamedTuple):
    """Drafts whose next windows have the same length, written together in network calls of (rows, length)."""

    drafts: list[Draft]
    rows: int
    length: int


def fitting_calls(positions: int, characters: int, cores: int) -> int:
    """How many calls are made at one time: one on each core, fewer where a large alphabet would fill the memory."""
    return max(1, min(cores, CALL_PROBABILITIES // (positions * characters)))


def next_call(pending: list[Draft], positions: int) -> Call:
    """The drafts with most left to write, of one window length: so that no long document is left to the end alone."""
    length = max(pending, key=lambda draft: draft.to_write).window_length
    alike = [draft for draft in pending if draft.window_length == length]
    rows = max(1, positions // length)
    return Call(heapq.nlargest(rows, alike, key=lambda draft: draft.to_write), rows, length)


def write_windows(writer: Writer, call: Call, settings: SamplerSettings, watch: Watch | None) -> None:
    """Write the next window of each of a call's drafts; the rows left over hold frames."""
    drafts, rows, length = call
    home = exact_device(writer.device)
    ids, given = np.full((rows, length), FRAME), np.ones((rows, length), dtype=bool)  # spare rows are all frame
    for row, draft in enumerate(drafts):
        ids[row], given[row] = draft.window()

    def uniforms(size: int) -> torch.Tensor:
        values = np.zeros((rows, size))
        for row, draft in enumerate(drafts):
            values[row] = draft.rng.random(size)
        return torch.from_numpy(values).to(home)

    ids, fixed = torch.from_numpy(ids).to(home), torch.from_numpy(given).to(home)
    recorder = ChangeRecorder(fixed, writer.vocabulary.size)

    def observe(step: int, x: torch.Tensor, p: torch.Tensor | None) -> None:
        recorder(step, x, p)
        if watch:
            watch(drafts, x.cpu().numpy())

    written = sample(
        writer.diffusion, writer.network, ids, fixed, uniforms, settings, forbidden=writer.forbidden, observe=observe
    )
    log_p, changes = recorder.log_p.cpu().numpy(), recorder.by_row()
    for row, draft in enumerate(drafts):
        draft.remember(log_p[row], changes[row])
        draft.take(written[row].cpu().numpy())


def precision_name(name: str, device: torch.device) -> str:
    """The name in config.yaml of what `pick_precision` picks."""
    return str(pick_precision(name, device)).removeprefix("torch.")


def machine_names(writer: Writer) -> list[str]:
    """What says ever more of where a text comes out the same again; the last is today's, earlier ones said less.

    It is the kind of processor, its instructions or the card, the precision, and the system, which computes
    logarithms and sines by a library of its own.
    """
    kinds = {"cpu": torch.backends.cpu.get_cpu_capability, "cuda": torch.cuda.get_device_name}
    kind = kinds.get(writer.device.type, str)()
    precision = precision_name(writer.run.training.precision, writer.device)
    chip = torch.backends.mps.get_name() if writer.device.type == "mps" else ""
    parts = filter(None, [writer.device.type, kind, precision, platform.system(), chip])
    return [*itertools.accumulate(parts, "{} {}".format)]


def machine_of(writer: Writer) -> str:
    """Where a text comes out the same again, as sets name it."""
    return machine_names(writer)[-1]
