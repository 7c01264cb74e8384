"""A command finds what stands against its outputs before its work, and works on nothing that has no end."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import evaluate
import generate
import prepare
import train
from command import disk
from command.outputs import Outputs
from config.loader import Config
from evaluation.report import summary
from tests.evaluation.voices import judge
from tests.helpers import ROOT, TINY, Quiet, largest_file, posix, prose, shape, tree
from tests.homes import GENERATE, MODEL, TEXT, link
from text.corpus import load_corpus
from training.trainer import train_model
from utils import UserError


@pytest.mark.parametrize("output", [f"o/{'x' * size}.txt" for size in (225, 232, 240, 248, 300)])
def test_a_name_that_no_file_can_have_is_found_before_the_work(home, capsys, monkeypatch, output):
    monkeypatch.setattr("generation.writer.ThisMachine.written", None)
    before = tree(home)
    assert generate.main([*MODEL, *GENERATE, "--output", output]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {output}") and ".part" not in error
    assert not {path for path in tree(home).keys() - before.keys() if path.is_file()}


@pytest.mark.parametrize("code", [3, 206])
def test_a_path_that_is_too_long_for_windows_is_found_before_the_work(tmp_path, monkeypatch, code):
    """There it is a missing file to Python; Windows' own number of the error is another."""
    missing = FileNotFoundError(2, "The filename or extension is too long")
    monkeypatch.setattr(missing, "winerror", code, raising=False)

    def lstat(path: Path) -> None:
        raise missing

    outputs = Outputs(tmp_path, ["new.txt"], [], overwrite=False)
    monkeypatch.setattr(Path, "lstat", lstat)
    with pytest.raises(UserError, match=r"new\.txt: cannot be written: The filename or extension is too long"):
        outputs.try_names()
    missing.winerror = 2
    outputs.try_names()


def test_what_was_read_may_be_renamed_before_the_output_is_written(tmp_path):
    text, model, output = b"text", tmp_path / "toy.pt", tmp_path / "out.txt"
    model.touch()
    Outputs(tmp_path, [output.name], [model], overwrite=False).write(b"earlier")
    later = Outputs(tmp_path, [output.name], [model], overwrite=False)
    model.rename(tmp_path / "toy.previous.pt")
    later.write(text)
    assert output.read_bytes() == text


@posix
def test_a_disk_without_room_for_all_outputs_changes_none(tmp_path):
    names = ["samples.txt", "samples.jsonl"]
    Outputs(tmp_path, names, [], overwrite=False).write(b"earlier", b"earlier too")
    for contents in ((b"x" * 50_000, b"later"), (b"later", b"x" * 50_000)):
        outputs = Outputs(tmp_path, names, [], overwrite=False)
        with largest_file(20_000), pytest.raises(OSError, match="File too large") as error:
            outputs.write(*contents)
        assert error.value.filename == str(tmp_path / names[len(contents[1]) > 10])
        assert {path.name for path in tmp_path.iterdir()} == {*names, ".samples.txt.written.jsonl", ".written.lock"}
        assert [(tmp_path / name).read_bytes() for name in names] == [b"earlier", b"earlier too"]


def test_of_outputs_written_together_the_first_takes_its_name_last(tmp_path, monkeypatch):
    """So where it is new, all others are."""
    taken, replace = [], disk.replace
    monkeypatch.setattr(disk, "replace", lambda new, path: (taken.append(path.name), replace(new, path)))
    Outputs(tmp_path, ["a", "b", "c"], [], overwrite=False).write(b"1", b"2", b"3")
    assert taken[:3] == ["c", "b", "a"]


@pytest.mark.parametrize("command", [generate, evaluate])
def test_a_count_that_is_a_typing_error_is_one_line(home, capsys, command):
    option = "--samples" if command is generate else "--count"
    for number in ("1000001", "1" + "0" * 30, "9" * 4000):
        assert command.main([*MODEL, option, number]) == 2
        assert f"{option} {number[:400]}" in (error := capsys.readouterr().err) and len(error) < 1100


def test_a_wrong_option_of_thousands_of_characters_is_a_short_line(home, capsys):
    with pytest.raises(SystemExit):
        generate.main([*MODEL, "--samples", "9" * 5000])
    assert max(map(len, capsys.readouterr().err.splitlines())) < 1100


def two_voices() -> None:
    """A second dataset whose text has the name of the first one's report."""
    Path("outputs").mkdir()
    text = Path("outputs/toy_evaluation.md")
    text.write_bytes(Path(TEXT).read_bytes())
    Path(TEXT).rename("outputs/toy.txt")
    Path("models/two.pt").write_bytes(Path("models/toy.pt").read_bytes())
    datasets = "{toy: {}, two: {data: {file: toy_evaluation.md}}}"
    Path("config.yaml").write_text(f"paths: {{datasets: outputs}}\ndatasets: {datasets}\n", encoding="utf-8")


def test_the_text_of_another_voice_is_no_output(home, capsys):
    two_voices()
    text = Path("outputs/toy_evaluation.md").read_bytes()
    assert evaluate.main(["--all", "--count", "3", "--overwrite"]) == 2
    assert "toy_evaluation.md: this command reads it" in capsys.readouterr().err
    assert Path("outputs/toy_evaluation.md").read_bytes() == text


@pytest.mark.parametrize("place", ["another spelling", "a linked folder", "a linked file"])
def test_a_text_that_is_the_model_in_other_words_is_named_and_kept(home, capsys, place):
    paths, file = "{datasets: work, models: work/sub/..}", "toy.pt"
    Path("work/sub").mkdir(parents=True)
    Path("work/toy.pt").write_bytes(Path(TEXT).read_bytes())
    if place == "a linked folder":
        link(Path("other"), "work")
        paths = "{datasets: work, models: other}"
    elif place == "a linked file":
        link(Path("work/toy.txt"), "../models/toy.pt")
        paths, file = "{datasets: work}", "toy.txt"
    datasets = f"{{toy: {{data: {{file: {file}}}}}}}"
    Path("config.yaml").write_text(f"paths: {paths}\ndatasets: {datasets}\n", encoding="utf-8")
    before = tree(home)
    assert train.main(["--all"]) == 2 and tree(home) == before
    assert "names a file that training writes" in capsys.readouterr().err


def test_weights_that_give_no_number_are_named_with_their_file(home, capsys, monkeypatch):
    def broken(*arguments, **options):
        raise FloatingPointError("the network's output is not a number")

    monkeypatch.setattr("generation.writer.ThisMachine.written", broken)
    for command in (lambda: generate.main([*MODEL, *GENERATE]), lambda: evaluate.main([*MODEL, "--count", "3"])):
        assert command() == 2
        assert capsys.readouterr().err == "error: models/toy.pt: the network's output is not a number\n"


def test_settings_of_matplotlib_cost_no_report(home):
    Path("matplotlibrc").write_text("text.usetex: True\n", encoding="utf-8")
    command = [sys.executable, str(ROOT / "evaluate.py"), *MODEL, "--count", "3"]
    done = subprocess.run(command, env={**os.environ, "MPLBACKEND": "nonsense"}, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert Path("outputs/toy_evaluation.png").is_file()


def test_a_text_of_words_that_occur_once_is_judged(tiny_run, tmp_path):
    words = [text.replace(" ", "") + chr(97 + k % 26) * 3 for k, text in enumerate(prose(["ba", "do", "ki"], 60, 1))]
    run = tiny_run(words)
    train_model(run, Quiet())
    assert load_corpus(run).held_out.lengths.sum()
    assert "of words known, 0% in real text" in summary(judge(run, tmp_path, ["qua", "qui"]))


def test_what_another_command_wrote_under_one_name_is_not_written_over(home, capsys):
    Path("r.txt").write_text("one row\nanother row\n", encoding="utf-8")
    assert prepare.main(["r.txt", "--name", "mine"]) == 0
    before = tree(Path("datasets"))
    written = [*MODEL, *GENERATE, "--output", "datasets/mine.txt"]
    assert generate.main(written) == 2
    message = "datasets/mine.txt: another command wrote it, with mine.source.json; name another --output, or replace it"
    assert capsys.readouterr().err.strip().endswith(f"error: {message} with --overwrite")
    assert tree(Path("datasets")) == before


def test_two_commands_with_one_output_leave_it_known(home, capsys):
    first, second = (Outputs(Path("o"), ["a.txt"], [], overwrite=False) for _ in range(2))
    first.write(b"one")
    second.write(b"two")
    Outputs(Path("o"), ["a.txt"], [], overwrite=False).write(b"three")
    assert Path("o/a.txt").read_bytes() == b"three"


def test_of_two_commands_that_write_one_output_at_once_the_files_of_one_stand_there(home):
    def write(text: bytes) -> None:
        for _ in range(40):
            Outputs(Path("o"), ["a.txt", "a.jsonl"], [], overwrite=True).write(text, text)
            Outputs(Path("o"), ["a.txt", "a.jsonl"], [], overwrite=False).write(text + b"!", text + b"!")

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(write, text) for text in (b"one", b"two")]:
            done.result()
    assert Path("o/a.txt").read_bytes() == Path("o/a.jsonl").read_bytes()
    assert Outputs(Path("o"), ["a.txt", "a.jsonl"], [], overwrite=False).record.knows("a.jsonl")


@pytest.mark.parametrize("change", ["a key more", "empty", "read-only"])
def test_what_a_person_made_of_the_figures_of_a_training_is_kept(home, tiny_run, change):
    run = tiny_run()
    train_model(run, Quiet())
    path = run.model_file().with_suffix(".metrics.jsonl")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if change == "a key more":
        path.write_text("".join(json.dumps({**line, "mine": 1}) + "\n" for line in lines), encoding="utf-8")
    elif change == "empty":
        path.write_bytes(b"")
    else:
        path.chmod(0o444)
    before = path.read_bytes()
    for training in ({"max_steps": 4}, {"max_steps": 5}):
        listener = Quiet()
        train_model(shape(run, **training), listener)
        assert path.read_bytes() == before and any("metrics.jsonl" in note for note in listener.notes)


def test_a_tilde_in_a_path_of_the_config_is_the_home_folder(home, monkeypatch):
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    named = {"training": {"start_from": "~/start.pt"}, "collection": {"word_list": "~/words.txt"}}
    run = Config(home / "c.yaml", {**TINY, **named, "paths": {"models": "~/models"}}).resolve("toy")
    assert run.model_file() == home / "models/toy.pt"
    assert run.start_file() == home / "start.pt" and run.collection.word_file() == home / "words.txt"
    assert run.collection.rules()["word_list"] == "~/words.txt"  # a set names no folder of this machine
