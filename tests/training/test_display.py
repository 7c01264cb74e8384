"""What a person sees while models train: estimates that hold, none where nothing is known, and a line for each."""

import io
import re

import pytest
from rich.console import Console

from command.console import PlainConsole
from generation.course import Change
from tests.helpers import Quiet, shape
from text.corpus import load_corpus
from training.display import QueueDisplay, start_notes
from training.events import Advance, Note, Status, Validation
from training.preview import PER_SECOND
from training.queue import Queue
from training.trainer import train_model
from utils import CPU


def left_text(lanes=1, later=(), **status) -> str:
    display = QueueDisplay(PlainConsole(), lanes, 1 + len(later))
    display.begin("toy")
    display.later, display.running["toy"] = list(later), Status("toy", **status)
    return display.left_text(display.running["toy"])


def test_the_queue_is_estimated_by_the_steps_of_the_others(tiny_run):
    first, other = tiny_run(name="first"), shape(tiny_run(name="other"), max_steps=100)
    assert first.training.epochs == 1000 and other.data_file().stat().st_size * 1000 > 900_000
    [_, (characters, seconds)] = Queue([first, other], force=False, command="").still_to_come()
    assert characters == 100 * other.training.batch_size * other.model.context and seconds == float("inf")
    few = shape(other, max_steps=0, epochs=2.0)
    [_, (characters, _)] = Queue([first, few], force=False, command="").still_to_come()
    assert characters == 2 * few.data_file().stat().st_size


def test_the_queue_does_not_wait_for_what_is_done(tiny_run):
    first, other = tiny_run(name="first"), tiny_run(name="other")
    train_model(other, Quiet())
    assert len(Queue([first, other], force=False, command="").still_to_come()) == 1


def test_nothing_known_is_a_question_mark():
    queued = [(1e6, float("inf"))]
    assert left_text(1, queued, speed=0.0, progress=0.5, seconds=10.0) == "left 0m10s, queue ?"
    assert left_text(1, queued, progress=1e-12, seconds=10.0) == "left over 100 days, queue ?"


@pytest.mark.parametrize(("lanes", "queue"), [(1, "3m10s"), (2, "1m50s"), (3, "1m30s")])
def test_the_queue_takes_the_first_free_lane_once_what_it_starts_from_is_trained(lanes, queue):
    later = [(8000, float("inf")), (9000, 50.0), (5000, float("inf"))]  # 80, 50 and 50 seconds
    known = {"speed": 100.0, "progress": 0.5, "seconds": 10.0}
    assert left_text(lanes, later, **known) == f"left 0m10s, queue {queue}"


def record(bits: float) -> Validation:
    return Validation(3, 0.5, 5000, 3.1, bits, 0.04, 1e-3, 0.5, "fix the parser")


@pytest.mark.parametrize("lanes", [1, 2])
def test_without_a_terminal_lines_name_their_training(lanes, capsys):
    display = QueueDisplay(PlainConsole(), lanes, 2)
    with display:
        display.begin("one")
        display.begin("two")
        display.hear(Note("two", "going on from step 3"))
        status = Status("one", progress=0.5, loss=3.0, speed=1000.0, seconds=30.0, history=[record(2.5)])
        display.hear(Advance(status, validated=True))
        display.hear(Advance(status))
    validation = (
        "one:  50%  0.01M chars  1.0k chars/s  loss 3.10  held-out 2.500 ± 0.040 bits/char  left 0m30s, queue ?"
    )
    sample = "one:     fix the parser" if lanes > 1 else "    fix the parser"
    assert capsys.readouterr().out.splitlines() == ["two: going on from step 3", validation, sample]


def test_a_terminal_shows_a_line_for_each_training_and_the_queue():
    console = Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)
    display = QueueDisplay(console, 2, 3)
    for name, progress, bits in (("one", 0.5, 2.5), ("two", 0.25, 2.75)):
        display.begin(name)
        status = Status(name, progress=progress, loss=3.0, speed=1000.0, seconds=30.0, history=[record(bits)])
        display.hear(Advance(status))
    shown = Console(file=io.StringIO(), width=100)
    shown.print(display.bar)
    queue, one, two = map(str.split, shown.file.getvalue().splitlines())
    assert queue[0] == "queue" and queue[-5:] == ["0", "of", "3", "left", "1m30s"]
    assert one[0] == "one" and " ".join(one[2:]) == "50% 1.0k chars/s loss 3.00 2.50 bits/char left 0m30s"
    assert two[0] == "two" and " ".join(two[2:]) == "25% 1.0k chars/s loss 3.00 2.75 bits/char left 1m30s"
    display.end("one")
    display.hear(Advance(status))
    shown.print(display.bar)
    assert "one" not in [line.split()[0] for line in shown.file.getvalue().splitlines()[3:]]
    assert "1 of 3" in shown.file.getvalue()


def test_a_terminal_plays_how_the_sample_was_written_and_keeps_it(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)
    display = QueueDisplay(console, 1, 1)
    display.begin("one")
    status = Status("one", progress=0.5, loss=3.0, speed=1000.0, seconds=30.0, history=[record(2.5)])
    course = [
        Change(1, [8, 9], "pa"),
        Change(2, [0, 1], "fa"),
        Change(4096, [1, *range(2, 8), *range(10, 14)], "ix the rser"),
    ]
    display.hear(Advance(status, validated=True, course=course))
    shown = []
    for step in (0, 1, 2, 3, 9):
        monkeypatch.setattr("time.monotonic", lambda now=display.preview.began + step / PER_SECOND: now)
        lines = Console(file=io.StringIO(), width=100)
        lines.print(display.bar)
        shown.append(lines.file.getvalue().splitlines()[-1].strip())
    assert shown == [
        "··············", "········pa····", "fa······pa····", "fix the parser", "fix the parser"
    ]  # fmt: skip
    assert "fix the parser" not in console.file.getvalue()
    display.hear(Note("one", "going on"))
    assert console.file.getvalue().splitlines()[-2:] == ["    fix the parser", "one: going on"]
    assert display.preview.take_line() == ""


def test_of_continuous_text_all_characters_are_told(tiny_run):
    """Its newline is a character, and its two parts are no documents."""
    run = tiny_run(b"abc\nabd\n" * 50, data={"format": "stream"})
    assert start_notes(run, load_corpus(run), 5, CPU, 9)[0] == "400 characters, 5 of 5 distinct ones"
    run = tiny_run(b"abcdef" * 50, data={"format": "stream"})
    assert start_notes(run, load_corpus(run), 5, CPU, 9)[0] == "301 characters, 6 of 6 distinct ones"


def test_a_vocabulary_that_leaves_out_much_of_the_text_is_told_before_hours_of_training(tiny_run):
    """Its bits look good, since what is unknown is easily predicted."""
    lines = [" ".join(chr(0x4E00 + (7 * n + 13 * k) % 97) for k in range(20)) for n in range(60)]
    run = tiny_run(lines, data={"vocab_size": 40})
    what = "of the text is outside the vocabulary of 40, and the voice never writes it"
    notes = start_notes(run, load_corpus(run), 5, CPU, 9)
    assert re.fullmatch(rf"3\d% {what}: raise data.vocab_size; --check names a size", notes[1])
    run = tiny_run([*lines, "x" * 1000], data={"vocab_size": 98, "held_out": 0.1})
    assert not [note for note in start_notes(run, load_corpus(run), 5, CPU, 9) if what[:20] in note]
