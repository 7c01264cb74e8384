"""A model as the files that other programs read: model.safetensors, config.json and vocabulary.json."""

import argparse

from config.messages import say
from generation.checkpoint import content_of, load_checkpoint
from generation.folder import FILES, folder_files, model_files
from generation.outputs import Outputs


def export_safetensors(arguments: argparse.Namespace) -> int:
    """Write a model's weights, config and vocabulary into a folder."""
    checkpoint = load_checkpoint(arguments.model)
    folder = arguments.output or arguments.model.with_suffix("")
    outputs = Outputs(folder, [*FILES], model_files(arguments.model), overwrite=arguments.overwrite)
    outputs.write(*folder_files(content_of(checkpoint)).values())
    say(f"{folder}: {', '.join(FILES)}")
    return 0
