"""Documents that are watched, and their courses in a file: what is shown is what is written, and nothing changes."""

import io
import json

import pytest
import torch
from rich.live import Live

import generate
from command.console import PlainConsole
from generation.course import Change, text_after
from generation.draft import Draft
from generation.prompt import ANYTHING
from generation.watch import UNWRITTEN, Watcher
from generation.writer import ThisMachine, Writer
from tests.helpers import Quiet, long_and_short_lines
from training.trainer import train_model


@pytest.fixture
def run(tiny_run):
    run = tiny_run(long_and_short_lines(), diffusion={"process": "absorbing"})
    train_model(run, Quiet())
    return run


def options(run, tmp_path, name: str) -> list[str]:
    return ["--model", str(run.model_file()), "--samples", "9", "--output", str(tmp_path / name)]


def test_what_is_watched_is_what_is_written(run, tmp_path, capsys):
    assert generate.main(options(run, tmp_path, "plain.txt")) == 0
    capsys.readouterr()
    assert generate.main([*options(run, tmp_path, "watched.txt"), "--watch"]) == 0
    text = (tmp_path / "watched.txt").read_text("utf-8")
    assert text == (tmp_path / "plain.txt").read_text("utf-8")
    assert sorted(capsys.readouterr().out.splitlines()[:9]) == sorted(text.splitlines())


def test_a_terminal_shows_texts_on_their_way(run, monkeypatch):
    monkeypatch.setattr("generation.watch.PER_SECOND", 1e9)
    writer = Writer.of(train_model(run, Quiet()), torch.device("cpu"))
    drafts = [Draft(writer, ANYTHING, 0, k, 0) for k in range(6)]
    console = PlainConsole(file=io.StringIO(), force_terminal=True, width=200, height=40)
    seen: list[str] = []

    class Recording(Watcher):
        def __call__(self, drafts, ids):
            super().__call__(drafts, ids)
            seen.extend(self.now[id(draft)] for draft in drafts)

    with Live(console=console, auto_refresh=False) as live:
        ThisMachine(Recording(writer, console, live)).written(writer, drafts, writer.settings())
    texts = [draft.written(writer.vocabulary).text for draft in drafts]
    lengths = {len(text) for text in texts}
    assert {len(state) for state in seen} <= lengths
    assert any(set(state) == {UNWRITTEN} for state in seen) and any(state in texts for state in seen)
    assert all(text in console.file.getvalue() for text in texts)


def test_the_courses_of_documents_lead_to_their_texts(run, tmp_path, capsys):
    assert generate.main([*options(run, tmp_path, "o.txt"), "--courses", "--prefix", "a "]) == 0
    texts = (tmp_path / "o.txt").read_text("utf-8").splitlines()
    courses = [json.loads(line) for line in (tmp_path / "o.courses.jsonl").read_text("utf-8").splitlines()]
    assert [record["index"] for record in courses] == list(range(9))
    assert [text_after(Change(*change) for change in record["course"]) for record in courses] == texts
    assert all(record["course"][0] == [0, [0, 1], "a "] for record in courses)
    capsys.readouterr()
    assert generate.main(options(run, tmp_path, "o.txt")) == 0 and (tmp_path / "o.courses.jsonl").exists()
    what = f"{tmp_path / 'o.courses.jsonl'}: left as it is, of earlier documents; --courses writes it anew"
    assert what in capsys.readouterr().out.replace("\n", "")
    assert generate.main([*options(run, tmp_path, "o.txt"), "--courses"]) == 0
    (tmp_path / "o.courses.jsonl").write_text("mine")
    assert generate.main(options(run, tmp_path, "o.txt")) == 0 and (tmp_path / "o.courses.jsonl").exists()
    assert generate.main([*options(run, tmp_path, "o.txt"), "--courses"]) == 2
    assert (tmp_path / "o.courses.jsonl").read_text() == "mine"


@pytest.mark.parametrize("asked", [[], ["--courses"]])
def test_courses_are_kept_only_where_they_are_asked_for(run, tmp_path, asked):
    """They take a hundred times the memory of the texts."""
    writer = Writer.of(train_model(run, Quiet()), torch.device("cpu"))
    arguments = generate.parse_arguments([*options(run, tmp_path, "o.txt"), *asked])
    written = generate.write_all(arguments, writer, writer.settings(), ANYTHING)
    assert len(written) == 9 and {bool(document.course) for document in written} == {bool(asked)}
