"""A token is the same however and whenever it is drawn, and says where it comes from."""

import hashlib
import json
import re
from types import SimpleNamespace

from command import console
from config.loader import Config
from generation.checkpoint import load_checkpoint
from generation.draft import Written
from generation.writer import Writer, write_documents
from nft.formats import SET_FORMAT
from nft.originals import reference_of
from nft.tokens import text_figures, writing_figures, written_attempts
from tests.helpers import Quiet, toy_lines
from tests.nft.sets import records, texts
from text.corpus import load_corpus
from training.trainer import train_model
from utils import pick_device


def test_a_token_is_the_same_alone_in_small_and_large_sets_and_any_batch(studio):
    run, make = studio
    small, one, seven, large = (
        make(f"set{i}", size, "--batch-size", batch)[1]
        for i, (size, batch) in enumerate([(5, "64"), (16, "1"), (16, "7"), (16, "64")])
    )
    assert (one / "samples.jsonl").read_bytes() == (seven / "samples.jsonl").read_bytes()
    assert (one / "samples.jsonl").read_bytes() == (large / "samples.jsonl").read_bytes()
    assert texts(small) == texts(large)[:5]
    record = json.loads((large / "samples.jsonl").read_text(encoding="utf-8").splitlines()[11])
    writer = Writer.of(load_checkpoint(run.model_file()), pick_device("cpu"))
    [alone] = written_attempts(writer, writer.settings(), 0, [(12, record["attempt"])])
    assert alone.text == record["text"]
    assert write_documents(writer, 0, [11], writer.settings(), attempt=record["attempt"]) == [record["text"]]


def test_a_line_of_the_text_in_other_letters_is_a_copy(tiny_run, tmp_path):
    """As "Looks like a camaro." is of "Looks like a Camaro."; in earlier sets it was none."""
    run = tiny_run([line.title() if number % 2 else line for number, line in enumerate(toy_lines(40))])
    train_model(run, Quiet())
    corpus, checkpoint = load_corpus(run), load_checkpoint(run.model_file())
    line = corpus.vocabulary.decode(corpus.train.document(0))
    other = corpus.vocabulary.encode(line.lower() if line != line.lower() else line.title())
    assert corpus.vocabulary.decode(other) not in (line, "")
    for set_format, same in ((SET_FORMAT, True), (10, False)):
        reference, _ = reference_of(corpus, checkpoint, Config(tmp_path, {}), set_format)
        assert reference.are_lines([other]) == [same]


def test_a_set_says_how_far_it_is_while_a_batch_is_drawn(studio, tmp_path, monkeypatch, capsys):
    """Not once all of it is there: a batch of long texts takes minutes."""
    monkeypatch.setattr(console, "SECONDS_A_LINE", 0)
    monkeypatch.setattr(Writer, "call_positions", 64)  # so that a batch takes many calls, as of long texts
    (tmp_path / "letters.txt").write_text("\n".join("abcdefghijklmnopqrstuvwxyz0123456789"), encoding="utf-8")
    _, make = studio
    rules = {"words": "drop", "word_list": str(tmp_path / "letters.txt")}
    status, folder = make("set", 40, "--batch-size", "40", **rules)
    lines = re.findall(r"tokens drawn: (\d+) of 40", capsys.readouterr().err)
    drawn = [int(number) for number in lines]
    assert status == 0 and drawn == sorted(drawn) and drawn[-1] == 40 and drawn[0] < 20
    assert any(record["dropped"] for record in records(folder))  # what is drawn again does not count again


def test_a_token_says_where_it_comes_from(studio):
    run, make = studio
    _, folder = make("set", 4)
    record = json.loads((folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()[2])
    assert (record["token_id"], record["seed"], record["device"].split()[0]) == (3, 0, "cpu")
    assert record["sha256"] == hashlib.sha256(record["text"].encode()).hexdigest() and record["chars"] == len(
        record["text"]
    )
    assert record["model_sha256"] == hashlib.sha256(run.model_file().read_bytes()).hexdigest()
    assert record["data_sha256"] == hashlib.sha256(run.data_file().read_bytes()).hexdigest()
    assert record["sampler"]["steps"] == 4 and set(record["traits"]) >= {"Length", "Confidence", "Settling"}
    assert 0 < record["confidence"] <= 1 and 1 <= record["settling"] <= 4 and 0 <= record["novelty"] <= 1


def test_figures_of_a_token_are_what_the_page_says():
    reference = SimpleNamespace(words={"the", "parser"})
    expected = {"chars": 15, "longest_match": 6, "novelty": 0.6, "invented": round(1 / 3, 6)}
    assert text_figures("The zork parser", 6, reference) == expected
    assert text_figures("", 0, reference) == {"chars": 0, "longest_match": 0, "novelty": 1, "invented": 0}
    assert writing_figures(Written("a", 0.25, 3, 7, [])) == {"confidence": 0.25, "settling": 3, "corrections": 7}
