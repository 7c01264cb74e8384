"""The plan: what would be trained, at what cost, and how hours are shared out."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

import train
from command.messages import argument
from config.loader import load_config
from tests.helpers import ROOT, Quiet, change_config, pipes, shape
from tests.training.states import stop
from training import check
from training.hours import share_hours
from training.step import Diverged
from training.trainer import train_model
from utils import UserError, hash_file


@pytest.mark.usefixtures("warm_processes")
def test_check_shows_the_plan_and_trains_nothing(project, capfd):
    path, run = project
    assert run("--dataset", "one") == 0
    one = (path.parent / "datasets" / "two.txt").read_text()
    (path.parent / "datasets" / "two.txt").write_text(
        one + one + "".join(f"mail jane@example.org {k}\n" for k in range(9)) + "\n"
    )
    text = path.parent / "datasets" / "one.txt"
    record = {"license": "CC0", "text": {"sha256": hash_file(text)}}
    text.with_suffix(".source.json").write_text(json.dumps(record))
    before = {file: file.stat().st_mtime_ns for file in (path.parent / "models").iterdir()}
    capfd.readouterr()
    assert run("--all", "--check") == 0
    out = capfd.readouterr().out
    assert "two: 89 documents" in out and "80 duplicates dropped, 1 empty line dropped" in out
    assert re.search(r"two: likely personal data in [5-9] of", out)
    rows = {row.split()[1]: row for row in out.splitlines() if row.startswith("\u2502")}
    assert "done" in rows["one"] and "new" in rows["two"] and " 6 " in rows["two"]
    unknown, page = "the licence of the text is not known", path.parent / "outputs" / "check.html"
    assert unknown not in out and re.search(r"\n[1-9] notes? more, with plots and examples: ", out)
    assert page.read_text(encoding="utf-8").count(unknown) == 1  # that of "one" is known
    assert "MB needed at most" in out
    assert {file: file.stat().st_mtime_ns for file in (path.parent / "models").iterdir()} == before
    for name in ("one", "two"):  # one has a model
        (path.parent / "datasets" / f"{name}.txt").unlink()
    assert run("--all", "--check") == 1
    out = capfd.readouterr().out
    assert out.count("no such file; put one document per line there") == 2 and "error: two: " in out


def test_of_one_dataset_all_that_is_amiss_is_told(project, capfd):
    path, run = project
    text = path.parent / "datasets" / "two.txt"
    text.write_text(text.read_text() + "<b>some of HTML</b>\n" * 2)
    assert run("--dataset", "two", "--check") == 0
    out = capfd.readouterr().out
    commands = [line for line in out.splitlines() if "python prepare.py" in line]
    assert commands and all(line.endswith(f" --config {argument(path)}") for line in commands)
    assert "two: the licence of the text is not known" in out and "two: nothing amiss: " in out
    assert re.search(r"\nall of it, with plots and examples: ", out)


def test_a_disk_that_is_too_small_fails_the_check(project, capfd, monkeypatch):
    path, run = project
    assert run("--dataset", "one", "--check") == 0
    needed = int(re.search(r"disk: ([\d,]+) MB needed", capfd.readouterr().out)[1].replace(",", ""))
    used = shutil.disk_usage(path.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: used._replace(free=1))
    assert run("--dataset", "one", "--check") == 1
    assert f"disk: {needed} MB needed at most, 0 MB free" in capfd.readouterr().out
    monkeypatch.undo()
    stop(load_config(path).resolve("one"), 2)
    assert (path.parent / "models/one.resume.pt").stat().st_size <= (needed + 0.5) * 1e6


def test_names_are_whole_in_the_plan_and_the_base_gets_no_advice(project, capfd, monkeypatch):
    """Its text is made of the others, each of which has advice of its own."""
    path, run = project
    name = "a_dataset_with_quite_a_long_name"
    (path.parent / "datasets" / "two.txt").rename(path.parent / "datasets" / f"{name}.txt")
    path.write_text(path.read_text().replace("two:", f"{name}:"))
    monkeypatch.setenv("COLUMNS", "80")
    assert run("--all", "--base", "--check") == 0
    out = capfd.readouterr().out
    assert name in "".join(row.split("\u2502")[1].strip() for row in out.splitlines() if row.startswith("\u2502"))
    page = (path.parent / "outputs" / "check.html").read_text(encoding="utf-8")
    base = page.split('<h2 id="base"')[1].split("</section>")[0]
    assert "licence" not in base and "0 checks" not in base and "<svg" in base


def test_a_start_that_cannot_be_trained_is_no_mistake_of_its_voice(project, capfd):
    path, run = project
    (path.parent / "datasets" / "one.txt").unlink()
    change_config(path, datasets={"one": {}, "two": {"training": {"start_from": "one"}}})
    assert run("--all", "--check") == 1
    out = capfd.readouterr().out
    assert "error: one: " in out and "error: two: " not in out


def test_check_survives_a_burst_that_fails(project, capfd, monkeypatch):
    _, run = project

    def fail(training, batch):
        raise Diverged

    monkeypatch.setattr(check.Training, "advance", fail)
    assert run("--all", "--check") == 1
    out = capfd.readouterr().out
    assert "error: one: Diverged\n" in out and "error: two: Diverged\n" in out and "MB needed" in out


def test_a_folder_on_a_drive_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    with pytest.raises(UserError, match=r"^models: there is no such drive$"):
        check.nearest_folder(Path("models"))


def test_hours_are_shared_out_by_size_up_to_a_megabyte(tiny_run, capfd):
    runs = [tiny_run(["x" * 9] * 30 + ["y"], "short"), tiny_run(["x" * 99] * 9 + ["y"], "long")]
    sizes = [run.data_file().stat().st_size for run in runs]
    shared = [run.training.max_minutes for run in share_hours(runs, 2)]
    assert shared == pytest.approx([120 * size / sum(sizes) for size in sizes], abs=0.01)
    sizes = [250_000, 1_000_000, 8_000_000]
    runs = [tiny_run(b"x" * size, f"of{size}") for size in sizes]
    shared = [run.training.max_minutes for run in share_hours(runs, 1.5)]
    assert shared == pytest.approx([10, 40, 40])
    assert train.main(["--all", "--hours", "0", "--config", str(ROOT / "config.yaml")]) == 2
    assert "--hours 0: must be above 0" in capfd.readouterr().err


@pytest.mark.parametrize("place", [["--jobs", "0"], ["--ray", "127.0.0.1:9"]])
def test_options_that_exclude_each_other_are_named_before_any_lane_is_looked_for(project, capfd, place):
    assert project[1]("--all", "--hours", "1", "--minutes", "1", *place) == 2
    assert capfd.readouterr().err == "error: --hours and --minutes exclude each other; leave one out\n"


def test_only_the_state_of_this_very_training_counts_as_interrupted(project, capfd):
    path, run = project
    one = load_config(path).resolve("one")
    one.model_file().parent.mkdir()
    one.state_file().write_bytes(b"no state")

    def status() -> str:
        capfd.readouterr()
        assert run("--dataset", "one", "--check") == 0
        [row] = [row for row in capfd.readouterr().out.splitlines() if re.match("\u2502 one ", row)]
        return row.split("\u2502")[6].strip()

    assert status() == "new"
    for steps, found in ((9, "new"), (6, "interrupted")):
        stop(shape(one, max_steps=steps), 2)
        assert status() == found


def test_of_a_voice_with_a_start_no_bits_are_promised_whether_it_is_there_or_not(project, capfd):
    path, run = project
    for begun in (False, True):
        if begun:
            base = load_config(path).resolve("two")
            train_model(base, Quiet())
        path.write_text(path.read_text(encoding="utf-8").replace("one: {}", "one: {training: {start_from: two}}"))
        capfd.readouterr()
        assert run("--all", "--check") == 0
        out = capfd.readouterr().out + (path.parent / "outputs" / "check.html").read_text(encoding="utf-8")
        assert out.count("no training of this preset from a start was measured") == 1


@pytest.mark.usefixtures("warm_processes")
def test_a_voice_whose_start_will_be_trained_anew_is_not_done(project, capfd):
    path, run = project
    change_config(path, datasets={"one": {"training": {"start_from": "two"}}, "two": {}})
    assert run("--all") == 0
    for said in ("done", "new"):
        capfd.readouterr()
        assert run("--all", "--check") == 0
        rows = [row.split() for row in capfd.readouterr().out.splitlines() if row.startswith("\u2502")]
        assert [row[1] for row in rows if said in row] == ["two", "one"]
        load_config(path).resolve("two").model_file().unlink(missing_ok=True)


@pipes
def test_a_pipe_in_the_place_of_a_text_is_not_waited_for(project, capfd):
    path, run = project
    train_model(load_config(path).resolve("one"), Quiet())
    text = path.parent / "datasets" / "one.txt"
    text.unlink()
    os.mkfifo(text)
    for options in (["--check"], []):
        assert run("--all", *options) == 1
        assert "one: " in capfd.readouterr().out


@pytest.mark.usefixtures("warm_processes")
def test_a_voice_that_is_done_is_checked_without_its_start_which_may_be_gone(project, capfd):
    path, run = project
    train_model(load_config(path).resolve("two"), Quiet())
    path.write_text(path.read_text(encoding="utf-8").replace("one: {}", "one: {training: {start_from: two}}"))
    assert run("--dataset", "one") == 0
    load_config(path).resolve("two").model_file().unlink()
    capfd.readouterr()
    assert run("--dataset", "one", "--check") == 0
    assert "done" in capfd.readouterr().out


def test_that_a_record_is_of_another_text_is_said(project, capfd):
    path, run = project
    record = path.parent / "datasets" / "one.source.json"
    record.write_text(json.dumps({"license": "CC0", "text": {"sha256": "0" * 64}}))
    for options in (["--check"], []):
        capfd.readouterr()
        assert run("--dataset", "one", *options) == 0
        assert "is the record of another text" in " ".join(capfd.readouterr().out.split())


def test_the_page_lies_in_the_outputs_folder_and_is_written_anew(project):
    path, run = project
    page = path.parent / "outputs" / "check.html"
    assert run("--all", "--check") == 0
    first = page.read_text(encoding="utf-8")
    assert re.findall('<h2 id="(.*?)"', first) == ["one", "two"]
    assert run("--dataset", "two", "--check") == 0
    assert re.findall('<h2 id="(.*?)"', page.read_text(encoding="utf-8")) == ["two"]


def test_a_file_that_is_no_page_of_a_checkup_is_left_alone(project, capfd):
    path, run = project
    page = path.parent / "outputs" / "check.html"
    page.parent.mkdir()
    page.write_text("mine")
    assert run("--all", "--check") == 2
    missing = "the list of what it wrote there, .check.html.written.jsonl, is missing or empty"
    foreign = f"error: {page}: not known as this program's: {missing}; move it away"
    assert capfd.readouterr().err.strip() == foreign
    assert page.read_text() == "mine" and list(page.parent.iterdir()) == [page]
    page.unlink()
    assert run("--all", "--check") == 0
    page.write_text(page.read_text(encoding="utf-8") + "my notes", encoding="utf-8")
    assert run("--all", "--check") == 2 and page.read_text(encoding="utf-8").endswith("my notes")
    assert (
        capfd.readouterr().err.strip() == f"error: {page}: not written by this program, or changed since; move it away"
    )
