"""A start from a trained model: its weights, its characters matched with those of another text."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from config.schema import RunConfig
from generation.checkpoint import Checkpoint, SeenText, Start, diffusion_of, load_checkpoint
from text.survey import learnt_before
from text.vocabulary import Vocabulary
from utils import UserError, check_readable

# settings of the network that decide what its weights mean
ALIKE = ("layers", "attention_layers", "heads", "width", "conv_width", "noise_width", "parameterization")
BY_CHARACTER = ("tokens.weight", "head.weight", "head.bias")  # weights with a row for each id


@dataclass(frozen=True)
class Beginning:
    """The model that a training starts from, and what the new model says of it."""

    checkpoint: Checkpoint
    record: Start


def beginning_of(run: RunConfig) -> Beginning | None:
    """The model that the run starts from, if it names one. Raises UserError if it is none, or of another network."""
    path = run.start_file()
    if path is None:
        return None
    if not path.exists():
        raise UserError(f"training.start_from: {path}: no such file; train that model first, or name another")
    found = load_checkpoint(path)
    check_readable(path, "a training starts from a model file, models/NAME.pt, whose hash it names")
    if found.network != "transformer":
        raise UserError(f"training.start_from: {path}: an imported model; only one that train.py made can be a start")
    check_alike(path, found.run, run)
    try:
        texts = [*(found.start.texts if found.start else []), learnt_as(found)]
        texts = list(dict.fromkeys(texts))
        return Beginning(found, Start(name=found.run.name, model_sha256=found.file_sha256, texts=texts))
    except ValidationError:  # a model from elsewhere may name no text, or as many as a start may have
        raise UserError(f"training.start_from: {path}: does not say which texts it learnt; name another") from None


def learnt_as(found: Checkpoint) -> SeenText:
    """The text that a model learnt from, and its name."""
    return SeenText(name=found.run.name, sha256=found.data_sha256)


def was_trained_further(found: Checkpoint) -> bool:
    """Whether a model started from an earlier one of the same dataset and text."""
    return bool(found.start and found.data_sha256 and learnt_as(found) in found.start.texts)


def keeps_split(beginning: Beginning | None, run: RunConfig, data_sha256: str) -> bool:
    """Whether a start learnt this very text, and all starts that did so held out what the run holds out."""
    if not beginning or beginning.checkpoint.data_sha256 != data_sha256:
        return False
    start = beginning.checkpoint
    earlier = start.start and data_sha256 in {text.sha256 for text in start.start.texts}
    return (start.same_split or not earlier) and not learnt_before(run, start.run)


def spent_before(beginning: Beginning | None, name: str, data_sha256: str) -> dict[str, int]:
    """Steps and characters, as metrics, that a start of the same dataset and text had behind it; {} of another start.

    A training counts on from there, so that it meets other batches and noise than its start.
    """
    start = beginning and beginning.checkpoint
    if not start or (start.run.name, start.data_sha256) != (name, data_sha256):
        return {}
    spent = {}
    for key in ("steps", "characters"):
        parts = [start.metrics.get(key), start.metrics.get(f"{key}_before", 0)]
        if any(type(part) is not int or part < 0 for part in parts):
            raise UserError(f"{name}: its model does not tell how many {key} it made; train it anew")
        spent[f"{key}_before"] = sum(parts)
    return spent


def no_better(before: Beginning, held_out: float) -> str:
    """What to say where more time has made a finished model no better, by its own measure; "" where it has."""
    earlier = before.checkpoint.metrics.get("held_out_bits", math.inf)
    return "" if held_out < earlier else f"{held_out:.3f} bits/char are no better than {earlier:.3f} before"


def check_alike(path: Path, start: RunConfig, run: RunConfig, option: str = "training.start_from") -> None:
    """Raise UserError if the model of one run, which lies at `path`, is of another network than a run needs."""
    mine, theirs = run.model.model_dump(), start.model.model_dump()
    differing = [(f"model.{key}", theirs[key], mine[key]) for key in ALIKE if theirs[key] != mine[key]]
    if start.diffusion.process != run.diffusion.process:
        differing.append(("diffusion.process", start.diffusion.process, run.diffusion.process))
    if differing:
        key, its, ours = differing[0]
        same = "choose the same preset" + (f", {start.preset}" if start.preset != run.preset else "")
        raise UserError(f"{option}: {path} has {key} {its}, this run {ours}; {same}")


def matched_weights(
    fresh: dict[str, Tensor], run: RunConfig, vocabulary: Vocabulary, start: Checkpoint
) -> dict[str, Tensor]:
    """`fresh` weights of a network, with those of `start` in their place, rows by character.

    A character that `start` does not know keeps its fresh embedding; its output is 0 with the least bias of those that
    `start` knows, so it is unlikely at first.
    """
    theirs = {character: number for number, character in enumerate(start.vocabulary.characters)}
    theirs |= {"<unk>": start.vocabulary.unk} if start.vocabulary.open else {}
    names = [*vocabulary.characters, *["<unk>"] * vocabulary.open]
    mask = diffusion_of(run, vocabulary).process.states > vocabulary.size
    known = torch.tensor([theirs.get(name, -1) for name in names] + [start.vocabulary.size] * mask)
    found = {}
    for name, weight in fresh.items():
        given = start.weights[name].float()
        if name in BY_CHARACTER:
            rows = known[: len(weight)]
            new = {"tokens.weight": weight, "head.weight": torch.zeros(())}.get(name, given.min())
            matched = (rows >= 0).view(-1, *[1] * (weight.dim() - 1))
            given = torch.where(matched, given[rows.clamp_min(0)], new)
        found[name] = given
    return found
