"""The header of a page: everything about a model that its engine needs besides the weights, as plain values."""

from dataclasses import asdict
from typing import Any

from dataset_loader import BUCKET
from diffusion.draws import GOLDEN_RATIO
from diffusion.masks import COOLING, ENTROPY_SHARE, GIBBS_CALLS, JUDGING_CALLS, stretch_of_revisions
from diffusion.sampler_settings import SamplerSettings
from diffusion.samplers import STEPS, noise_levels, settings_read
from diffusion.schedules import ALPHA_END
from exporting.weights import Packed
from generation.checkpoint import Checkpoint
from generation.writer import Writer
from model import ROTARY_BASE, SMALLEST_SIGMA, noise_frequencies
from utils import UserError

# named once, in the modules that compute with them; the page computes with the same
CONSTANTS = {
    "alpha_end": ALPHA_END,
    "golden_ratio": GOLDEN_RATIO,
    "judging_calls": JUDGING_CALLS,
    "gibbs_calls": GIBBS_CALLS,
    "cooling": COOLING,
    "entropy_share": ENTROPY_SHARE,
    "rotary_base": ROTARY_BASE,
    "smallest_sigma": SMALLEST_SIGMA,
    "noise_frequencies": noise_frequencies().tolist(),
}
SHAPE = ("layers", "attention_layers", "heads", "width", "context", "noise_width")  # of the model that the engine reads


def check_exportable(checkpoint: Checkpoint, model: str) -> None:
    """Raise UserError for a model that the engine of the page does not compute."""
    if checkpoint.network != "transformer":
        raise UserError(
            f"{model}: a network of the notebook, which the page does not compute; train a model of this program"
        )
    if checkpoint.run.model.parameterization != "x0":
        raise UserError(
            f"{model}: its model.parameterization is 'score', which the page does not compute; train with 'x0'"
        )


def voice_of(writer: Writer, settings: SamplerSettings, packed: Packed, title: str) -> dict[str, Any]:
    """The header of a model's page, ready for JSON."""
    run, vocabulary, process = writer.run, writer.vocabulary, writer.diffusion.process
    how = settings_read(settings) | {"revision_stretch": stretch_of_revisions(settings)}
    if settings.sampler in STEPS:
        how["levels"] = noise_levels(settings.grid, settings.steps).tolist()
    return {
        "name": run.name,
        "title": title,
        "stream": run.data.stream,
        "symbols": [*vocabulary.symbols[: vocabulary.size]],
        "characters": process.characters,
        "uniform_share": process.uniform_share,
        "forbidden": writer.forbidden,
        "lengths": {"values": writer.lengths.values.tolist(), "counts": writer.lengths.counts.tolist()},
        "max_length": run.sampling.max_length,
        "overlap": run.sampling.overlap,
        "bucket": 1 if run.data.stream else BUCKET,  # see Draft.window_length
        "model": {key: getattr(run.model, key) for key in SHAPE},
        "sampler": how,
        "constants": CONSTANTS,
        "arrays": [asdict(entry) for entry in packed.entries],
    }
