"""The picture of a training: its learning curve, models/NAME.png."""

from typing import Any

import numpy as np
from matplotlib import pyplot
from matplotlib.ticker import MaxNLocator

from command.disk import write_atomic
from command.outputs import check_ours
from config.schema import RunConfig
from evaluation.pictures import png_of
from training.events import FIGURES, Status, Validation
from utils import SOFTWARE, hash_json

SIZE, DPI = (7, 4), 120  # inches, and pixels to an inch
MARK = "Training"  # a text in the file that says of which training it is


def plot_curve(status: Status, run: RunConfig) -> None:
    """Write the picture of a training that has ended."""
    path = run.model_file().with_suffix(".png")
    check_ours(path, is_curve)
    mark = mark_of(run.training_hash(), status.figures())
    write_atomic(path, curve_png(run.name, status.history, {MARK: mark})[-1])


def mark_of(training_sha256: str, figures: dict[str, Any]) -> str:
    """What a curve says of its training, in its file: a hash of the settings, and of the figures that the model has."""
    return hash_json([training_sha256, figures])


def curve_png(name: str, history: list[Validation], texts: dict[str, str] | None = None) -> tuple[int, int, bytes]:
    """Bits per character of held-out and of training text over the characters read, with minutes above.

    -> width and height in pixels, and the picture as PNG, whose file holds these texts.
    """
    seen, minutes = [record.characters / 1e6 for record in history], [record.minutes for record in history]
    figure, axes = pyplot.subplots(figsize=SIZE, layout="constrained")
    bits, errors = [record.held_out for record in history], [record.held_out_error for record in history]
    axes.errorbar(seen, bits, errors, label="held-out text", capsize=2)
    learnt = [(record.characters / 1e6, record.learnt) for record in history if record.learnt is not None]
    if learnt:
        axes.plot(*zip(*learnt, strict=True), linestyle=":", label="as much training text")
    axes.set(xlabel="million characters read", ylabel="bits per character (NELBO)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    clock = axes.twiny()
    times = [time for time in MaxNLocator(8).tick_values(minutes[0], minutes[-1]) if minutes[0] <= time <= minutes[-1]]
    clock.set_xticks(np.interp(times, minutes, seen), [f"{time:g}" for time in times])
    clock.set(xlabel="minutes", xlim=axes.get_xlim())
    figure.suptitle(name)
    width, height = (round(DPI * inches) for inches in SIZE)
    return width, height, png_of(figure, dpi=DPI, metadata={"Software": SOFTWARE, **(texts or {})})


def is_curve(picture: bytes) -> bool:
    """Whether a PNG is a learning curve that this program drew."""
    return f"Software\0{SOFTWARE}".encode() in picture


def is_curve_of(picture: bytes, training_sha256: str, metrics: dict[str, Any]) -> bool:
    """Whether it is the curve of the training that a model with this hash and these metrics came from."""
    figures = {name: metrics.get(name) for name in FIGURES}
    return is_curve(picture) and f"{MARK}\0{mark_of(training_sha256, figures)}".encode() in picture
