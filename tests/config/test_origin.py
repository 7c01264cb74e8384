"""Source and licence that prepare.py recorded: taken up for the text of the record, and bounded."""

import json

import pytest

from config.loader import load_config
from config.origin import with_origin
from generation.checkpoint import load_checkpoint
from tests.helpers import Quiet
from training.trainer import train_model
from utils import UserError, hash_file, sha256

TEXT = sha256("the text")
RECORD = {"format": 1, "source": "a.csv, column text", "license": "CC0-1.0", "rows": 3, "from a later version": [],
          "text": {"sha256": TEXT, "bytes": 8}}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "toy.source.json").write_text(json.dumps(RECORD))
    return tmp_path


def resolved(folder, **entry):
    config = folder / "config.yaml"
    config.write_text(json.dumps({"paths": {"datasets": str(folder)}, "device": "cpu", "datasets": {"toy": entry}}))
    said = []
    run = with_origin(load_config(config).merged("toy", {}), TEXT, said.append)
    assert not said
    return run


def test_a_record_gives_source_and_licence_where_the_config_gives_none(folder):
    run = resolved(folder)
    assert (run.source, run.license) == ("a.csv, column text", "CC0-1.0")
    run = resolved(folder, license="MIT")
    assert (run.source, run.license) == ("a.csv, column text", "MIT")
    assert resolved(folder, source="s", license="l").source == "s"


@pytest.mark.parametrize("text", [{"sha256": sha256("another")}, {}])
def test_a_record_of_another_text_is_not_believed(folder, text):
    path, said = folder / "toy.source.json", []
    path.write_text(json.dumps({**RECORD, "text": text}))
    (folder / "config.yaml").write_text(json.dumps({"paths": {"datasets": str(folder)}, "license": "MIT"}))
    run = with_origin(load_config(folder / "config.yaml").merged("toy", {}), TEXT, said.append)
    assert (run.source, run.license) == ("", "MIT")
    what = "is the record of another text, so no source or license is taken from it; give them in config.yaml"
    assert said == [f"{path}: {what}"]


def test_a_model_says_only_what_was_recorded_of_its_text(tiny_run):
    run = tiny_run()
    record = run.data_file().with_suffix(".source.json")
    for text, expected in ((TEXT, ""), (hash_file(run.data_file()), "CC0-1.0")):
        record.write_text(json.dumps({**RECORD, "text": {"sha256": text}}))
        train_model(run, Quiet())
        assert load_checkpoint(run.model_file()).run.license == expected


def test_a_record_makes_no_finished_model_another(folder):
    with_record = resolved(folder).training_hash()
    (folder / "toy.source.json").unlink()
    assert resolved(folder).training_hash() == with_record and resolved(folder).source == ""


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is no JSON object"),
        (b"[]", "is no JSON object"),
        (b"[" * 100_000, "is no JSON object"),
        (b'{"source": 5}', "source: Input should be a valid string"),
        (b'{"license": "\\u001b[31m"}', "license: '\\x1b[31m' holds a control character"),
        (b'{"text": "a"}', "text: Input should be an object"),
        (json.dumps({"source": "x" * 20_001}).encode(), "source: String should have at most 20000 characters"),
    ],
)  # fmt: skip
def test_a_damaged_record_is_one_line(folder, content, what):
    path = folder / "toy.source.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        resolved(folder)
    assert str(error.value) == f"{path}: {what}; move it away"


def test_a_record_of_any_size_is_not_read(folder):
    path = folder / "toy.source.json"
    path.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(UserError, match="longer than 1,048,576 bytes"):
        resolved(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match="is a folder, not a file; move it away"):
        resolved(folder)
