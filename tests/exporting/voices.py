"""Small models with random, decisive weights, their pages, and the engine that computes them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from exporting.html import page_of
from exporting.proof import NO_NODE, node
from exporting.voice import voice_of
from exporting.weights import pack, quantised
from generation.checkpoint import Checkpoint
from generation.writer import Writer
from tests.helpers import Quiet, long_and_short_lines, make_run
from training.trainer import train_model
from utils import CPU, UserError

try:
    node()
    NODE = True
except UserError:
    NODE = False
needs_node = pytest.mark.skipif(not NODE, reason=NO_NODE)

SUREST = {"sampler": "surest", "stretch": 8, "revisions": 2, "overlap": 8, "temperature": 0.7}


def voice_with(folder: Path, content: list[str] | bytes = b"", **sections: dict) -> Checkpoint:
    """A model of toy documents, trained for a moment, whose weights are then drawn anew: so that no choice is a tie."""
    sections = {"diffusion": {"process": "absorbing"}, "sampling": SUREST, **sections}
    run = make_run(folder, content or long_and_short_lines(), **{**sections, "training": {"max_steps": 1}})
    checkpoint = train_model(run, Quiet())
    generator = torch.Generator().manual_seed(5)
    weights = {}
    for name, value in checkpoint.weights.items():
        scale = 3.0 if name.startswith("head") else 1.0
        fan = value.shape[-1] if value.dim() == 2 and not name.startswith("tokens") else 1
        weights[name] = torch.randn(value.shape, generator=generator) * scale * fan**-0.5
    return replace(checkpoint, weights=weights)


def page_with(checkpoint: Checkpoint, folder: Path, scheme: str = "int8", **settings) -> tuple[Path, Writer]:
    """The page of a model, and what writes in Python with the page's weights."""
    packed = pack(checkpoint.weights, scheme)
    writer = Writer.of(quantised(checkpoint, packed), CPU)
    voice = voice_of(writer, writer.settings(**settings), packed, checkpoint.run.name)
    page = folder / "page.html"
    page.write_text(page_of({**voice, "seed": "0", "theme": "auto", "attempts": {}}, packed), encoding="utf-8")
    return page, writer
