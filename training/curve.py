"""The picture of a training: its learning curve, models/NAME.png."""

import numpy as np
from matplotlib import pyplot
from matplotlib.ticker import MaxNLocator

from config.schema import RunConfig
from evaluation.pictures import png_of
from generation.outputs import check_ours
from training.events import Status
from utils import write_atomic

SOFTWARE = "diffusion-gpt-local"  # a text in the file, by which a later training knows it


def plot_curve(status: Status, run: RunConfig) -> None:
    """Draw bits per character of held-out and of training text over the characters read, with minutes above."""
    history = status.history
    seen, minutes = [record.characters / 1e6 for record in history], [record.minutes for record in history]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
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
    figure.suptitle(run.name)
    path = run.model_file().with_suffix(".png")
    check_ours(path, lambda found: f"Software\0{SOFTWARE}".encode() in found)
    write_atomic(path, png_of(figure, dpi=120, metadata={"Software": SOFTWARE}))
