"""The packed weights of a model: all arrays, quantised, in one file that a browser inflates."""

import io
import zlib
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from diffusion.objectives import NO_NUMBERS
from exporting.quantise import SCHEMES, Entry, bytes_of, keep, restore
from generation.checkpoint import Checkpoint

COMPRESSION = 9  # of zlib, the most


class Packed(NamedTuple):
    """The arrays of a file in their order, and the file: zlib's format."""

    entries: list[Entry]
    data: bytes


def pack(weights: dict[str, Tensor], scheme: str) -> Packed:
    """Weights, quantised as a row of SCHEMES says. Raises OverflowError for a number that cannot be kept."""
    kept = [keep(name, value.float().numpy(), SCHEMES[scheme]) for name, value in weights.items()]
    return Packed([entry for entry, _ in kept], zlib.compress(b"".join(data for _, data in kept), COMPRESSION))


def unpack(packed: Packed) -> dict[str, Tensor]:
    """Packed weights as float32: the numbers that the page computes with."""
    file = io.BytesIO(zlib.decompress(packed.data))
    return {each.name: torch.from_numpy(restore(each, file.read(bytes_of(each)))) for each in packed.entries}


def finite(logits: Tensor) -> Tensor:
    """What torch computes, to be compared with what others do. Raises FloatingPointError unless all are numbers."""
    if not logits.isfinite().all():
        raise FloatingPointError(NO_NUMBERS)
    return logits


def in_float32(checkpoint: Checkpoint) -> Checkpoint:
    """The same model, computing in float32 on every machine."""
    return replace(checkpoint, run=checkpoint.run.with_training(precision="float32"))


def quantised(checkpoint: Checkpoint, packed: Packed) -> Checkpoint:
    """The model that a page computes: these weights, in float32."""
    return replace(in_float32(checkpoint), weights=unpack(packed))
