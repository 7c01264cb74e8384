"""A queue that is told to stop saves its state, and the same command goes on."""

import os
import re
import signal
import subprocess
import time

import pytest

from tests.helpers import SECONDS, needs_proc, posix
from tests.training.program import Program, gone, hears_ctrl_c, trainings

pytestmark = [pytest.mark.slow, posix]


@pytest.mark.parametrize(
    ("to", "number"),
    [("killpg", "SIGINT"), ("kill", "SIGTERM"), ("killpg", "SIGHUP")],
    ids=["as a terminal does", "as kill does", "as a terminal that goes does"],
)
def test_an_interrupted_queue_goes_on(project, to, number):
    program = Program(project[0])
    process = program.start()
    for _ in range(1 if number == "SIGINT" else 2):  # a closed terminal sends its signal twice, and `timeout` does
        getattr(os, to)(process.pid, getattr(signal, number))
        time.sleep(0.05)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert f"stopped; nothing is lost. To go on: python train.py --all --config {program.path}" in out
    assert (program.models / "one.resume.pt").is_file()
    out = program.finish()
    assert re.search(r"one: going on from step \d+", out) and "two: trained" in out
    assert not list(program.models.glob("*.resume.pt"))


@needs_proc
def test_ctrl_c_while_a_training_still_begins_stops_without_a_traceback(project):
    program = Program(project[0])
    process = subprocess.Popen(program.command, start_new_session=True, **program.options)
    while not any(map(hears_ctrl_c, trainings(process.pid))):  # from here on it imports, for a second or two
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and "stopped; nothing is lost" in out and "Traceback" not in out


@needs_proc
def test_a_second_signal_leaves_at_once(project):
    process = Program(project[0]).start()
    [child] = trainings(process.pid)
    os.kill(child, signal.SIGSTOP)  # it will not answer
    os.kill(process.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(10) == 130 and gone(child)


@needs_proc
def test_a_queue_that_is_killed_takes_its_training_along(project):
    program = Program(project[0], alone=True)
    process = program.start()
    [child] = trainings(process.pid)
    process.kill()
    assert gone(child) and (program.models / "one.resume.pt").is_file()
    assert re.search(r"one: going on from step \d+", program.finish())


def test_a_reader_that_leaves_stops_the_queue_with_its_state_saved(project):
    program = Program(project[0], stderr=subprocess.PIPE)
    process = program.start()
    assert process.stdout and process.stderr
    process.stdout.close()  # as `| head` does
    assert process.wait(SECONDS) == 141 and process.stderr.read() == ""
    assert (program.models / "one.resume.pt").is_file()


def test_force_begins_anew_once(project):
    program = Program(project[0], "--force", alone=True)
    program.models.mkdir()
    without = [word for word in program.command if word != "--force"]
    subprocess.run(without, capture_output=True, timeout=SECONDS, check=True)
    before = (program.models / "one.pt").read_bytes()
    process = program.start()
    process.terminate()
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and "--force" not in out.splitlines()[-1]
    assert (program.models / "one.previous.pt").read_bytes() == before
    done = subprocess.run(without, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert "one: going on from step" in done.stdout and (program.models / "one.pt").read_bytes() == before


def test_a_training_of_other_settings_that_is_stopped_costs_no_model(project, capfd):
    """As where an option was forgotten: the right command finds its model done, and the other one goes on."""
    path, run = project
    settings = path.read_text()
    assert run("--dataset", "one") == 0
    program = Program(path, alone=True)
    model = program.models / "one.pt"
    before, others = model.read_bytes(), path.read_text()
    process = program.start()
    process.terminate()
    process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and model.read_bytes() == before
    path.write_text(settings)
    assert run("--dataset", "one") == 0 and "one: skipped: done before" in capfd.readouterr().out
    path.write_text(others)
    out = program.finish()
    assert "one: going on from step" in out and f"the old file is kept as {model.with_name('one.previous.pt')}" in out
    assert model.with_name("one.previous.pt").read_bytes() == before != model.read_bytes()


def test_a_stop_whose_state_finds_no_room_says_so(project):
    import resource

    program = Program(project[0], steps=5000)
    program.options["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
    process = program.start()
    process.terminate()
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and "nothing is lost" not in out
    assert re.search("error: one: failed: .*: File too large", out)
