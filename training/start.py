"""A start from a trained model: its weights, its characters matched with those of another text."""

from dataclasses import dataclass

import torch
from torch import Tensor

from config.schema import RunConfig
from generation.checkpoint import Checkpoint, SeenText, Start, diffusion_of, load_checkpoint
from text.vocabulary import Vocabulary
from utils import UserError, hash_file

# settings of the network that decide what its weights mean
ALIKE = ("layers", "attention_layers", "heads", "width", "conv_width", "noise_width", "parameterization")
BY_CHARACTER = ("tokens.weight", "head.weight", "head.bias")  # weights with a row for each id


@dataclass(frozen=True)
class Beginning:
    """The model that a training starts from, and what the new model says of it."""

    checkpoint: Checkpoint
    record: Start


def beginning_of(run: RunConfig) -> Beginning | None:
    """The model that the run starts from, if it names one. Raises UserError if it is of another network."""
    path = run.start_file()
    if path is None:
        return None
    found = load_checkpoint(path)
    if found.network != "transformer":
        raise UserError(f"training.start_from: {path}: an imported model; only one that train.py made can be a start")
    mine, theirs = run.model.model_dump(), found.run.model.model_dump()
    differing = [(f"model.{key}", theirs[key], mine[key]) for key in ALIKE if theirs[key] != mine[key]]
    if found.run.diffusion.process != run.diffusion.process:
        differing.append(("diffusion.process", found.run.diffusion.process, run.diffusion.process))
    if differing:
        key, its, ours = differing[0]
        raise UserError(f"training.start_from: {path} has {key} {its}, this run {ours}; choose the same preset")
    texts = [*(found.start.texts if found.start else []), SeenText(name=found.run.name, sha256=found.data_sha256)]
    return Beginning(found, Start(name=found.run.name, model_sha256=hash_file(path), texts=texts))


def started(fresh: dict[str, Tensor], run: RunConfig, vocabulary: Vocabulary, start: Checkpoint) -> dict[str, Tensor]:
    """`fresh` weights of a network, with those of `start` in their place, rows by character.

    A character that `start` does not know keeps its fresh embedding; its output is 0, and as unlikely at first as the
    unlikeliest that `start` knows.
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
