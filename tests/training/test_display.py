"""What a person sees while a model trains: estimates that hold, and none where nothing is known."""

from generation.console import make_console
from tests.helpers import Quiet, shape
from training.display import TrainingDisplay
from training.events import Status
from training.queue import Queue
from training.trainer import train_model


def left_text(run, queued, **status) -> str:
    display = TrainingDisplay(make_console(), run, lambda: False, lambda: None, queued)
    return display.left_text(Status(run.name, **status))


def test_the_queue_is_estimated_by_the_steps_of_the_others(tiny_run):
    first, other = tiny_run(name="first"), shape(tiny_run(name="other"), max_steps=100)
    assert first.training.epochs == 1000 and other.data_file().stat().st_size * 1000 > 900_000
    [(characters, seconds)] = Queue([first, other], force=False, command="").still_to_come(first)
    assert characters == 100 * other.training.batch_size * other.model.context and seconds == float("inf")
    few = shape(other, max_steps=0, epochs=2.0)
    [(characters, _)] = Queue([first, few], force=False, command="").still_to_come(first)
    assert characters == 2 * few.data_file().stat().st_size


def test_the_queue_does_not_wait_for_what_is_done(tiny_run):
    first, other = tiny_run(name="first"), tiny_run(name="other")
    train_model(other, Quiet())
    assert Queue([first, other], force=False, command="").still_to_come(first) == []


def test_nothing_known_is_a_question_mark(tiny_run):
    queued = [(1e6, float("inf"))]
    assert left_text(tiny_run(), queued, speed=0.0, progress=0.5, seconds=10.0) == "left 0m10s, queue ?"
    assert left_text(tiny_run(), queued, progress=1e-12, seconds=10.0) == "left over 100 days, queue ?"
