"""Reports of an evaluation: Markdown pages, JSON files, and a table and summary lines for the terminal."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from command.messages import counted, number, with_error
from command.outputs import Outputs
from evaluation.likelihood import Likelihood
from evaluation.markdown import address, code, escaped, fenced
from evaluation.near_copies import RECITED
from evaluation.pictures import confusion_plot, png_of, style_plot, voice_plot
from evaluation.records import Comparison, Copies, Evaluation, Likelihoods, Origin, VoiceComparison
from evaluation.reference import REFERENCE_CHARACTERS
from evaluation.stored import StoredCopies
from utils import utf8

JOINT_FILES = ["evaluation.md", "evaluation.json", "evaluation_confusion.png", "evaluation_style.png"]
# the metrics that tables of several voices show: {heading: name}
SHOWN = {"words": "known words", "trigrams": "trigram divergence", "lengths": "length distance"}
COMPARE = (
    "Compare bits within a pair only. The NELBO is an upper bound, averaged over all noise; counts of both sides are "
    "asked what a voice with absorbing noise is asked. In its own order of writing a voice has an exact likelihood, of "
    "text whose length is known. The 5-gram, which reads from left to right and sees four characters back, is not told "
    "the length: to compare, add to the voice's bits what that is worth. "
    f"Counts are of {REFERENCE_CHARACTERS / 1e6:g} million characters of the text at most."
)
CAPTION = (
    "samples / real text\nNELBO: averaged over all noise, / of counts of both sides\n"
    "exact: in the order of writing, or left to right if the sampler has none, / of a 5-gram, left to right\n"
    "gap: NELBO of held-out text less that of training text; from some 0.3 on a voice learns documents, not language"
)
NOT_KNOWN = "hold many characters that the voice does not know: copies in them would not be seen."
MOST_SHARE = 10  # times as many known words as real text has: beyond, a ratio says nothing
GAUGES = {
    "creating": "It writes new text: safe to publish as far as copying goes.",
    "in between": "Some documents repeat long passages of the source: look at the list of copies before publishing.",
    "memorising": "It recites its source. Train it shorter, on more text or with dropout; do not publish this.",
    "repeating": "It writes the same texts again and again. Train it longer or on more text, or raise its temperature; "
    "do not publish this.",
    "not checked": "Not everything was compared: copies may be among the rest, so do not publish this yet.",
    "too few to tell": "Too few samples, or too few real documents beside them, to tell copies from chance: "
    "judge more samples, or train on more text.",
}


def summary(evaluation: Evaluation) -> str:
    """One line on a voice, for the terminal."""
    words, bits, copies = evaluation.comparisons["known words"], evaluation.likelihood.held_out, evaluation.copies
    return (
        f"{evaluation.name}: {with_error(bits.bits, bits.error)} bits/char, {share_of_words(words)}, "
        f"copies {copies.share:.1%}: {copies.gauge}"
        + (f"; {counted(copies.repeats, 'repeat')}" if copies.repeats else "")
        + (f"; {counted(evaluation.unread, 'document')} not judged" if evaluation.unread else "")
        + (f"; {counted(evaluation.blank, 'blank line')} left out" if evaluation.blank else "")
        + (f"; {counted(copies.unknown, 'document')} not compared" if copies.unknown else "")
        + ("; its start may have learnt held-out text" if evaluation.origin.held_out_seen else "")
        + "".join(f"; not compared with the text of {name}" for name in evaluation.origin.unseen)
    )


def share_of_words(words: Comparison) -> str:
    """How many words are known, beside real text: a share where there is something to compare with."""
    if not words.measured:
        return "no words to compare"
    if not words.real.value or words.samples.value > MOST_SHARE * words.real.value:
        return f"{words.samples.value:.0%} of words known, {words.real.value:.0%} in real text"
    return f"{words.samples.value / words.real.value:.0%} as many known words as real text"


def pairs(evaluation: Evaluation, digits: int) -> list[str]:
    """samples / real text of each metric that the tables of several voices show."""
    shown = (evaluation.comparisons[metric] for metric in SHOWN.values())
    form = f".{digits}f"
    return [f"{number(found.samples.value, form)} / {number(found.real.value, form)}" for found in shown]


def bits_pairs(likelihood: Likelihoods, show: Callable[[Likelihood], str], form: str) -> list[str]:
    """Held-out bits of the voice / of the baseline that compares: NELBOs, and exact in its first order of writing."""
    baselines, orders = likelihood.baselines, list(likelihood.ordered.values())
    exact = show(orders[0]) if orders else "-"
    return [f"{show(likelihood.held_out)} / {baselines.two_sided:{form}}", f"{exact} / {baselines.five_gram:{form}}"]


def table(evaluations: list[Evaluation]) -> Table:
    """A row for each voice, for the terminal."""
    columns = ("voice", "NELBO", "exact", "gap", *SHOWN, "copies", "gauge")
    result = Table(*columns, caption=CAPTION)
    for evaluation in evaluations:
        result.add_row(
            evaluation.name,
            *bits_pairs(evaluation.likelihood, lambda found: number(found.bits, ".2f"), ".2f"),
            number(evaluation.likelihood.gap, "+.2f"),
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
    """A JSON file; a number that is not finite becomes null, since JSON has none."""
    content = json.loads(json.dumps(content), parse_constant=lambda _: None)
    return utf8(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def page_bytes(lines: list[str]) -> bytes:
    return utf8("\n".join(lines) + "\n")


def voice_page(evaluation: Evaluation) -> list[str]:
    """The Markdown page of one voice, line by line."""
    copies, comparisons, origin = evaluation.copies, evaluation.comparisons, evaluation.origin
    certain = {name: found.at_ceiling for name, found in comparisons.items() if found.certain}
    reached = ", ".join(name for name, at_ceiling in certain.items() if at_ceiling) or "nothing yet"
    apart = ", ".join(name for name, at_ceiling in certain.items() if not at_ceiling) or "nothing"
    return [
        f"# {escaped(evaluation.name)}",
        "",
        f"**{copies.gauge.capitalize()}.** {verdict(copies)}{not_compared(origin.unseen)}",
        "",
        f"- No different from real text: {reached}.",
        f"- Different from real text: {apart}.",
        *["- Of one document it is not known what chance makes of it."] * (evaluation.compared == 1),
        "",
        f"![figures]({address(f'{evaluation.name}_evaluation.png')})",
        "",
        *("## Samples", "", *fenced(evaluation.examples), ""),
        *("## Figures", ""),
        f"{counted(evaluation.compared, 'document')} ({escaped(evaluation.source)}) beside as many held-out ones; "
        "95 % intervals.",
        *("", "| figure | samples | real text | |", "|---|--:|--:|---|"),
        *(f"| {name} | {c.samples} | {c.real} | {c.metric.meaning} |" for name, c in comparisons.items()),
        *("", "## Likelihood", "", *start_saw(origin), *likelihood_lines(evaluation.likelihood)),
        *("", "## Copies", "", *copies_lines(evaluation), ""),
        f"{counted(origin.training['parameters'], 'parameter')}, "
        f"{counted(origin.training['characters'] + origin.training.get('characters_before', 0), 'character')} seen;",
        escaped(
            f"data sha256 {origin.data_sha256[:16]}, config {origin.training_sha256[:16]}, version {origin.version}."
        ),
        *([escaped(f"Training started from the model {origin.start}.")] if origin.start else []),
    ]


def not_compared(names: list[str]) -> str:
    """What the gauge could not see: texts that the model had learnt from before, and that are not at hand."""
    return escaped(f" Not compared with the text of {', '.join(names)}, which it learnt from too." if names else "")


def start_saw(origin: Origin) -> list[str]:
    """A warning where the start may have learnt what this model holds out."""
    if not origin.held_out_seen:
        return []
    what = f"**In the text of the start, {escaped(origin.start)}: {counted(origin.held_out_seen, 'held-out document')}."
    return [f"{what} It may have learnt them: figures of held-out text may be of text that is not new to it.**", ""]


def verdict(copies: Copies | StoredCopies) -> str:
    """What the gauge means for publishing; "" for a word that this version does not know."""
    spare = ["the flagged documents"] * bool(copies.flagged) + ["the repeats"] * bool(copies.repeats)
    spared = f", once {' and '.join(spare)} are left out" if spare and copies.gauge == "creating" else ""
    sentence = GAUGES.get(copies.gauge, "")
    return sentence[:-1] + spared + sentence[-1:]  # before the full stop


def likelihood_lines(likelihood: Likelihoods) -> list[str]:
    """The section on likelihood: a table of what compares with each other, for the NELBO and for orders of writing."""
    baselines = likelihood.baselines

    def row(label: str, found: Likelihood) -> str:
        bits = with_error(found.bits, found.error)
        return f"| {label} ({counted(found.characters, 'character')}) | {bits} |"

    return [
        f"Bits per character with standard errors; fewer are better. {COMPARE}",
        *("", "| NELBO, averaged over all noise | |", "|---|--:|"),
        row("this voice, held-out text", likelihood.held_out),
        row("this voice, training text", likelihood.training),
        f"| gap between the two | {number(likelihood.gap, '+.3f')} ± {number(likelihood.gap_error, '.3f')} |",
        f"| counts of both sides | {baselines.two_sided:.3f} |",
        *("", "| exact, of held-out text in an order of writing | |", "|---|--:|"),
        *(row(f"this voice, {order}", found) for order, found in likelihood.ordered.items()),
        f"| the length of a document, which this voice is told | {baselines.length:.3f} |",
        f"| 5-gram, left to right | {baselines.five_gram:.3f} |",
        f"| unigram | {baselines.unigram:.3f} |",
        f"| uniform | {baselines.uniform:.3f} |",
    ]


def copies_lines(evaluation: Evaluation) -> list[str]:
    """The section on copies: when a document is flagged, how many are, and the worst."""
    copies, unread, blank = evaluation.copies, evaluation.unread, evaluation.blank
    real = counted(copies.calibrated_on, "real document")
    calibrated = f"That bound is the 99.9 % quantile of the longest matches of {real} with text they are no part of."
    line = "its letters and digits are those of a line of the training text; if "
    return [
        f"A document is flagged if {'' if evaluation.corpus.stream else line}it shares more "
        f"than {counted(copies.bound, 'character')} in a row with that text; or if {RECITED:.0%} of it are made of "
        "passages of one training document, more often than chance explains.",
        calibrated if copies.calibrated_on else "No real document is new enough to say what is chance.",
        "",
        f"{len(copies.flagged)} of {len(evaluation.texts)} flagged ({copies.share:.1%})."
        + (f" {copies.nearly} nearly recite a training document." if copies.nearly else "")
        + (f" {copies.repeats} repeat an earlier one, case and white space aside." if copies.repeats else "")
        + (f" {counted(copies.unknown, 'document')} {NOT_KNOWN}" if copies.unknown else "")
        + (f" {unread:,} more of the file were not judged: --count says how many are." if unread else "")
        + (f" Left out: {counted(blank, 'blank line')} of the file." if blank else ""),
        "",
        *(
            f"- {counted(copy.match, 'character')} (document {copy.index}): {code(copy.text[:200])}"
            for copy in copies.worst
        ),
    ]


def write_all(
    comparison: VoiceComparison, evaluations: list[Evaluation], pages: dict[str, Path], outputs: Outputs
) -> Path:
    """Write JOINT_FILES, over all voices, with links to `pages`, those of voices; -> the path of the Markdown page."""
    content = {
        "voices": {evaluation.name: evaluation.plain() for evaluation in evaluations},
        **asdict(comparison),
        "attribution": {name: asdict(found) for name, found in comparison.attributions().items()},
    }
    pictures = png_of(confusion_plot(comparison)), png_of(style_plot(comparison))
    links = {name: way for name, page in pages.items() if (way := way_to(page, outputs.record.folder))}
    return outputs.write(page_bytes(all_page(comparison, evaluations, links)), json_bytes(content), *pictures)


def way_to(file: Path, folder: Path) -> str:
    """The relative path from a folder to a file, as a link takes it; "" where the file is on another drive."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:
        return ""


def all_page(comparison: VoiceComparison, evaluations: list[Evaluation], links: dict[str, str]) -> list[str]:
    """The Markdown page over all voices, line by line; `links` lead to the pages of voices, by name."""
    attributions = comparison.attributions()
    columns = (
        "voice", "NELBO / counts of both sides", "exact, in an order of writing / 5-gram, left to right",
        "attribution", *SHOWN, "copies", "gauge",
    )  # fmt: skip
    lines = [
        "# All voices",
        "",
        "Samples / real text. Attribution: share of documents that a classifier, trained on real text, takes for the "
        "voice's own, with its 95 % interval.",
        *("", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)),
    ]
    for evaluation in evaluations:
        share, name = attributions[evaluation.name], escaped(evaluation.name)
        cells = [
            f"[{name}]({address(links[evaluation.name])})" if evaluation.name in links else name,
            *bits_pairs(evaluation.likelihood, lambda found: with_error(found.bits, found.error), ".3f"),
            f"{share.samples:.2f} ({share.samples_interval[0]:.2f}-{share.samples_interval[1]:.2f}) / {share.real:.2f}",
            *pairs(evaluation, 3),
            f"{evaluation.copies.share:.1%}",
            evaluation.copies.gauge,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Bits per character of held-out text ± standard errors. {COMPARE}",
        "",
        "![confusion](evaluation_confusion.png)",
        "",
    ]
    return [*lines, "Held-out text of each corpus under each voice:", "", "![style](evaluation_style.png)"]
