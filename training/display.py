"""What a person sees while a model trains: a live line on a terminal, and a line per validation."""

import math
from collections.abc import Callable

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from config.messages import clock, counted, number, with_error
from config.schema import RunConfig
from text.corpus import Corpus
from text.disguise import suspicion
from text.vocabulary import one_line
from training.events import Status

PREVIEW_CHARACTERS = 160  # characters of the sample shown at a validation


class TrainingDisplay:
    """Shows one training: a live line on a terminal, and everywhere a plain line per validation."""

    def __init__(
        self, console: Console, run: RunConfig, stop_asked: Callable[[], bool], on_start: Callable[[], None],
        queued: list[tuple[float, float]],
    ) -> None:  # fmt: skip
        """`queued` holds (characters to train on, seconds at most) of each training still to come."""
        self.console, self.run, self.stop_asked, self.on_start, self.queued = console, run, stop_asked, on_start, queued
        self.status, self.reader_left = Status(run.name), False
        self.documents = self.parameters = ""
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %  {task.fields[text]}"),
            console=self.console, transient=True, disable=not self.console.is_terminal,
        )  # fmt: skip
        self.task = self.bar.add_task(run.name, total=1.0, text="")

    def __enter__(self) -> "TrainingDisplay":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def started(self, run: RunConfig, corpus: Corpus, parameters: int, device: torch.device, steps: int) -> None:
        """Say what was read, how large the network is, and how long training may take."""
        self.on_start()
        reading_log, losses = corpus.reading_log, corpus.reading_log.losses()
        self.documents, self.parameters = f"{reading_log.documents:,}", f"{parameters / 1e6:.2f}M"
        known, limit = len(corpus.vocabulary.characters) - 1, run.training.max_minutes
        self.note(
            f"{counted(reading_log.documents, 'document')}, {counted(reading_log.characters, 'character')}, {known} of "
            f"{counted(reading_log.distinct_characters, 'distinct one')}" + (f"; {losses}" if losses else "")
        )
        if what := suspicion(run.data_file()):
            self.note(what)
        budget = f"at most {counted(steps, 'step')}" + (f" or {counted(limit, 'minute')}" if limit else "")
        self.note(f"{counted(parameters, 'parameter')} on {device.type}, {budget}")
        if device.type == "cpu" and run.preset == "baby":
            self.note("this is the size for a GPU, or a long night; --preset cpu learns faster here")

    def resumed(self, status: Status) -> None:
        self.status = status
        self.note(f"going on from step {status.step:,}")

    def stepped(self, status: Status) -> None:
        self.status = status
        if not self.bar.disable:
            text = f"{speed_text(status)}  loss {number(status.loss, '.2f')}  {self.left_text(status)}"
            self.bar.update(self.task, completed=status.progress, text=text)

    def stopping(self) -> bool:
        return self.reader_left or self.stop_asked()

    def validated(self, status: Status) -> None:
        self.status, last = status, status.history[-1]
        self.note(
            f"{last.progress:4.0%}  {last.characters / 1e6:.2f}M chars  {speed_text(status)}  "
            f"loss {number(last.train_loss, '.2f')}  "
            f"held-out {with_error(last.held_out, last.held_out_error)} bits/char  "
            f"{self.left_text(status)}"
        )
        self.print("    " + one_line(last.sample)[:PREVIEW_CHARACTERS])

    def finishing(self, status: Status) -> None:
        """Draw the learning curve: before the model is saved, so that a kill leaves no model without its curve."""
        try:
            from training.curve import plot_curve  # matplotlib is slow to import, and only the end needs it

            plot_curve(status, self.run)
        except Exception as error:  # whatever is wrong with a picture, the model is worth more
            self.note(f"learning curve not saved, and going on: {error}")

    def left_text(self, status: Status) -> str:
        """Time left for this training, and for the queue."""
        text = f"left {clock(status.seconds_left())}"
        # an estimate: the others at this training's speed
        after = sum(min(characters / (status.speed or math.nan), limit) for characters, limit in self.queued)
        return f"{text}, queue {clock(status.seconds_left() + after)}" if after else text

    def note(self, text: str) -> None:
        self.print(f"{self.run.name}: {text}")

    def print(self, text: str) -> None:
        try:
            self.console.print(text)
        except BrokenPipeError:  # stop as at Ctrl+C, with the state saved
            self.reader_left = True


def speed_text(status: Status) -> str:
    return f"{number(status.speed / 1000, '.1f')}k chars/s"
