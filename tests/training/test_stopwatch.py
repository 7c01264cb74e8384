"""The time a training has worked, by two clocks."""

import time
from types import SimpleNamespace

import pytest

from tests.helpers import Quiet, shape
from training import stopwatch
from training.stopwatch import MOST_IDLE, Stopwatch
from training.trainer import train_model

HOURS = 3600.0


def test_work_and_waiting_count_and_sleep_does_not(monkeypatch):
    clock, processor = 5.0, 1.0
    both = SimpleNamespace(perf_counter=lambda: clock, process_time=lambda: processor)
    monkeypatch.setattr(stopwatch, "time", both)
    watch = Stopwatch(100.0)
    found = [watch.seconds()]
    # two cores at work, a GPU at work, nine hours of sleep, work again
    for passed, worked in ((10.0, 20.0), (50.0, 0.5), (9 * HOURS, 0.25), (10.0, 9.0)):
        clock, processor = clock + passed, processor + worked
        found.append(watch.seconds())
    assert found == [100.0, 110.0, 160.0, 160.25 + MOST_IDLE, 170.25 + MOST_IDLE]


@pytest.mark.parametrize("minutes", [5, 0])
def test_a_training_that_slept_makes_all_its_steps(tiny_run, monkeypatch, minutes):
    """A laptop with Windows, whose clock goes on while it sleeps, takes the rest of the budget, not the next model."""
    slept, real = 0.0, time.perf_counter

    class Asleep(Quiet):
        def stepped(self, status) -> None:
            nonlocal slept
            super().stepped(status)
            slept = 9 * HOURS if status.step > 5 else 0.0

    monkeypatch.setattr(time, "perf_counter", lambda: real() + slept)
    run, watcher = shape(tiny_run(), max_minutes=minutes), Asleep()
    train_model(run, watcher)
    assert watcher.last.step == run.training.max_steps and MOST_IDLE < watcher.last.seconds < 300
