"""Trains one model: `train_model` is the loop, `Training` the state that its steps and validations change."""

import copy
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from command.disk import check_writable
from config.origin import with_origin
from config.schema import RunConfig
from dataset_loader import Batch, TrainingBatches, held_out_batches
from evaluation.likelihood import NATS_PER_BIT, held_out_likelihood
from generation.checkpoint import Checkpoint, diffusion_of, save_checkpoint, shape_of
from generation.course import Change
from generation.writer import Writer
from model import Denoiser, DiffusionTransformer
from text.corpus import Split, load_corpus
from text.disguise import check_text
from training.events import SILENT, Listener, Status, Stopped, Validation, smoothed, stalled, stoppable, try_save
from training.learner import Learner
from training.memory import fitting_parameters
from training.preview import sample_of
from training.resume import drop_state, planned_minutes, take_state, write_state
from training.start import beginning_of, keeps_split, matched_weights, no_better, spent_before
from training.step import MOST_SHARDS, Diverged, scheduled_rate, shard_count
from training.stopwatch import Stopwatch
from training.tensorboard import check_tensorboard, write_history
from utils import CPU, UserError, out_of_memory, pick_device, torch_generator

LOWER_RATES = "lower training.learning_rate or training.muon_learning_rate"
SLOWER, MOST_SLOWDOWNS = 0.5, 3  # after a divergence the rates go on at this share; how often at most
HOPELESS = 10  # a loss of so many times a blind guess's bits is a divergence: no sound training comes near it
UNREAD = 32  # steps whose losses stay on a GPU at most: reading each would have it wait
SECONDS_APART = 60  # two validations of a short training at least: one takes seconds in which nothing is learnt
SAVE_SECONDS = 300  # resume state is saved at least so often, and after every validation


def train_model(run: RunConfig, listener: Listener = SILENT, *, cut_for: int = 0) -> Checkpoint:
    """Train one model until its budget is spent or its held-out bits stop falling; save it and its metrics.

    `cut_for`: for how many cores a step is divided into parts, 0 for all that this process may use. It sets the
    order of sums, and so the last digits of the weights. Goes on from a saved state. Raises UserError for what cannot
    be trained on, Stopped once the listener asks to stop.
    """
    check_writable(run.model_file().parent)
    training, saved, due = Training(run, cut_for, listener.note), time.monotonic(), False
    listener.started(run, training.corpus, training.parameters, training.device, training.total_steps)
    if training.learner.note:
        listener.note(training.learner.note)
    training.restore(listener)
    try:
        while True:
            if measured := training.validation_due():  # first, so that an interrupted validation is done after resuming
                listener.validated(training.status, training.validate(listener))
            if measured or due:
                try_save(listener, training.save_state)
                saved = time.monotonic()
            if training.finished():
                return training.complete(listener)
            try:
                training.advance(training.batches.batch(training.steps_before + training.status.step))
                if due := time.monotonic() - saved > SAVE_SECONDS:
                    training.read_losses()
            except Diverged:
                training.slow_down()
            except (MemoryError, RuntimeError) as error:
                training.cut_smaller(error)
            listener.stepped(training.status)
            if listener.stopping():
                raise Stopped
    except Stopped:
        training.save_state()
        raise


class Training:
    """The state of a training."""

    def __init__(self, run: RunConfig, cut_for: int = 0, tell: Callable[[str], None] = SILENT.note) -> None:
        self.device, self.tell = pick_device(run.device), tell
        check_tensorboard([run])
        check_text(run)
        self.corpus = load_corpus(run)
        self.run = with_origin(run, self.corpus.sha256, tell)
        self.batches = TrainingBatches(self.corpus, run)
        steps = max(1, math.ceil(run.training.epochs * self.batches.steps_per_epoch))
        self.total_steps = min(steps, run.training.max_steps or steps)
        self.diffusion = diffusion_of(run, self.corpus.vocabulary)
        shape = shape_of(run, self.corpus.vocabulary)
        self.parameters = fitting_parameters(shape, self.device)
        self.beginning = beginning_of(run)
        self.spent = spent_before(self.beginning, run.name, self.corpus.sha256)
        self.same_split = keeps_split(self.beginning, run, self.corpus.sha256)
        self.steps_before = self.spent.get("steps_before", 0)  # of a start; batches and noise count on
        model = DiffusionTransformer(*shape).initialise(torch_generator(CPU, run.seed, run.name, "weights"))
        if self.beginning:
            fresh, vocabulary = model.state_dict(), self.corpus.vocabulary
            model.load_state_dict(matched_weights(fresh, run, vocabulary, self.beginning.checkpoint))
        self.model = model.to(self.device)
        shards = shard_count(self.device, self.batches.positions, cut_for)
        self.learner = Learner(run, self.diffusion, self.model, shards, self.total_steps)
        self.average, self.precision = self.learner.average, self.learner.objective.precision
        self.unread: list[tuple[Tensor, Tensor, int, float]] = []  # loss, norm, characters and seconds of steps
        self.most_unread = UNREAD if self.learner.graphs else 1
        self.blind = self.learner.blind_bits()
        self.best = {name: value.clone() for name, value in self.average.state_dict().items()}
        self.lengths = self.corpus.lengths_to_write(run.model.context)
        self.status, self.held_out = Status(run.name), self._measured(self.corpus.held_out)
        self.longest_minutes = run.minutes()  # of the longest training that goes on from the same state
        self.watch = Stopwatch()
        self.sound = self.snapshot()  # to go back to, should the training diverge

    @cached_property
    def learnt(self) -> list[Batch]:
        """As much training text as held-out text, chosen at the first validation: --check has no use for it."""
        return self._measured(self.corpus.train)

    def _measured(self, split: Split) -> list[Batch]:
        """The part of a split that validations measure."""
        run, alphabet = self.run, self.corpus.vocabulary.size
        sizes = run.model.context, run.training.validation_characters
        return held_out_batches(split, *sizes, run.seed, alphabet=alphabet)

    def advance(self, batch: Batch) -> None:
        """One step: noise the batch, predict, follow the gradient, average the weights."""
        characters = int((~batch.given).sum())
        number, factor = self.steps_before + self.status.step, self.rate_factor()
        loss, norm = self.learner.step(number, batch, characters, factor, self.status.step)
        self._count(loss, norm, characters)

    def rate_factor(self) -> float:
        """The factor of the learning rates now: the schedule's, less of it from a start, halved by each divergence."""
        of_start = self.run.training.start_rates if self.beginning else 1.0
        return of_start * scheduled_rate(self.progress(), self.run.training) * SLOWER**self.status.slowdowns

    def _count(self, loss: Tensor, norm: Tensor, characters: int) -> None:
        status, now = self.status, self.watch.seconds()
        self.unread.append((loss, norm, characters, now - status.seconds))
        if len(self.unread) == self.most_unread:
            self.read_losses()
        status.seconds = now
        status.characters += characters
        status.step += 1
        status.progress = self.progress()
        if self.validation_due() or self.finished():
            self.read_losses()

    def read_losses(self) -> None:
        """Take losses from the device, a CPU-GPU sync point. Raises Diverged for one that is not sound."""
        if not self.unread:
            return
        losses, norms, characters, seconds = zip(*self.unread, strict=True)
        self.unread = []
        for nats, norm in torch.stack([torch.stack(losses), torch.stack(norms)], 1).tolist():
            average = smoothed(self.status.loss, nats / NATS_PER_BIT)
            if not (math.isfinite(nats) and math.isfinite(norm)) or average > HOPELESS * self.blind:
                raise Diverged(f"a step gave no sound numbers; {LOWER_RATES}")
            self.status.loss = average
        self.status.speed = smoothed(self.status.speed, sum(characters) / max(sum(seconds), 1e-9))

    def progress(self) -> float:
        """0..1: the share spent of whichever budget runs out first."""
        return min(1.0, max(self.status.step / self.total_steps, self.status.seconds / (60 * self.run.minutes())))

    def finished(self) -> bool:
        return self.progress() >= 1 or stalled(self.status.history, self.run.training.patience)

    def validation_due(self) -> bool:
        return self._validations_due() > self.status.validated

    def _validations_due(self) -> int:
        validations = int(min(self.run.training.validations, max(1, 60 * self.run.minutes() / SECONDS_APART)))
        return math.floor(self.progress() * validations + 1e-9)

    def writer(self) -> Writer:
        network = Denoiser(self.average, self.precision)
        return Writer(self.run, self.corpus.vocabulary, self.lengths, self.diffusion, network, self.device)

    def validate(self, listener: Listener) -> list[Change]:
        """Likelihood of the averaged weights, by the same draws every time; keeps the best; -> course of the sample."""
        status, writer = self.status, self.writer()
        writer = replace(writer, network=stoppable(writer.network, listener))
        found, learnt = (
            held_out_likelihood(self.diffusion, writer.network, batches, self.run.seed, self.device)
            for batches in (self.held_out, self.learnt)
        )
        bits = found.bits if math.isfinite(found.bits) else math.inf  # nan compares as neither better nor worse
        text, *_, course = sample_of(writer, len(status.history)) if math.isfinite(bits) else ("", [])
        status.seconds = self.watch.seconds()  # with the time of this validation
        status.validated = self._validations_due()
        rate, minutes = self.run.training.learning_rate * self.rate_factor(), status.seconds / 60
        record = Validation(
            step=status.step, progress=status.progress, characters=status.characters, train_loss=status.loss,
            held_out=bits, held_out_error=found.error, learning_rate=rate, minutes=minutes, sample=text,
            learnt=learnt.bits,
        )  # fmt: skip
        status.history.append(record)
        if not stalled(status.history, 1):  # it is the best so far
            self.best = {name: value.clone() for name, value in self.average.state_dict().items()}
        write_history(self.run, status.history, listener)
        if math.isfinite(bits):
            self.sound = self.snapshot()
        return course

    def state(self) -> dict[str, Any]:
        """All that a step changes, not copied."""
        status = asdict(self.status) | {"seconds": self.watch.seconds()}
        return {"status": status, "best": self.best, **self.learner.state()}

    def snapshot(self) -> dict[str, Any]:
        """Copies of all that a step changes."""
        return copy.deepcopy(self.state())

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot; the snapshot stays as it is."""
        state = copy.deepcopy(state)
        self.learner.take_up(state)
        self.unread = []
        self.best = {name: value.to(self.device) for name, value in state["best"].items()}
        history = [Validation(**record) for record in state["status"].pop("history")]
        self.status = Status(**state["status"], history=history)
        # a shorter training has made more of its measurements by then than a longer one of the same state
        self.status.validated = min(self.status.validated, self._validations_due())
        self.watch = Stopwatch(self.status.seconds)
        self.status.progress = self.progress()

    def slow_down(self) -> None:
        """After divergence: back to where numbers were sound, with half the rates; a few times at most."""
        slowdowns = self.status.slowdowns + 1
        if slowdowns > MOST_SLOWDOWNS:
            raise UserError(
                f"{self.status.name}: training diverged at step {self.status.step}, {slowdowns} times; {LOWER_RATES}"
            )
        self._go_back(slowdowns)
        self.tell(f"training diverged; back to step {self.status.step:,} at half the learning rate")

    def cut_smaller(self, error: Exception) -> None:
        """After memory ran out: back to where numbers were sound, and twice as many parts to a step. Else it raises."""
        if not out_of_memory(error) or self.learner.shards >= MOST_SHARDS:
            raise error
        traceback.clear_frames(error.__traceback__)  # they hold the memory of the step that failed
        self.learner.cut(2 * self.learner.shards)
        self._go_back(self.status.slowdowns)  # memory may have run out in the middle of an update
        self.tell(f"out of memory; back to step {self.status.step:,} and on with {self.learner.shards} parts to a step")

    def _go_back(self, slowdowns: int) -> None:
        """Go back to the last sound snapshot; the time spent since then still counts."""
        status = {**self.sound["status"], "seconds": self.watch.seconds(), "slowdowns": slowdowns}
        self.take_up({**self.sound, "status": status})

    def save_state(self) -> None:
        """Write all that is needed to resume, and the snapshot to return to after a divergence."""
        try:  # weights after a loss that is not a number are no state to go on from
            self.read_losses()
        except Diverged:
            self.slow_down()
        self.status.seconds = self.watch.seconds()
        sound = self.sound if self.sound["status"]["step"] != self.status.step else None
        start = self.beginning.record.model_sha256 if self.beginning else ""  # another may have its name by now
        cut = {"shards": self.learner.shards, "device": self.device.type}
        content = {**self.state(), **cut, "sound": sound, "start": start}
        write_state(self.run, self.corpus, content, self.longest_minutes)

    def restore(self, listener: Listener) -> None:
        """Go on from the state of an interrupted training with the same data and settings; any other is moved aside."""
        if not (state := take_state(self.run, self.corpus, self.sound, self.learner.optimizers, listener.note)):
            return
        if state.get("device", self.device.type) == self.device.type:  # on another device all sums differ
            self.learner.cut(state["shards"])  # whatever this machine would choose: sums and dropout depend on it
        self.take_up(state)
        self.longest_minutes = max(self.longest_minutes, planned_minutes(state))
        self.sound = state["sound"] or self.snapshot()
        listener.resumed(self.status)

    def complete(self, listener: Listener) -> Checkpoint:
        """Save the best averaged weights as the model; delete the state, unless a longer training goes on from it."""
        if not self.status.history or self.status.history[-1].step != self.status.step:
            self.validate(listener)
        left = self.total_steps - self.status.step
        metrics = {**self.status.figures(), "steps_left": left, "parameters": self.parameters, **self.spent}
        checkpoint = Checkpoint(
            self.run, self.corpus.vocabulary, self.lengths, self.best, metrics, self.corpus.sha256,
            self.run.training_hash(), start=self.beginning and self.beginning.record, same_split=self.same_split,
        )  # fmt: skip
        listener.finishing(self.status)
        if kept := save_checkpoint(self.run.model_file(), checkpoint):
            listener.note(f"the old file is kept as {kept}")
        if self.beginning and self.spent and (worse := no_better(self.beginning, metrics["held_out_bits"])):
            listener.note(f"{worse}; the model of before is {self.run.start_file()}")
        by_time = left > 0 and self.status.seconds >= 60 * self.run.minutes() and not self.spent
        if longer := drop_state(self.run, self.corpus.sha256, self.run.minutes() if by_time else math.inf):
            listener.note(f"{self.run.state_file()} stays for {longer}, which goes on from it")
        return checkpoint
