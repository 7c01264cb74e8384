"""The command `export.py page`: what it proves before it writes, and what it says if it cannot."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import collection
import export
from exporting import html, proof
from exporting.page import expected_texts
from exporting.quantise import SCHEMES
from exporting.voice import check_exportable
from generation.checkpoint import load_checkpoint, save_checkpoint
from generation.writer import Writer, write_documents
from nft.store import selection_json
from tests.exporting.voices import needs_node, page_with, voice_with
from tests.helpers import one_short_line, posix
from utils import UserError

FINE = ("--weights", "float16")


class Scripts(HTMLParser):
    """The text of every script of a page that has an id, as a browser finds it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.here = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.here = dict(attrs).get("id") or ""

    def handle_endtag(self, tag: str) -> None:
        self.here = ""

    def handle_data(self, data: str) -> None:
        self.found[self.here] = self.found.get(self.here, "") + data


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model's file in a folder of its own, beside the text that it was trained on."""
    monkeypatch.chdir(tmp_path)
    checkpoint = voice_with(tmp_path)
    path = Path("models/other.pt")
    save_checkpoint(path, checkpoint)
    return path


@pytest.fixture
def shown_set(model):
    """The folder of a set of three tokens, of the model."""
    Path("config.yaml").write_text("datasets: {toy: }\n", encoding="utf-8")
    made = ["make", "--size", "3", "--out", "outputs/set", "--model", str(model)]
    assert collection.main(made) < 2  # 1: of so wild a voice rules drop some for good
    return Path("outputs/set")


def run(model: Path, *options: str) -> int:
    return export.main(["page", "--model", str(model), *options])


@needs_node
def test_a_page_is_proven_and_its_model_writes_its_texts(model, capsys):
    assert run(model, *FINE, "--quantised", "models/live.pt", "--seed", "7") == 0
    said = capsys.readouterr().out
    page = Path("outputs/other_live.html")
    lost = re.search(r"Proven: 100 of 100 documents equal to Python's, logits within (\S+), NELBO ([+-]\S+) bits", said)
    assert lost and float(lost[1]) < 1e-4 and abs(float(lost[2])) < 0.02 and str(page) in said
    assert "Proven: 100 of 100" in page.read_text(encoding="utf-8")
    writer = Writer.of(load_checkpoint(Path("models/live.pt")), proof.CPU)
    texts = write_documents(writer, 7, range(5), writer.settings())
    with proof.Engine(page) as engine:
        assert [engine.write(7, index)["text"] for index in range(5)] == texts
    assert run(model, *FINE, "--seed", "7") == 0  # over its own page, which nobody changed
    page.write_text("mine", encoding="utf-8")
    assert run(model) == 2 and page.read_text(encoding="utf-8") == "mine"


@needs_node
def test_weights_that_are_too_coarse_are_not_written(model, capsys):
    assert run(model) == 2  # one scale for 16 random weights is coarse
    said = capsys.readouterr().err.splitlines()[-1]
    what = r"error: models/other\.pt: quantised as int8 its NELBO is 0\.\d+ bits worse, more than 0\.02"
    assert re.fullmatch(rf"{what}; choose --weights int8-grouped", said)
    assert not Path("outputs/other_live.html").exists()


@needs_node
def test_too_few_equal_documents_write_no_page(model, capsys, monkeypatch):
    real = proof.written_in_python
    monkeypatch.setattr("exporting.proof.written_in_python", lambda *what: real(*what) | {(0, 0): "x"})
    monkeypatch.setattr("exporting.proof.EQUAL", 1.0)
    assert run(model, *FINE) == 2
    assert "the page writes 99 of 100 documents as Python does, fewer than 100%" in capsys.readouterr().err
    assert not Path("outputs/other_live.html").exists()


@needs_node
def test_a_set_of_the_pages_model_is_shown_as_it_stands(model, capsys, monkeypatch):
    assert run(model, *FINE, "--unproven", "--quantised", "models/live.pt", "--output", "outputs/first.html") == 0
    Path("config.yaml").write_text("datasets: {toy: }\n", encoding="utf-8")
    made = ["make", "--size", "40", "--seed", "3", "--temperature", "0.9", "--out", "outputs/set"]
    assert collection.main([*made, "--model", "models/live.pt"]) < 2  # 1: of so wild a voice rules drop some for good
    tokens = [json.loads(line) for line in Path("outputs/set/samples.jsonl").read_text(encoding="utf-8").splitlines()]
    accepted = [token for token in tokens if token["accepted"]]
    again = {str(token["token_id"]): token["attempt"] for token in accepted if token["attempt"]}
    assert again and len(accepted) > 20
    assert run(model, *FINE, "--set", "outputs/set") == 0
    assert f"Proven: {len(accepted)} of {len(accepted)} tokens of the set, logits" in capsys.readouterr().out
    odd = accepted[2]["token_id"] - 1, accepted[2]["attempt"]
    with monkeypatch.context() as patched:
        patched.setattr("exporting.page.expected_texts", lambda *what: {**expected_texts(*what), odd: "x"})
        assert run(model, *FINE, "--set", "outputs/set") == 0
    named = f"outputs/set: the page writes another text for 1 token: {odd[0] + 1}\n"
    said = capsys.readouterr().out
    assert named in said and f"Proven: {len(accepted) - 1} of {len(accepted)} tokens of the set" in said
    assert run(model, *FINE, "--set", "outputs/set") == 0
    voice = json.loads(Scripts(Path("outputs/other_live.html").read_text(encoding="utf-8")).found["voice"])
    assert (voice["attempts"], voice["size"], voice["seed"], voice["sampler"]["temperature"]) == (again, 40, "3", 0.9)
    before = Path("outputs/other_live.html").read_bytes()
    other = [*made[:-1], "outputs/wild", "--model", str(model)]  # of the model itself, whose texts are others
    assert collection.main(other) < 2
    assert run(model, "--weights", "int8-grouped", "--set", "outputs/wild") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        r"error: models/other\.pt: the page writes \d+ of \d+ tokens of outputs/wild, fewer than 95%; make the set from"
        r" the model that --quantised writes, and give the same --weights as then",
        error,
    )
    assert Path("outputs/other_live.html").read_bytes() == before


@posix
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 9", "{} does not run the page's engine (what it says stands above); install Node.js 18 or later"),
        ("echo mine", "{} does not run the page's engine (what it says stands above); install Node.js 18 or later"),
        (
            "read task; echo '{\"engine\": 1}'",
            "the page's engine ended (what it says stands above); free memory and try again",
        ),
    ],
)
def test_a_node_that_does_not_run_the_engine_is_one_line(model, tmp_path, capsys, monkeypatch, script, message):
    program = tmp_path / "node"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr("exporting.proof.node", lambda: program)
    assert run(model, *FINE) == 2
    said = capsys.readouterr().err
    assert said.endswith(f"error: {message.format(program)}, or write the page --unproven\n")


@posix
def test_the_package_of_node_comes_before_that_of_the_system(tmp_path, monkeypatch):
    """Which may be too old: so the package that requirements-export.txt names was installed."""
    for place in ("system/node", "package/bin/node"):
        program = tmp_path / place
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "system"))
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path / "package")])
    monkeypatch.setattr(proof.importlib.util, "find_spec", lambda name: package)
    assert proof.node() == tmp_path / "package/bin/node"
    monkeypatch.setattr(proof.importlib.util, "find_spec", lambda name: None)
    assert proof.node() == tmp_path / "system/node"


def test_without_node_a_page_is_written_unproven_only(model, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(proof.importlib.util, "find_spec", lambda name: None)
    assert run(model) == 2
    message = capsys.readouterr().err
    assert message == f"error: {proof.NO_NODE}\n" and one_short_line(message)
    assert not Path("outputs/other_live.html").exists()
    assert run(model, "--unproven") == 0
    assert "Not proven equal to Python." in Path("outputs/other_live.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--temperature", "0"], "--temperature 0: must be between 0.001 and 10"),
        (
            ["--steps", "9"],
            "--steps: the sampler surest does not read it; it reads --stretch, --revisions, --temperature, --top-p",
        ),
        (
            ["--data", "nothing.txt"],
            "nothing.txt: no such file; name the text that models/other.pt was trained on with --data",
        ),
        (["--set", "s", "--seed", "3"], "--seed: the set says how its tokens were drawn; leave out --seed or --set"),
        (["--set", "s", "--top-p", "1"], "--top-p: the set says how its tokens were drawn; leave out --top-p or --set"),
        (
            ["--set", "models"],
            "models: no set is here; set.json is missing",
        ),
        (["--output", "models/other.pt"], "models/other.pt: this command reads it; name another --output"),
    ],
)
def test_mistakes_are_a_line_each(model, capsys, monkeypatch, options, message):
    monkeypatch.setattr("exporting.proof.node", lambda: Path("node"))
    assert run(model, *options) == 2
    assert capsys.readouterr().err == f"error: {message.replace('nothing.txt', f'{Path.cwd()}/nothing.txt')}\n"


def test_a_network_that_the_page_does_not_compute_is_refused(tmp_path, capsys):
    checkpoint = voice_with(tmp_path)
    model = checkpoint.run.model.model_copy(update={"parameterization": "score"})
    score = replace(checkpoint, run=checkpoint.run.model_copy(update={"model": model}))
    with pytest.raises(
        UserError, match=r"^m.pt: its model.parameterization is 'score', which the page does not compute"
    ):
        check_exportable(score, "m.pt")
    with pytest.raises(UserError, match=r"^m.pt: a network of the notebook, which the page does not compute"):
        check_exportable(replace(checkpoint, network="notebook"), "m.pt")


def test_a_page_holds_all_it_needs_and_names_no_address(tmp_path):
    page, _ = page_with(voice_with(tmp_path, ["</script><b>", "&<!-- x", *["some words"] * 3]), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"https?://|src=|import\(|fetch\(|XMLHttp", text)
    assert not re.findall(r"<!--[A-Z]+-->|/\*[A-Z]+\*/", text)  # every place of the template is filled
    scripts = Scripts(text).found
    voice = json.loads(scripts["voice"])
    assert "<" in voice["symbols"] and voice["packed"] == len(scripts["weights"])
    assert scripts["engine"].strip() == html.joined(html.ENGINE)


@pytest.mark.parametrize(
    ("file", "field", "value"),
    [
        ("set.json", '"seed":', "Infinity"),
        ("set.json", '"sampler":', "[]"),
        ("samples.jsonl", '"attempt":', "-1"),
        ("samples.jsonl", '"token_id":', "1e400"),
    ],
)
def test_a_damaged_set_is_one_line(shown_set, capsys, file, field, value):
    path = shown_set / file
    damaged = re.sub(rf"{field} ?(\d+|\{{[^}}]*\}})", f"{field}{value}", path.read_text(encoding="utf-8"), count=1)
    path.write_text(damaged, encoding="utf-8")
    assert run(Path("models/other.pt"), "--unproven", "--set", str(shown_set)) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {path}") and one_short_line(message)


def test_a_set_without_a_token_is_one_line(shown_set, capsys):
    for name in ("samples.jsonl", "courses.jsonl"):
        (shown_set / name).write_bytes(b"")
    assert run(Path("models/other.pt"), "--unproven", "--set", str(shown_set)) == 2
    assert capsys.readouterr().err == f"error: {shown_set}: the set holds no token; run collection.py make first\n"


def test_what_a_set_withholds_and_its_page_shows_is_counted(shown_set, capsys):
    records = [json.loads(line) for line in (shown_set / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    accepted = [record["token_id"] for record in records if record["accepted"]]
    (shown_set / "selection.json").write_text(selection_json(accepted[:1]), encoding="utf-8")
    assert run(Path("models/other.pt"), "--unproven", "--set", str(shown_set)) == 0
    what = "2 tokens masked, dropped or not chosen; the page shows these as the model wrote them"
    assert f"{shown_set}: {what}\n" in "".join(capsys.readouterr())


@pytest.mark.parametrize("changed", ["training_sha256", "data_sha256"])
def test_a_set_of_another_model_is_refused_before_any_proof(shown_set, capsys, changed):
    save_checkpoint(Path("models/mine.pt"), replace(load_checkpoint(Path("models/other.pt")), **{changed: "0" * 64}))
    assert run(Path("models/mine.pt"), "--unproven", "--set", str(shown_set)) == 2
    of = "its tokens are of another training than models/mine.pt; name the set's own model with --model"
    assert capsys.readouterr().err == f"error: {shown_set}: {of}\n"
    assert not Path("outputs/mine_live.html").exists()


@pytest.mark.parametrize("name", ["set.json", "samples.jsonl", "courses.jsonl"])
def test_a_set_that_is_shown_is_not_written_over(shown_set, capsys, name):
    before = (shown_set / name).read_bytes()
    output = str(shown_set / name)
    assert run(Path("models/other.pt"), "--unproven", "--set", str(shown_set), "--output", output, "--overwrite") == 2
    assert capsys.readouterr().err == f"error: {output}: this command reads it; name another --output\n"
    assert (shown_set / name).read_bytes() == before


def test_the_coarser_model_is_written_over_nothing_else(model, capsys):
    mine = Path("mine.txt")
    mine.write_text("mine", encoding="utf-8")
    Path("config.yaml").write_text("datasets: {toy: }\n", encoding="utf-8")
    reads = "this command reads it; name another --quantised"
    missing = "the list of what it wrote there, .mine.txt.written.jsonl, is missing or empty"
    fix = "name another --quantised, or replace it with --overwrite"
    foreign = f"not known as this program's: {missing}; {fix}"
    for path, message in {
        "mine.txt": foreign,
        "config.yaml": reads,
        "models/other.pt": reads,
        "outputs": "not a regular file; name another --quantised",
        "outputs/page.html": "--output names the same file; name another --quantised",
        "outputs/../outputs/page.html": "--output names the same file; name another --quantised",
    }.items():
        Path("outputs").mkdir(exist_ok=True)
        assert run(model, "--unproven", "--quantised", path, "--output", "outputs/page.html") == 2
        assert capsys.readouterr().err == f"error: {path}: {message}\n"
    assert mine.read_text(encoding="utf-8") == "mine" and not Path("outputs/page.html").exists()


@pytest.mark.parametrize("command", ["page", "onnx"])
def test_weights_that_give_no_numbers_are_one_line(model, capsys, command):
    """Finite weights may overflow on the way: NaN is above and below no bound."""
    checkpoint = load_checkpoint(model)
    weights = {**checkpoint.weights, "head.weight": torch.full_like(checkpoint.weights["head.weight"], 3e38)}
    save_checkpoint(Path("models/large.pt"), replace(checkpoint, weights=weights))
    assert export.main([command, "--model", "models/large.pt"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: models/large.pt: the network's output is not a number")
    assert one_short_line(message)
    assert not [*Path("outputs").glob("*"), *Path("models").glob("*.onnx")]


def test_a_title_and_a_platform_are_in_the_page(model):
    assert run(model, "--unproven", "--title", "<i>Birds</i>", "--platform", "fxhash", "--theme", "clay") == 0
    text = Path("outputs/other_live.html").read_text(encoding="utf-8")
    assert "<title>&lt;i&gt;Birds&lt;/i&gt;</title>" in text and '<script src="./fxhash.js"></script>' in text
    voice = json.loads(Scripts(text).found["voice"])
    assert (voice["title"], voice["theme"], voice["name"]) == ("<i>Birds</i>", "clay", "toy")


def test_choices_of_the_command_are_the_tables_of_the_room():
    assert tuple(html.SCRIPTS) == export.PLATFORMS and tuple(SCHEMES) == export.WEIGHTS
