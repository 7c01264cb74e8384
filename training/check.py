"""--check: the plan of a queue as a table, and what its data are like, without training anything."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from config.messages import clock, counted
from config.schema import RunConfig
from generation.prompt import Prompt
from text.disguise import suspicion
from text.personal import personal
from training.base import changed
from training.start import maker_of
from training.trainer import Diverged, Training
from utils import UserError, size_of

BURST = 3  # steps that are timed
WARM_UP = {False: 1, True: 2}  # steps before them, without and with graphs
READ = 2000  # training documents that are searched for personal data
# how often the disk holds the parameters while a model trains: a state holds weights, average, best and AdamW's two
# moments, all of them again for where to go back to; twice that while it is rewritten; and the model
MODEL_COPIES = 21
LETTERS = 0.5  # share of letters below which a text hardly looks like language


@dataclass(frozen=True)
class CheckedRun:
    """One row of the plan, and what reading the data found."""

    cells: list[str]
    findings: list[str]
    bytes: int  # disk space needed


def check_runs(runs: list[RunConfig], status_of: Callable[[RunConfig], str], console: Console) -> int:
    """Print the plan; -> exit status, 1 if a dataset cannot be trained or the disk is too small."""
    table = Table("dataset", "file", "MB", "documents", "sha256", "parameters", "budget", "status", "time")
    needed, failed, to_come = 0, False, []
    for run in runs:
        try:
            status = status_of(run)
            checked = check_run(changed(run, start_from="") if maker_of(run, to_come) else run, status)
            to_come += [run] * (status != "done")
        except (UserError, OSError, MemoryError, RuntimeError, Diverged) as error:  # a real training may recover
            reason = " ".join(str(error).split()) or type(error).__name__
            console.print(f"error: {run.name}: {reason}")
            failed = True
            continue
        for finding in checked.findings:
            console.print(f"{run.name}: {finding}")
        table.add_row(*checked.cells)
        needed += checked.bytes
    console.print(table)
    free = shutil.disk_usage(nearest_folder(Path(runs[0].paths.models))).free
    console.print(f"disk: {needed / 1e6:,.0f} MB needed at most, {free / 1e6:,.0f} MB free")
    return 1 if failed or needed > free else 0


def nearest_folder(path: Path) -> Path:
    """The folder, or the first one above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def check_run(run: RunConfig, status: str) -> CheckedRun:
    """One run's row: its data are encoded, as for training, and a few steps are timed."""
    training = Training(run)
    corpus, limit = training.corpus, run.training.max_minutes
    seconds = training.total_steps * step_seconds(training)
    expected = "-" if status == "done" else clock(min(seconds, 60 * run.minutes()))
    cells = [
        run.name,
        run.data_file().name,
        f"{size_of(run.data_file()) / 1e6:.1f}",
        f"{corpus.reading_log.documents:,}",
        corpus.sha256[:8],
        f"{training.parameters / 1e6:.2f}M",
        counted(training.total_steps, "step") + (f" or {limit:g} min" if limit else ""),
        status,
        expected,
    ]
    return CheckedRun(cells, findings(training), 4 * MODEL_COPIES * training.parameters)


def step_seconds(training: Training) -> float:
    """Seconds of a step, without the first ones, which set things up: on a GPU a graph is captured at the second."""
    graphs = training.learner.graphs
    batches = [training.batches.batch(0 if graphs else step) for step in range(WARM_UP[graphs] + BURST)]
    for batch in batches[:-BURST]:
        training.advance(batch)
    began = time.perf_counter()
    for batch in batches[-BURST:]:
        training.advance(batch)
    if graphs:
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / BURST


def findings(training: Training) -> list[str]:
    """What to know of the data before a night is spent on them, a sentence each."""
    corpus, context, writer = training.corpus, training.run.model.context, training.writer()
    reading_log, lengths, settings = corpus.reading_log, corpus.train.lengths, writer.settings()
    known = len(corpus.vocabulary.characters) - 1
    covered = 1 - reading_log.unknown_characters / max(reading_log.characters, 1)
    found = [
        f"{counted(reading_log.documents, 'document')}, {counted(reading_log.characters, 'character')}; "
        + (reading_log.losses() or "nothing dropped or changed"),
        f"{known} of {counted(reading_log.distinct_characters, 'distinct character')} kept: {covered:.2%} of the text",
    ]
    if corpus.stream:
        return found
    if what := suspicion(training.run.data_file()):
        found.append(what)
    median, long, longest = np.quantile(lengths, [0.5, 0.95, 1]).astype(int)
    found.append(
        f"lengths: median {median}, 95 % up to {long}, longest {longest:,}; "
        f"{np.mean(lengths > context - 2):.1%} exceed the context of {context} and are written in windows"
    )
    length = min(median, training.run.sampling.max_length)
    calls = writer.network_calls(settings, Prompt(shortest=length, longest=length))
    found.append(f"writing: {counted(calls, 'network call')} for a document of the median length ({settings.sampler})")
    chosen = np.linspace(0, len(lengths) - 1, min(READ, len(lengths))).astype(int)
    texts = [corpus.vocabulary.decode(corpus.train.document(i)) for i in chosen]
    private = sum(bool(personal(text)) for text in texts)
    if private:
        read = counted(len(texts), "document")
        found.append(f"likely personal data in {private} of {read} read: addresses, numbers or keys")
    letters = sum(character.isalpha() for text in texts for character in text) / max(sum(map(len, texts)), 1)
    if letters < LETTERS:
        found.append(f"only {letters:.0%} of the characters are letters: is this the text you mean?")
    return found
