"""Faults of a training, divergence, lost memory, a full disk: it goes back, goes on, or says why not."""

import errno
import itertools
import math
import os
import time
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from generation.archive import read_archive
from generation.checkpoint import load_checkpoint
from generation.writer import write_documents
from tests.helpers import Quiet, shape
from tests.training.states import stop, trained_bytes
from training import trainer
from training import trainer as training_module
from training.events import Stopped
from training.step import Diverged, Objective
from training.trainer import Training, train_model
from utils import UserError, torch_generator


def diverging(monkeypatch, steps: int, at: int = 3, factor: float = torch.nan) -> None:
    """Let the first so many calls of a step give a loss that is not a number, or too large a one."""
    honest, left = Objective.loss_and_gradients, [steps]
    first = torch_generator(torch.device("cpu"), 1337, "toy", "dropout", at, 0).initial_seed()  # the step's first shard

    def of(self, shard):
        loss, found = honest(self, shard)
        if left[0] and shard.dropout.initial_seed() == first:
            left[0] -= 1
            loss = loss * factor
        return loss, found

    monkeypatch.setattr(Objective, "loss_and_gradients", of)


@pytest.mark.parametrize("factor", [torch.nan, torch.inf, 1e4])
def test_a_divergence_goes_back_and_on_at_half_the_rates(tiny_run, monkeypatch, factor):
    run, watcher, unbroken = shape(tiny_run(), max_steps=6, validations=3), Quiet(), Quiet()
    train_model(run, unbroken)
    run.model_file().unlink()
    diverging(monkeypatch, 1, factor=factor)
    train_model(run, watcher)
    rates = [[record.learning_rate for record in seen.last.history] for seen in (watcher, unbroken)]
    assert rates[0] == [rates[1][0], *(rate / 2 for rate in rates[1][1:])]
    assert watcher.notes == ["training diverged; back to step 2 at half the learning rate"]
    assert watcher.last.slowdowns == 1 and watcher.last.step == 6
    assert all(torch.isfinite(value).all() for value in load_checkpoint(run.model_file()).weights.values())


@pytest.mark.parametrize("error", [Diverged(), MemoryError()])
def test_going_back_gives_no_time_back(tiny_run, monkeypatch, error):
    training = Training(shape(tiny_run(), max_minutes=1))
    training.advance(training.batches.batch(0))
    training.watch.counted += 30
    training.slow_down() if isinstance(error, Diverged) else training.cut_smaller(error)
    assert training.status.step == 0 and training.progress() == pytest.approx(0.5, abs=0.1)


def test_a_state_never_holds_what_a_loss_that_is_not_yet_read_has_ruined(tiny_run):
    """On a GPU losses are read every few steps, and a training may be stopped in between."""
    run = shape(tiny_run(), max_steps=6)
    training = Training(run)
    training.advance(training.batches.batch(0))
    for weight in [*training.model.parameters(), *training.average.parameters()]:
        weight.data.fill_(torch.nan)
    training.unread = [(torch.tensor(torch.nan), torch.tensor(1.0), 10, 0.1)]
    training.save_state()
    later = Training(run)
    later.restore(Quiet())
    assert later.status.step == 0 and later.status.slowdowns == 1
    assert all(torch.isfinite(weight).all() for weight in later.model.parameters())


@pytest.mark.parametrize("times", [1, 99])
def test_a_divergence_that_a_save_finds_is_noted_as_any_other(tiny_run, monkeypatch, times):
    """On a GPU losses are read every few steps, and before a state is saved."""

    class ReadingLate(Training):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            self.most_unread = 32

    monkeypatch.setattr(trainer, "Training", ReadingLate)
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0)
    diverging(monkeypatch, times, at=2)
    run, watcher = shape(tiny_run(), validations=1), Quiet()
    if times == 1:
        train_model(run, watcher)
        assert watcher.notes == ["training diverged; back to step 0 at half the learning rate"]
        return
    with pytest.raises(UserError, match="toy: training diverged at step 3, 4 times"):
        train_model(run, watcher)
    assert watcher.notes == ["training diverged; back to step 0 at half the learning rate"] * 3


def test_a_hopeless_divergence_stops_with_the_reason(tiny_run, monkeypatch):
    run, watcher = tiny_run(), Quiet()
    diverging(monkeypatch, 99)
    with pytest.raises(UserError, match=r"toy: training diverged at step 3, 4 times; lower training.learning_rate"):
        train_model(run, watcher)
    assert len(watcher.notes) == 3
    assert read_archive(run.state_file())["status"]["step"] == 3


def test_a_divergence_after_going_on_goes_back_as_in_an_unbroken_run(tiny_run, monkeypatch):
    run = tiny_run()  # measured at step 3
    diverging(monkeypatch, 1, at=5)
    unbroken = trained_bytes(run)
    stop(run, 4)
    monkeypatch.undo()
    diverging(monkeypatch, 1, at=5)
    watcher = Quiet()
    train_model(run, watcher)
    assert watcher.resumed_from == 4 and "back to step 3" in watcher.notes[0]
    assert run.model_file().read_bytes() == unbroken


def no_room(monkeypatch, times: int) -> None:
    """The first so many writes find the disk full."""
    honest, left = os.fsync, [times]

    def fsync(descriptor: int) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        honest(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_full_disk_while_saving_costs_no_training(tiny_run, monkeypatch):
    run = tiny_run()
    unbroken = trained_bytes(run)
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0)
    monkeypatch.setattr(trainer, "check_writable", lambda folder: None)
    no_room(monkeypatch, 3)
    watcher = Quiet()
    train_model(run, watcher)
    assert len(watcher.notes) == 3 and all("not saved, and going on: " in note for note in watcher.notes)
    assert all("No space left on device" in note for note in watcher.notes)
    assert run.model_file().read_bytes() == unbroken and not run.state_file().exists()
    assert {file.suffix for file in run.model_file().parent.iterdir()} == {".pt", ".jsonl"}


def test_a_disk_that_stays_full_keeps_the_last_state(tiny_run, monkeypatch):
    run = tiny_run()
    stop(run, 3)
    state = run.state_file().read_bytes()
    monkeypatch.setattr(trainer, "check_writable", lambda folder: None)
    no_room(monkeypatch, 1000)
    with pytest.raises(OSError, match="No space left on device"):
        train_model(run, Quiet())
    assert run.state_file().read_bytes() == state and not run.model_file().exists()


def test_a_state_is_never_older_than_five_minutes(tiny_run, monkeypatch):
    run, clock, found = tiny_run(training={"validations": 1}), [0.0], []
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    class Jumping(Quiet):
        def stepped(self, status) -> None:
            found.append(run.state_file().exists())
            clock[0] = {2: 299, 4: 301}.get(status.step, clock[0])

    train_model(run, Jumping())
    assert found == [False] * 5 + [True]  # the clock is read at the end of a step, and the state saved before the next


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_text("a\nb\n")])
def test_data_that_vanish_or_shrink_in_training_change_nothing(tiny_run, harm):
    run = tiny_run()
    unbroken = trained_bytes(run)

    class Harmful(Quiet):
        def validated(self, status, course) -> None:
            if run.data_file().exists():
                harm(run.data_file())

    train_model(run, Harmful())
    assert run.model_file().read_bytes() == unbroken


def little_memory(monkeypatch, rows: int) -> None:
    """More rows at once than so many find no memory."""
    honest = Objective.loss_and_gradients

    def of(self, shard):
        if len(shard.x0) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, shard)

    monkeypatch.setattr(Objective, "loss_and_gradients", of)


def test_a_step_that_finds_no_memory_is_cut_into_parts(tiny_run, monkeypatch):
    alike = [f"doc {i:03d}" for i in range(60)]  # of one length, so that one cut serves all steps
    run = tiny_run(alike, model={"dropout": 0.0})  # dropout is drawn part by part
    whole, watcher = Training(run), Quiet()
    rows = len(whole.batches.batch(0).ids)
    train_model(run, Quiet())
    expected = load_checkpoint(run.model_file()).weights
    run.model_file().unlink()
    little_memory(monkeypatch, rows // 4)
    train_model(run, watcher)
    assert watcher.notes[-1].startswith("out of memory; back to step 0 and on with ")
    for name, value in load_checkpoint(run.model_file()).weights.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=2e-3)  # Muon magnifies rounding


def test_going_on_cuts_a_step_as_before_the_interruption(tiny_run, monkeypatch):
    run, rest = tiny_run(), Quiet()  # measured at step 3
    monkeypatch.setattr(training_module, "shard_count", lambda device, positions, cores: 2)
    unbroken = trained_bytes(run)
    stop(run, 4)
    # another machine, or fewer cores
    monkeypatch.setattr(training_module, "shard_count", lambda device, positions, cores: 1)
    train_model(run, rest)
    assert rest.resumed_from == 4 and run.model_file().read_bytes() == unbroken


def test_a_step_without_memory_has_let_go_of_it_when_the_training_goes_back(tiny_run, monkeypatch):
    honest, held, alive = Training._go_back, [], []

    def of(self, shard):
        if not held:
            large = torch.zeros(1000)
            held.append(weakref.ref(large))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest_of(self, shard)

    def go_back(self, slowdowns):
        alive.append(held[0]() is not None)
        honest(self, slowdowns)

    honest_of = Objective.loss_and_gradients
    monkeypatch.setattr(Objective, "loss_and_gradients", of)
    monkeypatch.setattr(Training, "_go_back", go_back)
    train_model(tiny_run(), Quiet())
    assert alive == [False]


def test_ruined_weights_are_measured_as_the_worst_and_write_nothing(tiny_run):
    training = Training(tiny_run(diffusion={"process": "absorbing"}, sampling={"sampler": "surest"}))
    with torch.no_grad():
        for weights in training.average.parameters():
            weights.fill_(torch.nan)
    training.validate(Quiet())
    assert training.status.history[0].held_out == math.inf and training.status.history[0].sample == ""
    with pytest.raises(FloatingPointError, match="not a number"):
        write_documents(training.writer(), 0, [0], training.writer().settings())


def test_where_no_part_is_small_enough_the_failure_is_shown(tiny_run, monkeypatch):
    little_memory(monkeypatch, 0)
    with pytest.raises(torch.OutOfMemoryError):
        train_model(tiny_run(), Quiet())


def test_a_clock_that_jumps_changes_nothing(tiny_run, monkeypatch):
    run, watcher = tiny_run(), Quiet()
    unbroken = trained_bytes(run)
    jumps = itertools.cycle([86_400.0, -1e9, 4e9])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    train_model(run, Quiet())
    assert run.model_file().read_bytes() == unbroken
    train_model(shape(run, max_minutes=5), watcher)  # nor when a budget of time ends
    assert watcher.last.step == run.training.max_steps and 0 <= watcher.last.seconds < 300


def test_a_validation_can_be_stopped_and_is_made_up_for(tiny_run):
    run = tiny_run()
    whole, rest = Quiet(), Quiet()
    train_model(run, whole)
    unbroken = run.model_file().read_bytes()
    run.model_file().unlink()

    class Impatient(Quiet):
        asked = 0

        def stopping(self) -> bool:  # asked after every step, and before every call of the network in a validation
            self.asked += 1
            return self.asked == 5

    with pytest.raises(Stopped):
        train_model(run, Impatient())
    assert not read_archive(run.state_file())["status"]["history"]
    train_model(run, rest)
    figures = [[(record.step, record.held_out) for record in watcher.last.history] for watcher in (whole, rest)]
    assert figures[0] == figures[1] and run.model_file().read_bytes() == unbroken


def test_a_network_that_cannot_fit_the_memory_is_refused_before_it_is_built(tiny_run, monkeypatch):
    run = tiny_run(model={"layers": 8, "heads": 2, "width": 512, "context": 32, "noise_width": 8})
    monkeypatch.setattr(os, "sysconf", lambda name: 8192, raising=False)  # 64 MB
    with pytest.raises(UserError, match=r"takes at least 0.8 GB of memory, and this machine has 0.1 GB; lower"):
        train_model(run, Quiet())
    train_model(tiny_run(), Quiet())


def test_each_part_of_a_step_has_dropout_of_its_own(tiny_run):
    training = Training(tiny_run())
    training.learner.cut(3)
    training.advance(training.batches.batch(0))
    assert len({generator.initial_seed() for generator in training.learner.dropout}) == 3


def test_ruined_weights_are_nothing_to_go_back_to(tiny_run):
    training = Training(tiny_run())
    with torch.no_grad():
        for weights in training.average.parameters():
            weights.fill_(torch.nan)
    training.validate(Quiet())
    assert all(value.isfinite().all() for value in training.sound["average"].values())
