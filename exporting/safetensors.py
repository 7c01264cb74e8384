"""A model as the files that other programs read: model.safetensors, config.json and vocabulary.json."""

import argparse
import json

import torch

from config.messages import say
from exporting.libraries import library
from generation.checkpoint import Checkpoint, load_checkpoint
from generation.outputs import Outputs
from utils import VERSION, utf8

WEIGHTS, CONFIG, VOCABULARY = "model.safetensors", "config.json", "vocabulary.json"


def settings_of(checkpoint: Checkpoint) -> dict[str, str]:
    """What a file of weights says of its model: config, vocabulary and versions, as texts."""
    return {
        "format": "pt",
        "program": f"diffusion-gpt-local {checkpoint.version}",
        "config": json.dumps(config_of(checkpoint)),
        "vocabulary": json.dumps(checkpoint.vocabulary.characters),
    }


def config_of(checkpoint: Checkpoint) -> dict[str, object]:
    """The settings by which a program can build the network and sample from it; no paths."""
    run, vocabulary = checkpoint.run, checkpoint.vocabulary
    sections = run.model_dump(include={"name", "model", "diffusion", "sampling"})
    known = {"characters": len(vocabulary.characters), "unknown_id": vocabulary.unk if vocabulary.open else None}
    frame = {"frame_id": 0, "mask_id": vocabulary.size if run.diffusion.process != "uniform" else None}
    origin = {"version": VERSION, "network": checkpoint.network, "metrics": checkpoint.metrics}
    return {**sections, "format": run.data.format, **known, **frame, **origin}


def export_safetensors(arguments: argparse.Namespace) -> int:
    """Write a model's weights, config and vocabulary into a folder."""
    checkpoint = load_checkpoint(arguments.model)
    folder = arguments.output or arguments.model.with_suffix("")
    names = [WEIGHTS, CONFIG, VOCABULARY]
    outputs = Outputs(folder, names, [arguments.model], overwrite=arguments.overwrite)
    weights = {name: value.clone(memory_format=torch.contiguous_format) for name, value in checkpoint.weights.items()}
    lengths = {"values": checkpoint.lengths.values.tolist(), "counts": checkpoint.lengths.counts.tolist()}
    config = {**config_of(checkpoint), "lengths": lengths}
    outputs.write(
        library("safetensors.torch").save(weights, metadata=settings_of(checkpoint)),
        utf8(json.dumps(config, indent=1) + "\n"),
        utf8(json.dumps([*checkpoint.vocabulary.characters], ensure_ascii=False) + "\n"),
    )
    say(f"{folder}: {', '.join(names)}")
    return 0
