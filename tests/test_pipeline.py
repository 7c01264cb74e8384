"""Train, save, resume, generate: the behaviour a user relies on, byte for byte."""

import errno
import itertools
import json
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Quiet, toy_lines

import generate
import trainer
import training as training_module
import utils
from checkpoint import Lengths, load_checkpoint, load_state
from config import TrainingConfig
from corpus import load_corpus
from likelihood import Likelihood
from optimizers import rate_factor
from samplers import SAMPLERS
from trainer import train_model
from training import Stopped, Training
from utils import UserError
from writer import Draft, Form, Voice, write_documents, write_drafts

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
SEEDED_LOSSES = [3.30921, 3.27429, 3.26510]  # bits, running average


def shape(run, **training):
    return run.model_copy(update={"training": run.training.model_copy(update=training)})


# --- training


def test_same_seed_same_bytes(tiny_run):
    run = tiny_run()
    files = []
    for _ in range(2):
        train_model(run, Quiet())
        files.append(run.model_file().read_bytes())
        run.model_file().unlink()
    assert files[0] == files[1]
    train_model(run.model_copy(update={"seed": 2}), Quiet())
    assert run.model_file().read_bytes() != files[0]


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("stop_at", [1, 3, 5])
def test_resume_equals_an_unbroken_run_bit_for_bit(tiny_run, optimizer, stop_at):
    run = shape(tiny_run(), optimizer=optimizer, max_steps=6)
    train_model(run, Quiet())
    unbroken = run.model_file().read_bytes()
    run.model_file().unlink()
    with pytest.raises(Stopped):
        train_model(run, Quiet(stop_at=stop_at))
    assert run.state_file().is_file() and not run.model_file().exists()
    torch.rand(7)  # the global generator is not part of the state
    watcher = Quiet()
    train_model(run, watcher)
    assert watcher.resumed_from == stop_at
    assert run.model_file().read_bytes() == unbroken
    assert not run.state_file().exists()


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_a_state_cut_short_is_replaced_and_the_end_is_the_same(tiny_run, size):
    run = shape(tiny_run(), max_steps=6)
    train_model(run, Quiet())
    unbroken = run.model_file().read_bytes()
    with pytest.raises(Stopped):
        train_model(run, Quiet(stop_at=3))
    run.state_file().write_bytes(run.state_file().read_bytes()[:size])
    watcher = Quiet()
    train_model(run, watcher)
    assert watcher.resumed_from is None and "is damaged" in watcher.notes[0]
    assert run.model_file().read_bytes() == unbroken


def test_kill_9_at_any_step_resumes_to_the_same_bytes(tiny_run, tmp_path):
    run = tiny_run(training={"max_steps": 300, "validations": 2})
    train_model(run, Quiet())
    unbroken = run.model_file().read_bytes()
    run.model_file().unlink()
    code = (
        "import sys, trainer; from config import RunConfig; from conftest import Quiet; trainer.SAVE_SECONDS = 0.05;"
        "trainer.train_model(RunConfig.model_validate_json(sys.argv[1]), Quiet())"
    )
    command, kills = [sys.executable, "-c", code, run.model_dump_json()], 0
    while not run.model_file().is_file() and kills < 3:
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"})
        state, began = run.state_file(), time.monotonic()
        before = state.stat().st_mtime_ns if state.is_file() else 0
        while process.poll() is None and time.monotonic() - began < 60:
            if state.is_file() and state.stat().st_mtime_ns != before:
                process.kill()
                kills += 1
                break
            time.sleep(0.001)
        process.wait()
    watcher = Quiet()
    train_model(run, watcher)
    assert kills == 3 and watcher.resumed_from
    assert run.model_file().read_bytes() == unbroken


def test_a_state_of_other_data_or_config_is_not_taken_up(tiny_run):
    run = tiny_run()
    with pytest.raises(Stopped):
        train_model(run, Quiet(stop_at=2))
    for other in (shape(run, learning_rate=0.1), tiny_run(toy_lines(70))):
        watcher = Quiet(stop_at=1)
        with pytest.raises(Stopped):
            train_model(other, watcher)
        assert (
            watcher.resumed_from is None
            and "is damaged, or of other data or settings, and will be replaced" in watcher.notes[0]
        )


def test_seeded_losses_are_what_they_were(tiny_run):
    """A refactor keeps these; a change of the recipe changes them knowingly."""
    training = Training(tiny_run())
    losses = []
    for step in range(3):
        training.advance(training.batches.batch(step))
        losses.append(training.status.loss)
    assert losses == pytest.approx(SEEDED_LOSSES, rel=1e-3)


@pytest.mark.parametrize("loss", ["posterior", "nelbo"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_training_learns(tiny_run, loss, optimizer):
    run = shape(
        tiny_run(["abcabcabcabc" + c for c in "abcdefghijklmnopqrstuvwxyz"]),
        loss=loss,
        optimizer=optimizer,
        max_steps=120,
        validations=4,
    )
    train_model(run, Quiet())
    records = [json.loads(line) for line in run.model_file().with_suffix(".metrics.jsonl").read_text().splitlines()]
    assert len(records) == 4 and records[-1]["held_out"] < records[0]["held_out"] - 0.3


def test_score_parameterization_learns(tiny_run):
    run = tiny_run(
        ["abcabcabcabc" + c for c in "abcdefghijklmnopqrstuvwxyz"],
        training={"loss": "nelbo", "max_steps": 120},
        model={"parameterization": "score"},
    )
    watcher = Quiet()
    train_model(run, watcher)
    history = watcher.last.history
    assert history[-1].held_out < history[0].held_out - 0.2


def test_validation_uses_the_same_draws_and_leaves_training_alone(tiny_run):
    training = Training(tiny_run())
    training.advance(training.batches.batch(0))
    training.validate(Quiet())
    training.validate(Quiet())
    first, second = training.status.history
    assert first.held_out == second.held_out
    plain = Training(tiny_run())
    for step in range(2):
        plain.advance(plain.batches.batch(step))
    training.advance(training.batches.batch(1))
    assert all(torch.equal(a, b) for a, b in zip(training.model.parameters(), plain.model.parameters(), strict=True))


def test_a_validation_previews_one_window_of_a_long_document(tiny_run):
    watcher = Quiet()
    train_model(tiny_run([f"{'words ' * 40}{i}" for i in range(30)]), watcher)
    assert {len(record.sample) for record in watcher.last.history} == {30}  # the context of 32, less its frames


def test_a_slow_validation_is_not_made_up_for(tiny_run, monkeypatch):
    training = Training(shape(tiny_run(), max_steps=10, validations=10, validation_characters=100))
    for step in range(7):  # six planned validations pass unmeasured, as under a time budget
        training.advance(training.batches.batch(step))
    training.validate(Quiet())
    assert len(training.status.history) == 1 and not training.validation_due()
    training.advance(training.batches.batch(7))
    assert training.validation_due()


def test_early_stop_keeps_the_best(tiny_run, monkeypatch):
    run = shape(tiny_run(), max_steps=20, validations=20, patience=2)
    found = iter([5.0, 4.0, 4.5, 4.4, 4.3, 4.2])
    monkeypatch.setattr(training_module, "held_out_likelihood", lambda *a: Likelihood(next(found), 0.1, 100))
    checkpoint = train_model(run, Quiet())
    assert (
        checkpoint.metrics["held_out_bits"] == 4.0
        and checkpoint.metrics["best_step"] == 2
        and checkpoint.metrics["steps"] == 4
    )


def test_average_follows_its_closed_form(tiny_run):
    training = Training(shape(tiny_run(), ema_decay=0.5))
    expected = [p.detach().clone() for p in training.average.parameters()]
    for step in range(4):
        training.advance(training.batches.batch(step))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [
            decay * e + (1 - decay) * p.detach() for e, p in zip(expected, training.model.parameters(), strict=True)
        ]
    for found, value in zip(training.average.parameters(), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-5, atol=1e-6)


def test_rate_warms_up_and_falls():
    config = TrainingConfig(warmup=0.1, final_rate=0.2)
    assert [rate_factor(p, config) for p in (0.0, 0.05, 0.1, 0.55, 1.0)] == pytest.approx([0, 0.5, 1, 0.6, 0.2])


def test_max_minutes_ends_a_run(tiny_run):
    watcher = Quiet()
    train_model(shape(tiny_run(), max_steps=0, epochs=1e6, max_minutes=1 / 60, patience=0), watcher)
    assert watcher.last.step > 2 and 0.9 < watcher.last.seconds < 10 and watcher.last.progress == 1


def diverging(monkeypatch, steps: int) -> None:
    """Let the first so many calls of step 3 give a loss that is not a number."""
    honest, left = Training.gradients, [steps]

    def gradients(self, shard):
        loss, found = honest(self, shard)
        if self.status.step == 3 and left[0] and shard.dropping.initial_seed() == dropping_seed(self):
            left[0] -= 1
            loss = loss * torch.nan
        return loss, found

    def dropping_seed(self) -> int:
        return self._generator("dropout", 3, 0).initial_seed()  # of the step's first shard

    monkeypatch.setattr(Training, "gradients", gradients)


def test_a_divergence_goes_back_and_on_at_half_the_rates(tiny_run, monkeypatch):
    run, watcher = shape(tiny_run(), max_steps=6, validations=3), Quiet()
    diverging(monkeypatch, 1)
    train_model(run, watcher)
    assert watcher.notes == ["numbers beyond all bounds; back to step 2 at half the learning rate"]
    assert watcher.last.slowdowns == 1 and watcher.last.step == 6
    assert all(torch.isfinite(value).all() for value in load_checkpoint(run.model_file()).weights.values())


def test_a_hopeless_divergence_stops_with_the_reason(tiny_run, monkeypatch):
    watcher = Quiet()
    diverging(monkeypatch, 99)
    with pytest.raises(UserError, match=r"toy: training diverged at step 3, 4 times; lower training.learning_rate"):
        train_model(tiny_run(), watcher)
    assert len(watcher.notes) == 3


# --- faults around a training


def no_room(monkeypatch, times: int) -> None:
    """The first so many writes find the disk full."""
    honest, left = os.fsync, [times]

    def fsync(descriptor: int) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        honest(descriptor)

    monkeypatch.setattr(utils.os, "fsync", fsync)


def test_a_full_disk_while_saving_costs_no_training(tiny_run, monkeypatch):
    run = tiny_run()
    train_model(run, Quiet())
    unbroken = run.model_file().read_bytes()
    run.model_file().unlink()
    training = Training(run)  # encodes and probes the folder before the disk fills
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0)
    monkeypatch.setattr(trainer, "check_writable", lambda folder: None)
    no_room(monkeypatch, 3)
    watcher = Quiet()
    train_model(run, watcher)
    assert len(watcher.notes) == 3 and all("not saved, and going on: " in note for note in watcher.notes)
    assert all("No space left on device" in note for note in watcher.notes)
    assert run.model_file().read_bytes() == unbroken and not run.state_file().exists()
    assert {file.suffix for file in run.model_file().parent.iterdir()} == {".pt", ".jsonl"} and training


def test_a_disk_that_stays_full_keeps_the_last_state(tiny_run, monkeypatch):
    run = tiny_run()
    with pytest.raises(Stopped):
        train_model(run, Quiet(stop_at=3))
    state = run.state_file().read_bytes()
    monkeypatch.setattr(trainer, "check_writable", lambda folder: None)
    no_room(monkeypatch, 1000)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        train_model(run, Quiet())
    assert run.state_file().read_bytes() == state and not run.model_file().exists()


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_text("a\nb\n"), lambda file: None])
def test_data_that_vanish_or_shrink_in_training_change_nothing(tiny_run, harm):
    run = tiny_run()
    train_model(run, Quiet())
    unbroken = run.model_file().read_bytes()
    run.model_file().unlink()

    class Harmful(Quiet):
        def validated(self, status) -> None:
            if run.data_file().exists():
                harm(run.data_file())

    train_model(run, Harmful())
    assert run.model_file().read_bytes() == unbroken


def little_memory(monkeypatch, rows: int) -> None:
    """More rows at once than so many find no memory."""
    honest = Training.gradients

    def gradients(self, shard):
        if len(shard.x0) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(self, shard)

    monkeypatch.setattr(Training, "gradients", gradients)


def test_a_step_that_finds_no_memory_is_cut_into_parts(tiny_run, monkeypatch):
    run = tiny_run(model={"dropout": 0.0})  # dropout is drawn part by part
    whole, watcher = Training(run), Quiet()
    rows = len(whole.batches.batch(0).tokens)
    train_model(run, Quiet())
    expected = load_checkpoint(run.model_file()).weights
    run.model_file().unlink()
    little_memory(monkeypatch, rows // 4)
    train_model(run, watcher)
    assert watcher.notes[-1].startswith("out of memory; back to step 0 and on with ")
    for name, value in load_checkpoint(run.model_file()).weights.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=2e-3)  # Muon magnifies rounding


def test_where_no_part_is_small_enough_the_failure_is_shown(tiny_run, monkeypatch):
    little_memory(monkeypatch, 0)
    with pytest.raises(torch.OutOfMemoryError):
        train_model(tiny_run(), Quiet())


def test_a_clock_that_jumps_changes_nothing(tiny_run, monkeypatch):
    run, watcher = tiny_run(), Quiet()
    train_model(run, Quiet())
    unbroken = run.model_file().read_bytes()
    run.model_file().unlink()
    jumps = itertools.cycle([86_400.0, -1e9, 4e9])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    train_model(run, Quiet())
    assert run.model_file().read_bytes() == unbroken
    train_model(shape(run, max_minutes=5), watcher)  # nor when a budget of time ends
    assert watcher.last.step == run.training.max_steps and 0 <= watcher.last.seconds < 300


def test_a_validation_can_be_stopped_and_is_made_up_for(tiny_run):
    run = tiny_run()
    whole, rest = Quiet(), Quiet()
    train_model(run, whole)
    unbroken = run.model_file().read_bytes()
    run.model_file().unlink()

    class Impatient(Quiet):
        asked = 0

        def stopping(self) -> bool:  # asked after every step, and before every call of the network in a validation
            self.asked += 1
            return self.asked == 5

    with pytest.raises(Stopped):
        train_model(run, Impatient())
    assert not load_state(run.state_file())["status"]["history"]
    train_model(run, rest)
    figures = [[(record.step, record.held_out) for record in watcher.last.history] for watcher in (whole, rest)]
    assert figures[0] == figures[1] and run.model_file().read_bytes() == unbroken


# --- the checkpoint


def test_a_checkpoint_comes_back_whole(tiny_run):
    run = tiny_run()
    checkpoint = train_model(run, Quiet())
    loaded = load_checkpoint(run.model_file())
    assert (loaded.run, loaded.vocabulary, loaded.metrics) == (run, checkpoint.vocabulary, checkpoint.metrics)
    assert loaded.data_sha256 == checkpoint.data_sha256 and loaded.training_sha256 == run.training_hash()
    assert all(torch.equal(loaded.weights[name], value) for name, value in checkpoint.weights.items())
    before, after = (
        write_documents(Voice.of(c, CPU), 0, range(3), Voice.of(c, CPU).settings()) for c in (checkpoint, loaded)
    )
    assert before == after


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a model file, or damaged"),
        (b"hello", "not a model file, or damaged"),
        (b")bc hello", "not a model file, or damaged"),
        (pickle.dumps(Bomb()), "not a model file, or damaged"),
        ({"weight": torch.zeros(3)}, "format None is not one this version reads (1)"),
        ({"format": 99}, "format 99 is not one this version reads (1)"),
        ({"format": 1}, "not a model of this program: 'config'"),
        (torch.zeros(3), "not a model of this program"),
        (Bomb(), "not a model file, or damaged"),
    ],
)
def test_a_foreign_file_is_refused_and_never_run(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    path = Path("file.pt")
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError) as error:
        load_checkpoint(path)
    assert str(error.value) == f"file.pt: {message}" and not Path("exploded").exists()


def test_a_truncated_checkpoint_is_refused(tiny_run):
    run = tiny_run()
    train_model(run, Quiet())
    data = run.model_file().read_bytes()
    for size in (10, len(data) // 2, len(data) - 1):
        run.model_file().write_bytes(data[:size])
        with pytest.raises(UserError, match="not a model file, or damaged"):
            load_checkpoint(run.model_file())


def test_lengths_are_drawn_as_they_occurred():
    lengths = Lengths.of(np.array([5, 7, 7, 7]))
    assert [lengths.draw(u) for u in (0.0, 0.2499, 0.25, 0.9999)] == [5, 5, 7, 7]


# --- writing


@pytest.fixture
def voice(tiny_run):
    # documents on both sides of the context, so that some slide
    lines = [*toy_lines(60), *(f"{'a long document of words ' * 4}{i}" for i in range(30))]
    run = tiny_run(lines, diffusion={"process": "absorbing"})
    return Voice.of(train_model(run, Quiet()), CPU)


def test_documents_have_lengths_of_the_corpus_and_no_frames(voice):
    texts = write_documents(voice, 0, range(60), voice.settings())
    assert {len(text) for text in texts} <= set(voice.lengths.values.tolist())
    assert not any(set(text) & set("\n\ufffd") for text in texts)
    assert min(map(len, texts)) < 30 < 90 < max(map(len, texts))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_document_k_depends_on_nothing_but_seed_and_k(voice, sampler):
    settings = replace(voice.settings(), sampler=sampler, renoise=0.25)
    whole = write_documents(voice, 3, range(40), settings)
    assert write_documents(voice, 3, reversed(range(40)), settings) == whole[::-1]
    assert [write_documents(voice, 3, [k], settings)[0] for k in (0, 7, 39)] == [whole[k] for k in (0, 7, 39)]
    assert write_documents(voice, 3, range(5, 17), settings) == whole[5:17]
    assert write_documents(voice, 4, range(40), settings) != whole
    assert write_documents(voice, 3, range(40), settings, attempt=1) != whole
    assert len(set(whole)) > 35
    together, alone = ([Draft(voice, Form(), 3, k, 0) for k in range(40)] for _ in range(2))
    write_drafts(voice, together, settings)
    for draft in alone:
        write_drafts(voice, [draft], settings)
    how = [[draft.written(voice.vocabulary) for draft in drafts] for drafts in (together, alone)]
    assert how[0] == how[1]  # how each came to be, as well


def test_a_row_of_the_network_does_not_depend_on_its_place(voice):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(voice.vocabulary.size, (128, 32), generator=generator)
    order = torch.randperm(128, generator=generator)
    given, sigma = torch.zeros(128, 32, dtype=torch.bool), torch.full((128,), 0.7)
    with torch.no_grad():
        assert torch.equal(voice.network(x, sigma, given)[order], voice.network(x[order], sigma, given))


def test_a_long_document_slides_with_its_overlap_given(voice):
    draft = next(d for d in (Draft(voice, Form(), 0, k, 0) for k in range(50)) if len(d.ids) > 80)
    spans = []
    while not draft.finished:
        ids, given = draft.window()
        spans.append((draft.start, len(ids), int(given.sum())))
        fresh = np.where(given, ids, 5)
        before = draft.ids.copy()
        settled = draft.settled
        draft.settle(fresh)
        assert np.array_equal(draft.ids[:settled], before[:settled])  # what is written stays
    assert spans[0] == (0, 32, 1)  # opens with the frame, no end in sight
    assert spans[1] == (32 - 8, 32, 8)
    assert (draft.ids[1:-1] == 5).all() and draft.ids[0] == draft.ids[-1] == 0


def test_given_characters_come_out_untouched_and_lengths_exact(voice):
    def write(**form) -> list[str]:
        return write_documents(voice, 0, range(12), voice.settings(), form=Form(**form))

    for text in write(prefix="fix the ", suffix=" 7"):
        assert text.startswith("fix the ") and text.endswith(" 7") and len(text) > 10
    long = write(prefix="a long ", suffix=" words", shortest=90, longest=90)  # the suffix lies beyond the first window
    assert all(len(t) == 90 and t.startswith("a long ") and t.endswith(" words") for t in long) and len(set(long)) > 1
    assert all("_" not in text for text in write(template="the ____ of __"))  # not a character of this corpus
    for text in write(template="The ____ of __".replace("T", "t")):
        assert len(text) == 14 and text[:4] == "the " and text[8:12] == " of "
    assert {len(text) for text in write(shortest=15, longest=20)} <= set(range(15, 21))
    assert {len(text) for text in write(shortest=150, longest=150)} == {150}  # a length the corpus does not have
    assert write() == write_documents(voice, 0, range(12), voice.settings())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--prefix", "né"], "--prefix holds 'é', which is not among the 23 characters of MODEL"),
        (["--template", "fix"], "--template 'fix' has no _ to fill"),
        (["--length", "5", "--prefix", "remove"], "--length 5: prefix and suffix already take 6 characters"),
        (["--length", "9-3"], "--length 9-3: must be N or MIN-MAX, whole numbers from 1 to 100000"),
        (["--length", "x"], "--length x: must be N or MIN-MAX, whole numbers from 1 to 100000"),
    ],
)
def test_forms_that_cannot_be_are_named(tiny_run, capsys, option, message):
    run = tiny_run()
    checkpoint = train_model(shape(run, max_steps=1), Quiet())
    message = message.replace("23", str(len(checkpoint.vocabulary.characters) - 1))
    assert generate.main(["--model", str(run.model_file()), *option]) == 2
    assert capsys.readouterr().err == f"error: {message.replace('MODEL', str(run.model_file()))}\n"


def test_a_stream_writes_windows_with_newlines(tiny_run):
    text = "".join(f"l{i % 7}\n" for i in range(400))
    run = tiny_run(text.encode(), data={"format": "stream"}, training={"max_steps": 60})
    voice = Voice.of(train_model(run, Quiet()), CPU)
    texts = write_documents(voice, 0, range(8), voice.settings())
    assert {len(t) for t in texts} == {32} and any("\n" in t for t in texts)


# --- the commands


def test_two_encodings_of_a_dataset_wait_for_each_other(tiny_run):
    runs = [tiny_run(toy_lines(4000), data={"vocab_size": size}) for size in (20, 30)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(load_corpus, runs * 2))
    assert [c.vocabulary.size for c in found] == [21, 31, 21, 31]
    assert all(len(c.train.document(0)) == c.train.lengths[0] for c in found)


def test_config_mistakes_stop_before_anything_trains(project, capsys):
    path, run = project
    path.write_text(path.read_text() + "\nsed: 3\n")
    assert run("--all") == 2
    assert capsys.readouterr().err == f"error: {path}: sed: no such key; did you mean 'seed'?\n"
    assert not (path.parent / "models").exists()


def test_generate_writes_exactly_n_whole_lines(project, capsys):
    path, run = project
    assert run("--dataset", "one") == 0
    model, output = path.parent / "models" / "one.pt", path.parent / "out" / "set.txt"
    arguments = ["--model", str(model), "--samples", "17", "--seed", "5"]
    assert generate.main([*arguments, "--output", str(output)]) == 0
    lines = output.read_text(encoding="utf-8").split("\n")
    assert len(lines) == 18 and lines[-1] == "" and all(lines[:-1])
    objects = [json.loads(line) for line in output.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]
    assert [o["text"] for o in objects] == lines[:-1] and [o["index"] for o in objects] == list(range(17))
    assert objects[0]["seed"] == 5 and objects[0]["steps"] == 4 and objects[0]["sampler"] == "tweedie"
    first = output.read_bytes()
    for size in ("1", "7", "64"):
        assert generate.main([*arguments, "--output", str(output), "--batch-size", size]) == 0
        assert output.read_bytes() == first
    assert generate.main([*arguments, "--samples", "5", "--output", str(output)]) == 0
    assert first.startswith(output.read_bytes())
    assert generate.main([*arguments]) == 0
    assert (path.parent / "outputs" / "one_samples.txt").read_bytes() == first


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--samples", "0"], "--samples 0: must be at least 1"),
        (["--temperature", "-1"], "--temperature -1: must be between 0.001 and 10"),
        (["--temperature", "nan"], "--temperature nan: must be between 0.001 and 10"),
        (["--top-p", "2"], "--top-p 2: must be between 0.001 and 1"),
        ([], "missing.pt: no such file"),
    ],
)
def test_generate_mistakes(capsys, monkeypatch, tmp_path, option, message):
    monkeypatch.chdir(tmp_path)
    assert generate.main(["--model", "missing.pt", *option]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize("script", ["train.py", "generate.py"])
def test_help_does_not_wait_for_torch(script):
    name = script.removesuffix(".py")
    code = f"import sys, {name}\ntry: {name}.main(['--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.endswith("False\n") and "usage" in done.stdout
