"""One training: the same bytes from the same seed, going on, learning, ending."""

import copy
import itertools
import json
import math
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from diffusion.objectives import HEADS, LOSSES
from diffusion.processes import PROCESSES
from diffusion.schedules import SCHEDULES
from evaluation.likelihood import Likelihood, held_out_likelihood
from tests.helpers import Quiet, shape, toy_lines
from tests.training.states import state_of, stop, trained_bytes
from training import stopwatch
from training import trainer as training_module
from training.events import Validation, stalled
from training.trainer import Training, train_model
from utils import parallel_tasks

SEEDED_LOSSES = [3.37791, 3.30947, 3.31457]  # bits, running average


def test_same_seed_same_bytes(tiny_run):
    run = tiny_run()
    files = []
    for _ in range(2):
        train_model(run, Quiet())
        files.append(run.model_file().read_bytes())
        run.model_file().unlink()
    assert files[0] == files[1]
    train_model(run.model_copy(update={"seed": 2}), Quiet())
    assert run.model_file().read_bytes() != files[0]


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("stop_at", [1, 3, 5])
def test_resume_equals_an_unbroken_run_bit_for_bit(tiny_run, optimizer, stop_at):
    run = shape(tiny_run(), optimizer=optimizer, max_steps=6)
    unbroken = trained_bytes(run)
    stop(run, stop_at)
    assert run.state_file().is_file() and not run.model_file().exists()
    torch.rand(7)  # the global generator is not part of the state
    watcher = Quiet()
    train_model(run, watcher)
    assert watcher.resumed_from == stop_at
    assert run.model_file().read_bytes() == unbroken
    assert not run.state_file().exists()


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_a_state_cut_short_is_replaced_and_the_end_is_the_same(tiny_run, size):
    run = shape(tiny_run(), max_steps=6)
    train_model(run, Quiet())
    unbroken = run.model_file().read_bytes()
    stop(run, 3)
    run.state_file().write_bytes(run.state_file().read_bytes()[:size])
    watcher = Quiet()
    train_model(run, watcher)
    kept = run.state_file().with_suffix(".previous.pt")
    assert watcher.resumed_from is None and watcher.notes[0] == f"{run.state_file()} is damaged; it is kept as {kept}"
    assert run.model_file().read_bytes() == unbroken


def test_a_state_of_other_data_or_config_is_not_taken_up(tiny_run):
    run = tiny_run()
    stop(run, 2)
    for other, ending in ((shape(run, learning_rate=0.1), "previous"), (tiny_run(toy_lines(70)), "previous-2")):
        watcher = stop(other, 1)
        state = run.state_file()
        kept = state.with_suffix(f".{ending}.pt")
        assert watcher.resumed_from is None
        assert (
            watcher.notes == [f"{state} is of other data, settings or version; it is kept as {kept}"] and kept.is_file()
        )


def test_a_state_goes_on_under_another_limit_of_time(tiny_run):
    run, watcher = tiny_run(), Quiet()
    stop(run, 2)
    train_model(shape(run, max_minutes=60), watcher)
    assert watcher.resumed_from == 2 and watcher.last.step == 6


def test_seeded_losses_are_what_they_were(tiny_run):
    """A refactor keeps these; a change of the recipe changes them knowingly."""
    training = Training(tiny_run())
    losses = []
    for step in range(3):
        training.advance(training.batches.batch(step))
        losses.append(training.status.loss)
    assert losses == pytest.approx(SEEDED_LOSSES, rel=1e-3)


@pytest.mark.parametrize("loss", ["posterior", "nelbo"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_training_learns(tiny_run, loss, optimizer):
    run = shape(
        tiny_run(["abcabcabcabc" + c for c in "abcdefghijklmnopqrstuvwxyz"]),
        loss=loss,
        optimizer=optimizer,
        max_steps=120,
        validations=4,
    )
    train_model(run, Quiet())
    records = [json.loads(line) for line in run.model_file().with_suffix(".metrics.jsonl").read_text().splitlines()]
    assert len(records) == 4 and records[-1]["held_out"] < records[0]["held_out"] - 0.3


def test_score_parameterization_learns(tiny_run):
    run = tiny_run(
        ["abcabcabcabc" + c for c in "abcdefghijklmnopqrstuvwxyz"],
        training={"loss": "nelbo", "max_steps": 120},
        model={"parameterization": "score"},
    )
    watcher = Quiet()
    train_model(run, watcher)
    history = watcher.last.history
    assert history[-1].held_out < history[0].held_out - 0.2


def test_validation_uses_the_same_draws_and_leaves_training_alone(tiny_run):
    training = Training(tiny_run())
    training.advance(training.batches.batch(0))
    training.validate(Quiet())
    training.validate(Quiet())
    first, second = training.status.history
    assert first.held_out == second.held_out
    plain = Training(tiny_run())
    for step in range(2):
        plain.advance(plain.batches.batch(step))
    training.advance(training.batches.batch(1))
    assert all(torch.equal(a, b) for a, b in zip(training.model.parameters(), plain.model.parameters(), strict=True))


def test_a_validation_previews_one_window_of_a_long_document(tiny_run):
    watcher = Quiet()
    train_model(tiny_run([f"{'words ' * 40}{i}" for i in range(30)]), watcher)
    assert {len(record.sample) for record in watcher.last.history} == {30}  # the context of 32, less its frames


def test_validations_passed_over_are_not_made_up_for(tiny_run):
    training = Training(shape(tiny_run(), max_steps=10, validations=10, validation_characters=100))
    for step in range(7):  # six planned validations pass unmeasured, as under a time budget
        training.advance(training.batches.batch(step))
    training.validate(Quiet())
    assert len(training.status.history) == 1 and not training.validation_due()
    training.advance(training.batches.batch(7))
    assert training.validation_due()


@pytest.fixture
def slow_steps(monkeypatch):
    """A function (seconds of a step, of a validation) after which trainings take so long by their clock."""
    clock = [0.0]

    def slow(seconds: float, function: Callable) -> Callable:
        def timed(*arguments):
            clock[0] += seconds
            return function(*arguments)

        return timed

    def take(step: float, validation: float) -> None:
        names = ("monotonic", "perf_counter", "process_time")
        both = SimpleNamespace(**dict.fromkeys(names, lambda: clock[0]))
        for module in (training_module, stopwatch):
            monkeypatch.setattr(module, "time", both)
        monkeypatch.setattr(Training, "advance", slow(step, Training.advance))
        measured = slow(validation / 2, held_out_likelihood)  # twice a validation
        monkeypatch.setattr(training_module, "held_out_likelihood", measured)

    return take


def test_a_slow_validation_is_not_made_up_for(tiny_run, slow_steps):
    """One takes 30 seconds where one in each 20 is planned."""
    slow_steps(1, 30)
    watcher = Quiet()
    train_model(shape(tiny_run(), max_steps=0, max_minutes=400 / 60, validations=20, patience=0), watcher)
    assert np.diff([0, *(record.step for record in watcher.last.history)]).min() >= 9


@pytest.mark.parametrize(("seconds", "measured"), [(6, 1), (60, 1), (240, 4), (3000, 20)])
def test_a_short_training_is_measured_less_often(tiny_run, slow_steps, seconds, measured):
    slow_steps(seconds / 128, 0)  # exact sums
    watcher = Quiet()
    shaped = shape(tiny_run(), max_steps=0, epochs=1e6, max_minutes=seconds / 60, validations=20, patience=0)
    train_model(shaped, watcher)
    assert len(watcher.last.history) == measured and watcher.last.history[-1].progress == 1


def test_of_measurements_that_are_equal_the_last_counts(tiny_run, monkeypatch):
    """As where no noise falls on the one held-out line of a tiny text."""
    run = shape(tiny_run(), max_steps=20, validations=20, patience=2)
    monkeypatch.setattr(training_module, "held_out_likelihood", lambda *_: Likelihood(3.0, 0.1, 100))
    found = train_model(run, Quiet())
    assert (found.metrics["best_step"], found.metrics["steps"]) == (20, 20)
    never = [Validation(step, 0.5, 9, 3.1, math.inf, math.nan, 1e-3, 0.5, "") for step in (1, 2, 3)]
    assert stalled(never, 2) and not stalled(never[:2], 2)  # where no weights were sound, nothing gets better


def test_a_gpu_is_called_by_one_thread_at_a_time(tiny_run):
    """Two threads at once crash Apple's; the questions themselves are drawn on the CPU there, for it has no float64."""
    training = Training(tiny_run())
    batches, inside, most = training.held_out * 4, [], []

    def network(x_t, sigma, given):
        inside.append(x_t)
        time.sleep(0.02)
        most.append(len(inside))
        inside.pop()
        return training.writer().network(x_t, sigma, given)

    mps, cpu = torch.device("mps"), torch.device("cpu")
    found = [held_out_likelihood(training.diffusion, network, batches, 0, device) for device in (mps, cpu)]
    assert set(most[: len(batches)]) == {1} and found[0] == found[1]
    assert max(most) == min(parallel_tasks(cpu), len(batches))


@pytest.mark.parametrize("first", [5.0, math.nan])  # what cannot be measured is worse than all
def test_early_stop_keeps_the_best(tiny_run, monkeypatch, first):
    run = shape(tiny_run(), max_steps=20, validations=20, patience=2)
    held_out = [first, 4.0, 4.5, 4.4, 4.3, 4.2]
    found = iter([bits for value in held_out for bits in (value, 1.0)])  # training text is measured as well
    monkeypatch.setattr(training_module, "held_out_likelihood", lambda *a: Likelihood(next(found), 0.1, 100))
    checkpoint = train_model(run, Quiet())
    assert (
        checkpoint.metrics["held_out_bits"] == 4.0
        and checkpoint.metrics["best_step"] == 2
        and checkpoint.metrics["steps"] == 4
    )
    found = iter([bits for value in held_out for bits in (value, 1.0)])
    run.model_file().unlink()
    stop(run, 2)
    average = state_of(run)["average"]
    assert all(torch.equal(average[name], weight) for name, weight in checkpoint.weights.items())


def test_going_on_keeps_the_best_weights_from_before(tiny_run, monkeypatch):
    bits = itertools.chain([4.0, 1.0, 3.0], itertools.count(5.0))  # of held-out and training text, in turns
    monkeypatch.setattr(training_module, "held_out_likelihood", lambda *a: Likelihood(next(bits), 0.1, 100))
    run = shape(tiny_run(), validations=6, patience=0)
    stop(run, 3)
    best = state_of(run)["best"]
    found = train_model(run, Quiet())
    assert found.metrics["best_step"] == 2
    assert all(torch.equal(best[name], weight) for name, weight in found.weights.items())


def test_what_was_learnt_is_measured_on_training_text(tiny_run):
    training = Training(tiny_run())
    known = training.corpus.vocabulary
    texts = {known.decode(row.numpy()).strip("\n") for batch in training.learnt for row in batch.ids}
    learnt = "\n".join(known.decode(document) for document in training.corpus.train)
    assert texts and all(text in learnt for text in texts)


def test_the_network_learns_with_the_optimizers_and_noise_levels_of_its_run(tiny_run):
    """Muon moves the blocks, at a rate of its own; times come from the bell of the run."""
    run = shape(tiny_run(), times_mean=0.3, times_width=0.05, muon_learning_rate=0.05, learning_rate=0.001)
    training = Training(run)
    t = training.learner._times_of(4000, torch.Generator().manual_seed(0))
    assert float(t.mean()) == pytest.approx(0.3, abs=0.005) and float(t.std()) == pytest.approx(0.05, abs=0.005)
    model = training.model
    other, draw = copy.deepcopy(model), torch.Generator().manual_seed(1)
    for parameter, own in zip(model.parameters(), other.parameters(), strict=True):
        parameter.grad = torch.randn(parameter.shape, generator=draw)
        own.grad = parameter.grad.clone()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    training.learner.optimizers.step(0.5)
    matrices = [matrix for block in other.matrices() for matrix in block]
    rest = [p for p in other.parameters() if all(p is not matrix for matrix in matrices)]
    decay, betas = run.training.weight_decay, (0.9, run.training.beta2)
    torch.optim.Muon(matrices, lr=0.025, weight_decay=decay).step()
    torch.optim.AdamW(rest, lr=0.0005, betas=betas, weight_decay=decay).step()
    assert matrices and rest
    for first, ours, theirs in zip(before, model.parameters(), other.parameters(), strict=True):
        assert (ours - theirs).norm() < 0.05 * (theirs - first).norm() + 1e-9


def test_average_follows_its_closed_form(tiny_run):
    training = Training(shape(tiny_run(), ema_decay=0.5))
    expected = [p.detach().clone() for p in training.average.parameters()]
    for step in range(4):
        training.advance(training.batches.batch(step))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [
            decay * e + (1 - decay) * p.detach() for e, p in zip(expected, training.model.parameters(), strict=True)
        ]
    for found, value in zip(training.average.parameters(), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-5, atol=1e-6)


def test_max_minutes_ends_a_run(tiny_run):
    watcher = Quiet()
    train_model(shape(tiny_run(), max_steps=0, epochs=1e6, max_minutes=1 / 60, patience=0), watcher)
    assert watcher.last.step > 2 and 0.9 < watcher.last.seconds < 10 and watcher.last.progress == 1


COMBINATIONS = [
    (process, schedule, head, loss, alphabet)
    for process, schedule, head, loss in itertools.product(PROCESSES, SCHEDULES, HEADS, LOSSES)
    if (head, loss) != ("score", "posterior")  # which the config refuses
    for alphabet in ((20, 120) if head == "score" else (120,))
]


@pytest.mark.parametrize(("process", "schedule", "head", "loss", "alphabet"), COMBINATIONS)
def test_no_combination_that_the_config_offers_begins_as_a_divergence(
    tiny_run, process, schedule, head, loss, alphabet
):
    """The head `score` begins with losses far above a character's bits, since it does not know the noise yet."""
    letters = [chr(ord("A") + number) for number in range(alphabet)]
    lines = ["".join(letters[(k + 7 * place) % alphabet] for place in range(20)) for k in range(alphabet)]
    run = tiny_run(
        lines, data={"vocab_size": 128}, diffusion={"process": process, "schedule": schedule},
        model={"parameterization": head}, training={"loss": loss},
    )  # fmt: skip
    training = Training(run)
    for step in range(12):
        training.advance(training.batches.batch(step))
    assert training.status.step == 12 and math.isfinite(training.status.loss)
