"""Take models in from elsewhere: python export.py import-notebook FILE --vocabulary TEXT"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from options import obey

if TYPE_CHECKING:
    from torch import Tensor

    from checkpoint import Checkpoint
    from config import RunConfig

COMPILED = "_orig_mod."  # what torch.compile puts before the names of a saved model
EMBEDDING = "transformer.wte.weight"
STEPS = 128  # network calls of the notebook's own sampling


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Take in models of other programs.")
    commands = parser.add_subparsers(dest="command", required=True)
    notebook = commands.add_parser("import-notebook", help="a checkpoint of the notebook ash80/diffusion-gpt")
    notebook.add_argument("file", type=Path, help="its weights, as torch.save wrote them")
    notebook.add_argument(
        "--vocabulary",
        type=Path,
        required=True,
        metavar="TEXT",
        help="the text it was trained on, or all its characters",
    )
    notebook.add_argument("--heads", type=int, default=6, help="attention heads, which the weights do not tell (6)")
    notebook.add_argument("--output", type=Path, help="model file to write (default models/NAME.pt)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    return obey(import_notebook, parse_arguments(argv))


def import_notebook(arguments: argparse.Namespace) -> int:
    from checkpoint import load_state, save_checkpoint
    from config_errors import is_safe_name
    from utils import UserError

    file, output = arguments.file, arguments.output or Path("models") / f"{arguments.file.stem}.pt"
    if output.exists():
        raise UserError(f"{output}: exists already; name another with --output")
    try:
        text = arguments.vocabulary.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{arguments.vocabulary}: cannot be read: {error}") from None
    weights = {str(name).removeprefix(COMPILED): value for name, value in load_state(file).items()}
    try:
        name = output.stem if is_safe_name(output.stem) else "notebook"
        checkpoint = notebook_checkpoint(name, weights, "".join(sorted(set(text))), arguments.heads)
    except ValueError as error:
        raise UserError(f"{file}: not a model of the notebook with this vocabulary and --heads: {error}") from None
    save_checkpoint(output, checkpoint)
    print(f"{output}: {checkpoint.metrics['parameters']:,} parameters, {checkpoint.vocabulary.size} characters")
    return 0


def notebook_checkpoint(name: str, weights: "dict[str, Tensor]", characters: str, heads: int) -> "Checkpoint":
    """The notebook's weights (under its own names) and characters (in the order of their ids) as a model of ours.

    Ids are put in our order, the newline first; noise, head and grid are the notebook's own. Raises ValueError
    with the reason where they do not fit together.
    """
    import numpy as np

    from checkpoint import Checkpoint, Lengths, network_of
    from utils import UserError, Vocabulary

    run = notebook_run(name, weights, heads)
    if "\n" not in characters or len(characters) != len(weights[EMBEDDING]):
        newline = "" if "\n" in characters else ", no newline among them"
        raise ValueError(f"{len(characters)} distinct characters{newline}, where it knows {len(weights[EMBEDDING])}")
    order = sorted(range(len(characters)), key=lambda i: characters[i] != "\n")  # stable: the rest stays as it was
    vocabulary = Vocabulary("".join(characters[i] for i in order), open=False)
    checkpoint = Checkpoint(
        run, vocabulary, Lengths.of(np.array([run.model.context])), weights, {}, "", "", network="notebook"
    )
    try:
        network = network_of(checkpoint)
    except UserError as error:  # names and shapes that do not fit
        raise ValueError(str(error)) from None
    for key in (EMBEDDING, "lm_head.linear.weight", "lm_head.linear.bias"):
        weights[key] = weights[key][order]
    checkpoint.metrics["parameters"] = sum(p.numel() for p in network.parameters())
    return checkpoint


def notebook_run(name: str, weights: "dict[str, Tensor]", heads: int) -> "RunConfig":
    """The run that such weights come from, as far as their shapes tell; ValueError where they tell nothing."""
    from pydantic import ValidationError

    from config import RunConfig

    try:
        width, context = weights[EMBEDDING].shape[1], len(weights["transformer.wpe.weight"])
        noise_width = len(weights["sigma_map.mlp.2.weight"])
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(f"no weights {error}") from None
    layers = sum(key.endswith("attn.c_attn.weight") for key in weights)
    shape = {"layers": layers, "heads": heads, "width": width, "context": context, "noise_width": noise_width}
    sampling = {"grid": "geometric", "steps": STEPS, "temperature": 1.0, "greedy_last_step": False}
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
        problems = (f"{'.'.join(map(str, p['loc']))} {p['input']!r}: {p['msg']}" for p in error.errors())
        raise ValueError("; ".join(problems)) from None


if __name__ == "__main__":
    sys.exit(main())
