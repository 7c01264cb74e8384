"""The page of a checkup, check.html: what was found of each text, plots of it, and some of its documents."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from checkup.estimate import BUDGETS, LEAST_READ, MARGIN, MOST_READ, TRAININGS
from checkup.plots import HEIGHT, band, bars, label, line, plot, y_of
from checkup.records import GOOD, WARNING, Finding, Inspection
from command.messages import counted, printable
from pages.template import filled
from pages.themes import CAPTION_INK, FULL_INK, THEMES, Theme, css
from text.vocabulary import NEWLINE

TEMPLATE = Path(__file__).with_name("page.html")
LINE_INK, SHADE_INK = 40, 14  # of lines and of what stands behind commands; see pages.themes
BINS = 36  # of the lengths
EXAMPLES, EXAMPLE = 6, 300  # documents shown, and characters of each
MOST_BARS = 360  # characters whose frequency is drawn: one for each point of the plot


@dataclass(frozen=True)
class Checked:
    """A text as the page shows it."""

    seen: Inspection
    facts: list[str]
    findings: dict[str, Finding]


def page_of(texts: list[Checked]) -> str:
    """The whole page, of one text at least; a browser never reads anything of a text as markup."""
    several = len(texts) > 1
    contents = {
        "<!--TITLE-->": "Checkup" if several else f"Checkup of {escape(texts[0].seen.run.name)}",
        "<!--LIGHT-->": colours(THEMES["paper"]),
        "<!--DARK-->": colours(THEMES["night"]),
        "<!--LINKS-->": "".join(map(link, texts)) if several else "",
        "<!--TEXTS-->": "\n".join(map(section, texts)),
    }
    return filled(TEMPLATE, contents)


def colours(theme: Theme) -> str:
    inks = {"ground": 0, "shade": SHADE_INK, "line": LINE_INK, "faint": (CAPTION_INK + FULL_INK) // 2, "ink": FULL_INK}
    named = {name: theme.web(ink) for name, ink in inks.items()} | {"fresh": css(theme.fresh)}
    return "; ".join(f"--{name}: {colour}" for name, colour in named.items())


def as_html(text: str) -> str:
    """Anything of a text, so that it shows as itself."""
    return escape(printable(text))


def link(checked: Checked) -> str:
    name = escape(checked.seen.run.name)
    amiss = sum(finding.severity == WARNING for finding in checked.findings.values())
    return f'<span><a href="#{name}">{name}</a> <small>{counted(amiss, "warning") if amiss else ""}</small></span>'


def section(checked: Checked) -> str:
    """All of one text."""
    name, sample = escape(checked.seen.run.name), checked.seen.sample
    amiss = [(what, f) for what, f in checked.findings.items() if f.severity != GOOD]
    amiss.sort(key=lambda pair: pair[1].severity != WARNING)  # warnings first
    fine = [item(what, f) for what, f in checked.findings.items() if f.severity == GOOD]
    good = f"<summary>{counted(len(fine), 'check')} found nothing amiss</summary><ul>{''.join(fine)}</ul>"
    read = "all of it" if sample.whole else f"{sample.bytes / 1e6:,.0f} MB of it, spread evenly"
    texts = sample.texts[:: -(-len(sample.texts) // EXAMPLES) or 1]
    return f"""<section>
<h2 id="{name}">{name}</h2>
{"".join(f'<p class="facts">{as_html(fact)}</p>' for fact in checked.facts)}
<ul>{"".join(item(what, finding) for what, finding in amiss)}</ul>
{f"<details>{good}</details>" * bool(fine)}
<div class="plots">{"".join(figures(checked.seen))}</div>
<h3>Some documents</h3>
<div class="texts">{"".join(f'<p dir="auto">{as_html(excerpt(text))}</p>' for text in texts)}</div>
<p class="facts">Read: {read}, {counted(sample.documents, "document")}; {len(sample.texts):,} of them closely.</p>
</section>"""


def item(what: str, finding: Finding) -> str:
    """A finding as an item of a list."""
    what_for, _, typed = finding.fix.partition(": ")
    todo = f"<small>{as_html(what_for)}</small>" * bool(what_for) + f"<code>{as_html(typed)}</code>" * bool(typed)
    quotes = "".join(f'<q dir="auto">{as_html(excerpt(text))}</q>' for text in finding.examples)
    examples = (
        f"<details{' open' * (finding.severity != GOOD)}><summary>examples</summary>{quotes}</details>"
        if quotes
        else ""
    )
    warned = "<b>Warning.</b> " * (finding.severity == WARNING)  # in words: a colour tells not everybody
    named = "" if finding.sentence.startswith(what) else f"<b>{escape(what)}</b>: "
    return f'<li class="{finding.severity}">{warned}{named}{as_html(finding.sentence)}{todo}{examples}</li>'


def excerpt(text: str) -> str:
    return text if len(text) <= EXAMPLE else text[:EXAMPLE] + " ..."


def figures(seen: Inspection) -> list[str]:
    """The plots of a text."""
    found = [figure("Characters", *characters_plot(seen))]
    if not seen.corpus.stream:
        found.insert(0, figure("Lengths", *lengths_plot(seen)))
    if seen.estimate.known and seen.estimate.alike:
        found.append(figure("Bits a character to expect", *learning_plot(seen)))
    return found


def figure(title: str, caption: str, drawn: str) -> str:
    return f"<figure><figcaption><b>{title}</b>{caption}</figcaption>{drawn}</figure>"


def lengths_plot(seen: Inspection) -> tuple[str, str]:
    """How many documents have which length, on a scale of powers of ten."""
    lengths, context = seen.corpus.train.lengths, seen.run.model.context
    top = np.log10(max(int(lengths.max()), context) * 1.05)
    counts, _ = np.histogram(np.log10(np.maximum(lengths, 1)), bins=BINS, range=(0, top))
    ticks = {power / top: f"{10**power:,}" for power in range(int(top) + 1)}
    mark = (float(np.log10(context) / top), f"context {context}")
    caption = "documents by their characters; what is longer than the context is written in windows"
    return caption, plot(bars((counts / counts.max()).tolist()), ticks, mark, "Histogram of document lengths")


def characters_plot(seen: Inspection) -> tuple[str, str]:
    """How often each character occurs, by rank, on a scale of powers of ten; those that are left out stand out."""
    counts, known = seen.sample.counts.copy(), seen.corpus.vocabulary.characters
    counts[NEWLINE] = 0
    ranked = np.argsort(-counts, kind="stable")[: min(np.count_nonzero(counts), MOST_BARS)]
    heights = (1 + np.log10(counts[ranked])) / (1 + np.log10(counts[ranked[0]]))
    learnt = np.array([chr(code) in known for code in ranked])  # by the whole text, not by this sample
    body = bars((heights * learnt).tolist()) + bars((heights * ~learnt).tolist(), "lost")
    often = " ".join(chr(code) for code in ranked[:24] if chr(code).isprintable() and chr(code) != " ")
    lost = np.count_nonzero(counts) - (len(known) - 1)
    caption = f"from the most frequent, {as_html(often)}, to the rarest; heights are powers of ten"
    ticks = {0.0: "1", 1.0: f"{len(ranked):,} of {np.count_nonzero(counts):,}"}
    limit = f"vocab_size {seen.run.data.vocab_size}"
    mark = (learnt.mean(), limit) if not learnt.all() else None
    if lost > 0 and not mark:
        caption += f"; {limit} leaves out {lost:,} rarer ones, which are not drawn"
    return caption, plot(body, ticks, mark, "Frequency of characters by rank")


def learning_plot(seen: Inspection) -> tuple[str, str]:
    """Bits per character by what is read, on a scale of powers of ten: the estimate, its error, and the plan."""
    estimate = seen.estimate
    read = np.geomspace(LEAST_READ, MOST_READ, 30)
    bits = np.array([estimate.bits(characters) for characters in read])
    low, high = float(bits.min()) - MARGIN, max(float(bits.max()) + MARGIN, estimate.counts)
    span = np.log(MOST_READ / LEAST_READ)
    place = {name: np.log(estimate.speed * seconds / LEAST_READ) / span for name, seconds in BUDGETS.items()}
    places = np.linspace(0, 1, len(read))

    def points(values: np.ndarray) -> list[tuple[float, float]]:
        return list(zip(places.tolist(), ((values - low) / (high - low)).tolist(), strict=True))

    body = band(points(bits - MARGIN), points(bits + MARGIN)) + line(points(bits))
    body += label(0, int(y_of(1)) - 4, f"{high:.1f}") + label(0, HEIGHT - 4, f"{low:.1f}")
    ticks = {float(at): name for name, at in place.items() if 0 <= at <= 1}
    planned = float(np.log(max(estimate.characters, 1) / LEAST_READ) / span)
    mark = (planned, "as planned") if 0 <= planned <= 1 else None
    caption = (
        f"from {LEAST_READ / 1e6:.1f} to {MOST_READ / 1e6:.1f} million characters read, between which "
        f"{len(TRAININGS)} trainings were measured; counts of neighbours need {estimate.counts:.2f}. Among commit "
        "messages a voice spells at 3, and below 2.5 most of its short words are words."
    )
    return caption, plot(body, ticks, mark, "Expected bits per character")
