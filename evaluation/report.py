"""Evaluations as pages for two readers: the artist (is it good, is it safe) and the engineer (which figure moved).

JSON, Markdown and PNG from plain figures; measures nothing itself.
"""

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")  # no window, whatever the machine

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure
from rich.table import Table
from scipy.stats import binomtest

from evaluation.evaluator import Evaluation
from evaluation.metrics import Interval
from utils import atomic_path, write_atomic

MEANINGS = {
    "known words": "share of words that occur in the training text; the ceiling is real text's",
    "trigram divergence": "how far the three-character habits are from the source's, bits; less is better",
    "length distance": "how far the lengths are from the source's, 0 to 1; less is better",
    "5-gram bits/char": "how surprising a simple model of the source finds the text; near real text's is best",
    "character entropy": "how varied the characters are, bits; near real text's is best",
    "openings divergence": "how far the first three characters are from the source's habits, bits",
    "endings divergence": "how far the last two characters are from the source's habits, bits",
    "duplicates": "share of documents that repeat an earlier one",
    "copies": "share of documents that are lines of the training text, or hold more of it in a row than new real text",
    "longest match": "mean length of the longest verbatim match with the training text, characters",
}
GAUGES = {
    "creating": "It writes new text: safe to publish as far as copying goes.",
    "in between": "Some documents repeat long passages of the source: look at the list of copies before publishing.",
    "memorising": "It recites its source. Train it shorter, on more text or with dropout; do not publish this.",
}


def at_ceiling(pair: dict[str, Any]) -> bool:
    """Whether the samples' figure differs from real text's by no more than chance."""
    return Interval(**pair["samples"]).agrees(Interval(**pair["real"]))


def summary(figures: dict[str, Any]) -> str:
    words, copies = figures["figures"]["known words"], figures["copies"]
    share = words["samples"]["value"] / max(words["real"]["value"], 1e-9)
    bits = figures["likelihood"]["held_out"]
    return (
        f"{figures['name']}: {bits['bits']:.3f} ± {bits['error']:.3f} bits/char, words at {share:.0%} of the ceiling, "
        f"copies {copies['share']:.1%}: {copies['gauge']}"
    )


def table(all_figures: list[dict[str, Any]]) -> Table:
    columns = ("voice", "bits/char", "5-gram", "gap", "words", "trigrams", "lengths", "copies", "gauge")
    result = Table(*columns, caption="samples / real text")
    for figures in all_figures:
        likelihood, own = figures["likelihood"], figures["figures"]

        def pair(name: str, own: dict[str, Any] = own) -> str:
            return f"{own[name]['samples']['value']:.2f} / {own[name]['real']['value']:.2f}"

        result.add_row(
            figures["name"],
            f"{likelihood['held_out']['bits']:.2f} ± {likelihood['held_out']['error']:.2f}",
            f"{likelihood['baselines']['5-gram']:.2f}",
            f"{likelihood['gap']:+.2f}",
            *(pair(name) for name in ("known words", "trigram divergence", "length distance")),
            f"{figures['copies']['share']:.1%}",
            figures["copies"]["gauge"],
        )
    return result


def write_voice(evaluation: Evaluation, folder: Path) -> Path:
    """NAME_evaluation.json, .md and .png; -> the Markdown report."""
    stem = f"{evaluation.name}_evaluation"
    content = json.dumps(evaluation.figures, ensure_ascii=False, indent=1)
    write_atomic(folder / f"{stem}.json", content + "\n")
    write_atomic(folder / f"{stem}.md", "\n".join(voice_page(evaluation.figures)) + "\n")
    save_figure(voice_plot(evaluation), folder / f"{stem}.png")
    return folder / f"{stem}.md"


def voice_page(figures: dict[str, Any]) -> list[str]:
    """The Markdown report of one voice, line by line."""
    copies, own = figures["copies"], figures["figures"]
    reached = ", ".join(key for key in own if at_ceiling(own[key])) or "nothing yet"
    short = ", ".join(key for key in own if not at_ceiling(own[key])) or "nothing"
    return [
        f"# {figures['name']}",
        "",
        f"**{copies['gauge'].capitalize()}.** {GAUGES[copies['gauge']]}",
        "",
        f"- No different from real text: {reached}.",
        f"- Still apart: {short}.",
        "",
        f"![figures]({figures['name']}_evaluation.png)",
        "",
        *("## Samples", "", "```", *figures["examples"], "```", ""),
        *("## Figures", ""),
        f"{figures['compared']} documents ({figures['samples']}) beside as many held-out ones; 95 % intervals.",
        *("", "| figure | samples | real text | |", "|---|--:|--:|---|"),
        *(f"| {k} | {Interval(**v['samples'])} | {Interval(**v['real'])} | {MEANINGS[k]} |" for k, v in own.items()),
        *("", "## Likelihood", "", *likelihood_rows(figures["likelihood"])),
        *("", "## Copies", ""),
        "Flagged is a document that is a line of the training text, white space aside, or holds more than "
        f"{copies['bound']} characters of it in a row:",
        f"beyond the 99.9th percentile of what {copies['calibrated_on']:,} new documents hold of other people's text.",
        "",
        f"{len(copies['flagged'])} of {figures['judged']} flagged ({copies['share']:.1%}).",
        "",
        *(f"- {c['match']} characters (document {c['index']}): `{c['text'][:200]}`" for c in copies["worst"]),
        "",
        f"{figures['training']['parameters']:,} parameters, {figures['training']['characters']:,} characters seen;",
        f"data sha256 {figures['data_sha256'][:16]}, config {figures['training_sha256'][:16]}, "
        f"version {figures['version']}.",
    ]


def likelihood_rows(likelihood: dict[str, Any]) -> list[str]:
    def row(side: str, label: str) -> str:
        found = likelihood[side]
        return f"| {label} (NELBO, {found['characters']:,} characters) | {found['bits']:.3f} ± {found['error']:.3f} |"

    return [
        "Bits per character, less is better; averaged weights, all terms of the bound.",
        *("", "| | |", "|---|--:|"),
        row("held_out", "held-out text"),
        row("training", "training text"),
        f"| gap | {likelihood['gap']:+.3f} |",
        *(f"| baseline: {name} | {bits:.3f} |" for name, bits in likelihood["baselines"].items()),
    ]


def voice_plot(evaluation: Evaluation) -> Figure:
    """Likelihood beside its baselines, lengths, and verbatim matches beside the bound."""
    figures, bound = evaluation.figures, evaluation.figures["copies"]["bound"]
    figure, (bits, lengths, matches) = pyplot.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    likelihood = figures["likelihood"]
    bars = {**likelihood["baselines"], "this voice": likelihood["held_out"]["bits"]}
    colours = ["0.75"] * len(likelihood["baselines"]) + ["tab:blue"]
    shown = bits.bar(list(bars), list(bars.values()), color=colours)
    bits.bar_label(shown, fmt="%.2f", padding=6)  # clear of the error bar
    bits.errorbar(len(bars) - 1, bars["this voice"], likelihood["held_out"]["error"], color="black", capsize=4)
    bits.set(title="held-out bits per character", ylim=(0, max(bars.values()) * 1.15))
    for values, label in (([len(t) for t in evaluation.texts], "samples"), (evaluation.lengths, "training text")):
        ordered = np.sort(values)
        lengths.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), where="post", label=label)
    lengths.set(
        title="lengths",
        xlabel="characters",
        ylabel="share up to",
        xlim=(0, float(np.quantile(evaluation.lengths, 0.99)) * 1.1),
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


def write_all(shared: dict[str, Any], evaluations: list[Evaluation], folder: Path) -> Path:
    """evaluation.json, .md and two pictures over all voices; -> the Markdown report."""
    content = {"voices": {e.name: e.figures for e in evaluations}, **shared, "attribution": attributions(shared)}
    write_atomic(folder / "evaluation.json", json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    save_figure(confusion_plot(shared), folder / "evaluation_confusion.png")
    save_figure(style_plot(shared), folder / "evaluation_style.png")
    write_atomic(folder / "evaluation.md", "\n".join(all_page(shared, evaluations)) + "\n")
    return folder / "evaluation.md"


def attributions(shared: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Share of each voice's documents named as its own, samples and real; half the width of Wilson's 95 % interval."""
    result = {}
    for i, name in enumerate(shared["names"]):
        result[name] = {}
        for key, label in (("confusion", "samples"), ("confusion_real", "real")):
            row = shared[key][i]
            result[name][label] = row[i] / sum(row)
            low, high = binomtest(row[i], sum(row)).proportion_ci(method="wilson")
            result[name][f"{label}_error"] = float(high - low) / 2
    return result


def all_page(shared: dict[str, Any], evaluations: list[Evaluation]) -> list[str]:
    """The Markdown report over all voices, line by line."""
    found = attributions(shared)
    columns = ("voice", "bits/char", "5-gram", "attribution", "words", "trigrams", "lengths", "copies", "gauge")
    lines = [
        "# All voices",
        "",
        "Samples / real text. Attribution: share of documents whose source a classifier taught on real text names.",
        *("", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)),
    ]
    for evaluation in evaluations:
        figures, own = evaluation.figures, evaluation.figures["figures"]
        bits, share = figures["likelihood"]["held_out"], found[evaluation.name]
        cells = [
            f"[{evaluation.name}]({evaluation.name}_evaluation.md)",
            f"{bits['bits']:.3f} ± {bits['error']:.3f}",
            f"{figures['likelihood']['baselines']['5-gram']:.3f}",
            f"{share['samples']:.2f} ± {share['samples_error']:.2f} / {share['real']:.2f}",
            *(
                f"{own[key]['samples']['value']:.3f} / {own[key]['real']['value']:.3f}"
                for key in ("known words", "trigram divergence", "length distance")
            ),
            f"{figures['copies']['share']:.1%}",
            figures["copies"]["gauge"],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "![confusion](evaluation_confusion.png)", ""]
    return [*lines, "Held-out text of each corpus under each voice:", "", "![style](evaluation_style.png)"]


def confusion_plot(shared: dict[str, Any]) -> Figure:
    names = shared["names"]
    figure, axes = pyplot.subplots(1, 2, figsize=(4 + 0.9 * len(names), 2.5 + 0.42 * len(names)), layout="constrained")
    titles = {"confusion": "samples", "confusion_real": "real held-out text, same lengths"}
    for axis, (key, title) in zip(axes, titles.items(), strict=True):
        counts = np.array(shared[key], dtype=float)
        grid(axis, counts / counts.sum(1, keepdims=True), names, "{:.0%}", "Blues")
        axis.set(title=title, xlabel="taken for", ylabel="written by")
    return figure


def style_plot(shared: dict[str, Any]) -> Figure:
    names = shared["names"]
    figure, axis = pyplot.subplots(figsize=(3 + 0.42 * len(names), 2 + 0.42 * len(names)), layout="constrained")
    grid(axis, np.array(shared["style_bits"]), names, "{:.1f}", "viridis_r")
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
