"""Several trainings at once: the same bytes for any number of lanes, cores shared, each failure alone."""

import os
import time

import pytest
import torch

from config.loader import BASE, load_config
from tests.helpers import SECONDS, posix, shape, toy_lines
from tests.training import worker_faults
from tests.training.program import minutes_of, models_beside, of_datasets, queued
from training import lanes, worker
from training.hours import in_lanes, share_hours
from training.lanes import LocalLanes, lane_count, one_a_core
from training.queue import Queue
from utils import UserError, pick_device

warm = pytest.mark.usefixtures("warm_processes")


@pytest.fixture
def five(project):
    """The project with five datasets, the second of which is the largest, and two shards to a step."""
    names = ("one", "two", "three", "four", "five")
    lines = {name: toy_lines(200 if name == "two" else 60 + k, k) for k, name in enumerate(names)}
    of_datasets(project[0], lines)
    return project


def empty(path) -> None:
    for file in (path.parent / "models").iterdir():
        file.unlink()


@warm
def test_any_number_of_lanes_gives_the_same_models(five, capfd):
    path, run = five
    found = []
    for jobs in ("1", "2", "3", "auto"):
        assert run("--all", "--jobs", jobs) == 0
        found.append(models_beside(path))
        empty(path)
    assert len(found[0]) == 5 and found[1:] == found[:1] * 3
    out = capfd.readouterr().out
    assert out.count("two: trained: ") == 4 and "two:     " in out


@posix
def test_a_training_that_dies_while_its_link_stays_open_is_noticed(tiny_run, monkeypatch):
    """As on Windows, where the queue holds both ends until the process has taken its own."""
    pipe, held = worker.CONTEXT.Pipe, []

    def open_pipe():
        ends = pipe()
        held.append(os.dup(ends[1].fileno()))
        return ends

    monkeypatch.setattr(worker.CONTEXT, "Pipe", open_pipe)
    here, ended, until = LocalLanes(1), [], time.monotonic() + SECONDS
    here.submit(tiny_run(), 1)
    here.kill()
    while not ended and time.monotonic() < until:
        ended = here.finished(0.2, print)
    os.close(held[0])
    assert [(outcome.state, outcome.retryable) for outcome in ended] == [("failed", True)]


@warm
def test_a_base_is_trained_before_all_others_whatever_the_lanes(five, capfd):
    path, run = five
    found = []
    for jobs in ("1", "3"):
        assert run("--all", "--base", "--jobs", jobs) == 0
        found.append(models_beside(path))
        empty(path)
    out = capfd.readouterr().out
    assert len(found[0]) == 6 and found[0] == found[1]
    ends = [line.split(":")[0] for line in out.splitlines() if ": trained: " in line]
    assert ends[0] == ends[6] == "base"


def test_the_longest_begins_first_after_what_others_start_from(five):
    path, _ = five
    runs = [load_config(path).resolve(name) for name in ("one", "two", "three", "four", "five")]
    runs = [shape(run, epochs=1) for run in runs]
    assert [run.name for run in Queue(runs, False, "").waiting] == ["one", "two", "three", "four", "five"]
    queue = Queue(runs, False, "", LocalLanes(2))
    assert queue.waiting[0].name == "two"
    runs[1:] = [shape(run, start_from="one") for run in runs[1:]]
    queue = Queue(runs, False, "", LocalLanes(2))
    assert [run.name for run in queue.waiting][:2] == ["one", "two"] and [run.name for run in queue.ready()] == ["one"]
    queue.outcomes["one"] = worker.Outcome("one", worker.FAILED)  # each then says itself what it lacks
    queue.waiting.pop(0)
    assert len(queue.ready()) == 4


@warm
def test_a_failure_in_one_lane_reaches_no_other(five, capfd):
    path, run = five
    (path.parent / "datasets" / "two.txt").write_bytes(b"bad \xff\n")
    (path.parent / "datasets" / "four.txt").unlink()
    assert run("--all", "--jobs", "2") == 1
    out = capfd.readouterr().out
    assert "error: two: failed: " in out and "error: four: missing: no file" in out
    assert models_beside(path).keys() == {"one.pt", "three.pt", "five.pt"}


@warm
@posix
def test_a_training_that_is_killed_beside_others_is_tried_once_more(five, capfd, monkeypatch):
    path, run = five
    assert run("--all") == 0
    whole = models_beside(path)
    empty(path)
    capfd.readouterr()
    monkeypatch.setattr(worker, "train_in_process", worker_faults.killed_the_first_time)
    assert run("--all", "--jobs", "2") == 0
    out = capfd.readouterr().out
    assert out.count("was ended by SIGKILL") == out.count("trying once more") == 1 and models_beside(path) == whole


class Recorded:
    """A training process that does not run, to see which cores it would get."""

    def __init__(self, run, cores) -> None:
        self.run, self.cores = run, cores


@pytest.mark.parametrize(
    ("cores", "count", "at_once", "used"),
    [
        (2, 1, [5], [2]),
        (2, 2, [5, 5], [1, 1]),
        (8, 3, [5, 5, 5], [2, 3, 3]),
        (8, 2, [1], [8]),  # a base has the machine to itself
        (8, 4, [2, 2], [4, 4]),  # fewer are left than lanes
        (2, 3, [5, 5, 5], [1, 1, 1]),
    ],
)
def test_lanes_share_the_cores(monkeypatch, tiny_run, cores, count, at_once, used):
    monkeypatch.setattr(lanes, "TrainingProcess", Recorded)
    monkeypatch.setattr(lanes, "parallel_tasks", lambda device: cores)
    here = LocalLanes(count)
    for number in at_once:
        here.submit(tiny_run(), number)
    assert [tuple(training.cores) for training in here.trainings] == [(each, cores) for each in used]


@pytest.mark.parametrize("jobs", ["0", "-1", "x", "1.5", "", "9" * 5000])
def test_jobs_are_a_number_or_auto(project, capsys, jobs):
    _, run = project
    assert run("--all", f"--jobs={jobs}") == 2
    shown = jobs if len(jobs) < 9 else jobs[:100]
    message = f"error: --jobs {shown}: must be a whole number of at least 1, or auto\n"
    err = capsys.readouterr().err
    assert err == message if len(jobs) < 9 else err.startswith(f"error: --jobs {shown}") and len(err) < 1100


def test_no_more_lanes_than_trainings_and_one_on_a_gpu(tiny_run, monkeypatch):
    runs = [tiny_run(name="one"), tiny_run(name="two"), tiny_run(name="three")]
    assert [lane_count(jobs, runs) for jobs in ("1", "2", "3", "100")] == [1, 2, 3, 3]
    for cores, memory, count in ((2, 1e12, 2), (8, 1e12, 3), (2, 1e6, 1), (1, float("inf"), 1)):
        monkeypatch.setattr(lanes, "parallel_tasks", lambda device, cores=cores: cores)
        monkeypatch.setattr(lanes, "memory_bytes", lambda memory=memory: memory)
        assert lane_count("auto", runs) == count
    monkeypatch.setattr(lanes, "pick_device", lambda name: torch.device("cuda"))
    assert lane_count("auto", runs) == 1 and lane_count("2", runs) == 2


@pytest.mark.parametrize(
    ("sizes", "count", "minutes"),
    [
        ([100, 100, 200], 1, [15, 15, 30]),
        ([100, 100, 200], 2, [30, 30, 60]),
        ([100, 100, 100], 2, [30, 60, 30]),
        ([100, 100, 100], 3, [60, 60, 60]),
        ([100, 0, 300], 2, [60, 0.01, 60]),
    ],
)
def test_lanes_have_the_hours_each_and_end_with_them(tiny_run, sizes, count, minutes):
    runs = [tiny_run(b"x" * size, name=f"of{number}") for number, size in enumerate(sizes)]
    for run, size in zip(runs, sizes, strict=True):
        if not size:
            run.data_file().unlink()
    found = [run.training.max_minutes for run in share_hours(runs, 1, count)]
    assert found == pytest.approx(minutes)


def test_a_device_that_is_not_here_leaves_the_lanes_to_the_others(tiny_run):
    absent = next(kind for kind in ("cuda", "mps") if not is_here(kind))
    runs = [tiny_run(name="here"), tiny_run(name="gone").model_copy(update={"device": absent})]
    assert one_a_core(runs) == one_a_core(runs[:1])


def is_here(device: str) -> bool:
    try:
        pick_device(device)
    except UserError:
        return False
    return True


def test_hours_end_in_time_whatever_the_sizes(tiny_run):
    sizes = [600, 400, 400, 300, 300, 300, 200, 200, 100, 70, 50, 30, 20, 20, 10]
    runs = [tiny_run(b"x" * size, name=f"of{number}") for number, size in enumerate(sizes)]
    for count in (1, 2, 3, 4, 7, 15):
        minutes = [run.training.max_minutes for run in share_hours(runs, 8, count)]
        longest = max(in_lanes(minutes, count)[1])
        assert longest == pytest.approx(480) and sum(minutes) > 0.85 * count * 480


@pytest.mark.parametrize(
    ("starts", "lanes", "minutes"),
    [
        ({}, 2, [30, 60, 30]),
        ({"b": "a"}, 2, [20, 40, 20]),
        ({"b": "a"}, 1, [20, 20, 20]),
        ({"b": "a"}, 3, [30, 30, 30]),
        ({"b": "a", "c": "b"}, 3, [20, 20, 20]),
        ({"a": "c"}, 2, [30, 60, 30]),
    ],
)
def test_hours_end_in_time_though_one_waits_for_another(tiny_run, starts, lanes, minutes):
    runs = [tiny_run(b"x" * 100, name=name, training={"start_from": starts.get(name, "")}) for name in "abc"]
    assert [run.training.max_minutes for run in share_hours(runs, 1, lanes)] == pytest.approx(minutes)


def test_each_lane_has_the_hours_and_the_base_its_share_of_them_once(project):
    path, _ = project
    hour = ("--all", "--hours", "1", "--jobs")
    assert minutes_of(queued(path, *hour, "2").runs) == {"one": 60, "two": 60}
    assert minutes_of(queued(path, *hour, "2", "--base").runs) == {BASE: 12, "one": 48, "two": 48}
    minutes = minutes_of(queued(path, *hour, "1", "--base").runs)
    assert minutes[BASE] == 12 and sum(minutes.values()) == pytest.approx(60)
    # as with one lane, so that another number of them trains nothing anew
    assert minutes_of(queued(path, "--all", "--base", "--minutes", "10", "--jobs", "2").runs) == {
        BASE: 5,
        "one": 10,
        "two": 10,
    }


def test_a_wait_that_ctrl_c_ends_is_no_failure(monkeypatch):
    """So it is on Windows, though a handler takes the signal."""

    def interrupted(links, seconds):
        raise InterruptedError

    monkeypatch.setattr(lanes, "wait", interrupted)
    assert LocalLanes(1).finished(1, print) == []
