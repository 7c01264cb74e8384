"""Writes documents with a trained network: lengths, frames, windows, text. Knows nothing of training or output files.

Document k is a function of (checkpoint, seed, k, attempt) alone. Its random numbers come from its own counter-based
stream, and the network always sees batches of one fixed shape per bucket, so that no company in a batch can change it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from checkpoint import Checkpoint, Lengths, diffusion_of, network_of
from config import RunConfig
from dataset_loader import bucket_length
from diffusion import Diffusion
from model import Denoiser
from samplers import SamplerSettings, sample
from utils import FRAME, Vocabulary, exact_device, numpy_generator, pick_precision

CALL_POSITIONS = {
    "cpu": 4096,
    "cuda": 65_536,
    "mps": 16_384,
}  # positions of one network call: a CPU's caches, a GPU's width


@dataclass(frozen=True)
class Voice:
    """All that writing needs of a checkpoint, on a device."""

    run: RunConfig
    vocabulary: Vocabulary
    lengths: Lengths
    diffusion: Diffusion
    network: Denoiser
    device: torch.device

    @classmethod
    def of(cls, checkpoint: Checkpoint, device: torch.device) -> "Voice":
        run, vocabulary = checkpoint.run, checkpoint.vocabulary
        model = network_of(run, vocabulary, checkpoint.weights).to(device).eval()
        network = Denoiser(model, pick_precision(run.training.precision, device))
        return cls(run, vocabulary, checkpoint.lengths, diffusion_of(run, vocabulary), network, device)

    def settings(self, **overrides: float | None) -> SamplerSettings:
        """How the run's config samples, with those of the overrides that are not None."""
        own = self.run.sampling
        settings = SamplerSettings(
            own.sampler, own.grid, own.steps, own.temperature, own.top_p, own.greedy_last_step, own.renoise
        )
        return replace(settings, **{key: value for key, value in overrides.items() if value is not None})


class Draft:
    """A document being written: ids with frames, how many positions are settled, and its own random stream."""

    def __init__(self, voice: Voice, seed: int, index: int, attempt: int) -> None:
        self.index = index
        self.rng = numpy_generator(voice.run.name, seed, index, attempt)
        self.stream = voice.run.data.format == "stream"
        self.context, self.overlap = voice.run.model.context, voice.run.sampling.overlap
        length = min(voice.lengths.draw(self.rng.random()), voice.run.sampling.max_length)
        self.ids = np.full(length + (0 if self.stream else 2), FRAME)
        self.settled = 0 if self.stream else 1

    @property
    def finished(self) -> bool:
        return self.settled >= len(self.ids)

    @property
    def start(self) -> int:
        """Where the next window begins: at the opening, then `overlap` characters before what is still to write."""
        return max(0, self.settled - self.overlap) if self.settled > 1 else 0

    @property
    def window_length(self) -> int:
        return int(bucket_length(len(self.ids) - self.start - 2, self.context))

    def window(self) -> tuple[np.ndarray, np.ndarray]:
        """-> (L,) ids, (L,) given: what is settled, the closing frame if it is in sight, and the padding behind it."""
        place = self.start + np.arange(self.window_length)
        inside = place < len(self.ids)
        ids = np.where(inside, self.ids[np.where(inside, place, 0)], FRAME)
        last = len(self.ids) - (0 if self.stream else 1)
        return ids, (place < self.settled) | (place >= last)

    def settle(self, ids: np.ndarray) -> None:
        end = min(self.start + len(ids), len(self.ids))
        self.ids[self.start : end] = ids[: end - self.start]
        self.settled = end if end < len(self.ids) - 1 else len(self.ids)

    def text(self, vocabulary: Vocabulary) -> str:
        return vocabulary.decode(self.ids if self.stream else self.ids[1:-1])


def write_documents(
    voice: Voice,
    seed: int,
    indices: Iterable[int],
    settings: SamplerSettings,
    *,
    attempt: int = 0,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """The documents of these indices; `progress(n)` hears how many have been finished since it was last called."""
    drafts = [Draft(voice, seed, index, attempt) for index in indices]
    while pending := [draft for draft in drafts if not draft.finished]:
        for length, group in batches_of(pending):
            write_windows(voice, group, length, settings)
            if progress:
                progress(sum(draft.finished for draft in group))
    return [draft.text(voice.vocabulary) for draft in drafts]


def batches_of(drafts: list[Draft]) -> Iterator[tuple[int, list[Draft]]]:
    """Drafts whose next windows have one length, together."""
    for length in sorted({draft.window_length for draft in drafts}):
        yield length, [draft for draft in drafts if draft.window_length == length]


def write_windows(voice: Voice, drafts: list[Draft], length: int, settings: SamplerSettings) -> None:
    """Write the next window, of one length, of each draft, in network calls of one fixed shape."""
    rows = max(1, CALL_POSITIONS[voice.device.type] // length)
    forbidden = [voice.vocabulary.unk] if voice.run.data.format == "stream" else [FRAME, voice.vocabulary.unk]
    home = exact_device(voice.device)
    for first in range(0, len(drafts), rows):
        part = drafts[first : first + rows]
        ids, given = np.full((rows, length), FRAME), np.ones((rows, length), dtype=bool)  # spare rows are all frame
        for row, draft in enumerate(part):
            ids[row], given[row] = draft.window()

        def uniforms(part: list[Draft] = part) -> torch.Tensor:
            values = np.zeros((rows, length))
            for row, draft in enumerate(part):
                values[row] = draft.rng.random(length)
            return torch.from_numpy(values).to(home)

        tokens, fixed = torch.from_numpy(ids).to(home), torch.from_numpy(given).to(home)
        written = sample(voice.diffusion, voice.network, tokens, fixed, uniforms, settings, forbidden=forbidden)
        for row, draft in enumerate(part):
            draft.settle(written[row].cpu().numpy())
