"""Quantisation: how a weight is kept in few bytes, and what it is then. A table of the kinds, beside the page's own.

A matrix is kept as int8 with a float32 scale for each row, or for each group of numbers in a row, or as float16.
Whatever is no matrix (biases, taps of convolutions) has few numbers and is kept as float16.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

LARGEST = 127  # of the numbers that a scale multiplies
GROUP = 32  # numbers with one scale, where a whole row with one is too coarse


class Scheme(NamedTuple):
    """How matrices are kept: a kind, and how many numbers have one scale (0: a row)."""

    kind: str
    group: int
    instead: str  # what to choose if this is too coarse


SCHEMES = {
    "int8": Scheme("int8", 0, "int8-grouped"),
    "int8-grouped": Scheme("int8", GROUP, "float16"),
    "float16": Scheme("float16", 0, ""),
}


@dataclass(frozen=True)
class Entry:
    """An array of a file: its name, its shape, how its numbers are kept, and how many of them have one scale."""

    name: str
    shape: tuple[int, ...]
    kind: str
    group: int

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def scales(self) -> int:
        return self.size // self.group if self.kind == "int8" else 0


def keep(name: str, values: np.ndarray, scheme: Scheme) -> tuple[Entry, bytes]:
    """An array of float32 as its entry and its bytes. Raises OverflowError where float16 cannot hold a number."""
    kind = scheme.kind if values.ndim == 2 else "float16"
    if kind == "float16":
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise OverflowError(f"{name} holds numbers beyond those of float16")
        return Entry(name, values.shape, kind, 0), values.astype("<f2").tobytes()
    row = values.shape[-1]
    group = scheme.group if scheme.group and row % scheme.group == 0 else row
    parts = values.reshape(-1, group)
    scales = (np.abs(parts).max(1, keepdims=True) / LARGEST).astype("<f4")
    numbers = np.rint(parts / np.where(scales > 0, scales, 1)).clip(-LARGEST, LARGEST).astype(np.int8)
    return Entry(name, values.shape, kind, group), scales.tobytes() + numbers.tobytes()


def restore(entry: Entry, data: bytes) -> np.ndarray:
    """What `keep` kept, as float32: the very numbers that the page computes with."""
    if entry.kind == "float16":
        return np.frombuffer(data, "<f2").astype(np.float32).reshape(entry.shape)
    scales = np.frombuffer(data, "<f4", entry.scales).reshape(-1, 1)
    numbers = np.frombuffer(data, np.int8, offset=scales.nbytes).reshape(-1, entry.group)
    return (numbers * scales).astype(np.float32).reshape(entry.shape)


def bytes_of(entry: Entry) -> int:
    """How many bytes an array takes."""
    return 2 * entry.size if entry.kind == "float16" else 4 * entry.scales + entry.size
