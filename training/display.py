"""What a person sees of trainings: on a terminal a live line for each and one for the queue, and plain lines."""

import contextlib
import math
from collections.abc import Iterable
from typing import Any

import torch
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn

from command.messages import clock, counted, number, with_error
from config.schema import RunConfig
from text.corpus import Corpus
from text.disguise import suspicion
from text.vocabulary import too_small
from training.events import Message, Note, Status
from training.preview import Preview

BAR_COLUMNS = 20


class Bars(Progress):
    """Progress bars, and the sample that is being played below them."""

    def __init__(self, *columns: ProgressColumn, preview: Preview, **options: Any) -> None:
        self.preview = preview
        super().__init__(*columns, **options)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.preview.text:
            yield self.preview


class QueueDisplay:
    """Shows the trainings of a queue, as many as `lanes` at once; `total` of them there are."""

    def __init__(self, console: Console, lanes: int, total: int) -> None:
        self.console, self.lanes, self.total, self.over = console, lanes, total, 0
        self.later: list[tuple[float, float]] = []  # of each to come: characters to train on, seconds at most
        self.running: dict[str, Status] = {}
        self.preview = Preview()
        self.bar = Bars(
            TextColumn("{task.description}"), BarColumn(BAR_COLUMNS), TextColumn("{task.fields[text]}"),
            console=console, transient=True, disable=not console.is_terminal, preview=self.preview,
        )  # fmt: skip
        self.tasks: dict[str, TaskID] = {}
        self.queue = self.bar.add_task("queue", total=total, text="", visible=total > 1)  # stands above the others

    def __enter__(self) -> "QueueDisplay":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.print_sample()
        with contextlib.suppress(OSError):  # the terminal was closed
            self.bar.stop()

    def begin(self, name: str) -> None:
        self.running[name] = Status(name)
        if name not in self.tasks:  # else it is its second try
            self.tasks[name] = self.bar.add_task(name, total=1.0, text="")

    def end(self, name: str) -> None:
        """A dataset of the queue is over, whether it was trained or not."""
        self.running.pop(name, None)
        if name in self.tasks:
            self.bar.remove_task(self.tasks.pop(name))
        self.over += 1
        self.print_sample()

    def print_sample(self) -> None:
        """Put the last sample among the lines that stay: it was played until now."""
        if line := self.preview.take_line():
            self.console.print(line)

    def hear(self, message: Message) -> None:
        if isinstance(message, Note):
            self.print_sample()
            self.console.print(f"{message.name}: {message.text}")
            return
        status = message.status
        self.running[status.name] = status
        if message.validated:
            self.print_sample()
            self.console.print(f"{status.name}: {validation_text(status, message.used)}  {self.left_text(status)}")
            whose = f"{status.name}: " if self.lanes > 1 else ""
            self.preview.play(whose + "    ", status.history[-1].sample, message.course)
            if not self.console.is_terminal:
                self.print_sample()
        text = f"{status.progress:>3.0%}  {live_text(status, message.used)}  left {clock(status.seconds_left())}"
        self.bar.update(self.tasks[status.name], completed=status.progress, text=text)
        text = f"{self.over} of {self.total}  left {clock(self.seconds_left())}"
        self.bar.update(self.queue, completed=self.over, text=text)

    def left_text(self, status: Status) -> str:
        """Time left for this training, and for the queue if that has others."""
        text = f"left {clock(status.seconds_left())}"
        return f"{text}, queue {clock(self.seconds_left())}" if self.later or len(self.running) > 1 else text

    def seconds_left(self) -> float:
        """An estimate for the queue: each to come takes the first free lane, at the mean speed of those under way."""
        lanes = [status.seconds_left() for status in self.running.values()]
        speeds = [status.speed for status in self.running.values()]
        speed = sum(speeds) / len(speeds) if speeds else math.nan
        after = [min(characters / (speed or math.nan), limit) for characters, limit in self.later]
        if any(map(math.isnan, lanes + after)):
            return math.nan
        # free though runs wait: for the model that they start from
        lanes += [min(lanes, default=0.0)] * (self.lanes - len(lanes))
        for seconds in after:
            lanes[lanes.index(min(lanes))] += seconds
        return max(lanes)


def start_notes(run: RunConfig, corpus: Corpus, parameters: int, device: torch.device, steps: int) -> list[str]:
    """What was read, how large the network is, and how long training may take: a line each."""
    reading_log, limit = corpus.reading_log, run.training.max_minutes
    losses, distinct = reading_log.losses(), reading_log.distinct_characters
    # the newline is one of the vocabulary, but of the text only if that is a stream that holds it
    known = min(len(corpus.vocabulary.characters) - (not corpus.stream), distinct)
    budget = f"at most {counted(steps, 'step')}" + (f" or {clock(60 * limit)}" if limit else "")
    documents = "" if corpus.stream else f"{counted(reading_log.documents, 'document')}, "
    size = "this is the size for a GPU, or a long night; --preset cpu learns faster here"
    notes = [
        f"{documents}{counted(reading_log.characters, 'character')}, {known} of "
        f"{counted(distinct, 'distinct one')}" + (f"; {losses}" if losses else ""),
        too_small(reading_log.unknown_characters, reading_log.characters, run.data.vocab_size),
        suspicion(run),
        f"{counted(parameters, 'parameter')} on {device.type}, {budget}",
        size if device.type == "cpu" and run.preset == "baby" else "",
    ]
    return [note for note in notes if note]


def validation_text(status: Status, used: float) -> str:
    last = status.history[-1]
    return (
        f"{last.progress:4.0%}  {last.characters / 1e6:.2f}M chars  {speed_text(status, used)}  "
        f"loss {number(last.train_loss, '.2f')}  held-out {with_error(last.held_out, last.held_out_error)} bits/char"
    )


def live_text(status: Status, used: float) -> str:
    bits = f"  {number(status.history[-1].held_out, '.2f')} bits/char" if status.history else ""
    return f"{speed_text(status, used)}  loss {number(status.loss, '.2f')}{bits}"


def speed_text(status: Status, used: float) -> str:
    """Characters a second, and what share of a card's peak rate they use, if that is not nan."""
    of_the_card = "" if math.isnan(used) else f" ({used:.1%} of the card's bf16 rate)"
    return f"{number(status.speed / 1000, '.1f')}k chars/s{of_the_card}"
