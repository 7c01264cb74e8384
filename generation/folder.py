"""A model as a folder, as other programs and Hugging Face read it: model.safetensors, config.json, vocabulary.json.

Weights are read and written by safetensors, an optional library that no other module uses; nothing is a pickle.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from command.libraries import library
from config.names import is_safe_name
from generation.archive import damage_named
from utils import Result, UserError, check_readable, read_text, utf8

WEIGHTS, CONFIG, VOCABULARY = "model.safetensors", "config.json", "vocabulary.json"
FILES = (WEIGHTS, CONFIG, VOCABULARY)
# of a run; not where its files lie, on what it is computed, and what a set of it looks like
SETTINGS = ("name", "seed", "preset", "data", "model", "diffusion", "training", "sampling", "license", "source")
# of a model under the names of its file
ORIGIN = ("metrics", "data_sha256", "training_sha256", "version", "network", "start")
OPTIONAL = {"same_split"}  # the same, only if true
DERIVED = ("format", "characters", "unknown_id", "frame_id", "mask_id")
CONFIG_BYTES = 4 << 20  # of config.json at most: 200,000 different lengths take them
VOCABULARY_BYTES = 1 << 20  # 60,000 characters take them if each is escaped
HEADER_BYTES = 4 << 20  # of the list of tensors in a file of weights
NOT_OURS = "not of a model of this program"


def is_model_folder(path: Path) -> bool:
    """Whether a path is a folder that has the config of a model."""
    return (path / CONFIG).exists()


def full_name(path: Path) -> str:
    """The name of a model's file or folder, also of a folder that is given as `.` or `..`."""
    named = path.resolve() if path.name in ("", "..") else path  # a link has a name of its own
    return named.name or "model"  # the root of a disk has none


def model_name(path: Path) -> str:
    """What a model is called: its folder, or its file without the ending."""
    return full_name(path) if is_model_folder(path) else path.stem


def model_files(path: Path) -> list[Path]:
    """The files that a model is read from: itself, or those of its folder."""
    return [path / name for name in FILES] if is_model_folder(path) else [path]


def config_of(content: dict[str, Any]) -> dict[str, Any]:
    """The settings by which a program can build the network and sample from it, of a model file's content; no paths."""
    run = content["config"]
    settings = {key: run[key] for key in SETTINGS}
    settings["data"] = {**run["data"], "file": ""}  # a path of the machine that trained it, as may be:
    if not is_safe_name(run["training"]["start_from"]):
        settings["training"] = {**run["training"], "start_from": ""}
    # a figure that is not known is NaN, for which JSON has null
    metrics = {name: value if math.isfinite(value) else None for name, value in content["metrics"].items()}
    origin = {key: content[key] for key in (*ORIGIN, *(OPTIONAL & content.keys()))}
    origin |= {"metrics": metrics, "file_format": content["format"]}
    return {**settings, **derived(content), **origin}


def derived(content: dict[str, Any]) -> dict[str, Any]:
    """What another program needs to know of ids, by the names in DERIVED."""
    characters, run = len(content["vocabulary"]), content["config"]
    unknown = characters if content["open"] else None
    mask = None if run["diffusion"]["process"] == "uniform" else characters + content["open"]
    return dict(zip(DERIVED, (run["data"]["format"], characters, unknown, 0, mask), strict=True))


def folder_files(content: dict[str, Any]) -> dict[str, bytes]:
    """The content of a model file as the files of a folder, by name. Raises UserError for more than one may hold."""
    weights = {name: value.clone(memory_format=torch.contiguous_format) for name, value in content["weights"].items()}
    lengths = {"values": content["lengths"].tolist(), "counts": content["length_counts"].tolist()}
    config = utf8(json.dumps({**config_of(content), "lengths": lengths}, indent=1) + "\n")
    if len(config) > CONFIG_BYTES:
        raise UserError(f"{CONFIG} would take {len(config):,} bytes, more than {CONFIG_BYTES:,}: too many lengths")
    return {
        # one entry: safetensors keeps several in an order that changes from run to run
        WEIGHTS: library("safetensors.torch").save(weights, metadata={"format": "pt"}),
        CONFIG: config,
        VOCABULARY: utf8(json.dumps([*content["vocabulary"]], ensure_ascii=False) + "\n"),
    }


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of a model file from a folder, still to be checked as that of a file, and what is derived of it.

    Raises UserError for a file that is missing, too long or damaged. The memory taken is bounded by the files' length.
    """
    fix = f"a model's folder has {', '.join(FILES)}"
    for name in FILES:
        check_readable(folder / name, fix)
    vocabulary = parsed(folder / VOCABULARY, VOCABULARY_BYTES, joined)
    content, said = parsed(folder / CONFIG, CONFIG_BYTES, content_from)
    with damage_named(folder / WEIGHTS, NOT_OURS):
        return {**content, "vocabulary": vocabulary, "weights": read_weights(folder / WEIGHTS)}, said


def parsed(path: Path, most_bytes: int, parse: Callable[[Any], Result]) -> Result:
    """What `parse` makes of a JSON file of at most so many bytes."""
    text = read_text(path, most_bytes=most_bytes)
    with damage_named(path, NOT_OURS):
        return parse(json.loads(text))


def joined(characters: list[str]) -> str:
    """The characters of a vocabulary as a text. Raises ValueError for what is no list of them."""
    if not isinstance(characters, list) or any(not isinstance(c, str) or len(c) != 1 for c in characters):
        raise ValueError
    return "".join(characters)


def content_from(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of a model file without vocabulary and weights, from a config.json; what is derived of it.

    Raises ValueError, KeyError and the like for any other value.
    """
    said = {key: config[key] for key in DERIVED}
    known = {*SETTINGS, *ORIGIN, *OPTIONAL, *DERIVED, "file_format", "lengths"}
    if config.keys() - known:
        raise ValueError
    content = {key: config[key] for key in (*ORIGIN, *(OPTIONAL & config.keys()))} | {"format": config["file_format"]}
    content["metrics"] = {name: math.nan if value is None else value for name, value in config["metrics"].items()}
    content["config"] = {key: config[key] for key in SETTINGS if key in config}
    content["open"] = config["unknown_id"] is not None
    content["lengths"], content["length_counts"] = (
        whole_numbers(config["lengths"][key]) for key in ("values", "counts")
    )
    return content, said


def whole_numbers(values: list[int]) -> torch.Tensor:
    """(N,) int64. Raises ValueError for what is no list of whole numbers."""
    if not isinstance(values, list) or any(type(value) is not int for value in values):
        raise ValueError
    return torch.tensor(values, dtype=torch.int64)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file. Raises ValueError and the like if safetensors cannot read it."""
    errors, load = library("safetensors").SafetensorError, library("safetensors.torch").load
    with path.open("rb") as file:
        if int.from_bytes(file.read(8), "little") > HEADER_BYTES:
            raise ValueError
    try:
        return load(path.read_bytes())
    except errors:
        raise ValueError from None
