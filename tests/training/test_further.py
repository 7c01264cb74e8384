"""More time for a finished model: train.py --more."""

import math

import pytest
import torch

from config.loader import load_config
from dataset_loader import TrainingBatches
from generation.archive import write_archive
from generation.aside import kept_aside
from generation.checkpoint import content_of, load_checkpoint
from tests.evaluation.voices import GREEK, LEARNT, judge
from tests.helpers import WORDS, Killed, Quiet, make_run, prose, shape, tree
from tests.training.states import stop
from text.survey import learnt_before
from training import trainer
from training.finished import finished_model
from training.further import with_more_time
from training.learner import EMA_WARMUP
from training.resume import drop_state
from training.trainer import Training, train_model
from utils import UserError, hash_file


def test_a_model_goes_on_from_its_weights_with_new_batches_and_noise(tiny_run):
    run = shape(tiny_run(), max_steps=4)
    train_model(run, Quiet())
    first = load_checkpoint(run.model_file())
    kept = run.model_file().rename(run.model_file().with_name("kept.pt"))
    further = Training(shape(run, start_from=str(kept), warmup=0.0))
    for name, weight in further.model.state_dict().items():
        assert torch.equal(weight, first.weights[name].float())
    assert further.steps_before == 4
    seen = []
    further.learner.step, whole = (
        lambda number, *rest: seen.append(number) or whole(number, *rest),
        further.learner.step,
    )
    further.advance(further.batches.batch(further.steps_before))
    for name, weight in further.model.state_dict().items():  # as in the first step of any training
        expected = torch.lerp(weight, first.weights[name].float(), 1 / EMA_WARMUP)
        assert torch.allclose(further.average.state_dict()[name], expected)
    batches = TrainingBatches(further.corpus, run)
    assert seen == [4] and not torch.equal(batches.batch(4).ids, batches.batch(0).ids)
    train_model(shape(run, start_from=str(kept), max_steps=3), Quiet())
    second = load_checkpoint(run.model_file())
    assert (second.metrics["steps"], second.metrics["steps_before"]) == (3, 4)
    assert second.metrics["characters_before"] == first.metrics["characters"]
    assert second.start.model_sha256 == hash_file(kept)


def test_more_trains_on_the_batches_that_were_not_met(tiny_run, monkeypatch):
    run, met, batch = tiny_run(), [], TrainingBatches.batch
    train_model(run, Quiet())
    kept = run.model_file().rename(run.model_file().with_name("kept.pt"))
    monkeypatch.setattr(TrainingBatches, "batch", lambda self, step: met.append(step) or batch(self, step))
    train_model(shape(run, start_from=str(kept)), Quiet())
    assert met == [*range(6, 12)]


def test_more_that_makes_no_better_model_says_so(tiny_run):
    """By its own measurement; the earlier model is kept in any case."""
    run = tiny_run()
    content = content_of(train_model(run, Quiet()))
    for earlier in (9.0, 0.5):
        write_archive(run.model_file(), {**content, "metrics": {**content["metrics"], "held_out_bits": earlier}})
        kept = (further := with_more_time(run)).start_file()
        train_model(further, listener := Quiet())
        said = f" bits/char are no better than 0.500 before; the model of before is {kept}"
        assert sum(note.endswith(said) for note in listener.notes) == (earlier == 0.5)
        run.model_file().unlink()


@pytest.mark.usefixtures("warm_processes")
def test_more_keeps_the_model_and_trains_a_better_one_that_is_done(project, capsys):
    path, train = project
    model = path.parent / "models" / "one.pt"
    assert train("--dataset", "one", "--minutes", "5") == 0
    first, bits = model.read_bytes(), load_checkpoint(model).metrics["held_out_bits"]
    assert train("--dataset", "one", "--more") == 0
    assert model.with_name("one.previous.pt").read_bytes() == first
    second = load_checkpoint(model)
    assert second.metrics["held_out_bits"] < bits and second.start.name == "one"
    before = tree(model.parent)
    assert train("--dataset", "one") == 0  # though it names no start, and allows any time
    assert "one: skipped: done before" in " ".join(capsys.readouterr().out.split())
    assert tree(model.parent) == before
    assert train("--dataset", "one", "--more") == 0
    assert model.with_name("one.previous-2.pt").is_file() and load_checkpoint(model).metrics["steps_before"] == 2 * 6


@pytest.mark.usefixtures("warm_processes")
def test_more_that_was_stopped_goes_on_to_the_same_bytes(project):
    """The model stays until the new one is done."""
    path, train = project
    model = path.parent / "models" / "one.pt"
    assert train("--dataset", "one") == 0
    first = model.read_bytes()
    assert train("--dataset", "one", "--more") == 0
    wanted = load_checkpoint(model).weights
    model.write_bytes(first)  # as when the command was killed before it saved a state
    run = with_more_time(load_config(path).resolve("one"))
    stopping = Training(run)
    stopping.advance(stopping.batches.batch(stopping.steps_before))
    stopping.save_state()
    assert model.read_bytes() == first
    assert train("--dataset", "one", "--more") == 0
    assert all(torch.equal(weight, wanted[name]) for name, weight in load_checkpoint(model).weights.items())
    assert [kept.name for kept in kept_aside(model)] == ["one.previous.pt"]
    assert model.with_name("one.previous.pt").read_bytes() == first


def test_a_shorter_more_promises_nothing_to_a_longer_one_that_was_stopped(tiny_run):
    """What that one learnt is in the model, from which the next --more goes on."""
    run = tiny_run()
    train_model(run, Quiet())
    stop(shape(with_more_time(run), max_minutes=60), 2)
    train_model(shape(with_more_time(run), max_minutes=0.0001), listener := Quiet())
    assert listener.resumed_from == 2 and not run.state_file().exists()
    assert not [note for note in listener.notes if "stays for" in note]
    assert load_checkpoint(run.model_file()).metrics["steps_before"] == 6


def test_more_that_was_killed_after_its_model_was_saved_is_over(tiny_run, monkeypatch):
    """The state was not yet deleted: the same command deletes it, and trains no third time."""
    run = tiny_run()
    train_model(run, Quiet())
    first = run.model_file().read_bytes()

    def killed(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "drop_state", killed)
        patch.setattr(trainer, "SAVE_SECONDS", 0)
        with pytest.raises(Killed):
            train_model(with_more_time(run), Quiet())
    second = run.model_file().read_bytes()
    assert run.state_file().is_file() and second != first
    again = with_more_time(run)
    assert finished_model(again)[0] and again.start_file().read_bytes() == first
    assert [kept.read_bytes() for kept in kept_aside(run.model_file())] == [first]
    drop_state(again, hash_file(run.data_file()), math.inf)  # as the queue does where a model is done
    train_model(with_more_time(run), listener := Quiet())
    assert listener.resumed_from is None and load_checkpoint(run.model_file()).metrics["steps_before"] == 12


@pytest.mark.usefixtures("warm_processes")
def test_more_of_nothing_and_of_too_much_is_one_line(project, capsys):
    path, train = project
    one = "trains one finished model further, so it goes with one --dataset alone"
    for words, said in (
        (["--dataset", "one"], "one.pt: no such model, so there is none to train further; leave --more out"),
        (["--all"], one), (["--dataset", "one", "--dataset", "two"], one), (["--dataset", "one", "--check"], one),
    ):  # fmt: skip
        assert train(*words, "--more") == 2
        assert said in capsys.readouterr().err
    assert not list((path.parent / "models").glob("*.pt"))
    assert train("--dataset", "one") == 0
    before = tree(path.parent / "models")
    data = path.parent / "datasets" / "one.txt"
    away = data.rename(path.parent / "one.txt")
    assert train("--dataset", "one", "--more") == 2
    assert f"no file {data}" in capsys.readouterr().err and tree(path.parent / "models") == before
    away.rename(data)
    whole = data.read_bytes()
    data.write_bytes(whole + b"one more line\n")
    assert train("--dataset", "one", "--more") == 2
    assert f"{data}: not the text that" in capsys.readouterr().err and tree(path.parent / "models") == before
    data.write_bytes(whole)
    path.write_text(path.read_text(encoding="utf-8").replace("layers: 1", "layers: 2"), encoding="utf-8")
    assert train("--dataset", "one", "--more") == 2
    assert "one.pt has model." in capsys.readouterr().err and tree(path.parent / "models") == before


def set_of(run, *, seed: int | None = None, **data):
    """The run with another seed or other settings of its data."""
    found = run.model_copy(update={"data": run.data.model_copy(update=data)})
    return found if seed is None else found.model_copy(update={"seed": seed})


def test_what_a_model_has_learnt_is_never_held_out_of_it(tmp_path):
    run = make_run(tmp_path, prose(WORDS, 500, 1), "build", training=LEARNT)
    train_model(run, Quiet())
    before = tree(tmp_path / "models")
    held_out = round(run.data.held_out * len(run.data_file().read_text(encoding="utf-8")))
    for other, said in (
        (set_of(run, seed=7), "documents that would be held out now, with seed 7, not 1337;"),
        (set_of(run, held_out=0.4), "documents that would be held out now, with data.held_out 0.4, not 0.2;"),
        (
            set_of(run, format="stream"),
            f"has learnt {held_out:,} characters that would be held out now, with data.format stream",
        ),
    ):
        with pytest.raises(UserError) as error:
            with_more_time(other)
        assert said in str(error.value) and "\n" not in str(error.value)
        assert tree(tmp_path / "models") == before
    for other in (set_of(run, held_out=0.1), set_of(run, max_documents=300), set_of(run, vocab_size=32)):
        assert learnt_before(other, run) == 0  # what it holds out, that held out too
    assert learnt_before(run, set_of(run, max_documents=300)) == 0 < learnt_before(run, set_of(run, seed=7))
    stream = set_of(run, format="stream")
    assert learnt_before(stream, set_of(stream, seed=7)) == 0 < learnt_before(stream, set_of(stream, held_out=0.1))


def test_figures_of_a_model_that_was_trained_further_are_of_text_that_is_new_to_it(tmp_path):
    run, new = make_run(tmp_path, prose(WORDS, 500, 1), "build", training=LEARNT), prose(GREEK, 60, 7)
    train_model(run, Quiet())
    first = judge(run, tmp_path, new)
    for _ in range(2):  # one that was trained further, trained further
        train_model(with_more_time(run), Quiet())
        found = judge(run, tmp_path, new)
        assert load_checkpoint(run.model_file()).same_split and not found.origin.held_out_seen
        assert found.copies == first.copies and found.real_texts == first.real_texts
        assert {name: c.real for name, c in found.comparisons.items()} == {
            name: c.real for name, c in first.comparisons.items()
        }


def test_what_no_model_says_of_an_earlier_split_is_named(tmp_path):
    """A start by hand, with another seed; what goes on from that model holds out as it does, but not as its start."""
    run = make_run(tmp_path, prose(WORDS, 500, 1), "build", training=LEARNT)
    train_model(run, Quiet())
    kept = run.model_file().rename(run.model_file().with_name("kept.pt"))
    other = set_of(run, seed=7)
    train_model(shape(other, start_from=str(kept)), Quiet())
    for _ in range(2):
        assert not load_checkpoint(run.model_file()).same_split
        assert judge(other, tmp_path, prose(GREEK, 60, 7)).origin.held_out_seen > 50
        train_model(with_more_time(other), Quiet())
