"""Take models in from elsewhere: python export.py import-notebook FILE --vocabulary TEXT"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from checkpoint import Checkpoint

COMPILED = "_orig_mod."  # what torch.compile puts before the names of a saved model


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
    arguments = parse_arguments(argv)
    from utils import guarded  # after the arguments: torch takes a second to import, and --help should not wait for it

    return guarded(import_notebook, arguments)


def import_notebook(arguments: argparse.Namespace) -> int:
    from checkpoint import load_state, save_checkpoint
    from utils import UserError

    weights = {name.removeprefix(COMPILED): value for name, value in load_state(arguments.file).items()}
    try:
        text = arguments.vocabulary.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{arguments.vocabulary}: cannot be read: {error}") from None
    output = arguments.output or Path("models") / f"{arguments.file.stem}.pt"
    if output.resolve() == arguments.file.resolve():
        raise UserError(f"--output {output}: is the file to import; name another")
    checkpoint = notebook_checkpoint(output.stem, weights, "".join(sorted(set(text))), arguments)
    save_checkpoint(output, checkpoint)
    print(f"{output}: {checkpoint.metrics['parameters']:,} parameters, {checkpoint.vocabulary.size} characters")
    return 0


def notebook_checkpoint(
    name: str, weights: "dict[str, Tensor]", characters: str, arguments: argparse.Namespace
) -> "Checkpoint":
    """The notebook's weights (its own names) and characters (in the order of their ids) as a model of this program.

    Ids are put in this program's order, the newline first; the noise, the head and the 128 geometric steps are its own.
    """
    import numpy as np
    from pydantic import ValidationError

    from checkpoint import Checkpoint, Lengths, network_of
    from config import RunConfig
    from utils import UserError, Vocabulary

    file = arguments.file
    try:
        size, width = weights["transformer.wte.weight"].shape
        context, noise_width = len(weights["transformer.wpe.weight"]), len(weights["sigma_map.mlp.2.weight"])
        layers = sum(key.endswith("attn.c_attn.weight") for key in weights)
    except (KeyError, ValueError, AttributeError, TypeError):
        raise UserError(f"{file}: not a model of the notebook: its weights bear other names") from None
    if "\n" not in characters or len(characters) != size:
        raise UserError(
            f"--vocabulary {arguments.vocabulary}: {len(characters)} distinct characters"
            f"{'' if chr(10) in characters else ', no newline among them'}; {file} was trained on {size}"
        )
    model = {"layers": layers, "heads": arguments.heads, "width": width, "context": context, "dropout": 0.0}
    try:
        run = RunConfig.model_validate(
            {
                "name": name,
                "data": {"format": "stream"},
                "model": {**model, "noise_width": noise_width, "parameterization": "score"},
                "diffusion": {"process": "uniform", "schedule": "geometric"},
                "training": {"loss": "nelbo", "precision": "float32"},
                "sampling": {"grid": "geometric", "steps": 128, "temperature": 1.0, "greedy_last_step": False}
                | {"overlap": context // 4},
            }
        )
    except ValidationError as error:
        raise UserError(f"{file}: {'; '.join(problem['msg'] for problem in error.errors())}") from None
    order = sorted(range(size), key=lambda i: characters[i] != "\n")  # stable: the newline, then the rest as it was
    for key in ("transformer.wte.weight", "lm_head.linear.weight", "lm_head.linear.bias"):
        weights[key] = weights[key][order].clone()
    vocabulary = Vocabulary("".join(characters[i] for i in order), open=False)
    metrics = {"parameters": sum(value.numel() for value in weights.values())}
    lengths = Lengths.of(np.array([context]))
    checkpoint = Checkpoint(run, vocabulary, lengths, weights, metrics, "", "", network="notebook")
    try:
        network_of(checkpoint)
    except RuntimeError as error:
        raise UserError(f"{file}: not a model of the notebook: {' '.join(str(error).split())[:200]}") from None
    return checkpoint


if __name__ == "__main__":
    sys.exit(main())
