"""The queue: what it trains and what it skips, and that no failure reaches the other datasets."""

import shutil
import signal

import pytest
from filelock import FileLock

from config.loader import load_config
from generation.archive import read_archive, write_archive
from tests.helpers import Quiet, change_config, shape, toy_lines, tree
from tests.training import worker_faults
from tests.training.program import queued
from tests.training.states import change_state, stop
from training import worker
from training.order import longest_first
from training.queue import Queue
from training.trainer import train_model
from training.worker import FAILED, STOPPED, TRAINED, Outcome

warm = pytest.mark.usefixtures("warm_processes")


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


@warm
def test_changed_data_trains_anew(project, capfd):
    path, run = project
    assert run("--dataset", "one") == 0
    (path.parent / "datasets" / "one.txt").write_text("\n".join(toy_lines(81)) + "\n")
    capfd.readouterr()
    assert run("--dataset", "one") == 0
    assert "one: trained" in capfd.readouterr().out


@warm
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


@warm
def test_a_second_training_of_a_dataset_is_refused_and_a_stale_lock_is_none(project, capfd, monkeypatch):
    path, run = project
    monkeypatch.setattr(worker, "train_in_process", worker_faults.no_patience)
    (path.parent / "models").mkdir()
    lock = path.parent / "models" / ".one.lock"
    lock.write_text("left by a process that was killed")
    with FileLock(lock):
        assert run("--all") == 1
    out = capfd.readouterr().out
    assert "error: one: failed: another process is training" in out and "two: trained" in out
    assert run("--all") == 0 and "one: trained" in capfd.readouterr().out


@warm
def test_an_unwritable_folder_fails_at_once_and_alone(project, capfd):
    path, run = project
    (path.parent / "models").write_text("a file where the folder should be")
    assert run("--all") == 1
    out = capfd.readouterr().out
    assert out.count("models: cannot be written to") == 2 and "Traceback" not in out


@warm
def test_no_path_makes_a_line_that_never_ends(project, capfd):
    path, run = project
    content = path.read_text(encoding="utf-8").replace((path.parent / "models").as_posix(), "m" * 5000)
    path.write_text(content, encoding="utf-8")
    for options in ([], ["--check"]):
        assert run("--all", *options) != 0
        assert max(map(len, capfd.readouterr().out.splitlines())) < 1100


@warm
def test_the_figures_of_a_model_do_not_widen_the_table(project, capfd):
    path, run = project
    assert run("--dataset", "one") == 0
    model = path.parent / "models/one.pt"
    content = read_archive(model)
    for value, shown in ((-(2**62), "-4.6e+18"), (1e308, "1.0e+308")):
        write_archive(model, {**content, "metrics": {**content["metrics"], "held_out_bits": value}})
        capfd.readouterr()
        assert run("--dataset", "one") == 0
        assert f"│ {shown} ± 0." in (out := capfd.readouterr().out) and max(map(len, out.splitlines())) < 100


@warm
def test_another_spelling_of_its_file_trains_no_voice_anew(project, capfd):
    path, run = project
    assert run("--dataset", "one") == 0
    for file in ("one.txt", "./one.txt"):
        change_config(path, datasets={"one": {"data": {"file": file}}, "two": {}})
        capfd.readouterr()
        assert run("--dataset", "one") == 0 and "came from" not in capfd.readouterr().out


@warm
def test_a_model_of_other_settings_is_kept_aside(project, capfd):
    path, run = project
    assert run("--dataset", "one") == 0
    models = path.parent / "models"
    before = (models / "one.pt").read_bytes()
    path.write_text(path.read_text() + "\nseed: 7\n")
    assert run("--dataset", "one") == 0
    assert "came from other data or settings; training it, and the file stays until" in capfd.readouterr().out
    assert (models / "one.previous.pt").read_bytes() == before
    shutil.copy(models / "one.pt", models / "one.previous-2.pt")  # as a --more that was stopped leaves it
    path.write_text(path.read_text().replace("seed: 7", "seed: 8"))
    assert run("--dataset", "one") == 0
    assert "came from other data or settings; training it, and the file stays until" in capfd.readouterr().out


@warm
def test_a_model_that_had_as_much_time_is_done_and_one_that_had_less_is_not(project, capfd):
    path, run = project
    (path.parent / "datasets" / "two.txt").unlink()
    assert run("--all", "--hours", "2") == 1 and "one: trained" in capfd.readouterr().out
    (path.parent / "datasets" / "two.txt").write_text("\n".join(toy_lines(80, 1)) + "\n", encoding="utf-8")
    assert run("--all", "--hours", "2") == 0
    out = capfd.readouterr().out
    assert "one: skipped: done before" in out and "two: trained" in out
    with (path.parent / "datasets" / "two.txt").open("a", encoding="utf-8") as file:
        file.write("one line more\n")  # so that the shares of the hours are others
    assert run("--all", "--hours", "2") == 0
    out = capfd.readouterr().out
    assert "one: skipped: done before" in out and "two: trained" in out
    assert run("--dataset", "one", "--minutes", "200") == 0  # it made all its steps, so more time changes nothing
    assert (
        "one: skipped: done before with this data and config, with all its steps, so --more" in capfd.readouterr().out
    )
    one = load_config(path).resolve("one")
    for minutes, now in ((["--minutes", "200"], "200 minutes"), ([], "any time")):
        assert train_model(shape(one, max_minutes=0.0001), Quiet()).metrics["steps_left"] > 0
        assert run("--dataset", "one", *minutes) == 0
        out = capfd.readouterr().out
        assert f"{one.model_file()} had 0 minutes at most, where {now} may be taken now; training it" in out
        one.state_file().unlink(missing_ok=True)


@warm
def test_force_touches_nothing_that_another_process_trains(project, capfd, monkeypatch):
    path, run = project
    assert run("--dataset", "one") == 0
    models = path.parent / "models"
    (models / "one.resume.pt").write_bytes(b"of the other process")
    before = (models / "one.pt").read_bytes()
    monkeypatch.setattr(worker, "LOCK_SECONDS", 0)
    with FileLock(models / ".one.lock"):
        assert run("--all", "--force") == 1
    out = capfd.readouterr().out
    assert "error: one: failed: another process is training" in out and "two: trained" in out
    assert (models / "one.pt").read_bytes() == before and (models / "one.resume.pt").is_file()


@warm
def test_force_touches_no_voice_whose_start_cannot_be_trained(project, capfd, monkeypatch):
    path, run = project
    change_config(path, datasets={"one": {"training": {"start_from": "two"}}, "two": {}})
    assert run("--all") == 0
    models = path.parent / "models"
    before = tree(models)
    monkeypatch.setattr(worker, "LOCK_SECONDS", 0)
    with FileLock(models / ".two.lock"):
        assert run("--all", "--force") == 1
    out = capfd.readouterr().out
    assert "error: two: failed: another process is training" in out and "--force" not in out
    assert "error: one: failed: not begun: it starts from two, which was not trained (see above)" in out
    assert tree(models) == before


@warm
def test_no_voice_begins_at_a_start_that_another_command_trains(project, capfd, monkeypatch):
    path, run = project
    change_config(path, datasets={"one": {"training": {"start_from": "two"}}, "two": {}})
    assert run("--dataset", "two") == 0
    monkeypatch.setattr(worker, "LOCK_SECONDS", 0)
    with FileLock(path.parent / "models" / ".two.lock"):  # which may replace it
        assert run("--dataset", "one") == 1
    said = f"error: one: failed: another process is training {path.parent / 'models' / 'two.pt'}"
    assert said in capfd.readouterr().out
    assert run("--dataset", "one") == 0


@warm
@pytest.mark.parametrize("anew", [["--force"], []])
def test_no_start_is_taken_from_the_voices_of_another_command(project, capfd, monkeypatch, anew):
    path, run = project
    change_config(path, datasets={"one": {"training": {"start_from": "two"}}, "two": {}})
    assert run("--all") == 0
    models = path.parent / "models"
    if not anew:
        (path.parent / "datasets" / "two.txt").write_text("\n".join(toy_lines(81)) + "\n")
    before = tree(models)
    monkeypatch.setattr(worker, "LOCK_SECONDS", 0)
    with FileLock(models / ".one.lock"):
        assert run("--all", *anew) == 1
    out = capfd.readouterr().out
    for name in ("one", "two"):
        assert f"error: {name}: failed: another process is training {models / 'one.pt'}" in out
    assert tree(models) == before


@warm
def test_force_begins_a_voice_anew_though_its_start_comes_out_the_same(project, capfd):
    path, run = project
    change_config(path, datasets={"one": {"training": {"start_from": "two"}}, "two": {}})
    assert run("--all") == 0
    stop(load_config(path).resolve("one"), 2)
    start = (path.parent / "models/two.pt").read_bytes()
    capfd.readouterr()
    assert run("--all", "--force") == 0
    assert (path.parent / "models/two.pt").read_bytes() == start
    assert "going on from" not in capfd.readouterr().out and not list((path.parent / "models").glob("one.resume*"))


@warm
def test_what_a_disk_does_is_no_fault_of_the_program(project, capfd):
    path, run = project
    cache = path.parent / "datasets/.cache"
    cache.parent.mkdir(exist_ok=True)
    cache.write_bytes(b"a file of this name")
    assert run("--dataset", "one") == 1
    out = capfd.readouterr().out
    assert "error: one: failed: " in out and str(cache) in out and "Error" not in out
    assert not list((path.parent / "models").glob("*.error.log"))


@warm
@pytest.mark.parametrize("options", [(), ("--force",)])
def test_a_state_of_another_run_is_kept_though_the_model_is_done(project, options):
    path, run = project
    minutes = ("--dataset", "one", "--minutes", "9")
    assert run(*minutes) == 0
    models, kept = path.parent / "models", []
    for training in ({"max_steps": 90}, {"max_minutes": 50}):
        stop(shape(load_config(path).resolve("one"), **training), 2)
        state = (models / "one.resume.pt").read_bytes()
        assert run(*minutes, *options) == 0
        kept.append(state in [file.read_bytes() for file in models.glob("one.resume*.pt")])
        (models / "one.resume.pt").unlink(missing_ok=True)
    assert kept == [True, not options]  # --force begins anew what has the same settings, however long it may take


@warm
@pytest.mark.parametrize("options", [(), ("--force",)])
def test_a_model_with_the_name_of_a_state_is_kept(project, options):
    path, run = project
    assert run("--all") == 0
    models = path.parent / "models"
    (models / "two.pt").rename(models / "one.resume.pt")
    model = (models / "one.resume.pt").read_bytes()
    assert run("--dataset", "one", *options) == 0
    assert [file.read_bytes() == model for file in models.glob("one.resume*.pt")] == [True]


@warm
def test_windows_habits_change_nothing(project):
    path, run = project
    assert run("--dataset", "one") == 0
    models = path.parent / "models"
    before = (models / "one.pt").read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    (models / "one.pt").unlink()
    assert run("--dataset", "one") == 0
    assert (models / "one.pt").read_bytes() == before


@warm
def test_force_keeps_what_holds_more_time_than_it_will_spend(project, capfd):
    path, run = project
    one, models = load_config(path).resolve("one"), path.parent / "models"
    for spent, kept in ((30, True), (0.5, False)):
        stop(shape(one, max_minutes=60), 2)
        change_state(one, status=lambda status, spent=spent: {**status, "seconds": 60 * spent})
        content = one.state_file().read_bytes()
        assert run("--dataset", "one", "--force", "--minutes", "1") == 0
        aside = models / "one.resume.previous.pt"
        line = f"one: {models / 'one.resume.pt'}, of 30 minutes, is kept as {aside}"
        assert (line in capfd.readouterr().out.splitlines()) == kept
        assert (aside.exists() and aside.read_bytes() == content) == kept and not one.state_file().exists()
        aside.unlink(missing_ok=True)


@warm
@pytest.mark.parametrize("spent", [30, 0.5])
def test_force_begins_anew_though_another_training_took_the_place_of_its_state(project, capfd, spent):
    path, run = project
    one, states = load_config(path).resolve("one"), path.parent / "models"
    for training in ({}, {"max_steps": 90}):
        stop(shape(one, **training), 2)
        if not training:
            change_state(one, status=lambda status: {**status, "seconds": 60 * spent})
            one.state_file().rename(states / "one.resume.previous.pt")
    assert run("--dataset", "one", "--force", "--minutes", "1") == 0
    assert "going on" not in capfd.readouterr().out
    kept = [f"one.resume.previous{number}.pt" for number in (("", "-2") if spent > 1 else ("",))]
    assert sorted(file.name for file in states.glob("one.resume*")) == sorted(kept)  # of the other, and of the longer


@warm
def test_a_text_that_no_file_system_can_hold_does_not_keep_the_others_from_training(project, capfd):
    path, run = project
    change_config(path, datasets={"one": {"data": {"file": f"{'x' * 300}.txt"}}, "two": {}})
    assert run("--all") == 1
    out = capfd.readouterr().out
    assert "error: one: failed: " in out and "two: trained: " in out


def test_a_text_that_comes_late_is_for_the_next_command(project, capsys):
    """It has no share of the hours, and a base made of the others may have learnt what it holds out."""
    path, _ = project
    text = path.parent / "datasets" / "two.txt"
    content = text.read_bytes()
    text.unlink()
    queue = queued(path, "--dataset", "two")
    text.write_bytes(content)
    assert queue.run_all() == 1
    told = f"error: two: missing: {text} came after the command had begun; type it again"
    assert told in " ".join(capsys.readouterr().out.split())


@warm
def test_a_shorter_training_between_leaves_a_longer_one_its_state(project, capfd):
    path, run = project
    models = path.parent / "models"
    stop(shape(load_config(path).resolve("one"), max_minutes=60), 2)
    assert run("--dataset", "one", "--minutes", "0.0001") == 0
    out = " ".join(capfd.readouterr().out.split())
    assert "going on from step 2" in out and "stays for a training of 60 minutes, which goes on from it" in out
    assert run("--dataset", "one", "--minutes", "0.0001") == 0 and (models / "one.resume.pt").is_file()
    capfd.readouterr()
    assert run("--dataset", "one", "--minutes", "60") == 0
    assert "going on from step 2" in capfd.readouterr().out and not (models / "one.resume.pt").exists()


class LanesThatEnd:
    """One lane, whose first training ends in this state while Ctrl+C is pressed."""

    count = 1

    def __init__(self, state: str) -> None:
        self.state = state

    def submit(self, run, at_once) -> None:
        self.name = run.name

    def finished(self, seconds, hear) -> list[Outcome]:
        signal.raise_signal(signal.SIGINT)
        return [Outcome(self.name, self.state)]

    def stop(self) -> None: ...

    def kill(self) -> None: ...


@pytest.mark.parametrize(("names", "state", "status"), [
    (["one"], TRAINED, 0), (["one", "two"], TRAINED, 130), (["one"], STOPPED, 130), (["one"], FAILED, 130),
])  # fmt: skip
def test_a_stop_that_comes_when_all_is_trained_leaves_nothing_to_go_on_with(project, capfd, names, state, status):
    """The same command with --more would train the finished model further."""
    config = load_config(project[0])
    queue = Queue([config.resolve(name) for name in names], False, "train.py", LanesThatEnd(state))
    assert queue.run_all() == status
    assert ("To go on: train.py" in capfd.readouterr().out) == (status == 130)


class TwoLanes:
    """Two lanes, whose trainings are done at once; `made` is the model that the one of `two` makes."""

    count = 2

    def __init__(self, made: bytes = b"") -> None:
        self.made, self.at_once, self.running = made, dict[str, int](), list[str]()

    def submit(self, run, at_once) -> None:
        self.at_once[run.name] = at_once
        self.running.append(run.name)
        if self.made and run.name == "two":
            run.model_file().write_bytes(self.made)

    def finished(self, seconds, hear) -> list[Outcome]:
        ended, self.running = self.running, []
        return [Outcome(name, TRAINED) for name in ended]

    def stop(self) -> None: ...

    def kill(self) -> None: ...


@warm
def test_what_is_done_or_missing_takes_no_cores_from_what_is_left(project):
    path, run = project
    change_config(path, datasets={"one": {}, "two": {}, "three": {}})
    config = load_config(path)
    first, last = longest_first([config.resolve(name) for name in ("one", "two")])
    assert run("--dataset", last.name) == 0
    here = TwoLanes()
    Queue([first, last, config.resolve("three")], False, "train.py", here).run_all()
    assert here.at_once == {first.name: 1}


@warm
def test_voices_whose_base_is_trained_anew_share_the_cores(project):
    path, run = project
    (path.parent / "datasets" / "three.txt").write_text("\n".join(toy_lines(70, 3)) + "\n")
    started = {"training": {"start_from": "two"}}
    change_config(path, datasets={"one": started, "two": {}, "three": started})
    assert run("--all") == 0
    model = path.parent / "models" / "two.pt"
    before = model.read_bytes()
    (path.parent / "datasets" / "two.txt").write_text("\n".join(toy_lines(81)) + "\n")
    assert run("--dataset", "two") == 0
    here, config = TwoLanes(model.read_bytes()), load_config(path)
    model.write_bytes(before)
    Queue([config.resolve(name) for name in ("two", "one", "three")], False, "train.py", here).run_all()
    assert [*here.at_once.values()] == [1, 2, 2]
