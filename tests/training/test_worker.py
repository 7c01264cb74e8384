"""One training in a process of its own: each failure is one line, and a second try where one may help."""

import pytest

from tests.helpers import posix
from tests.training import worker_faults
from training import worker

pytestmark = pytest.mark.usefixtures("warm_processes")


def test_an_unforeseen_failure_is_tried_once_more_logged_and_isolated(project, capfd, monkeypatch):
    path, run = project
    monkeypatch.setattr(worker, "train_in_process", worker_faults.no_kernel_for_one)
    assert run("--all") == 1
    out = capfd.readouterr().out
    reason = "RuntimeError: no such kernel"
    assert out.count(f"one: {reason}") == 1 and "trying once more" in out
    assert f"error: one: failed: {reason}" in out and "two: trained" in out
    assert reason in (path.parent / "models" / "one.error.log").read_text()


@posix
def test_a_training_that_is_killed_once_is_tried_once_more(project, capfd, monkeypatch):
    _, run = project
    monkeypatch.setattr(worker, "train_in_process", worker_faults.killed_the_first_time)
    assert run("--dataset", "one") == 0
    out = capfd.readouterr().out
    assert "its process was ended by SIGKILL; if nobody did that, memory ran out" in out
    assert "trying once more" in out and "one: trained" in out


def test_memory_that_runs_out_is_a_line_of_advice_and_no_second_try(project, capfd, monkeypatch):
    _, run = project
    monkeypatch.setattr(worker, "train_in_process", worker_faults.no_memory)
    assert run("--all") == 1
    out = capfd.readouterr().out
    assert (
        out.count("failed: out of memory; give fewer --jobs, lower training.batch_size or choose a smaller preset") == 2
    )
    assert "once more" not in out


def test_a_curve_that_cannot_be_drawn_costs_no_model(project, capfd):
    path, run = project
    (path.parent / "models" / "one.png").mkdir(parents=True)
    assert run("--dataset", "one") == 0
    out = capfd.readouterr().out
    assert "not saved, and going on: " in out and "one: trained" in out
