"""The card of a folder for Hugging Face: it says what was measured and what is known, and no more."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

import evaluate
import export
from command.outputs import Outputs
from evaluation.stored import stored_evaluation
from exporting.card import LICENSES, Subject, card_of, license_of
from generation.checkpoint import load_checkpoint, save_checkpoint
from tests.exporting.hubs import Drawing, card, export_folder, trained
from tests.helpers import Quiet, make_run, toy_lines
from text.lengths import Lengths
from training.trainer import train_model
from utils import hash_file

hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: requirements-export.txt")
pytest.importorskip("safetensors", reason="safetensors is not installed: requirements-export.txt")
__all__ = ["trained"]  # a fixture


def test_the_card_is_one_of_the_hub_and_holds_what_was_measured(trained, capsys):
    assert evaluate.main(["--model", "models/toy.pt", "--count", "12"]) == 0
    capsys.readouterr()
    assert export_folder("--language", "en", "--language", "no") == 0
    files = ["README.md", "model.safetensors", "config.json", "vocabulary.json", "samples.txt", "learning_curve.png"]
    said = capsys.readouterr().out.replace(os.sep, "/").splitlines()
    assert said == [
        f"hub/toy: {', '.join([*files, 'evaluation.png'])}",
        "nothing was uploaded; the last lines of hub/toy/README.md say how",
    ]
    # all of huggingface_hub's validation that needs no network: it reads the head with the Hub's own pattern, builds
    # the typed data and the model index, raises for either that is not valid, and writes the same head again
    read = hub.ModelCard.load("hub/toy/README.md")
    assert str(read) == card() and hub.ModelCardData(**read.data.to_dict()).to_dict() == read.data.to_dict()
    data = read.data
    assert (data.license, data.language, data.library_name) == ("cc-by-sa-4.0", ["en", "no"], "diffusion-gpt-local")
    assert data.pipeline_tag == "text-generation" and "character-level" in data.tags and data.model_name == "toy"
    stored = json.loads(Path("outputs/toy_evaluation.json").read_text("utf-8"))
    model = load_checkpoint(Path("models/toy.pt"))
    found = {(row.metric_type, row.metric_name): row.metric_value for row in data.eval_results}
    expected = {
        ("bits-per-character", "NELBO of the training's validation"): model.metrics["held_out_bits"],
        ("bits-per-character", "NELBO"): stored["likelihood"]["held_out"]["bits"],
        **{("bits-per-character", f"exact, {k}"): v["bits"] for k, v in stored["likelihood"]["ordered"].items()},
        **{(re.sub("[^a-z0-9]+", "-", k.lower()), k): v["samples"]["value"] for k, v in stored["figures"].items()},
    }
    expected = {key: value for key, value in expected.items() if value is not None}
    assert found == pytest.approx(expected, abs=5e-5) and len(found) > 8
    assert {row.dataset_revision for row in data.eval_results} == {model.data_sha256}
    assert stored["figures"]["known words"]["samples"]["value"] is None or "| known words | " in card()
    assert f"| documents judged | {stored['judged']} |" in card() and model.data_sha256 in card()
    assert re.search(r"(?m)^\*\*.*$", Path("outputs/toy_evaluation.md").read_text("utf-8"))[0] in card()
    assert "https://a.example\\nand <b>`b`</b>" in card()  # as code, on one line
    assert card().endswith(
        '```\nhf upload USER/toy . . --exclude desktop.ini --exclude Thumbs.db --exclude ".*"\n```\n'
    )


def test_what_was_not_measured_is_not_in_the_card(trained, capsys):
    def says(why: str) -> None:
        capsys.readouterr()
        assert export_folder() == 0
        assert f"not evaluated: {why}; run evaluate.py, then this again" in capsys.readouterr().out.replace(os.sep, "/")
        assert "Not measured: " in card() and "documents judged" not in card()
        assert len(hub.ModelCard(card()).data.eval_results) == 1 and not Path("hub/toy/evaluation.png").exists()

    report = Path("outputs/toy_evaluation.json")
    says("there is no toy_evaluation.json")
    assert evaluate.main(["--model", "models/toy.pt", "--count", "12"]) == 0
    assert export_folder() == 0 and "documents judged" in card() and Path("hub/toy/evaluation.png").exists()
    written = report.read_bytes()
    report.write_bytes(written.replace(b'"gauge": "', b'"gauge": "creating or '))
    says("toy_evaluation.json was changed since evaluate.py wrote it")
    report.write_bytes(written)
    hidden = Path("outputs/.toy_evaluation.md.written.jsonl")
    known = hidden.read_bytes()
    hidden.unlink()  # as when the folder was copied without hidden files
    missing = f"the list of what it wrote there, {hidden.name}, is missing or empty"
    says(f"toy_evaluation.json is not known as this program's: {missing}")
    hidden.write_bytes(known)
    checkpoint = load_checkpoint(Path("models/toy.pt"))
    other = {name: value + 1 for name, value in checkpoint.weights.items()}  # a file states its own hashes and figures
    Path("models/toy.pt").unlink()
    save_checkpoint(Path("models/toy.pt"), replace(checkpoint, weights=other))
    says("toy_evaluation.json is of another model")
    Path("models/toy.pt").unlink()
    train_model(trained.model_copy(update={"seed": 5}), Quiet())
    says("toy_evaluation.json is of another model")
    assert "no language: give it with --language, en for example" in (export_folder(), capsys.readouterr().out)[1]


def test_figures_of_other_samples_are_not_in_the_card(trained, capsys):
    """Samples of a file may be anybody's; and the same weights draw otherwise with other settings or lengths."""

    def says(why: str) -> None:
        capsys.readouterr()
        assert export_folder() == 0
        assert f"not evaluated: {why}; run evaluate.py, then this again" in capsys.readouterr().out.replace(os.sep, "/")
        assert "Not measured: " in card() and len(hub.ModelCard(card()).data.eval_results) == 1
        assert not Path("hub/toy/evaluation.png").exists()

    model = Path("models/toy.pt")
    Path("drawn with seed 0").write_text("\n".join(toy_lines(20, 5)), "utf-8")
    assert evaluate.main(["--model", str(model), "--samples", "drawn with seed 0"]) == 0
    says("toy_evaluation.json judged the documents of drawn with seed 0, not what the model draws")
    assert evaluate.main(["--model", str(model), "--count", "12"]) == 0
    assert export_folder() == 0 and "documents judged" in card()
    assert export.main(["hub", "--model", "hub/toy", "--out", "again/toy"]) == 0  # the same model, of other bytes
    assert "documents judged" in Path("again/toy/README.md").read_text("utf-8")
    checkpoint, whole = load_checkpoint(model), model.read_bytes()
    warmer = checkpoint.run.sampling.model_copy(update={"temperature": 0.5})
    longer = Lengths(checkpoint.lengths.values + 50, checkpoint.lengths.counts)
    for other in (
        replace(checkpoint, run=checkpoint.run.model_copy(update={"sampling": warmer})),
        replace(checkpoint, lengths=longer),
    ):
        model.unlink()
        save_checkpoint(model, other)
        says("toy_evaluation.json is of another model")
    model.write_bytes(whole)
    report = Path("outputs/toy_evaluation.json")
    stored = json.loads(report.read_text("utf-8"))
    earlier = {key: value for key, value in stored.items() if key not in ("voice_sha256", "drawn")}
    names = ["toy_evaluation.md", "toy_evaluation.json"]
    Outputs(Path("outputs"), names, [], overwrite=True).write(b"", json.dumps(earlier).encode())
    says(f"{report.name} is of an earlier version, which did not say what drew the samples")


def test_a_stored_evaluation_that_is_none_is_one_line(trained, capsys):
    names = ["toy_evaluation.md", "toy_evaluation.json"]
    for content, message in (
        (b"[", "not JSON"), (b"[" * 100_000, "not JSON"), (b"{}", "samples: is missing"),
    ):  # fmt: skip
        Outputs(Path("outputs"), names, [], overwrite=True).write(b"", content)
        assert export_folder() == 2
        error = capsys.readouterr().err.replace(os.sep, "/")
        assert error.startswith("error: outputs/toy_evaluation.json: ") and error.count("\n") == 1, error
        assert "; evaluate.py writes it anew" in error and message.split(":")[0] in error
        assert not list(Path("hub/toy").glob("*"))


def test_a_licence_is_named_as_the_hub_names_it():
    for text, known in (
        ("", "unknown"),
        ("MIT", "mit"),
        ("CC0 1.0", "cc0-1.0"),
        ("CC-BY 4.0", "cc-by-4.0"),
        ("ask me", "other"),
    ):
        assert license_of(text) == known and known in LICENSES


@pytest.mark.parametrize(
    ("text", "name"),
    [("Terms of <b>a.example</b>: ask!", "terms-of-b-a.example-b-ask"), ("商用利用可", "see-card")],
)
def test_another_licence_has_a_name(trained, text, name):
    Path("config.yaml").write_text(f"datasets: {{toy: {{license: '{text}'}}}}", "utf-8")
    assert export_folder() == 0
    data = hub.ModelCard.load("hub/toy/README.md").data
    assert (data.license, data["license_name"]) == ("other", name)
    assert f"The texts: `{text}`" in card()


def test_no_path_of_the_machine_is_in_the_card(trained, tmp_path):
    folder, outputs = tmp_path / "private" / "toy", tmp_path / "own reports"
    Path("config.yaml").write_text(f"paths: {{outputs: '{outputs.as_posix()}'}}", "utf-8")
    for evaluated in (False, True):
        if evaluated:
            assert evaluate.main(["--model", "models/toy.pt", "--count", "12"]) == 0
        assert export.main(["hub", "--model", "models/toy.pt", "--out", str(folder), "--overwrite"]) == 0
        text = (folder / "README.md").read_text("utf-8")
        assert not [name for name in (tmp_path.name, folder.parent.name, outputs.name) if name in text]
        assert ("there is no toy" in text) == (not evaluated)


def test_samples_cannot_end_the_head_or_their_block(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [f"{'-' * 3} ``` a@b.example {n}" for n in range(40)]
    train_model(make_run(tmp_path, lines, data={"vocab_size": 60}), Quiet())
    assert export_folder() == 0
    capsys.readouterr()
    read = hub.ModelCard.load("hub/toy/README.md")
    assert read.data.model_name == "toy" and str(read) == card()
    samples = Path("hub/toy/samples.txt").read_text("utf-8")
    fence = re.findall(r"\n(`{3,})\n" + re.escape(samples) + r"\1\n", card())
    assert len(fence) == 1 and fence[0] not in samples


def test_the_card_warns_of_personal_data_and_of_texts_that_were_not_compared(trained):
    assert evaluate.main(["--model", "models/toy.pt", "--count", "12"]) == 0
    model = load_checkpoint(Path("models/toy.pt"))
    found, why_not = stored_evaluation(Path("outputs"), "toy", model)
    assert found and not why_not
    unseen = found.model_copy(update={"unseen": ["base"], "held_out_seen": 3})
    text = card_of(Subject(Path("hub/toy"), model, ["write to a@b.example"], 1, unseen, "", {}, []))
    assert "\n1 document of these may hold personal data.\n" in text and "\nlanguage:" not in text
    assert "Not compared with the texts of base, from which it learnt too." in text
    assert "| held-out documents that its start may have learnt | 3 |" in text


def test_a_model_of_which_nothing_is_known_has_a_card(trained):
    checkpoint = load_checkpoint(Path("models/toy.pt"))
    bare = replace(checkpoint, metrics={"parameters": 5}, network="transformer", data_sha256="", training_sha256="")
    metrics = {"held_out_bits": float("nan"), "held_out_error": float("nan"), "characters": 0}
    save_checkpoint(Path("models/bare.pt"), replace(bare, metrics=bare.metrics | metrics))
    assert export.main(["hub", "--model", "models/bare.pt", "--out", "hub/toy"]) == 0
    read = hub.ModelCard.load("hub/toy/README.md")
    assert not read.data.eval_results and "model-index" not in card() and "not known" in card()


def test_a_licence_of_another_text_of_that_name_is_not_taken(trained, capsys):
    Path("config.yaml").write_text("datasets: {toy: {license: CC0-1.0, source: mine}}\n", encoding="utf-8")
    trained.data_file().write_text("another\ntext\n", encoding="utf-8")
    assert export_folder() == 0
    said = "licence and source are those of the model: datasets/toy.txt is not the text that it learnt from"
    assert said in capsys.readouterr().out.replace(os.sep, "/") and "cc0-1.0" not in card()
    trained.data_file().unlink()
    assert export_folder() == 0
    said = "licence and source are those of the model: there is no datasets/toy.txt"
    assert said in capsys.readouterr().out.replace(os.sep, "/").splitlines() and "cc0-1.0" not in card()


def test_what_prepare_recorded_of_the_text_by_now_is_in_the_card(trained, capsys):
    Path("config.yaml").unlink()
    record = {"license": "CC0-1.0", "source": "a.csv, column text", "text": {"sha256": hash_file(trained.data_file())}}
    place = trained.data_file().with_suffix(".source.json")
    place.write_text(json.dumps(record), "utf-8")
    for there in (True, False):  # the record names the text that the model learnt from
        if not there:
            trained.data_file().unlink()
        assert export_folder() == 0
        assert "no licence" not in capsys.readouterr().out
        assert "license: cc0-1.0" in card() and "\n`a.csv, column text`. The model" in card()
    checkpoint = load_checkpoint(Path("models/toy.pt"))
    Path("models/toy.pt").unlink()
    save_checkpoint(Path("models/toy.pt"), replace(checkpoint, data_sha256=""))  # as imported: of no known text
    for text in ({}, {"sha256": hash_file(Path("models/toy.pt"))}):
        place.write_text(json.dumps(record | {"text": text}), "utf-8")
        assert export_folder() == 0 and "license: unknown" in card()


def test_the_curve_of_another_training_is_not_shown(trained, capsys):
    """As when an earlier model is put back, or another training ended between its curve and its model."""
    assert export_folder() == 0 and Path("hub/toy/learning_curve.png").exists()
    earlier, picture = Path("models/toy.pt").read_bytes(), Path("models/toy.png").read_bytes()
    Path("models/toy.pt").unlink()
    longer = trained.model_copy(update={"training": trained.training.model_copy(update={"max_steps": 9})})
    train_model(longer, Drawing(longer))
    assert export_folder() == 0 and Path("hub/toy/learning_curve.png").read_bytes() != picture
    capsys.readouterr()
    Path("models/toy.pt").write_bytes(earlier)
    assert export_folder() == 0 and not Path("hub/toy/learning_curve.png").exists()
    told = (
        f"no learning curve: {Path('models/toy.png')} is of another training, of an earlier version, or somebody else's"
    )
    assert told in capsys.readouterr().out.splitlines() and "learning curve" not in card()
    Path("models/toy.png").write_bytes(picture)
    assert export_folder() == 0 and Path("hub/toy/learning_curve.png").read_bytes() == picture


def test_a_picture_of_a_person_is_no_learning_curve(trained, capsys):
    Path("models/toy.png").write_bytes(b"\x89PNG\r\n\x1a\nmine")
    assert export_folder() == 0
    assert not Path("hub/toy/learning_curve.png").exists()
