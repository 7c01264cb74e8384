"""The model file: config, vocabulary, lengths and weights in one; reading it never runs code that it holds."""

import difflib
import io
import pickle
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from config.schema import ModelConfig, RunConfig
from diffusion.objectives import Diffusion
from generation.notebook_model import NotebookNetwork
from model import DiffusionTransformer
from text.corpus import Lengths
from text.vocabulary import Vocabulary
from utils import VERSION, UserError, check_readable, out_of_memory, write_atomic

FORMAT = 1
DAMAGE_ERRORS = (
    OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, OverflowError, zlib.error,
    zipfile.BadZipFile, pickle.PickleError,
)  # fmt: skip
NETWORKS = {"transformer": DiffusionTransformer, "notebook": NotebookNetwork}  # notebook: for imported models only


class Damaged(UserError):
    """A file that was cut short or changed."""


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


def diffusion_of(run: RunConfig, vocabulary: Vocabulary) -> Diffusion:
    return Diffusion.named(run.diffusion.process, run.diffusion.schedule, run.model.parameterization, vocabulary.size)


def shape_of(run: RunConfig, vocabulary: Vocabulary) -> tuple[ModelConfig, int, int]:
    """What a network of NETWORKS is built from: its config, the ids it reads, the outputs it gives."""
    diffusion = diffusion_of(run, vocabulary)
    return run.model, diffusion.process.states, diffusion.head.width(diffusion.process)


def network_of(checkpoint: Checkpoint) -> nn.Module:
    model = NETWORKS[checkpoint.network](*shape_of(checkpoint.run, checkpoint.vocabulary))
    try:
        model.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise UserError(f"the weights do not fit the model's config: {' '.join(str(error).split())[:200]}") from None
    return model


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a model file, whole or not at all."""
    content = {
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
    }
    write_archive(path, content)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a model file. Anything else is a UserError; nothing in the file is executed."""
    content = read_archive(path)
    if "optimizers" in content:
        raise UserError(
            f"{path}: the state of an interrupted training, not a model; the same train.py command goes on with it"
        )
    if content.get("format") != FORMAT:
        raise UserError(f"{path}: format {content.get('format')!r} is not one this version reads ({FORMAT})")
    network = content.get("network", "transformer")  # files from before there was a choice name none
    if network not in NETWORKS:
        raise UserError(f"{path}: network {network!r} is not one this version knows ({', '.join(NETWORKS)})")
    try:
        return Checkpoint(
            run=RunConfig.stored(content["config"]),
            vocabulary=Vocabulary(content["vocabulary"], content.get("open", True)),
            lengths=Lengths(content["lengths"].numpy(), content["length_counts"].numpy()),
            weights=content["weights"],
            metrics=content["metrics"],
            data_sha256=content["data_sha256"],
            training_sha256=content["training_sha256"],
            version=content["version"],
            network=network,
        )
    except (KeyError, AttributeError, TypeError, ValueError, ValidationError) as error:
        raise UserError(f"{path}: not a model of this program: {' '.join(str(error).split())[:200]}") from None


def nearest_model(path: Path) -> str:
    """The text "; did you mean 'models/x.pt'?" for a path that is no file, or ""."""
    models = [file for folder in (path.parent, Path("models")) for file in sorted(folder.glob("*.pt"))]
    named = {
        file.stem: file for file in models if file.is_file() and "." not in file.stem
    }  # not a state, nor an earlier model
    close = difflib.get_close_matches(path.stem, named, n=1, cutoff=0.5)
    return f"; did you mean {str(named[close[0]])!r}?" if close else ""


def write_archive(path: Path, content: dict[str, Any]) -> None:
    """Plain values and tensors -> a file, whole or not at all; the same run gives the same bytes."""
    buffer = io.BytesIO()  # a buffer has no name, so the archive inside does not depend on the path
    torch.save(content, buffer)
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None


def read_archive(path: Path) -> dict[str, Any]:
    """Read what `write_archive` wrote. Raises Damaged where it was cut short or changed, UserError for another file."""
    check_readable(path, f"name a model file, models/NAME.pt{nearest_model(path)}")
    try:
        with zipfile.ZipFile(path) as archive:  # as torch.save writes; older formats are bare pickles
            if archive.testzip():  # torch itself reads over checksums
                raise ValueError
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE_ERRORS as error:
        if out_of_memory(error):
            raise
        raise Damaged(f"{path}: not a model file, or damaged") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a model of this program")
    return content
