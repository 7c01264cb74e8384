"""The queue: what it trains and skips, and that no failure of a training, a disk or a terminal reaches further."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from ruamel.yaml import YAML

import train
from tests.helpers import ROOT, toy_lines
from tests.training import process_faults
from training import check as plan
from training import process
from training.check import share_hours
from training.trainer import Diverged

posix = pytest.mark.skipif(os.name != "posix", reason="signals, limits and /dev are POSIX")
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are looked up in /proc")
SECONDS = 120  # a process that has not ended by then hangs


def test_all_trains_everything_then_skips_it(project, capfd):
    path, run = project
    assert run("--all") == 0
    folder = path.parent / "models"
    made = {"one.pt", "one.png", "one.metrics.jsonl", "two.pt", "two.png", "two.metrics.jsonl"}
    assert {file.name for file in folder.iterdir() if file.suffix != ".lock"} == made
    stamps = [(folder / "one.pt").stat().st_mtime_ns, (folder / "two.pt").stat().st_mtime_ns]
    capfd.readouterr()
    assert run("--all") == 0
    assert "one: skipped: done before with this data and config" in capfd.readouterr().out
    assert run("--dataset", "two", "--force") == 0
    assert stamps[0] == (folder / "one.pt").stat().st_mtime_ns and stamps[1] != (folder / "two.pt").stat().st_mtime_ns


def test_changed_data_trains_anew(project, capfd):
    path, run = project
    assert run("--dataset", "one") == 0
    (path.parent / "datasets" / "one.txt").write_text("\n".join(toy_lines(81)) + "\n")
    capfd.readouterr()
    assert run("--dataset", "one") == 0
    assert "one: trained" in capfd.readouterr().out


def test_one_failure_does_not_stop_the_others(project, capfd):
    path, run = project
    (path.parent / "datasets" / "one.txt").write_bytes(b"bad \xff\n")
    assert run("--all") == 1
    out = capfd.readouterr().out
    assert "error: one: failed: " in out and "line 1: byte 0xff is not UTF-8" in out and "two: trained" in out
    (path.parent / "datasets" / "one.txt").unlink()
    assert run("--all") == 1
    out = capfd.readouterr().out
    assert "error: one: missing: no file" in out and "two: skipped" in out
    assert not (path.parent / "models" / "one.pt").exists()


def test_a_second_training_of_a_dataset_is_refused_and_a_stale_lock_is_none(project, capfd):
    path, run = project
    (path.parent / "models").mkdir()
    lock = path.parent / "models" / ".one.lock"
    lock.write_text("left by a process that was killed")
    with FileLock(lock):
        assert run("--all") == 1
    out = capfd.readouterr().out
    assert "error: one: failed: another process is training" in out and "two: trained" in out
    assert run("--all") == 0 and "one: trained" in capfd.readouterr().out


def test_an_unwritable_folder_fails_at_once_and_alone(project, capfd):
    path, run = project
    (path.parent / "models").write_text("a file where the folder should be")
    assert run("--all") == 1
    out = capfd.readouterr().out
    assert out.count("models: cannot be written to") == 2 and "Traceback" not in out


def test_a_model_of_other_settings_is_kept_aside(project, capfd):
    path, run = project
    assert run("--dataset", "one") == 0
    models = path.parent / "models"
    before = (models / "one.pt").read_bytes()
    path.write_text(path.read_text() + "\nseed: 7\n")
    assert run("--dataset", "one") == 0
    assert "came from other data or settings, or less time; training anew" in capfd.readouterr().out
    assert (models / "one.previous.pt").read_bytes() == before


def test_a_model_that_had_as_much_time_is_done_and_one_that_had_less_is_not(project, capfd):
    path, run = project
    (path.parent / "datasets" / "two.txt").unlink()
    assert run("--all", "--hours", "2") == 1 and "one: trained" in capfd.readouterr().out
    (path.parent / "datasets" / "two.txt").write_text("\n".join(toy_lines(80, 1)) + "\n", encoding="utf-8")
    assert run("--all", "--hours", "2") == 0
    out = capfd.readouterr().out
    assert "one: skipped: done before" in out and "two: trained" in out
    assert run("--dataset", "one", "--minutes", "200") == 0 and "or less time; training anew" in capfd.readouterr().out


def test_force_touches_nothing_that_another_process_trains(project, capfd, monkeypatch):
    path, run = project
    assert run("--dataset", "one") == 0
    models = path.parent / "models"
    (models / "one.resume.pt").write_bytes(b"of the other process")
    before = (models / "one.pt").read_bytes()
    monkeypatch.setattr(process, "LOCK_SECONDS", 0)
    with FileLock(models / ".one.lock"):
        assert run("--all", "--force") == 2
    assert "another process is training" in capfd.readouterr().err
    assert (models / "one.pt").read_bytes() == before and (models / "one.resume.pt").is_file()


def test_check_shows_the_plan_and_trains_nothing(project, capfd):
    path, run = project
    assert run("--dataset", "one") == 0
    one = (path.parent / "datasets" / "two.txt").read_text()
    (path.parent / "datasets" / "two.txt").write_text(
        one + one + "".join(f"mail jane@example.org {k}\n" for k in range(9)) + "\n"
    )
    before = {file: file.stat().st_mtime_ns for file in (path.parent / "models").iterdir()}
    capfd.readouterr()
    assert run("--all", "--check") == 0
    out = capfd.readouterr().out
    assert "two: 89 documents" in out and "80 duplicates dropped, 1 empty lines dropped" in out
    assert re.search(r"two: likely personal data in [5-9] of", out) and "exceed the context of 32" in out
    rows = {row.split()[1]: row for row in out.splitlines() if row.startswith("\u2502")}
    assert "done" in rows["one"] and "new" in rows["two"] and "6 steps" in rows["two"]
    assert "MB needed at most" in out
    assert {file: file.stat().st_mtime_ns for file in (path.parent / "models").iterdir()} == before
    (path.parent / "datasets" / "two.txt").unlink()
    assert run("--all", "--check") == 1 and "error: two: " in capfd.readouterr().out


def test_check_survives_a_burst_that_fails(project, capfd, monkeypatch):
    _, run = project

    def fail(training, batch):
        raise Diverged

    monkeypatch.setattr(plan.Training, "advance", fail)
    assert run("--all", "--check") == 1
    out = capfd.readouterr().out
    assert "error: one: Diverged\n" in out and "error: two: Diverged\n" in out and "MB needed" in out


def test_hours_are_shared_out_by_size(tiny_run, capfd):
    runs = [tiny_run(["x" * 9] * 30 + ["y"], "short"), tiny_run(["x" * 99] * 9 + ["y"], "long")]
    sizes = [run.data_file().stat().st_size for run in runs]
    shared = [run.training.max_minutes for run in share_hours(runs, 2)]
    assert shared == pytest.approx([120 * size / sum(sizes) for size in sizes], abs=0.01)
    assert train.main(["--all", "--hours", "0"]) == 2
    assert "--hours 0: must be above 0" in capfd.readouterr().err


# --- failures of one training


def test_an_unforeseen_failure_is_tried_once_more_logged_and_isolated(project, capfd, monkeypatch):
    path, run = project
    monkeypatch.setattr(process, "train_in_process", process_faults.no_kernel_for_one)
    assert run("--all") == 1
    out = capfd.readouterr().out
    reason = "RuntimeError: no such kernel"
    assert out.count(f"one: {reason}") == 1 and "trying once more" in out
    assert f"error: one: failed: {reason}" in out and "two: trained" in out
    assert reason in (path.parent / "models" / "one.error.log").read_text()


@posix
def test_a_training_that_is_killed_once_is_tried_once_more(project, capfd, monkeypatch):
    _, run = project
    monkeypatch.setattr(process, "train_in_process", process_faults.killed_the_first_time)
    assert run("--dataset", "one") == 0
    out = capfd.readouterr().out
    assert "its process was ended by SIGKILL; if nobody did that, memory ran out" in out
    assert "trying once more" in out and "one: trained" in out


def test_memory_that_runs_out_is_a_line_of_advice_and_no_second_try(project, capfd, monkeypatch):
    _, run = project
    monkeypatch.setattr(process, "train_in_process", process_faults.no_memory)
    assert run("--all") == 1
    out = capfd.readouterr().out
    assert out.count("failed: out of memory; lower training.batch_size or choose a smaller preset") == 2
    assert "once more" not in out


# --- signals


class Program:
    """train.py --all in a process and a group of its own, on a project whose training takes long enough to be met."""

    def __init__(self, path: Path, *arguments: str, steps: int = 120, **options) -> None:
        yaml = YAML()
        settings = yaml.load(path)
        settings["training"] |= {"max_steps": steps, "validations": 12, "patience": 0}
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(settings, file)
        self.path, self.models = path, path.parent / "models"
        self.command = [sys.executable, str(ROOT / "train.py"), "--all", "--config", str(path), *arguments]
        self.options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}

    def start(self) -> subprocess.Popen:
        hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup may have had it ignored, here and so there
        process = subprocess.Popen(self.command, start_new_session=True, **self.options)
        signal.signal(signal.SIGHUP, hangup)
        assert process.stdout
        while "bits/char" not in process.stdout.readline():  # the first validation: it trains
            assert process.poll() is None
        return process

    def finish(self) -> str:
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=SECONDS, check=True)
        return done.stdout


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def trainings(pid: int) -> list[int]:
    """The processes in which a queue trains."""
    return [child for child in children(pid) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def hears_ctrl_c(pid: int) -> bool:
    """Whether Python has begun and made it a KeyboardInterrupt."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(caught and int(caught[1], 16) >> (signal.SIGINT - 1) & 1)


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(100):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@posix
@pytest.mark.parametrize(
    ("to", "number"),
    [("killpg", "SIGINT"), ("kill", "SIGTERM"), ("killpg", "SIGHUP")],
    ids=["as a terminal does", "as kill does", "as a terminal that goes does"],
)
def test_an_interrupted_queue_goes_on(project, to, number):
    program = Program(project[0])
    process = program.start()
    getattr(os, to)(process.pid, getattr(signal, number))
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert f"stopped; nothing is lost. To go on: python train.py --all --config {program.path}" in out
    assert (program.models / "one.resume.pt").is_file()
    out = program.finish()
    assert re.search(r"one: going on from step \d+", out) and "two: trained" in out
    assert not list(program.models.glob("*.resume.pt"))


@pytest.mark.slow
@posix
@needs_proc
def test_ctrl_c_while_a_training_still_begins_stops_without_a_traceback(project):
    program = Program(project[0])
    process = subprocess.Popen(program.command, start_new_session=True, **program.options)
    while not any(map(hears_ctrl_c, trainings(process.pid))):  # from here on it imports, for a second or two
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and "stopped; nothing is lost" in out and "Traceback" not in out


@pytest.mark.slow
@posix
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


@pytest.mark.slow
@posix
@needs_proc
def test_a_queue_that_is_killed_takes_its_training_along(project):
    program = Program(project[0])
    process = program.start()
    [child] = trainings(process.pid)
    process.kill()
    assert gone(child) and (program.models / "one.resume.pt").is_file()
    assert re.search(r"one: going on from step \d+", program.finish())


@pytest.mark.slow
@posix
def test_a_reader_that_leaves_stops_the_queue_with_its_state_saved(project):
    program = Program(project[0], stderr=subprocess.PIPE)
    process = program.start()
    assert process.stdout and process.stderr
    process.stdout.close()  # as `| head` does
    assert process.wait(SECONDS) == 141 and process.stderr.read() == ""
    assert (program.models / "one.resume.pt").is_file()


# --- what surrounds it


@pytest.mark.slow
@posix
def test_neither_a_terminal_nor_a_home_is_needed(project):
    program = Program(project[0], steps=6)
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *program.command]
    done = subprocess.run(closed, env={**os.environ, "HOME": "/dev/null/none"}, timeout=SECONDS, check=False)
    assert done.returncode == 0 and (program.models / "two.pt").is_file()


@pytest.mark.slow
@posix
def test_a_log_that_is_full_or_knows_no_such_letters_ends_nothing(project):
    path, _ = project
    (path.parent / "datasets" / "one.txt").write_text("\n".join(f"Привет, мир {k} 🙂" for k in range(80)), "utf-8")
    program = Program(path, steps=6)
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(program.command, stdout=full, stderr=subprocess.PIPE, timeout=SECONDS, check=False)
    assert done.returncode == 0 and done.stderr == b"" and (program.models / "two.pt").is_file()
    (program.models / "one.pt").unlink()
    done = subprocess.run(
        program.command, env={**os.environ, "PYTHONIOENCODING": "cp1252"}, capture_output=True, timeout=SECONDS
    )
    assert done.returncode == 0 and b"one: trained" in done.stdout and b"once more" not in done.stdout


def test_a_curve_that_cannot_be_drawn_costs_no_model(project, capfd):
    path, run = project
    (path.parent / "models" / "one.png").mkdir(parents=True)
    assert run("--dataset", "one") == 0
    out = capfd.readouterr().out
    assert "not saved, and going on: " in out and "one: trained" in out


@pytest.mark.slow
@posix
def test_force_begins_anew_once(project):
    program = Program(project[0], "--force", steps=400)
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


@pytest.mark.slow
@posix
def test_a_stop_whose_state_finds_no_room_says_so(project):
    import resource

    program = Program(project[0], steps=5000)
    program.options["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
    process = program.start()
    process.terminate()
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and "nothing is lost" not in out
    assert re.search("error: one: failed: .*cannot be written: File too large", out)


@pytest.mark.slow
@posix
def test_a_disk_that_takes_no_model_is_one_line_and_leaves_no_part(project):
    import resource

    program = Program(project[0], steps=6)

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))

    done = subprocess.run(program.command, preexec_fn=small_files, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert len(re.findall("failed: .*cannot be written: File too large", done.stdout)) == 2
    assert "not saved, and going on: " in done.stdout
    assert {file.suffix for file in program.models.iterdir()} <= {".jsonl", ".lock"}


def test_windows_habits_change_nothing(project):
    path, run = project
    assert run("--dataset", "one") == 0
    models = path.parent / "models"
    before = (models / "one.pt").read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    (models / "one.pt").unlink()
    assert run("--dataset", "one") == 0
    assert (models / "one.pt").read_bytes() == before


@pytest.mark.slow
@posix
@needs_proc
def test_half_a_minute_of_the_soak():
    soak = [sys.executable, str(ROOT / "benchmarks" / "soak.py"), "--minutes", "0.5"]
    done = subprocess.run(soak, capture_output=True, text=True, timeout=5 * SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"rounds \| [1-9]", done.stdout) and re.search(r"files byte-identical \| [1-9]", done.stdout)
