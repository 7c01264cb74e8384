"""Reports of an evaluation: Markdown pages, JSON files, and a table and summary lines for the terminal."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from config.messages import counted
from evaluation.likelihood import Likelihood
from evaluation.pictures import confusion_plot, png_of, style_plot, voice_plot
from evaluation.records import Copies, Evaluation, Likelihoods, VoiceComparison
from generation.outputs import Outputs

JOINT_FILES = ["evaluation.md", "evaluation.json", "evaluation_confusion.png", "evaluation_style.png"]
# the metrics that tables of several voices show: {heading: name}
SHOWN = {"words": "known words", "trigrams": "trigram divergence", "lengths": "length distance"}
NELBO, FIVE_GRAM = "NELBO, averaged over all noise", "5-gram, left to right"
LEFT_TO_RIGHT = (
    "The 5-gram reads from left to right and knows the four characters before each one. The voice's NELBO is an upper "
    "bound, averaged over all noise: with the absorbing process, over all orders of writing. So the two do not compare."
)
CAPTION = f"samples / real text\nbits/char: {NELBO}; {FIVE_GRAM}: the two do not compare"
GAUGES = {
    "creating": "It writes new text: safe to publish as far as copying goes.",
    "in between": "Some documents repeat long passages of the source: look at the list of copies before publishing.",
    "memorising": "It recites its source. Train it shorter, on more text or with dropout; do not publish this.",
    "too few to tell": "Too few samples, or too few real documents beside them, to tell copies from chance: "
    "judge more samples, or train on more text.",
}


def summary(evaluation: Evaluation) -> str:
    """One line on a voice, for the terminal."""
    words, bits, copies = evaluation.comparisons["known words"], evaluation.likelihood.held_out, evaluation.copies
    share = words.samples.value / max(words.real.value, 1e-9)
    return (
        f"{evaluation.name}: {bits.bits:.3f} ± {bits.error:.3f} bits/char, words at {share:.0%} of the ceiling, "
        f"copies {copies.share:.1%}: {copies.gauge}"
    )


def pairs(evaluation: Evaluation, digits: int) -> list[str]:
    """samples / real text of each metric that the tables of several voices show."""
    shown = (evaluation.comparisons[metric] for metric in SHOWN.values())
    return [f"{found.samples.value:.{digits}f} / {found.real.value:.{digits}f}" for found in shown]


def table(evaluations: list[Evaluation]) -> Table:
    """A row for each voice, for the terminal."""
    columns = ("voice", "bits/char", "5-gram", "gap", *SHOWN, "copies", "gauge")
    result = Table(*columns, caption=CAPTION)
    for evaluation in evaluations:
        likelihood = evaluation.likelihood
        result.add_row(
            evaluation.name,
            f"{likelihood.held_out.bits:.2f} ± {likelihood.held_out.error:.2f}",
            f"{likelihood.baselines.five_gram:.2f}",
            f"{likelihood.gap:+.2f}",
            *pairs(evaluation, 2),
            f"{evaluation.copies.share:.1%}",
            evaluation.copies.gauge,
        )
    return result


def voice_files(name: str) -> list[str]:
    """The names of the files on one voice."""
    return [f"{name}_evaluation.{kind}" for kind in ("md", "json", "png")]


def write_voice(evaluation: Evaluation, outputs: Outputs) -> Path:
    """Write the files of `voice_files`; -> the path of the Markdown page."""
    picture = png_of(voice_plot(evaluation))
    return outputs.write(page_bytes(voice_page(evaluation)), json_bytes(evaluation.plain()), picture)


def json_bytes(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def page_bytes(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("utf-8")


def voice_page(evaluation: Evaluation) -> list[str]:
    """The Markdown page of one voice, line by line."""
    copies, comparisons, origin = evaluation.copies, evaluation.comparisons, evaluation.origin
    reached = ", ".join(name for name, found in comparisons.items() if found.at_ceiling) or "nothing yet"
    apart = ", ".join(name for name, found in comparisons.items() if not found.at_ceiling) or "nothing"
    return [
        f"# {evaluation.name}",
        "",
        f"**{copies.gauge.capitalize()}.** {verdict(copies)}",
        "",
        f"- No different from real text: {reached}.",
        f"- Still apart: {apart}.",
        "",
        f"![figures]({evaluation.name}_evaluation.png)",
        "",
        *("## Samples", "", "```", *evaluation.examples, "```", ""),
        *("## Figures", ""),
        f"{counted(evaluation.compared, 'document')} ({evaluation.source}) beside as many held-out ones; "
        "95 % intervals.",
        *("", "| figure | samples | real text | |", "|---|--:|--:|---|"),
        *(f"| {name} | {c.samples} | {c.real} | {c.metric.meaning} |" for name, c in comparisons.items()),
        *("", "## Likelihood", "", *likelihood_lines(evaluation.likelihood)),
        *("", "## Copies", "", *copies_lines(copies, len(evaluation.texts)), ""),
        f"{counted(origin.training['parameters'], 'parameter')}, "
        f"{counted(origin.training['characters'], 'character')} seen;",
        f"data sha256 {origin.data_sha256[:16]}, config {origin.training_sha256[:16]}, version {origin.version}.",
    ]


def verdict(copies: Copies) -> str:
    """What the gauge means for publishing."""
    spared = ", once the flagged documents are left out" if copies.flagged and copies.gauge == "creating" else ""
    return GAUGES[copies.gauge].removesuffix(".") + spared + "."


def likelihood_lines(likelihood: Likelihoods) -> list[str]:
    """The section on likelihood: a table and a note on what compares with what."""
    baselines = likelihood.baselines

    def row(label: str, found: Likelihood) -> str:
        return f"| {label} ({NELBO}; {counted(found.characters, 'character')}) | {found.bits:.3f} ± {found.error:.3f} |"

    return [
        "Bits per character, fewer are better; computed with the averaged weights and all terms of the bound.",
        *("", "| | |", "|---|--:|"),
        row("held-out text", likelihood.held_out),
        row("training text", likelihood.training),
        f"| gap | {likelihood.gap:+.3f} |",
        f"| baseline: uniform | {baselines.uniform:.3f} |",
        f"| baseline: unigram | {baselines.unigram:.3f} |",
        f"| baseline: {FIVE_GRAM} | {baselines.five_gram:.3f} |",
        *("", LEFT_TO_RIGHT),
    ]


def copies_lines(copies: Copies, judged: int) -> list[str]:
    """The section on copies: when a document is flagged, how many are, and the worst."""
    calibrated = f"Of {counted(copies.calibrated_on, 'real document')}, compared with text they are no part of, 99.9 % "
    return [
        "A document is flagged if it is a line of the training text, white space aside, or holds more than "
        f"{counted(copies.bound, 'character')} of it in a row.",
        f"{calibrated}hold no more."
        if copies.calibrated_on
        else "No real document is new enough to say what is chance.",
        "",
        f"{len(copies.flagged)} of {judged} flagged ({copies.share:.1%}).",
        "",
        *(
            f"- {counted(copy.match, 'character')} (document {copy.index}): `{copy.text[:200]}`"
            for copy in copies.worst
        ),
    ]


def write_all(comparison: VoiceComparison, evaluations: list[Evaluation], outputs: Outputs) -> Path:
    """Write JOINT_FILES, over all voices; -> the path of the Markdown page."""
    content = {
        "voices": {evaluation.name: evaluation.plain() for evaluation in evaluations},
        **asdict(comparison),
        "attribution": {name: asdict(found) for name, found in comparison.attributions().items()},
    }
    pictures = png_of(confusion_plot(comparison)), png_of(style_plot(comparison))
    return outputs.write(page_bytes(all_page(comparison, evaluations)), json_bytes(content), *pictures)


def all_page(comparison: VoiceComparison, evaluations: list[Evaluation]) -> list[str]:
    """The Markdown page over all voices, line by line."""
    attributions = comparison.attributions()
    columns = ("voice", f"bits/char ({NELBO})", FIVE_GRAM, "attribution", *SHOWN, "copies", "gauge")
    lines = [
        "# All voices",
        "",
        "Samples / real text. Attribution: share of documents that a classifier, trained on real text, takes for the "
        "voice's own.",
        *("", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)),
    ]
    for evaluation in evaluations:
        bits, share = evaluation.likelihood.held_out, attributions[evaluation.name]
        cells = [
            f"[{evaluation.name}]({evaluation.name}_evaluation.md)",
            f"{bits.bits:.3f} ± {bits.error:.3f}",
            f"{evaluation.likelihood.baselines.five_gram:.3f}",
            f"{share.samples:.2f} ± {share.samples_error:.2f} / {share.real:.2f}",
            *pairs(evaluation, 3),
            f"{evaluation.copies.share:.1%}",
            evaluation.copies.gauge,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", LEFT_TO_RIGHT, "", "![confusion](evaluation_confusion.png)", ""]
    return [*lines, "Held-out text of each corpus under each voice:", "", "![style](evaluation_style.png)"]
