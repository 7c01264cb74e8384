"""Pictures of an evaluation, drawn with Matplotlib: one per voice, and matrices over all voices."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")  # draws to files; no window is opened

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

from evaluation.records import Evaluation, VoiceComparison
from utils import atomic_path


def voice_plot(evaluation: Evaluation) -> Figure:
    """Likelihood beside its baselines, lengths, and verbatim matches beside the bound."""
    likelihood, bound = evaluation.likelihood, evaluation.copies.bound
    figure, (bits, lengths, matches) = pyplot.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    bars = {**likelihood.baselines.plain(), "this voice": likelihood.held_out.bits}
    colours = ["0.75"] * (len(bars) - 1) + ["tab:blue"]
    shown = bits.bar(list(bars), list(bars.values()), color=colours)
    bits.bar_label(shown, fmt="%.2f", padding=6)  # clear of the error bar
    bits.errorbar(len(bars) - 1, bars["this voice"], likelihood.held_out.error, color="black", capsize=4)
    bits.set(title="held-out bits per character", ylim=(0, max(bars.values()) * 1.15))
    for values, label in (
        ([len(t) for t in evaluation.texts], "samples"),
        (evaluation.training_lengths, "training text"),
    ):
        ordered = np.sort(values)
        lengths.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), where="post", label=label)
    lengths.set(
        title="lengths",
        xlabel="characters",
        ylabel="share up to",
        xlim=(0, float(np.quantile(evaluation.training_lengths, 0.99)) * 1.1),
    )
    lengths.legend(loc="lower right")
    own = evaluation.real_matches
    bins = np.linspace(0, max(evaluation.matches.max(), own.max(), bound) + 2, 40)
    matches.hist(
        [evaluation.matches, own],
        bins=bins,
        density=True,
        label=["samples", "held-out text"],
        color=["tab:blue", "0.6"],
    )
    matches.axvline(bound, color="tab:red", linestyle="--", label="a copy beyond here")
    matches.set(title="longest match with the training text", xlabel="characters", yticks=[])
    matches.legend(loc="upper right")
    figure.suptitle(evaluation.name)
    return figure


def confusion_plot(comparison: VoiceComparison) -> Figure:
    names = comparison.names
    figure, axes = pyplot.subplots(1, 2, figsize=(4 + 0.9 * len(names), 2.5 + 0.42 * len(names)), layout="constrained")
    matrices = {"samples": comparison.confusion, "real held-out text, same lengths": comparison.confusion_real}
    for axis, (title, matrix) in zip(axes, matrices.items(), strict=True):
        counts = np.array(matrix, dtype=float)
        grid(axis, counts / counts.sum(1, keepdims=True), names, "{:.0%}", "Blues")
        axis.set(title=title, xlabel="taken for", ylabel="written by")
    return figure


def style_plot(comparison: VoiceComparison) -> Figure:
    names = comparison.names
    figure, axis = pyplot.subplots(figsize=(3 + 0.42 * len(names), 2 + 0.42 * len(names)), layout="constrained")
    grid(axis, np.array(comparison.style_bits), names, "{:.1f}", "viridis_r")
    axis.set(title="bits per character", xlabel="held-out text of", ylabel="under the voice")
    return figure


def grid(axis: Any, values: np.ndarray, names: list[str], form: str, colours: str) -> None:
    """A labelled matrix; the text is black or white, whichever its cell's brightness needs."""
    image = axis.imshow(values, cmap=colours)
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), names)
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
        axis.text(
            column, row, form.format(value), ha="center", va="center", fontsize=6, color="white" if dark else "black"
        )


def save_figure(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    pyplot.close(figure)
