"""--check: the plan of a queue as a table, and what its data are like, without training anything."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.table import Column, Table

from checkup.estimate import estimate_of, in_words
from checkup.findings import examine
from checkup.page import Checked, page_of
from checkup.records import GOOD, NOTE, WARNING, Inspection
from checkup.sample import read_sample
from command.messages import clock, counted, error_text
from command.outputs import Outputs
from config.loader import BASE
from config.schema import RunConfig
from generation.prompt import Prompt
from training.order import maker_of
from training.queue import Queue
from training.step import Diverged
from training.trainer import Training
from utils import UserError, size_of, utf8

TIMED_STEPS = 3
# how often the disk holds a model's parameters at most: 5 times in a state (weights, average, best, two moments of
# AdamW), twice that with the snapshot to go back to, twice again while it is rewritten, and once in the model
MODEL_COPIES = 21
PAGE = "check.html"  # in paths.outputs


@dataclass(frozen=True)
class CheckedRun:
    """One row of the plan, and what was found of its data."""

    cells: list[str]
    text: Checked
    bytes: int  # disk space needed

    def lines(self) -> list[str]:
        """What is worth a line on the terminal: all but what is good, of which the last one names each."""
        good = ", ".join(name for name, finding in self.text.findings.items() if finding.severity == GOOD)
        return [*self.text.facts, *self.findings_of(WARNING, NOTE), *[f"nothing amiss: {good}"] * bool(good)]

    def findings_of(self, *severities: str) -> list[str]:
        """The findings of these severities, and how to mend them."""
        found = [finding for finding in self.text.findings.values() if finding.severity in severities]
        lines = (line for finding in found for line in (finding.sentence, finding.fix and f"    {finding.fix}"))
        return [line for line in lines if line]

    def notes(self) -> int:
        """How many findings are worth a note and no warning."""
        return sum(finding.severity == NOTE for finding in self.text.findings.values())


def check_runs(queue: Queue, config: Path) -> int:
    """Print the plan, and write the page; -> exit status, 1 if a dataset cannot be trained or the disk is too small.

    `config`: the file that commands to type name.
    """
    runs, console = queue.runs, queue.console
    outputs = Outputs(Path(runs[0].paths.outputs), [PAGE], [], overwrite=False, option="")
    found: list[CheckedRun] = []
    failed, to_come = False, []
    for run in runs:
        try:
            start_to_come = bool(maker_of(run, to_come))  # then what began at the old start is trained anew
            status = "new" if start_to_come else queue.status_of(run)
            to_come += [run] * (status != "done")
            found.append(check_run(run, status, config, start_is_made=not start_to_come))
        except (UserError, OSError, MemoryError, RuntimeError, Diverged) as error:  # a real training may recover
            console.print(f"error: {run.name}: {' '.join(error_text(error).split())}")
            failed = True
            continue
        # of many, what is worth a warning; the page has the rest
        for line in found[-1].lines() if len(runs) == 1 else [found[-1].text.facts[0], *found[-1].findings_of(WARNING)]:
            console.print(f"{run.name}: {line}")
    console.print(table_of(found))
    needed = sum(checked.bytes for checked in found)
    free = shutil.disk_usage(nearest_folder(Path(runs[0].paths.models))).free
    console.print(f"disk: {needed / 1e6:,.0f} MB needed at most, {free / 1e6:,.0f} MB free")
    if found:
        page = outputs.write(utf8(page_of([checked.text for checked in found])))
        more = counted(sum(checked.notes() for checked in found), "note") + " more" if len(runs) > 1 else "all of it"
        console.print(f"{more}, with plots and examples: {page}")
    return 1 if failed or needed > free else 0


def table_of(found: list[CheckedRun]) -> Table:
    """The plan: a row for each run."""
    table = Table(
        Column("dataset", overflow="fold"), "MB", "documents", "parameters", "steps at most", "status", "time"
    )
    for checked in found:
        table.add_row(*checked.cells)
    return table


def nearest_folder(path: Path) -> Path:
    """The folder, or the first one above it that exists. Raises UserError for one on a drive that is not there."""
    for folder in (path.absolute(), *path.absolute().parents):
        if folder.is_dir():
            return folder
    raise UserError(f"{path}: there is no such drive")


def check_run(run: RunConfig, status: str, config: Path, *, start_is_made: bool) -> CheckedRun:
    """One run's row: its data are encoded, as for training, and a few steps timed, with no start that may be gone."""
    told: list[str] = []
    begun = run if start_is_made and status != "done" else run.with_training(start_from="")
    training = Training(begun, tell=told.append)
    corpus = training.corpus
    seconds, characters = step_cost(training)
    planned, most = min(training.total_steps * seconds, 60 * run.minutes()), training.total_steps * characters
    expected = "-" if status == "done" else clock(planned)
    cells = [
        run.name,
        f"{size_of(run.data_file()) / 1e6:.1f}",
        corpus.documents_text,
        f"{training.parameters / 1e6:.2f}M",
        f"{training.total_steps:,}",
        status,
        expected,
    ]
    estimate = estimate_of(run, corpus, training.held_out, speed=characters / seconds, seconds=planned, most=most)
    seen = Inspection(training.run, corpus, read_sample(run), estimate, config)  # with the licence that was recorded
    findings = {} if run.name == BASE else examine(seen)  # each text of which the base consists has its own
    return CheckedRun(
        cells,
        Checked(seen, [*facts(training), *told, in_words(estimate)], findings),
        0 if status == "done" else 4 * MODEL_COPIES * training.parameters,
    )


def step_cost(training: Training) -> tuple[float, float]:
    """Seconds and characters of a training step, on average over TIMED_STEPS.

    The steps before, which set things up, do not count: on a GPU a graph is captured at the second.
    """
    graphs = training.learner.graphs
    first = 2 if graphs else 1  # that is timed
    batches = [training.batches.batch(0 if graphs else step) for step in range(first + TIMED_STEPS)]
    for batch in batches[:first]:
        training.advance(batch)
    began = time.perf_counter()
    for batch in batches[first:]:
        training.advance(batch)
    if graphs:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    return seconds / TIMED_STEPS, sum(int((~batch.given).sum()) for batch in batches[first:]) / TIMED_STEPS


def facts(training: Training) -> list[str]:
    """What was read, and what writing will take."""
    reading_log, writer = training.corpus.reading_log, training.writer()
    amount = f"{counted(reading_log.characters, 'character')}; {reading_log.losses() or 'nothing dropped or changed'}"
    if training.corpus.stream:
        return [amount]
    settings = writer.settings()
    length = min(int(np.median(training.corpus.train.lengths)), training.run.sampling.max_length)
    calls = writer.network_calls(settings, Prompt(shortest=length, longest=length))
    return [
        f"{counted(reading_log.documents, 'document')}, {amount}",
        f"writing: {counted(calls, 'network call')} for a document of the median length ({settings.sampler})",
    ]
