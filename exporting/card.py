"""The card of a model on Hugging Face: what it is, figures that were measured, how to call it; by huggingface_hub.

The library is optional, and no other module imports it.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command.libraries import library
from command.messages import argument, counted, number, with_error
from evaluation.markdown import address, code, escaped, fenced
from evaluation.metrics import METRICS
from evaluation.report import verdict
from evaluation.stored import StoredBits, StoredEvaluation
from generation.checkpoint import Checkpoint
from utils import SOFTWARE

CARD = "README.md"
# of the ids that the Hub knows, those that texts come with; of any other licence it wants the name
LICENSES = {
    "apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "unlicense", "wtfpl", "zlib", "mpl-2.0",
    "agpl-3.0", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "gfdl", "eupl-1.2", "etalab-2.0",
    "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "odbl",
    "odc-by", "pddl", "other", "unknown",
}  # fmt: skip
LONGEST_NAME = 80  # characters of the name of another licence
NO_NAME = "see-card"  # of a licence without a letter or digit that the Hub allows in names
TAGS = ["diffusion", "discrete-diffusion", "masked-diffusion", "character-level", "text-generation", "pytorch"]
TASK = "text-generation"
# files of systems, and hidden records; versions of hf that take only one pattern take the last
NOT_PUBLISHED = '--exclude desktop.ini --exclude Thumbs.db --exclude ".*"'
NELBO = "an upper bound, averaged over all noise"


@dataclass(frozen=True)
class Subject:
    """What a card is written of."""

    folder: Path
    checkpoint: Checkpoint
    samples: list[str]  # drawn with seed 0, not chosen
    personal: int  # of them that hold what looks like personal data
    evaluation: StoredEvaluation | None
    why_not: str  # why there is no evaluation, in words
    figures: dict[str, str]  # names of pictures in the folder, and what they show
    languages: list[str]  # ISO 639 codes


def card_of(subject: Subject) -> str:
    """The text of a card, its head written and read again by huggingface_hub. Raises UserError without the library."""
    cards = library("huggingface_hub")
    rows = [cards.EvalResult(**row) for row in results(subject)]
    index = {"model_name": subject.checkpoint.run.name, "eval_results": rows} if rows else {}
    head = cards.ModelCardData(**head_of(subject), **index)
    return str(cards.ModelCard(f"---\n{head.to_yaml()}\n---\n\n" + "\n".join(body(subject)) + "\n"))


def head_of(subject: Subject) -> dict[str, Any]:
    """The head's fields but for figures."""
    run = subject.checkpoint.run
    return {
        "license": (license_id := license_of(run.license)),
        "license_name": (slug(run.license)[:LONGEST_NAME] or NO_NAME) if license_id == "other" else None,
        "language": subject.languages or None,
        "library_name": SOFTWARE,
        "pipeline_tag": TASK,
        "tags": TAGS if run.diffusion.process == "absorbing" else [tag for tag in TAGS if tag != "masked-diffusion"],
    }


def slug(text: str) -> str:
    """A text in small letters, digits, points and hyphens, as the Hub's ids are."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def license_of(text: str) -> str:
    """The Hub's id of a licence: "CC BY-SA 4.0" is cc-by-sa-4.0; none is unknown, what it does not know is other."""
    found = slug(text)
    return found if found in LICENSES else "other" if text.strip() else "unknown"


def results(subject: Subject) -> Iterator[dict[str, Any]]:
    """Each finite figure as the Hub's model index has them, with the hash of the text as the dataset's revision."""
    checkpoint, found = subject.checkpoint, subject.evaluation
    of = {"task_type": TASK, "dataset_type": checkpoint.run.name, "dataset_name": checkpoint.run.name}
    of |= {"dataset_split": "held out", "dataset_revision": checkpoint.data_sha256 or None}
    rows = [("bits-per-character", "NELBO of the training's validation", checkpoint.metrics.get("held_out_bits"))]
    if found:
        rows.append(("bits-per-character", "NELBO", found.likelihood.held_out.bits))
        orders = found.likelihood.ordered.items()
        rows += [("bits-per-character", f"exact, {order}", bits.bits) for order, bits in orders]
        rows += [(slug(name), name, figure.samples.value) for name, figure in found.figures.items()]
    for kind, name, value in rows:
        if value is not None and math.isfinite(value):
            yield {**of, "metric_type": kind, "metric_name": name, "metric_value": round(value, 4)}


def body(subject: Subject) -> Iterator[str]:
    """The card below its head, line by line."""
    run = subject.checkpoint.run
    yield f"# {escaped(run.name)}"
    yield ""
    yield "A small character-level discrete diffusion model. It starts from noise, works on the whole document at once,"
    yield f"and writes documents that sound like the text that it was trained on: {escaped(run.name)}."
    yield from ("", "## What it writes", "", "Drawn with seed 0, not chosen; `samples.txt` holds them too.", "")
    yield from fenced(subject.samples)
    if subject.personal:
        yield ""
        yield f"{counted(subject.personal, 'document')} of these may hold personal data."
    yield from ("", "## How to call it", "", *calling(subject))
    yield from ("", "## How good it is", "", *quality(subject))
    yield from ("", "## Does it copy?", "", *memorisation(subject))
    yield from ("", "## How it was made", "", *making(subject.checkpoint))
    yield from ("", "## Licence", "", *licence(subject.checkpoint))
    yield from ("", "## To publish this folder", "", "Nothing was uploaded. Read this card, then, in this folder:", "")
    yield from ("```", f"hf upload USER/{run.name} . . {NOT_PUBLISHED}", "```")


def calling(subject: Subject) -> Iterator[str]:
    """How the model is called, and code that loads it."""
    folder = subject.folder.resolve().name
    yield f"It needs a checkout of {SOFTWARE} {subject.checkpoint.version}: no other library can draw from it."
    yield "There, with this folder put into it:"
    yield from ("", "```", "pip install -r requirements.txt -r requirements-export.txt")
    yield f"python generate.py --model {argument(folder)} --samples {len(subject.samples)}"
    yield from ("```", "", "The same seed gives the same documents. From Python, in the same place:", "", "```python")
    yield "from pathlib import Path"
    yield "import torch"
    yield "from generation.checkpoint import load_checkpoint"
    yield "from generation.writer import Writer, write_documents"
    yield ""
    yield f"writer = Writer.of(load_checkpoint(Path({folder!r})), torch.device('cpu'))"
    yield f"for text in write_documents(writer, 0, range({len(subject.samples)}), writer.settings()):"
    yield "    print(text)"
    yield "```"


def quality(subject: Subject) -> Iterator[str]:
    """What was measured: by the training, and by evaluate.py."""
    metrics, found = subject.checkpoint.metrics, subject.evaluation
    if "held_out_bits" in metrics:
        bits = with_error(metrics["held_out_bits"], metrics["held_out_error"])
        yield f"Bits per character of held-out text by the training's own validation: {bits} (NELBO, {NELBO})."
    for name, what in subject.figures.items():
        yield from ("", f"![{what}]({address(name)})")
    if found is None:
        yield from ("", f"evaluate.py has not measured it: {escaped(subject.why_not)}.")
        return
    likelihood, baselines = found.likelihood, found.likelihood.baselines
    yield from ("", "| bits per character of held-out text | |", "|---|--:|")
    yield bits_row(f"NELBO, {NELBO}", likelihood.held_out)
    yield bits_row("the same of training text", likelihood.training)
    for order, bits in likelihood.ordered.items():
        yield bits_row(f"exact, {order}", bits)
    for name, value in baselines.items():
        yield f"| baseline: {escaped(name)} | {number(value, '.3f')} |"
    yield ""
    judged = f"{counted(found.compared, 'document')} ({escaped(found.samples)})"
    yield f"{judged} beside as many held-out ones, with 95 % intervals:"
    meanings = {metric.name: metric.meaning for metric in METRICS}
    yield from ("", "| figure | samples | real text | |", "|---|--:|--:|---|")
    for name, figure in found.figures.items():
        yield f"| {escaped(name)} | {figure.samples} | {figure.real} | {meanings.get(name, '')} |"


def bits_row(label: str, found: StoredBits) -> str:
    """A row of the table of bits."""
    return f"| {escaped(label)} ({counted(found.characters, 'character')}) | {with_error(found.bits, found.error)} |"


def memorisation(subject: Subject) -> Iterator[str]:
    """What evaluate.py found of copies."""
    found = subject.evaluation
    if found is None:
        yield f"Not measured: {escaped(subject.why_not)}. Until it is, take every document for a possible copy."
        return
    copies = found.copies
    yield from ("| memorisation | |", "|---|--:|", f"| documents judged | {found.judged:,} |")
    bound = counted(copies.bound, "character")
    yield f"| a copy is a line of the training text, or holds more of it in a row than | {bound} |"
    yield f"| real documents that set this bound | {copies.calibrated_on:,} |"
    yield f"| copies | {len(copies.flagged):,} ({copies.share:.1%}) |"
    nearly = "not looked for" if copies.nearly is None else f"{copies.nearly:,}"
    yield f"| of them nearly whole in passages of one training document | {nearly} |"
    yield f"| repeats of an earlier document | {copies.repeats:,} |"
    yield f"| not compared: mostly unknown characters | {copies.unknown:,} |"
    yield f"| held-out documents that its start may have learnt | {found.held_out_seen:,} |"
    yield from ("", f"**{escaped(copies.gauge.capitalize())}.** {verdict(copies)}")
    if found.unseen:
        yield f"Not compared with the texts of {escaped(', '.join(found.unseen))}, from which it learnt too."


def making(checkpoint: Checkpoint) -> Iterator[str]:
    """How the model came to be."""
    run, metrics = checkpoint.run, checkpoint.metrics
    rows = {
        "program": f"{SOFTWARE} {checkpoint.version}",
        "network": checkpoint.network,
        "process": run.diffusion.process,
        "preset": run.preset,
        "text": run.name,
        "characters known": f"{len(checkpoint.vocabulary.characters):,}",
        "SHA-256 of the text": checkpoint.data_sha256 or "not known",
        "SHA-256 of the settings": checkpoint.training_sha256 or "not known",
        "seed": str(run.seed),
        "minutes at most": f"{run.training.max_minutes:g}" if run.training.max_minutes else "no limit",
        "started from": checkpoint.start.name if checkpoint.start else "random weights",
    }
    counts = {
        "parameters": "parameters", "steps": "steps", "characters": "characters read",
        "steps_before": "steps of its start", "characters_before": "characters read by its start",
    }  # fmt: skip
    rows |= {label: f"{metrics[key]:,}" for key, label in counts.items() if key in metrics}
    yield from ("| | |", "|---|---|", *(f"| {name} | {escaped(value)} |" for name, value in rows.items()))
    yield from ("", "`config.json` holds every setting.")


def licence(checkpoint: Checkpoint) -> Iterator[str]:
    """Licence and source of the texts, as this machine has them, and that of the program."""
    run = checkpoint.run
    yield f"The texts: {code(run.license) if run.license else 'not given'}. Where they come from:"
    yield f"{code(run.source) if run.source else 'not given'}. The model learnt from nothing else" + (
        f", but started from {escaped(checkpoint.start.name)}." if checkpoint.start else "."
    )
    yield f"The program, {SOFTWARE}: MIT."
