"""Turns a checkpoint of the notebook ash80/diffusion-gpt into a model file of this program."""

import os
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from torch import Tensor

from command.messages import counted
from config.errors import describe
from config.names import is_safe_name
from config.schema import RunConfig
from generation.archive import read_archive
from generation.checkpoint import Checkpoint, check_finite, check_weights, content_of, save_checkpoint, validated
from text.lengths import Lengths
from text.vocabulary import Vocabulary
from utils import UserError, read_text

COMPILED = "_orig_mod."  # what torch.compile puts before the names of a saved model
EMBEDDING = "transformer.wte.weight"
NOTEBOOK_STEPS = 128  # network calls of the notebook's own sampling


def import_notebook(file: Path, text_file: Path, heads: int, output: Path) -> Checkpoint:
    """Read the notebook's weights and the text they were trained on; write the model file `output`."""
    if os.path.lexists(output):
        raise UserError(f"{output}: exists already; name another with --output")
    text = read_text(text_file)
    content = read_archive(file)
    weights = {k.removeprefix(COMPILED) if isinstance(k, str) else k: value for k, value in content.items()}
    name = output.stem if is_safe_name(output.stem) else "notebook"
    try:
        checkpoint = notebook_checkpoint(name, weights, "".join(sorted(set(text))), heads)
        validated(content_of(checkpoint))  # or it could not be read again
    except ValueError as error:
        raise UserError(f"{file}: not a model of the notebook with this vocabulary and --heads: {error}") from None
    save_checkpoint(output, checkpoint)
    return checkpoint


def notebook_checkpoint(name: str, weights: dict[str, Tensor], characters: str, heads: int) -> Checkpoint:
    """The notebook's weights (under its own names) and characters (in the order of their ids) as a model of ours.

    Ids are put in our order, the newline first; noise, head and grid are the notebook's own. Raises ValueError
    with the reason where they do not fit together.
    """
    run = notebook_run(name, weights, heads)
    if "\n" not in characters or len(characters) != len(weights[EMBEDDING]):
        newline = "" if "\n" in characters else ", no newline among them"
        found = counted(len(characters), "distinct character") + newline
        raise ValueError(f"{found}, where it knows {len(weights[EMBEDDING])}")
    order = sorted(range(len(characters)), key=lambda i: characters[i] != "\n")  # stable: the rest stays as it was
    vocabulary = Vocabulary("".join(characters[i] for i in order), open=False)
    checkpoint = Checkpoint(
        run, vocabulary, Lengths.of(np.array([run.model.context])), weights, {}, "", "", network="notebook"
    )
    check_weights(checkpoint)
    check_finite(weights)
    for key in (EMBEDDING, "lm_head.linear.weight", "lm_head.linear.bias"):
        weights[key] = weights[key][order]
    checkpoint.metrics["parameters"] = sum(value.numel() for value in weights.values())
    return checkpoint


def notebook_run(name: str, weights: dict[str, Tensor], heads: int) -> RunConfig:
    """The run that such weights come from, as far as their shapes tell; ValueError where they tell nothing."""
    try:
        width, context = weights[EMBEDDING].shape[1], len(weights["transformer.wpe.weight"])
        noise_width = len(weights["sigma_map.mlp.2.weight"])
    except KeyError as error:
        raise ValueError(f"no weights {error}") from None
    except (IndexError, AttributeError, TypeError):
        raise ValueError("its embeddings are no matrices") from None
    layers = sum(str(key).endswith("attn.c_attn.weight") for key in weights)
    shape = {"layers": layers, "heads": heads, "width": width, "context": context, "noise_width": noise_width}
    sampling = {"grid": "geometric", "steps": NOTEBOOK_STEPS, "temperature": 1.0, "greedy_last_step": False}
    try:
        return RunConfig.model_validate(
            {
                "name": name,
                "data": {"format": "stream"},
                "model": {**shape, "dropout": 0.0, "parameterization": "score"},
                "diffusion": {"process": "uniform", "schedule": "geometric"},
                "training": {"loss": "nelbo", "precision": "float32"},
                "sampling": {**sampling, "overlap": context // 4},
            }
        )
    except ValidationError as error:
        raise ValueError("; ".join(describe(problem, RunConfig, {}) for problem in error.errors())) from None
