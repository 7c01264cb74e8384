"""The model file, or folder: config, vocabulary, lengths and weights; reading it never runs code that it holds."""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from torch import Tensor, nn

from command.disk import atomic_path, flush_to_disk, set_mode
from config.errors import describe, one_of, place, shown
from config.names import Name
from config.schema import MOST_CHARACTERS, ModelConfig, RunConfig
from diffusion.objectives import Diffusion
from generation.archive import archive_bytes, read_hashed
from generation.aside import copies_aside, set_aside
from generation.folder import CONFIG, derived, is_model_folder, read_folder
from generation.notebook_model import NotebookNetwork
from model import DiffusionTransformer
from text.lengths import Lengths
from text.vocabulary import Vocabulary
from utils import VERSION, UserError

FORMAT = 1
# of weights in a file; networks compute in float32
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
MOST_LENGTHS = 1 << 20  # different lengths: documents of as many would hold half a million times a million characters
TRAINING_METRICS = ("held_out_bits", "held_out_error", "characters", "parameters")  # metrics that every training writes
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # SHA-256
NETWORKS = {"transformer": DiffusionTransformer, "notebook": NotebookNetwork}  # notebook: for imported models only


class SeenText(BaseModel):
    """A text that a model has learnt from: the name of the dataset, the hash of its file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Name
    sha256: Hash


class Start(BaseModel):
    """The model that a training started from: its name, the hash of its file, and all texts that it had learnt from."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Name
    model_sha256: Hash
    texts: Annotated[list[SeenText], Field(max_length=100)]


@dataclass(frozen=True)
class Checkpoint:
    """A trained model: config, vocabulary, lengths, EMA weights, metrics, and hashes of what it came from."""

    run: RunConfig
    vocabulary: Vocabulary
    lengths: Lengths
    weights: dict[str, Tensor]
    metrics: dict[str, Any]
    data_sha256: str
    training_sha256: str
    version: str = VERSION
    network: str = "transformer"  # a row of NETWORKS
    start: Start | None = None
    same_split: bool = False  # whether all trainings before it that read this very text held out what it holds out
    # of the bytes that it was read from; "" if that was no model file. It is no part of the model
    file_sha256: str = field(default="", compare=False)


class ModelFile(BaseModel):
    """The schema of a model file. Defaults are for the keys that earlier versions did not write."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

    format: int
    config: dict[Any, Any]
    vocabulary: Annotated[str, Field(min_length=2, max_length=MOST_CHARACTERS)]
    open: bool = True
    lengths: Tensor
    length_counts: Tensor
    weights: dict[str, Tensor]
    metrics: dict[str, Any]
    data_sha256: str
    training_sha256: str
    version: str
    network: Annotated[str, one_of(NETWORKS)] = "transformer"
    start: Start | None = None
    same_split: bool = False

    @field_validator("vocabulary")
    @classmethod
    def check_vocabulary(cls, vocabulary: str) -> str:
        if "\0" in vocabulary:
            raise ValueError("holds NUL, which is no character of a text")
        return vocabulary

    @field_validator("data_sha256", "training_sha256", "version")
    @classmethod
    def check_origin(cls, text: str, info: ValidationInfo) -> str:
        if not re.fullmatch(r"[\w.+-]{1,100}" if info.field_name == "version" else "([0-9a-f]{64})?", text):
            raise ValueError(f"{shown(text)} is none")  # an imported model has empty hashes
        return text

    @field_validator("lengths", "length_counts")
    @classmethod
    def check_numbers(cls, numbers: Tensor) -> Tensor:
        if numbers.dtype not in (torch.int32, torch.int64) or numbers.dim() != 1:
            raise ValueError(f"{numbers.dim()} dimensions of {numbers.dtype}, not 1 of whole numbers")
        if not 1 <= len(numbers) <= MOST_LENGTHS or numbers.min() < 0:
            raise ValueError(f"must be 1 to {MOST_LENGTHS:,} numbers, none below 0")
        return numbers

    @field_validator("metrics")
    @classmethod
    def check_metrics(cls, metrics: dict[str, Any]) -> dict[str, Any]:
        for name, value in metrics.items():
            if type(value) not in (int, float) or (isinstance(value, int) and value.bit_length() > 63):
                raise ValueError(f"{place([name])} is {shown(value)}, not a number")
        return metrics

    def distribution(self) -> Lengths:
        """The lengths. Raises ValueError if they and their counts are no distribution."""
        values, counts = self.lengths.numpy(), self.length_counts.numpy()
        if len(values) != len(counts) or (np.diff(values) <= 0).any():
            raise ValueError("lengths: must be ascending, and as many as length_counts")
        if counts.min() < 1 or counts.sum(dtype=np.float64) >= 2**62:
            raise ValueError("length_counts: must be 1 or more, and add up to less than 2**62")
        return Lengths(values, counts)

    def checkpoint(self) -> "Checkpoint":
        """The model, its parts checked against each other. Raises ValueError with one line, which names the part."""
        try:
            run = RunConfig.stored(self.config)
        except ValidationError as error:
            raise ValueError(f"config.{describe(error.errors()[0], RunConfig, {})}") from None
        imported = self.network == "notebook"
        if missing := [name for name in TRAINING_METRICS if name not in self.metrics and not imported]:
            raise ValueError(f"metrics: no {missing[0]}")
        if imported and (run.diffusion.process, self.data_sha256) != ("uniform", ""):
            raise ValueError("network: one of the notebook has uniform noise, and does not say which text it learnt")
        vocabulary, lengths = Vocabulary(self.vocabulary, self.open), self.distribution()
        checkpoint = Checkpoint(
            run, vocabulary, lengths, self.weights, self.metrics,
            self.data_sha256, self.training_sha256, self.version, self.network, self.start,
            self.same_split,
        )  # fmt: skip
        check_weights(checkpoint)
        return checkpoint


@contextlib.contextmanager
def named_weights(path: Path) -> Iterator[None]:
    """Let the error of weights that give no numbers name their file."""
    try:
        yield
    except FloatingPointError as error:
        raise UserError(f"{path}: {error}") from None


def diffusion_of(run: RunConfig, vocabulary: Vocabulary) -> Diffusion:
    return Diffusion.named(run.diffusion.process, run.diffusion.schedule, run.model.parameterization, vocabulary.size)


def shape_of(run: RunConfig, vocabulary: Vocabulary) -> tuple[ModelConfig, int, int]:
    """What a network of NETWORKS is built from: its config, the ids it reads, the outputs it gives."""
    diffusion = diffusion_of(run, vocabulary)
    return run.model, diffusion.process.states, diffusion.head.width(diffusion.process)


def network_of(checkpoint: Checkpoint) -> nn.Module:
    """The network of a model, on the CPU. Raises UserError, before anything is built, if the weights do not fit it."""
    try:
        check_weights(checkpoint)
    except ValueError as error:
        raise UserError(str(error)) from None
    model = NETWORKS[checkpoint.network](*shape_of(checkpoint.run, checkpoint.vocabulary))
    model.load_state_dict(checkpoint.weights)
    return model


def check_weights(checkpoint: Checkpoint) -> None:
    """Raise ValueError for the first weight that is not what the network of this config has; none is read or built."""
    weights = checkpoint.weights
    with torch.device("meta"):  # shapes without memory
        expected = NETWORKS[checkpoint.network](*shape_of(checkpoint.run, checkpoint.vocabulary)).state_dict()
    for name in [*expected, *weights]:
        if name not in weights:
            problem = "is missing"
        elif name not in expected:
            problem = "is none of its"
        elif not isinstance(weights[name], Tensor):
            problem = f"is {shown(weights[name])}"
        elif weights[name].shape != expected[name].shape:
            problem = f"has the shape {[*weights[name].shape]}, not {[*expected[name].shape]}"
        elif weights[name].dtype not in FLOATS:
            problem = f"is of {weights[name].dtype}"
        else:
            continue
        raise ValueError(f"the weights do not fit the model's config: {place([name])} {problem}")


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> Path | None:
    """Write a model file, whole or not at all; -> where the old file is kept; None if it has a copy aside already.

    The new file has the mode of the old one.
    """
    kept = None
    with atomic_path(path) as new:
        new.write_bytes(archive_bytes(content_of(checkpoint)))
        if os.path.lexists(path) and not copies_aside(path):
            flush_to_disk(new)  # on a full disk, the old file must keep its name
            kept = set_aside(path)
            if kept.is_file():
                set_mode(new, stat.S_IMODE(kept.stat().st_mode) | stat.S_IWUSR)
    return kept


def content_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """A model as plain values and tensors, under the names of ModelFile."""
    return {
        "format": FORMAT,
        "config": checkpoint.run.model_dump(),
        "vocabulary": checkpoint.vocabulary.characters,
        "lengths": torch.from_numpy(checkpoint.lengths.values),
        "length_counts": torch.from_numpy(checkpoint.lengths.counts),
        "weights": {name: value.cpu() for name, value in checkpoint.weights.items()},
        "metrics": checkpoint.metrics,
        "data_sha256": checkpoint.data_sha256,
        "training_sha256": checkpoint.training_sha256,
        "version": checkpoint.version,
        "network": checkpoint.network,
        "open": checkpoint.vocabulary.open,
        "start": checkpoint.start and checkpoint.start.model_dump(),
        **({"same_split": True} if checkpoint.same_split else {}),  # others keep the bytes that they had before it
    }


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a model file, or a folder of its parts. Anything else is a UserError of one line; nothing in it is executed.

    The weights are on the CPU, in the type that they were stored in.
    """
    if is_model_folder(path):
        checkpoint = of_folder(path)
    else:
        checkpoint, found = read_hashed(path, partial(checkpoint_of, path))
        checkpoint = replace(checkpoint, file_sha256=found)
    try:
        check_finite(checkpoint.weights)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return checkpoint


def of_folder(folder: Path) -> Checkpoint:
    """The model of a folder, checked as a model file is."""
    content, said = read_folder(folder)
    checkpoint = checkpoint_of(folder, content)
    for key, expected in derived(content_of(checkpoint)).items():
        if said[key] != expected:
            raise UserError(f"{folder / CONFIG}: {key} is {shown(said[key])}, not {expected}")
    return checkpoint


def check_finite(weights: dict[str, Tensor]) -> None:
    """Raise ValueError for weights that hold numbers that are not finite."""
    for name, value in weights.items():
        if not value.float().isfinite().all():
            raise ValueError(f"weights.{name} holds numbers that are not finite")


def checkpoint_of(path: Path, content: dict[str, Any]) -> Checkpoint:
    """The content of a model file, checked but for the numbers in its weights. Raises UserError for any other."""
    if "optimizers" in content:
        raise UserError(
            f"{path}: the state of an interrupted training, not a model; the same train.py command goes on with it"
        )
    if type(content.get("format")) is not int or content["format"] != FORMAT:
        raise UserError(f"{path}: format {shown(content.get('format'))} is not one this version reads ({FORMAT})")
    try:
        return validated(content)
    except ValueError as error:
        raise UserError(f"{path}: not a model of this program: {error}") from None


def validated(content: dict[str, Any]) -> Checkpoint:
    """Content under the names of ModelFile as a model. Raises ValueError with one line for the first fault."""
    try:
        return ModelFile.model_validate(content).checkpoint()
    except ValidationError as error:
        raise ValueError(describe(error.errors()[0], ModelFile, {})) from None
