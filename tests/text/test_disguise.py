"""Tables and JSON with the name of a text are named with what to type; texts are texts."""

import csv
import io
import json
from pathlib import Path

import pytest

from command.messages import argument
from tests.helpers import ROOT, toy_lines
from text.disguise import check_samples, check_text, suspicion
from training.trainer import Training
from utils import UserError

OBJECTS = [json.dumps({"id": n, "text": line}) for n, line in enumerate(toy_lines(40))]
CORPORA = sorted((ROOT.parent / "shared" / "corpora").glob("*.txt"))


def table(delimiter: str = ",") -> list[str]:
    out = io.StringIO()
    rows = [[n, line + ", with a comma", n % 5] for n, line in enumerate(toy_lines(40))]
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows([["id", "review text", "stars"], *rows])
    return out.getvalue().splitlines()


def test_json_that_bears_the_name_of_a_text_is_not_trained_on(tiny_run):
    for content in (OBJECTS, ["[", *(line + "," for line in OBJECTS), "]"], ["[" + ",".join(OBJECTS) + "]"]):
        run = tiny_run(content)
        path = run.data_file()
        with pytest.raises(UserError) as error:
            Training(run)
        command = f"rename it to toy.json, then python prepare.py {path.with_suffix('.json')} --name toy"
        assert str(error.value) == f"{path}: is JSON, not a text; {command}"
        check_text(tiny_run(content, data={"format": "stream"}))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_looks_like_a_table_is_trained_on_with_a_warning(tiny_run, delimiter):
    run = tiny_run(table(delimiter))
    check_text(run)
    path = run.data_file().with_suffix(".csv")
    assert suspicion(run) == (
        f"toy.txt looks like a table; if it is one, rename it to toy.csv, then python prepare.py {path} --name toy"
    )
    assert suspicion(tiny_run(table(delimiter), data={"format": "stream"})) == ""  # continuous text may be anything


def test_a_table_whose_name_no_dataset_can_have_is_told_to_be_given_another(tiny_run):
    run = tiny_run(table(","))
    path = run.data_file().rename(run.data_file().with_name("my reviews.txt"))
    named = run.model_copy(update={"data": run.data.model_copy(update={"file": path.name})})
    renamed = argument(path.with_suffix(".csv"))
    assert suspicion(named).endswith(f"rename it to my reviews.csv, then python prepare.py {renamed} --name NAME")


TEXTS = [
    ["{", "}", "{}", "a {json: object} in a text", '{"almost": json}', "{x}"],
    ["{'a': 1}", "{'b': 2}", "{'c': 3}"],
    [OBJECTS[0], OBJECTS[1], "a text"],
    OBJECTS[:2],
    ["red, green, blue", "one, two, three", "sun, moon, stars", "a, b, c"],
    ["Name, rank, number", "Ann, captain, none", "Bob, major, 3"],
    ["1, 2", "3, 4", "5, 6", "7, 8"],
    ["a | b", "c | d", "e | f"],
    ["[1] a note", "[2] another", "[3] one more"],
    ['"quoted, text"', '"and, more', "x"],
    ["one"],
    [],
    ["\x00,\x00", "\x00,1", "a,2"],
]


@pytest.mark.parametrize("lines", TEXTS)
def test_ordinary_texts_are_texts(tiny_run, lines):
    run = tiny_run(lines or b"\n")
    check_text(run)
    assert suspicion(run) == ""
    run.data_file().unlink()  # as that of a training that goes on without it
    assert suspicion(run) == ""


@pytest.mark.skipif(not CORPORA, reason="../shared/corpora, the real texts, are not here")
@pytest.mark.parametrize("path", CORPORA, ids=lambda path: path.stem)
def test_real_corpora_are_texts(tiny_run, path: Path):
    run = tiny_run(path.read_bytes()[: 1 << 17].rsplit(b"\n", 1)[0])
    check_text(run)
    assert suspicion(run) == ""


@pytest.mark.parametrize(("lines", "kind"), [(OBJECTS, "JSON"), (table(), "a table"), (table("\t"), "a table")])
def test_samples_are_neither_json_nor_a_table(tmp_path, lines, kind):
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        check_samples(path, path.read_text(encoding="utf-8"))
    assert str(error.value) == f"{path}: is {kind}, not a text; name a text file, one document per line"
    path.write_text("\n".join(toy_lines(40)) + "\n", encoding="utf-8")
    check_samples(path, path.read_text(encoding="utf-8"))


def test_a_json_list_on_one_line_of_any_length_is_no_text(tmp_path, tiny_run):
    """As `json.dump` writes it."""
    text = json.dumps([{"text": f"number {k}"} for k in range(10_000)])
    with pytest.raises(UserError, match="is JSON, not a text"):
        check_samples(tmp_path / "samples.txt", text)
    with pytest.raises(UserError, match="is JSON, not a text"):
        check_text(tiny_run(text.encode()))
