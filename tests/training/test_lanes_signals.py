"""Several trainings at once that are told to stop or are killed: nothing is lost, and the same command goes on."""

import os
import re
import signal
import subprocess

import pytest

from config.loader import load_config
from tests.helpers import SECONDS, Quiet, needs_proc, posix, write_project
from tests.training.program import Program, gone, models_beside, trainings
from training.trainer import train_model

pytestmark = [pytest.mark.slow, posix]
STEPS, TRIES = 60, 5


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A project; -> its config and the models of trainings that nothing breaks, one after the other."""
    path = write_project(tmp_path_factory.mktemp("project"))
    Program(path, steps=STEPS)  # writes the settings
    for name in ("one", "two"):
        train_model(load_config(path).resolve(name), Quiet())
    return path, models_beside(path)


@pytest.fixture
def whole(unbroken):
    """The same, with no model: their bytes depend on the folder."""
    for file in (unbroken[0].parent / "models").iterdir():
        file.unlink()
    return unbroken


def start_both(path) -> tuple[Program, subprocess.Popen]:
    """Two trainings at once, each of which has made its first validation."""
    program = Program(path, "--jobs", "2", steps=STEPS)
    for _ in range(TRIES):
        process = program.start()
        assert process.stdout
        while process.stdout.readline():
            if len(list(program.models.glob("*.resume.pt"))) == 2:
                return program, process
        for file in program.models.iterdir():  # the first ended before the second had begun, on a busy machine
            file.unlink()
    pytest.fail("of two trainings at once one always ends before the other begins")


def models(program: Program) -> dict[str, bytes]:
    assert not list(program.models.glob("*.resume.pt"))
    return models_beside(program.path)


@pytest.mark.parametrize(("to", "number"), [("killpg", "SIGINT"), ("kill", "SIGTERM")])
def test_a_stop_reaches_every_lane_and_each_goes_on(whole, to, number):
    path, unbroken = whole
    program, process = start_both(path)
    getattr(os, to)(process.pid, getattr(signal, number))
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and "Traceback" not in out
    assert f"stopped; nothing is lost. To go on: python train.py --all --config {path} --jobs 2" in out
    assert out.count(": stopped: nothing is lost") == 2
    out = program.finish()
    assert len(re.findall(r"^(?:one|two): going on from step \d+", out, re.MULTILINE)) == 2
    assert models(program) == unbroken


@needs_proc
def test_kill_9_of_one_training_is_retried_while_the_other_goes_on(whole):
    path, unbroken = whole
    _, process = start_both(path)
    os.kill(trainings(process.pid)[0], signal.SIGKILL)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0 and out.count("ended by SIGKILL") == out.count("trying once more") == 1
    assert len(re.findall("going on from step", out)) == 1
    assert models_beside(path) == unbroken


def test_kill_9_of_all_then_the_same_command_goes_on(whole):
    path, unbroken = whole
    program, process = start_both(path)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=SECONDS)
    out = program.finish()
    assert len(re.findall(r"^(?:one|two): going on from step \d+", out, re.MULTILINE)) == 2
    assert models(program) == unbroken


@needs_proc
def test_kill_9_of_the_queue_ends_every_lane_with_its_state_saved(whole):
    path, unbroken = whole
    program, process = start_both(path)
    both = trainings(process.pid)
    process.kill()
    assert len(both) == 2 and all(map(gone, both))
    assert len(list(program.models.glob("*.resume.pt"))) == 2
    program.finish()
    assert models(program) == unbroken


@needs_proc
def test_a_second_signal_ends_every_lane_at_once(project):
    _, process = start_both(project[0])
    both = trainings(process.pid)
    for child in both:
        os.kill(child, signal.SIGSTOP)  # it will not answer
    os.kill(process.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(10) == 130 and all(map(gone, both))


@needs_proc
def test_a_training_that_is_killed_while_it_stops_has_lost_something(whole):
    path, unbroken = whole
    program, process = start_both(path)
    one, other = trainings(process.pid)
    os.kill(one, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    os.kill(one, signal.SIGKILL)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and gone(other) and "ended by SIGKILL" in out
    assert f"stopped. To go on: python train.py --all --config {path} --jobs 2" in out
    program.finish()
    assert models(program) == unbroken


def test_a_lane_whose_dataset_another_process_trains_fails_alone(project):
    program = Program(project[0], steps=5000, alone=True)
    process = program.start()
    text = project[0].read_text(encoding="utf-8").replace("max_steps: 5000", "max_steps: 6")
    path = project[0].with_name("both.yaml")
    path.write_text(re.sub(r"one: \{\}", "one: {}\n  two: {}", text), encoding="utf-8")
    command = [*program.command[:-1], str(path), "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    process.kill()
    process.communicate()
    assert done.returncode == 1 and "error: one: failed: another process is training" in done.stdout
    assert "two: trained: " in done.stdout
