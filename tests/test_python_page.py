"""The programs of docs/python.md, as they stand there, one after the other in a folder with a tiny text."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

import generate
from evaluation.evaluator import split_likelihood, text_likelihood
from generation.checkpoint import load_checkpoint
from generation.writer import Writer
from tests.helpers import ROOT, TINY, Quiet, toy_lines
from text.corpus import load_corpus
from training.trainer import train_model

PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text("utf-8"), re.DOTALL)


@pytest.fixture
def run_program(tmp_path, monkeypatch, capsys):
    """A function: the number of a program of the page -> the lines that it prints, in a project of its own."""
    monkeypatch.chdir(tmp_path)
    Path("datasets").mkdir()
    Path("datasets/tweets.txt").write_text("\n".join(toy_lines(120)) + "\n", "utf-8")
    sections = {
        **TINY,
        "diffusion": {"process": "absorbing"},
        "sampling": {"sampler": "surest", "stretch": 8, "overlap": 8},
    }
    with Path("config.yaml").open("w", encoding="utf-8") as file:
        YAML().dump({**sections, "collection": {"pieces": []}, "datasets": {"tweets": {}}}, file)

    def run(number: int) -> list[str]:
        capsys.readouterr()
        exec(compile(PROGRAMS[number], f"docs/python.md, program {number + 1}", "exec"), {"__name__": "__main__"})
        return capsys.readouterr().out.splitlines()

    return run


def test_the_programs_of_the_page_run_one_after_the_other(run_program):
    assert len(PROGRAMS) == 5 and max(len(program.splitlines()) for program in PROGRAMS) < 20
    *validations, last = run_program(0)
    model = load_checkpoint(Path("models/tweets.pt"))
    assert [line.split(":")[0] for line in validations] == ["50%", "100%"]
    assert last == f"{Path('models/tweets.pt')} {model.metrics['held_out_bits']}"

    arguments = ["--model", "models/tweets.pt", "--samples", "5", "--temperature", "0.7", "--output", "drawn.txt"]
    drawn = run_program(1)
    assert generate.main(arguments) == 0 and drawn == Path("drawn.txt").read_text("utf-8").splitlines()

    scores = [re.fullmatch(r"(\d+\.\d\d) ± (\d+\.\d\d) bits per character: (.*)", line) for line in run_program(2)]
    assert len(scores) == 2 and all(score and 0 < float(score[1]) < 20 for score in scores)

    Path("models/tweets.resume.pt").write_bytes(b"")  # of an interrupted training
    [judged] = run_program(3)
    assert judged.startswith("tweets: ") and judged.endswith(" 50") and "bits/char" in judged

    tokens = [line for line in run_program(4) if line.startswith("0 ")]
    records = Path("outputs/tweets/samples.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(record)["text"] for record in records]
    assert len(tokens) == 3 and all(text in line for text, line in zip(texts, tokens, strict=True))


def test_the_score_of_texts_is_the_likelihood_of_the_same_documents(tiny_run):
    run = tiny_run(data={"vocab_size": 10})
    train_model(run)
    writer, corpus = Writer.of(load_checkpoint(run.model_file()), torch.device("cpu")), load_corpus(run)
    documents = [corpus.held_out.document(k) for k in range(len(corpus.held_out.lengths))]
    # what a voice does not know may be any character that it lacks
    texts = [corpus.vocabulary.decode(np.asarray(ids)).replace("\ufffd", "§") for ids in documents]
    expected, _ = split_likelihood(writer, corpus.held_out, 10_000)
    assert text_likelihood(writer, ["", *texts], characters=10_000) == expected
    with pytest.raises(ValueError, match="no text to measure"):
        text_likelihood(writer, ["", ""])


def test_a_training_without_a_listener_is_that_of_one_who_listens(tiny_run, capsys):
    run = tiny_run()
    train_model(run, Quiet())
    heard = run.model_file().read_bytes()
    run.model_file().unlink()
    train_model(run)
    assert run.model_file().read_bytes() == heard and capsys.readouterr().out == ""
