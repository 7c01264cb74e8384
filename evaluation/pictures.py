"""Pictures of an evaluation, drawn with Matplotlib: one per voice, and matrices over all voices."""

import io
import math
from typing import Any

import matplotlib

matplotlib.use("agg")  # draws to files; no window is opened

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from command.messages import number, printable
from evaluation.records import Evaluation, Likelihoods, VoiceComparison

matplotlib.rcdefaults()  # not what a matplotlibrc of this folder or user asks for, which may need other programs
GROUP_GAP = 0.6  # between bars that do not compare, in bars


def voice_plot(evaluation: Evaluation) -> Figure:
    """One voice: its likelihood beside the baselines, its lengths, and its longest matches with the training text."""
    layout: dict[str, Any] = {"layout": "constrained", "width_ratios": [1.25, 1, 1]}
    figure, (bits, lengths, matches) = pyplot.subplots(1, 3, figsize=(13.5, 3.9), **layout)
    draw_likelihood(bits, evaluation.likelihood)
    draw_lengths(lengths, [len(text) for text in evaluation.texts], evaluation.training_lengths)
    draw_matches(matches, evaluation)
    figure.suptitle(printable(evaluation.name), parse_math=False)  # a $ in a name is a $
    return figure


def draw_likelihood(axis: Axes, likelihood: Likelihoods) -> None:
    """Bars of held-out bits per character: baselines grey, the voice blue; NELBOs stand apart from exact values."""
    baselines, voice = likelihood.baselines, likelihood.held_out
    bars = [  # name, value, standard error or None of a baseline
        ("uniform", baselines.uniform, None),
        ("unigram", baselines.unigram, None),
        ("5-gram, left to right", baselines.five_gram, None),
        *((f"this voice, {order}", found.bits, found.error) for order, found in likelihood.ordered.items()),
        ("NELBO: counts of both sides", baselines.two_sided, None),
        ("NELBO: this voice", voice.bits, voice.error),
    ]
    names, values, errors = zip(*bars, strict=True)
    lengths = [value if math.isfinite(value) else 0.0 for value in values]
    places = np.arange(len(bars)) + GROUP_GAP * (np.arange(len(bars)) >= len(bars) - 2)
    colours = ["0.75" if error is None else "tab:blue" for error in errors]
    spans = [error if error and math.isfinite(error) else 0.0 for error in errors]
    drawn = axis.barh(places, lengths, xerr=spans, color=colours)
    axis.bar_label(drawn, [number(value, ".2f") for value in values], padding=3)  # behind the error bar
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.set(title="held-out bits per character", xlim=(0, max(lengths) * 1.2))


def draw_lengths(axis: Axes, samples: list[int], training: np.ndarray) -> None:
    """The share of documents up to each length, of samples and of training text."""
    for values, label in ((samples, "samples"), (training, "training text")):
        ordered = np.sort(values)
        axis.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), where="post", label=label)
    right = float(np.quantile(training, 0.99)) * 1.1
    axis.set(title="lengths", xlabel="characters", ylabel="share up to", xlim=(0, right))
    axis.legend(loc="lower right")


def draw_matches(axis: Axes, evaluation: Evaluation) -> None:
    """Histograms of the longest matches of samples and of held-out text, and the bound of a copy."""
    samples, real, bound = evaluation.matches, evaluation.real_matches, evaluation.copies.bound
    bins = np.linspace(0, max(samples.max(), real.max(), bound) + 2, 40)
    labels, colours = ["samples", "held-out text"], ["tab:blue", "0.6"]
    axis.hist([samples, real], bins=bins, density=True, label=labels, color=colours)
    height = axis.get_ylim()[1]
    axis.vlines(bound, 0, height, color="tab:red", linestyle="--", label="a copy beyond here")
    # the legend has the top third
    axis.set(title="longest match with the training text", xlabel="characters", yticks=[], ylim=(0, height * 1.5))
    axis.legend(loc="upper right")


def confusion_plot(comparison: VoiceComparison) -> Figure:
    """Matrices of the source that each voice's samples, and each corpus's documents, are taken for."""
    names = comparison.names
    figure, axes = pyplot.subplots(
        1, 2, figsize=(4.5 + 0.9 * len(names), 2.5 + 0.42 * len(names)), layout="constrained"
    )
    matrices = {"samples": comparison.confusion, "held-out text,\nsame lengths": comparison.confusion_real}
    for axis, (title, matrix) in zip(axes, matrices.items(), strict=True):
        counts = np.array(matrix, dtype=float)
        grid(axis, counts / counts.sum(1, keepdims=True), names, "{:.0%}", "Blues")
        axis.set(title=title, xlabel="taken for", ylabel="written by")
    return figure


def style_plot(comparison: VoiceComparison) -> Figure:
    """A matrix of bits per character of each corpus under each voice."""
    names = comparison.names
    figure, axis = pyplot.subplots(figsize=(3 + 0.42 * len(names), 2 + 0.42 * len(names)), layout="constrained")
    grid(axis, np.array(comparison.style_bits), names, "{:.1f}", "viridis_r")
    axis.set(title="bits per character", xlabel="held-out text of", ylabel="under the voice")
    return figure


def grid(axis: Axes, values: np.ndarray, names: list[str], form: str, colours: str) -> None:
    """Draw a matrix with a label for each row and column and a number, formatted by `form`, in each cell."""
    image = axis.imshow(values, cmap=colours)
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), names)
    for (row, column), value in np.ndenumerate(values):
        red, green, blue = image.cmap(image.norm(value))[:3]
        # white text on dark cells, black on bright ones
        dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
        axis.text(
            column, row, form.format(value), ha="center", va="center", fontsize=6, color="white" if dark else "black"
        )


def png_of(figure: Figure, dpi: int = 110, metadata: dict[str, str] | None = None) -> bytes:
    """A figure as the bytes of a PNG file; the figure is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata=metadata)
    pyplot.close(figure)
    return buffer.getvalue()
