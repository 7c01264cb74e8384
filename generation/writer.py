"""Writes documents with a trained network: lengths, frames, windows, text. Knows nothing of training or output files.

Document k is a function of (checkpoint, seed, k, attempt) alone. Its random numbers come from its own counter-based
stream, and the network always sees batches of one fixed shape per bucket, so that no company in a batch can change it.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from config.schema import RunConfig
from dataset_loader import bucket_length
from diffusion.objectives import Diffusion, Network
from diffusion.processes import TINY
from diffusion.samplers import GOLDEN_RATIO, SAMPLERS, SamplerSettings, sample
from generation.checkpoint import Checkpoint, diffusion_of, network_of
from model import Denoiser
from text.corpus import Lengths
from text.vocabulary import FRAME, Vocabulary
from utils import UserError, exact_device, map_on_cores, numpy_generator, parallel_tasks, pick_precision

# positions of one network call: a CPU gains nothing from more and would waste them on the last rows; what fills a GPU
CALL_POSITIONS = {"cpu": 512, "cuda": 65_536, "mps": 16_384}
CALL_PROBABILITIES = 2**25  # of one call at most, positions times alphabet: some 60 bytes each, 2 GB
BLANK = "_"  # stands in a template for one character to be written


@dataclass(frozen=True)
class Form:
    """What documents must be: their beginning and end, a template with blanks, lengths from shortest to longest."""

    prefix: str = ""
    suffix: str = ""
    template: str = ""
    shortest: int = 1
    longest: int | None = None

    def pattern(self, length: int) -> tuple[str, np.ndarray]:
        """What is given of a document of this length, anything elsewhere; (length,) whether it is given."""
        if self.template:
            return self.template, np.array([character != BLANK for character in self.template])
        free = length - len(self.prefix) - len(self.suffix)
        given = [True] * len(self.prefix) + [False] * free + [True] * len(self.suffix)
        return self.prefix + BLANK * free + self.suffix, np.array(given)

    def draw_length(self, lengths: Lengths, longest: int, uniform: float) -> int:
        """A length from the corpus's distribution, as far as the form admits it."""
        if self.template:
            return len(self.template)
        shortest = max(self.shortest, len(self.prefix) + len(self.suffix) + 1)
        capped = lengths.capped(longest)
        return capped.within(shortest, self.longest or max(int(capped.values[-1]), shortest)).draw(uniform)

    def check(self, writer: "Writer", model: str) -> None:
        """One line for what the model cannot write."""
        for name in ("prefix", "suffix", "template"):
            for character in getattr(self, name):
                blank = name == "template" and character == BLANK
                frame = character == "\n" and writer.run.data.format != "stream"
                if frame or not (blank or character in writer.vocabulary.characters):
                    known = len(writer.vocabulary.characters) - 1
                    raise UserError(
                        f"--{name} holds {character!r}, which is not among the {known} characters of {model}"
                    )
        taken = len(self.prefix) + len(self.suffix)
        if self.longest is not None and taken >= self.longest:
            raise UserError(f"--length {self.longest}: prefix and suffix already take {taken} characters")
        if self.template and (self.prefix or self.suffix or self.longest is not None):
            raise UserError("--template says what is given and how long; it takes no --prefix, --suffix or --length")
        if self.template and BLANK not in self.template:
            raise UserError(f"--template {self.template!r} has no {BLANK} to fill")


ANYTHING = Form()


@dataclass(frozen=True)
class Writer:
    """All that writing needs of a checkpoint, on a device."""

    run: RunConfig
    vocabulary: Vocabulary
    lengths: Lengths
    diffusion: Diffusion
    network: Network
    device: torch.device

    @classmethod
    def of(cls, checkpoint: Checkpoint, device: torch.device) -> "Writer":
        run, vocabulary = checkpoint.run, checkpoint.vocabulary
        model = network_of(checkpoint).to(device).eval()
        network = Denoiser(model, pick_precision(run.training.precision, device))
        return cls(run, vocabulary, checkpoint.lengths, diffusion_of(run, vocabulary), network, device)

    def settings(self, **overrides: float | None) -> SamplerSettings:
        """How the run's config samples, with those overrides that are not None; an unread one is an error."""
        settings = self.run.sampling.sampler_settings()
        wanted = {key: value for key, value in overrides.items() if value is not None}
        reads = (*SAMPLERS[settings.sampler].reads, "temperature", "top_p")
        for key in wanted:
            if key not in reads:
                raise UserError(f"{key}: the sampler {settings.sampler} does not read it; it reads {', '.join(reads)}")
        return replace(settings, **wanted)

    def network_calls(self, settings: SamplerSettings, length: int) -> int:
        """How many times the network is asked for one document of so many characters, all its windows together."""
        draft, calls = Draft(self, Form(shortest=length, longest=length), 0, 0, 0), 0
        while not draft.finished:
            ids, given = draft.window()
            calls += SAMPLERS[settings.sampler].calls(settings, int((~given).sum()))
            draft.settle(ids)
        return calls


class Written(NamedTuple):
    """A finished document, and how it came to be."""

    text: str
    confidence: float  # geometric mean of each character's probability when it was written
    settling: int  # the step after which nothing changed any more, in whichever window took longest
    corrections: int  # changes of positions that had changed before


class Draft:
    """A document being written: ids with frames, which are given, how many are settled, and its own random stream."""

    def __init__(self, writer: Writer, form: Form, seed: int, index: int, attempt: int) -> None:
        self.rng = numpy_generator(writer.run.name, seed, index, attempt)
        self.context, self.overlap = writer.run.model.context, writer.run.sampling.overlap
        # a Kronecker sequence: the lengths of the first n documents follow the corpus's more closely than chance would
        start = numpy_generator(writer.run.name, seed, "lengths").random()
        uniform = self.rng.random() if attempt else (start + index * GOLDEN_RATIO) % 1
        length = form.draw_length(writer.lengths, writer.run.sampling.max_length, uniform)
        text, given = form.pattern(length)
        ids = np.where(given, writer.vocabulary.encode(text), FRAME).astype(np.int64)
        self.edge = 0 if writer.run.data.format == "stream" else 1  # frames at each end; a stream has none
        self.ids, self.given = np.pad(ids, self.edge), np.pad(given, self.edge, constant_values=True)
        self.settled = self.edge
        self.log_p: list[float] = []
        self.settling, self.corrections = 0, 0

    @property
    def finished(self) -> bool:
        return self.settled >= len(self.ids)

    @property
    def unsettled(self) -> int:
        """Positions still to be written, the closing frame among them."""
        return len(self.ids) - self.settled

    @property
    def start(self) -> int:
        """Where the next window begins: `overlap` characters before what is to write, or with the end in sight."""
        if self.settled == self.edge:
            return 0
        return min(self.settled - self.overlap, len(self.ids) - self.context)

    @property
    def window_length(self) -> int:
        return int(bucket_length(len(self.ids) - self.start - 2, self.context))

    def window(self) -> tuple[np.ndarray, np.ndarray]:
        """-> (L,) ids, (L,) given: what is settled or given, the closing frame if in sight, and padding behind it."""
        length = self.window_length
        ids, given = np.full(length, FRAME), np.ones(length, dtype=bool)
        inside = slice(self.start, min(self.start + length, len(self.ids)))
        size = inside.stop - inside.start
        ids[:size] = self.ids[inside]
        given[:size] = self.given[inside] | (np.arange(inside.start, inside.stop) < self.settled)
        return ids, given

    def remember(self, log_p: np.ndarray, last: np.ndarray, changes: np.ndarray) -> None:
        """(L,) each: how the window about to be settled came to be, as Watch saw it."""
        _, given = self.window()
        self.log_p += log_p[~given].tolist()
        self.settling = max(self.settling, int(last.max()))
        self.corrections += int(np.maximum(changes - 1, 0).sum())

    def settle(self, ids: np.ndarray) -> None:
        end = min(self.start + len(ids), len(self.ids))
        self.ids[self.start : end] = ids[: end - self.start]
        self.settled = end

    def written(self, vocabulary: Vocabulary) -> Written:
        text = vocabulary.decode(self.ids[self.edge : len(self.ids) - self.edge])
        confidence = float(np.exp(np.mean(self.log_p))) if self.log_p else 1.0
        return Written(text, confidence, self.settling, self.corrections)


def write_documents(
    writer: Writer,
    seed: int,
    indices: Iterable[int],
    settings: SamplerSettings,
    *,
    form: Form = ANYTHING,
    attempt: int = 0,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """The documents of these indices; `progress(n)` hears how many have been finished since it was last called."""
    drafts = [Draft(writer, form, seed, index, attempt) for index in indices]
    write_drafts(writer, drafts, settings, progress)
    return [draft.written(writer.vocabulary).text for draft in drafts]


def write_drafts(
    writer: Writer, drafts: list[Draft], settings: SamplerSettings, progress: Callable[[int], None] | None = None
) -> None:
    """Write drafts to their ends, as many windows at once as fit."""
    positions = min(CALL_POSITIONS[writer.device.type], CALL_PROBABILITIES // writer.vocabulary.size)
    while pending := [draft for draft in drafts if not draft.finished]:
        calls = []
        while pending and len(calls) < parallel_tasks(writer.device):
            calls.append(next_call(pending, positions))
            pending = [draft for draft in pending if draft not in calls[-1].drafts]
        map_on_cores(writer.device, lambda call: write_windows(writer, call, settings), calls)
        if progress:
            progress(sum(draft.finished for call in calls for draft in call.drafts))


class Call(NamedTuple):
    """Drafts whose next windows have one length, written together in network calls of one fixed shape."""

    drafts: list[Draft]
    rows: int
    length: int


def next_call(pending: list[Draft], positions: int) -> Call:
    """The longest document and those alike: each is a chain of windows, and the last to end should not end alone."""
    length = max(pending, key=lambda draft: draft.unsettled).window_length
    alike = [draft for draft in pending if draft.window_length == length]
    rows = max(1, positions // length)
    return Call(heapq.nlargest(rows, alike, key=lambda draft: draft.unsettled), rows, length)


def write_windows(writer: Writer, call: Call, settings: SamplerSettings) -> None:
    """Write the next windows of a call's drafts; rows that they leave are spare."""
    drafts, rows, length = call
    forbidden = ([] if writer.run.data.format == "stream" else [FRAME]) + [
        writer.vocabulary.unk
    ] * writer.vocabulary.open
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
    recorder = ChangeRecorder(ids, writer.vocabulary.size)
    written = sample(
        writer.diffusion, writer.network, ids, fixed, uniforms, settings, forbidden=forbidden, observe=recorder
    )
    seen = [what.cpu().numpy() for what in (recorder.log_p, recorder.last, recorder.changes)]
    for row, draft in enumerate(drafts):
        draft.remember(*(what[row] for what in seen))
        draft.settle(written[row].cpu().numpy())


class ChangeRecorder:
    """Sees (B, L) states: the step in which each character last changed, how often, and how likely it was then.

    A mask over a character changes nothing yet: what counts is whether another is written in its place.
    """

    def __init__(self, x: torch.Tensor, characters: int) -> None:
        self.text, self.last, self.changes = x, torch.zeros_like(x), torch.zeros_like(x)
        self.log_p = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
        self.characters = characters

    def __call__(self, step: int, x: torch.Tensor, p: torch.Tensor | None) -> None:
        if p is None:
            self.text = x  # the prior
            return
        written = x < self.characters
        changed = written & (x != self.text)
        self.log_p = torch.where(changed | (step == 1), p.clamp_min(TINY).log(), self.log_p)
        self.last, self.changes = self.last.masked_fill(changed, step), self.changes + changed
        self.text = torch.where(written, x, self.text)
