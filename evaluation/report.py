"""Reports of an evaluation: Markdown pages, JSON files, and a table and summary lines for the terminal."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from config.messages import counted, number, with_error
from evaluation.likelihood import Likelihood
from evaluation.markdown import address, code, escaped, fenced
from evaluation.pictures import confusion_plot, save_figure, style_plot, voice_plot
from evaluation.records import Comparison, Copies, Evaluation, Likelihoods, VoiceComparison
from utils import write_atomic

# the metrics that tables of several voices show: {heading: name}
SHOWN = {"words": "known words", "trigrams": "trigram divergence", "lengths": "length distance"}
NELBO, FIVE_GRAM = "NELBO, averaged over all noise", "5-gram, left to right"
LEFT_TO_RIGHT = (
    "The 5-gram reads from left to right and knows the four characters before each one. The voice's NELBO is an upper "
    "bound, averaged over all noise: with the absorbing process, over all orders of writing. So the two do not compare."
)
CAPTION = f"samples / real text\nbits/char: {NELBO}; {FIVE_GRAM}: the two do not compare"
MOST_SHARE = 10  # times as many known words as real text has: beyond, a ratio says nothing
GAUGES = {
    "creating": "It writes new text: safe to publish as far as copying goes.",
    "in between": "Some documents repeat long passages of the source: look at the list of copies before publishing.",
    "memorising": "It recites its source. Train it shorter, on more text or with dropout; do not publish this.",
}


def summary(evaluation: Evaluation) -> str:
    """One line on a voice, for the terminal."""
    words, bits, copies = evaluation.comparisons["known words"], evaluation.likelihood.held_out, evaluation.copies
    return (
        f"{evaluation.name}: {with_error(bits.bits, bits.error)} bits/char, {share_of_words(words)}, "
        f"copies {copies.share:.1%}: {copies.gauge}"
    )


def share_of_words(words: Comparison) -> str:
    """How many words are known, beside real text: a share where there is something to compare with."""
    if not words.measured:
        return "no words to compare"
    if words.samples.value > MOST_SHARE * words.real.value:
        return f"{words.samples.value:.0%} of words known, {words.real.value:.0%} in real text"
    return f"words at {words.samples.value / words.real.value:.0%} of the ceiling"


def pairs(evaluation: Evaluation, digits: int) -> list[str]:
    """samples / real text of each metric that the tables of several voices show."""
    shown = (evaluation.comparisons[metric] for metric in SHOWN.values())
    form = f".{digits}f"
    return [f"{number(found.samples.value, form)} / {number(found.real.value, form)}" for found in shown]


def table(evaluations: list[Evaluation]) -> Table:
    """A row for each voice, for the terminal."""
    columns = ("voice", "bits/char", "5-gram", "gap", *SHOWN, "copies", "gauge")
    result = Table(*columns, caption=CAPTION)
    for evaluation in evaluations:
        likelihood = evaluation.likelihood
        result.add_row(
            evaluation.name,
            with_error(likelihood.held_out.bits, likelihood.held_out.error, 2),
            f"{likelihood.baselines.five_gram:.2f}",
            number(likelihood.gap, "+.2f"),
            *pairs(evaluation, 2),
            f"{evaluation.copies.share:.1%}",
            evaluation.copies.gauge,
        )
    return result


def write_voice(evaluation: Evaluation, folder: Path) -> Path:
    """Write NAME_evaluation.json, .md and .png; -> the path of the Markdown page."""
    stem = f"{evaluation.name}_evaluation"
    write_json(folder / f"{stem}.json", evaluation.plain())
    write_atomic(folder / f"{stem}.md", "\n".join(voice_page(evaluation)) + "\n")
    save_figure(voice_plot(evaluation), folder / f"{stem}.png")
    return folder / f"{stem}.md"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file; a number that is not finite becomes null, since JSON has none."""
    content = json.loads(json.dumps(content), parse_constant=lambda _: None)
    write_atomic(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def voice_page(evaluation: Evaluation) -> list[str]:
    """The Markdown page of one voice, line by line."""
    copies, comparisons, origin = evaluation.copies, evaluation.comparisons, evaluation.origin
    measured = {name: found.at_ceiling for name, found in comparisons.items() if found.measured}
    reached = ", ".join(name for name, at_ceiling in measured.items() if at_ceiling) or "nothing yet"
    apart = ", ".join(name for name, at_ceiling in measured.items() if not at_ceiling) or "nothing"
    return [
        f"# {escaped(evaluation.name)}",
        "",
        f"**{copies.gauge.capitalize()}.** {GAUGES[copies.gauge]}",
        "",
        f"- No different from real text: {reached}.",
        f"- Still apart: {apart}.",
        "",
        f"![figures]({address(f'{evaluation.name}_evaluation.png')})",
        "",
        *("## Samples", "", *fenced(evaluation.examples), ""),
        *("## Figures", ""),
        f"{counted(evaluation.compared, 'document')} ({escaped(evaluation.source)}) beside as many held-out ones; "
        "95 % intervals.",
        *("", "| figure | samples | real text | |", "|---|--:|--:|---|"),
        *(f"| {name} | {c.samples} | {c.real} | {c.metric.meaning} |" for name, c in comparisons.items()),
        *("", "## Likelihood", "", *likelihood_lines(evaluation.likelihood)),
        *("", "## Copies", "", *copies_lines(copies, len(evaluation.texts)), ""),
        f"{counted(origin.training['parameters'], 'parameter')}, "
        f"{counted(origin.training['characters'], 'character')} seen;",
        escaped(
            f"data sha256 {origin.data_sha256[:16]}, config {origin.training_sha256[:16]}, version {origin.version}."
        ),
    ]


def likelihood_lines(likelihood: Likelihoods) -> list[str]:
    """The section on likelihood: a table and a note on what compares with what."""
    baselines = likelihood.baselines

    def row(label: str, found: Likelihood) -> str:
        return (
            f"| {label} ({NELBO}; {counted(found.characters, 'character')}) | {with_error(found.bits, found.error)} |"
        )

    return [
        "Bits per character, fewer are better; computed with the averaged weights and all terms of the bound.",
        *("", "| | |", "|---|--:|"),
        row("held-out text", likelihood.held_out),
        row("training text", likelihood.training),
        f"| gap | {number(likelihood.gap, '+.3f')} |",
        f"| baseline: uniform | {baselines.uniform:.3f} |",
        f"| baseline: unigram | {baselines.unigram:.3f} |",
        f"| baseline: {FIVE_GRAM} | {baselines.five_gram:.3f} |",
        *("", LEFT_TO_RIGHT),
    ]


def copies_lines(copies: Copies, judged: int) -> list[str]:
    """The section on copies: when a document is flagged, how many are, and the worst."""
    return [
        "A document is flagged if it is a line of the training text, white space aside, or holds more than "
        f"{counted(copies.bound, 'character')} of it in a row.",
        f"Of {counted(copies.calibrated_on, 'real document')}, compared with text they are no part of, 99.9 % hold no "
        "more.",
        "",
        f"{len(copies.flagged)} of {judged} flagged ({copies.share:.1%}).",
        "",
        *(
            f"- {counted(copy.match, 'character')} (document {copy.index}): {code(copy.text[:200])}"
            for copy in copies.worst
        ),
    ]


def write_all(comparison: VoiceComparison, evaluations: list[Evaluation], folder: Path) -> Path:
    """Write evaluation.json, .md and two pictures over all voices; -> the path of the Markdown page."""
    content = {
        "voices": {evaluation.name: evaluation.plain() for evaluation in evaluations},
        **asdict(comparison),
        "attribution": {name: asdict(found) for name, found in comparison.attributions().items()},
    }
    write_json(folder / "evaluation.json", content)
    save_figure(confusion_plot(comparison), folder / "evaluation_confusion.png")
    save_figure(style_plot(comparison), folder / "evaluation_style.png")
    write_atomic(folder / "evaluation.md", "\n".join(all_page(comparison, evaluations)) + "\n")
    return folder / "evaluation.md"


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
            f"[{escaped(evaluation.name)}]({address(f'{evaluation.name}_evaluation.md')})",
            with_error(bits.bits, bits.error),
            f"{evaluation.likelihood.baselines.five_gram:.3f}",
            f"{share.samples:.2f} ± {share.samples_error:.2f} / {share.real:.2f}",
            *pairs(evaluation, 3),
            f"{evaluation.copies.share:.1%}",
            evaluation.copies.gauge,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", LEFT_TO_RIGHT, "", "![confusion](evaluation_confusion.png)", ""]
    return [*lines, "Held-out text of each corpus under each voice:", "", "![style](evaluation_style.png)"]
