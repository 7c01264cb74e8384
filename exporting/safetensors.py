"""A model as the files that other programs read: model.safetensors, config.json and vocabulary.json."""

import argparse
from pathlib import Path

from command.messages import say
from command.outputs import Outputs
from generation.checkpoint import content_of, load_checkpoint
from generation.folder import FILES, folder_files, is_model_folder, model_files
from utils import UserError


def export_safetensors(arguments: argparse.Namespace) -> int:
    """Write a model's weights, config and vocabulary into a folder."""
    checkpoint = load_checkpoint(arguments.model)
    model: Path = arguments.model
    folder = arguments.output or (model if is_model_folder(model) else model.with_suffix(""))
    if folder.is_file():
        raise UserError(f"{folder}: is a file; name a folder with --output")
    outputs = Outputs(folder, [*FILES], model_files(arguments.model), overwrite=arguments.overwrite)
    outputs.write(*folder_files(content_of(checkpoint)).values())
    say(f"{folder}: {', '.join(FILES)}")
    return 0
