"""An evaluation tells voices apart, finds copies, refuses the wrong text, and writes what it found."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluate
from dataset_loader import Batch
from evaluation.evaluator import (
    LIKELIHOOD_CHARACTERS,
    LIKELIHOOD_DRAWS,
    baselines_of,
    compare_voices,
    evaluate_voice,
    length_bits,
    of_lengths,
    split_likelihood,
    style_bits,
    windows_in_order,
)
from evaluation.ngram import framed
from evaluation.reference import Reference
from evaluation.report import summary, voice_page
from evaluation.two_sided import two_sided_bits
from generation import checkpoint
from generation.archive import read_hashed
from generation.writer import Writer
from tests.evaluation.voices import GREEK, judge, request, training_lines
from tests.helpers import WORDS, Quiet, prose, toy_lines
from text.corpus import load_corpus
from training.trainer import train_model


def config_file(run, folder: Path, *datasets: str) -> Path:
    """A config.yaml with the folders of a run and these datasets."""
    path = folder / "c.yaml"
    content = {"paths": run.paths.model_dump(), "datasets": {name: {} for name in datasets}}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_voice_that_learnt_twenty_lines_by_heart_is_memorising(tiny_run):
    lines = prose(WORDS, 20, 3)
    run = tiny_run(
        lines,
        model={"layers": 2, "heads": 2, "width": 48, "context": 64, "noise_width": 16, "dropout": 0.0},
        diffusion={"process": "absorbing"},  # which learns it in the fewest steps
        training={"batch_size": 16, "max_steps": 420, "validations": 1, "learning_rate": 0.02},
        sampling={"steps": 32, "temperature": 0.5},
    )
    # the last weights, not those that held-out text would have chosen: the case the gauge is for
    train_model(run, Quiet())
    copies = evaluate_voice("toy", run.model_file(), None, request(run)).copies
    assert copies.gauge == "memorising" and copies.share > 0.3
    shown = copies.worst[0]
    assert shown.match > copies.bound
    assert any(shown.text[i : i + shown.match] in line for line in lines for i in range(len(shown.text)))


def test_planted_copies_are_found_and_new_text_is_creating(two_voices, tmp_path):
    run = two_voices["build"]
    fresh = sorted(set(prose(WORDS, 80, 11)) - set(prose(WORDS, 500, 1)))[:50]
    assert judge(run, tmp_path, fresh).copies.gauge == "creating"
    long = sorted(prose(WORDS, 500, 1), key=len)[-40:]
    found = judge(run, tmp_path, fresh[:20] + long).copies
    assert found.gauge == "memorising" and set(found.flagged) <= set(range(20, 60)) and len(found.flagged) > 20
    short = sorted(prose(WORDS, 500, 1), key=len)[:40]
    found = judge(run, tmp_path, fresh[:20] + short).copies
    assert found.gauge == "memorising" and len(found.flagged) > 20
    assert all(found.worst[k].match <= found.bound for k in range(5))  # lines, however short


@pytest.mark.parametrize("documents", [20, 40, 160])
def test_copied_lines_are_copies_however_few_documents_are_held_out(tiny_run, tmp_path, documents):
    run = tiny_run(prose(WORDS, documents, 3))
    train_model(run, Quiet())
    lines = training_lines(run)
    new = sorted(set(prose(GREEK, 200, 5)))
    for share, gauges in ((1.0, "memorising"), (0.25, "memorising"), (0.12, "memorising"), (0.05, "in between")):
        count = round(100 * share)
        copied = [lines[k % len(lines)] for k in range(count)]
        assert judge(run, tmp_path, copied + new[: 100 - count]).copies.gauge == gauges, share


def test_too_few_documents_to_tell_are_never_called_safe(two_voices, tiny_run, tmp_path, capsys):
    run = tiny_run(prose(WORDS, 40, 3))
    train_model(run, Quiet())
    found = judge(run, tmp_path, prose(GREEK, 60, 5))
    assert found.copies.gauge == "too few to tell" and not found.copies.flagged
    page = "\n".join(voice_page(found))
    assert "**Too few to tell.**" in page and "safe" not in page
    assert "too few to tell" in summary(found)
    few = judge(two_voices["build"], tmp_path, prose(GREEK, 20, 5))  # many held out, but few samples
    assert few.copies.gauge == "too few to tell"
    assert judge(two_voices["build"], tmp_path, prose(GREEK, 60, 5)).copies.gauge == "creating"


def test_safe_means_without_the_copies_that_were_found(two_voices, tmp_path):
    run = two_voices["build"]
    found = judge(run, tmp_path, [*prose(GREEK, 400, 5)[:199], training_lines(run)[0]])
    assert found.copies.gauge == "creating" and len(found.copies.flagged) == 1
    assert "safe to publish as far as copying goes, once the flagged documents are left out" in "\n".join(
        voice_page(found)
    )


def test_copies_are_sought_in_all_of_the_text_whatever_sample_a_model_declares(tiny_run, tmp_path):
    lines, new = prose(WORDS, 500, 1), prose(GREEK, 60, 5)
    run = tiny_run(lines, data={"max_documents": 20})
    train_model(run, Quiet())
    unseen = sorted({*training_lines(run.model_copy(update={"data": tiny_run(lines).data}))} - {*training_lines(run)})
    assert len(unseen) > 300
    assert judge(run, tmp_path, unseen[:60]).copies.gauge == "memorising"
    assert judge(run, tmp_path, new[:50] + [f"alpha {line}" for line in unseen[:20]]).copies.gauge == "memorising"
    found = judge(run, tmp_path, new).copies
    assert found.gauge == "creating" and found.calibrated_on > 50


def test_a_text_written_again_and_again_is_no_creation(two_voices, tmp_path):
    run, new = two_voices["build"], prose(GREEK, 400, 5)
    for texts in ([new[0]] * 200, new[:80] + [new[0], new[0].upper(), f" {new[0]}"] * 5):
        found = judge(run, tmp_path, texts)
        assert found.copies.gauge == "repeating" and found.copies.repeats in (199, 15)
        page = "\n".join(voice_page(found))
        assert "**Repeating.**" in page and "safe" not in page
        assert f"{found.copies.repeats} repeat an earlier one" in page
    found = judge(run, tmp_path, [*new[:200], *new[:100]])  # the more are drawn, the more are repeats
    assert found.copies.gauge == "creating" and found.copies.repeats == 100
    found = judge(run, tmp_path, [*new[:100], new[0]])
    assert found.copies.gauge == "creating" and found.copies.repeats == 1 and "1 repeat;" in summary(found) + ";"
    assert "once the repeats are left out" in "\n".join(voice_page(found))
    few = judge(run, tmp_path, [*new[:25], new[0], new[1]])
    assert few.copies.gauge == "too few to tell"  # 25 different ones


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="<(...) is of Linux and macOS")
def test_samples_from_a_pipe_are_judged_whole(two_voices):
    run, texts = two_voices["greek"], prose(GREEK, 60, 5)
    read, write = os.pipe()
    os.write(write, ("\n".join(texts) + "\n").encode())
    os.close(write)
    found = evaluate_voice(run.name, run.model_file(), Path(f"/dev/fd/{read}"), request(run))
    os.close(read)
    assert found.texts == texts and found.unread == 0


def test_samples_beyond_the_count_are_named_as_not_judged(two_voices, tmp_path):
    run, new = two_voices["build"], prose(GREEK, 60, 5)
    found = judge(run, tmp_path, new + training_lines(run)[:40], count=60)
    assert "creating; 40 documents not judged" in summary(found)
    unread = "0 of 60 flagged (0.0%). 40 more of the file were not judged: --count says how many are."
    assert unread in voice_page(found)
    assert "not judged" not in summary(judge(run, tmp_path, new))


def test_blank_lines_among_samples_are_counted_and_left_out(two_voices, tmp_path):
    run, new = two_voices["build"], prose(GREEK, 60, 5)
    found = judge(run, tmp_path, [new[0], "", *new[1:], "  "])
    assert found.texts == new and "2 blank lines left out" in summary(found)
    assert any(line.endswith(" Left out: 2 blank lines of the file.") for line in voice_page(found))
    assert "blank" not in summary(judge(run, tmp_path, new))


def test_the_fingerprint_names_the_source_and_refuses_the_other(two_voices, tmp_path):
    own = {name: prose(words, 120, 9)[:60] for name, words in (("build", WORDS), ("greek", GREEK))}
    right = compare_voices([judge(two_voices[name], tmp_path, own[name]) for name in own])
    other = {"build": "greek", "greek": "build"}
    judged = [judge(two_voices[name], tmp_path, own[other[name]]) for name in own]
    swapped = compare_voices(judged)
    for name in own:
        assert right.attributions()[name].samples > 0.95 and right.attributions()[name].real > 0.95
        assert swapped.attributions()[name].samples < 0.05 and swapped.attributions()[name].real > 0.95
    assert swapped.style_bits[0][1] == style_bits(*judged) != swapped.style_bits[1][0]
    style = np.array(right.style_bits)
    assert style[0, 0] < style[0, 1] and style[1, 1] < style[1, 0]  # each voice likes its own text best


def test_a_voice_stands_beside_text_that_it_did_not_learn(two_voices, tmp_path):
    run = two_voices["greek"]
    found, lines = judge(run, tmp_path, prose(WORDS, 60, 5)), {*training_lines(run)}
    assert not lines & {*found.real_texts} and {*found.training_texts} <= lines


def test_real_texts_are_as_long_as_the_samples_they_stand_beside():
    """Cut to the lengths of other texts, real text would be shorter than the samples, and harder to attribute."""
    rng = np.random.default_rng(0)
    real, samples = (["x" * length for length in rng.integers(1, 100, size)] for size in (300, 250))
    assert sorted(map(len, of_lengths(real[:250], real[249::-1]))) == sorted(map(len, real[:250]))
    found = of_lengths(real, samples)
    assert len(found) == 250 and np.mean([*map(len, found)]) == pytest.approx(np.mean([*map(len, samples)]), rel=0.05)


def test_the_length_costs_the_entropy_of_lengths_spread_over_the_characters():
    assert length_bits(np.array([4, 4, 8, 8])) == 1 / 6 and length_bits(np.array([5, 5, 5])) == 0


def test_likelihood_stands_beside_its_baselines(two_voices):
    run = two_voices["greek"]
    found = evaluate_voice("greek", run.model_file(), None, request(run)).likelihood
    baselines = found.baselines
    assert baselines.five_gram < baselines.unigram < baselines.uniform
    corpus, writer = load_corpus(run), Writer.of(checkpoint.load_checkpoint(run.model_file()), torch.device("cpu"))
    reference, size = Reference(corpus, run.model.context), run.model.context - 1
    every = windows_in_order(writer, corpus)
    first = [batch.given[:, 0] & ~batch.given[:, 1] for batch in every]  # those that begin a document
    windows = [
        Batch(b.ids[rows], b.given[rows], b.documents[rows.numpy()]) for b, rows in zip(every, first, strict=True)
    ]
    begun = [corpus.held_out.document(int(document)) for batch in windows for document in batch.documents]
    nats = np.concatenate([reference.model.nats(framed([np.asarray(each)]))[:-1][:size] for each in begun])
    # of the very windows that the voice is measured on
    assert baselines_of(windows, reference, 0).five_gram == pytest.approx(nats.mean() / np.log(2))
    assert baselines.uniform == np.log2(corpus.vocabulary.size) and baselines.length == length_bits(reference.lengths)
    shares = (reference.unigrams + 1) / (reference.unigrams + 1).sum()
    free = np.concatenate([batch.ids[~batch.given].numpy() for batch in every])
    assert baselines.unigram == pytest.approx(-np.log2(shares[free]).mean())
    _, batches = split_likelihood(writer, corpus.held_out, LIKELIHOOD_CHARACTERS, draws=LIKELIHOOD_DRAWS)
    assert baselines.two_sided == two_sided_bits(reference.text, corpus.vocabulary.size, batches, run.seed)
    # once, in however many draws
    assert found.held_out.characters == corpus.held_out.lengths.sum() != found.training.characters
    assert found.training.characters == corpus.train.lengths.sum()
    assert found.held_out.error > 0 and found.gap == found.held_out.bits - found.training.bits
    assert found.gap_error**2 == pytest.approx(found.held_out.error**2 + found.training.error**2)


def test_only_an_absorbing_process_has_a_likelihood_in_an_order(two_voices, tiny_run):
    greek = two_voices["greek"]
    assert evaluate_voice("greek", greek.model_file(), None, request(greek)).likelihood.ordered == {}
    run = tiny_run(
        prose(GREEK, 300, 1), diffusion={"process": "absorbing"}, sampling={"sampler": "surest", "stretch": 5}
    )
    train_model(run, Quiet())
    found = evaluate_voice("toy", run.model_file(), None, request(run)).likelihood
    assert list(found.ordered) == ["surest 5", "left to right"]
    for exact in found.ordered.values():
        # of other windows than the bound's, so that chance may put them on either side
        assert exact.bits < found.held_out.bits + 3 * (exact.error + found.held_out.error)


def test_the_same_request_gives_the_same_figures(two_voices):
    run = two_voices["build"]
    first, second = (evaluate_voice("build", run.model_file(), None, request(run)).plain() for _ in range(2))
    assert first == second


def test_a_stream_is_measured_in_windows(tiny_run):
    text = "".join(f"{line}\n" for line in toy_lines(300))
    run = tiny_run(text.encode(), data={"format": "stream"})
    train_model(run, Quiet())
    figures = evaluate_voice("toy", run.model_file(), None, request(run)).plain()
    held_out = load_corpus(run).held_out.lengths.sum()
    assert figures["judged"] == 60 and figures["compared"] == -(-held_out // run.model.context) > 1
    assert figures["likelihood"]["held_out"]["bits"] > 0
    assert figures["likelihood"]["held_out"]["error"] > 0  # windows are counted: one text alone would have none


def test_the_command_writes_its_reports(two_voices, tmp_path, capsys):
    folder = tmp_path / "reports"
    run = two_voices["build"]
    options = ["--config", str(config_file(run, tmp_path)), "--count", "20", "--output", str(folder)]
    assert evaluate.main(["--model", str(run.model_file()), *options]) == 0
    figures = json.loads((folder / "build_evaluation.json").read_text(encoding="utf-8"))
    assert figures["judged"] == 20 and len(figures["examples"]) == 10
    page = (folder / "build_evaluation.md").read_text(encoding="utf-8")
    assert page.startswith("# build\n") and "| known words |" in page
    assert (folder / "build_evaluation.png").read_bytes().startswith(b"\x89PNG")
    assert "build" in capsys.readouterr().out


def test_a_model_is_read_once(two_voices, tmp_path, monkeypatch):
    run, read = two_voices["build"], []
    monkeypatch.setattr(checkpoint, "read_hashed", lambda path, of: read.append(path) or read_hashed(path, of))
    options = ["--config", str(config_file(run, tmp_path)), "--count", "2", "--output", str(tmp_path / "reports")]
    assert evaluate.main(["--model", str(run.model_file()), *options]) == 0
    assert read == [run.model_file()]


def test_all_writes_the_comparison(two_voices, tmp_path, capsys):
    folder = tmp_path / "reports"
    config = config_file(two_voices["build"], tmp_path, "build", "greek", "absent")
    assert evaluate.main(["--all", "--config", str(config), "--count", "20", "--output", str(folder)]) == 0
    shared = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert shared["names"] == ["build", "greek"] and np.array(shared["confusion"]).sum(1).tolist() == [20, 20]
    for name in ("evaluation.md", "evaluation_confusion.png", "evaluation_style.png", "greek_evaluation.md"):
        assert (folder / name).is_file()
    assert "absent: not trained yet, left out" in capsys.readouterr().out


def test_the_comparison_lies_in_the_folder_of_all_and_each_report_in_its_own(two_voices, tmp_path):
    path = config_file(two_voices["build"], tmp_path, "build", "greek")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["paths"]["outputs"] = str(tmp_path / "outputs")
    content["datasets"]["greek"] = {"paths": {"outputs": str(tmp_path / "elsewhere")}}
    path.write_text(json.dumps(content), encoding="utf-8")
    assert evaluate.main(["--all", "--config", str(path), "--count", "2"]) == 0
    assert (tmp_path / "outputs/evaluation.md").is_file() and (tmp_path / "outputs/build_evaluation.md").is_file()
    assert (tmp_path / "elsewhere/greek_evaluation.md").is_file() and not [*tmp_path.glob("elsewhere/evaluation*")]
    page = (tmp_path / "outputs/evaluation.md").read_text(encoding="utf-8")
    assert "| [build](build_evaluation.md) |" in page and "| [greek](../elsewhere/greek_evaluation.md) |" in page


def test_a_voice_that_cannot_be_judged_does_not_keep_the_others_from_it(two_voices, tmp_path, capsys):
    folder, config = tmp_path / "reports", config_file(two_voices["build"], tmp_path, "build", "greek")
    two_voices["build"].data_file().write_text("\n".join(toy_lines(40)) + "\n")
    assert evaluate.main(["--all", "--config", str(config), "--count", "20", "--output", str(folder)]) == 2
    assert "not the text that" in capsys.readouterr().err and (folder / "greek_evaluation.md").is_file()


def test_mistakes_are_named(two_voices, tmp_path, capsys):
    run = two_voices["build"]
    config = ["--config", str(config_file(run, tmp_path))]
    run.data_file().write_text("\n".join(toy_lines(40)) + "\n")
    assert evaluate.main(["--model", str(run.model_file()), *config]) == 2
    assert "not the text that" in capsys.readouterr().err
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    assert evaluate.main(["--model", str(two_voices["greek"].model_file()), "--samples", str(empty), *config]) == 2
    assert "empty.txt: 0 documents; at least 2 are needed, one a line" in capsys.readouterr().err
    empty.write_text("a line\n" + "x " * 1_000_000)
    assert evaluate.main(["--model", str(two_voices["greek"].model_file()), "--samples", str(empty), *config]) == 2
    what = "has a line of 2,000,000 characters, of at most 1,000,000"
    assert capsys.readouterr().err == f"error: {empty}: {what}\n"
    empty.write_text("")
    assert evaluate.main(["--model", str(two_voices["greek"].model_file()), "--output", str(empty), *config]) == 2
    assert capsys.readouterr().err == f"error: {empty}: cannot be written to: it is a file, not a folder\n"
    assert evaluate.main(["--model", "missing.pt"]) == 2
    assert capsys.readouterr().err == "error: missing.pt: no such file; name a model file, models/NAME.pt\n"
