"""A start from a trained model: weights by character, rates, and what a voice says of its start."""

import itertools
from dataclasses import replace

import pytest
import torch

from generation.checkpoint import load_checkpoint, save_checkpoint
from tests.helpers import Quiet, change_config, posix, shape, toy_lines, tree
from text.corpus import load_corpus
from text.vocabulary import Vocabulary
from training.finished import finished_model
from training.further import with_more_time
from training.order import maker_of
from training.start import Beginning, beginning_of, matched_weights, spent_before
from training.trainer import Training, train_model
from utils import UserError


@pytest.fixture
def base(tiny_run):
    """A run that is trained, of texts without x, y and z."""
    run = shape(tiny_run(["abc abd " + line for line in toy_lines(60)], name="first"), max_steps=150)
    train_model(run, Quiet())
    return run


@pytest.mark.parametrize("process", ["uniform", "absorbing"])
def test_weights_are_matched_by_character(tiny_run, process):
    run = tiny_run(diffusion={"process": process})
    train_model(run, Quiet())
    start = load_checkpoint(run.model_file())
    known = start.vocabulary.characters
    other = Vocabulary("\n" + "".join(sorted(set(known[1:]) - {"e"})) + "€")
    fresh = {name: torch.full_like(weight, 7.0) for name, weight in start.weights.items()}
    for name in ("tokens.weight", "head.weight", "head.bias"):
        fresh[name] = fresh[name][:1].expand(len(fresh[name]), *fresh[name].shape[1:])
    found = matched_weights(fresh, run, other, start)
    for here, character in enumerate(other.characters[:-1]):
        for name in ("tokens.weight", "head.weight", "head.bias"):
            assert torch.equal(found[name][here], start.weights[name][known.index(character)])
    new = other.characters.index("€")
    assert (found["tokens.weight"][new] == 7).all() and (found["head.weight"][new] == 0).all()
    assert found["head.bias"][new] == start.weights["head.bias"].min()
    assert torch.equal(found["head.bias"][other.unk], start.weights["head.bias"][start.vocabulary.unk])
    assert torch.equal(found["tokens.weight"][-1], start.weights["tokens.weight"][-1])  # the mask, or <unk>
    assert torch.equal(found["blocks.0.up.weight"], start.weights["blocks.0.up.weight"])


def test_a_training_starts_where_another_ended_and_says_so(base, tiny_run):
    run = shape(tiny_run(["abx " + line for line in toy_lines(60, 1)], name="second"), start_from="first")
    scratch = Training(shape(run, start_from=""))
    training = Training(run)
    for found in (training, scratch):
        found.validate(Quiet())
    assert training.status.history[0].held_out < scratch.status.history[0].held_out - 0.3
    train_model(run, Quiet())
    start = load_checkpoint(run.model_file()).start
    assert start is not None and (start.name, [text.name for text in start.texts]) == ("first", ["first"])
    assert start.texts[0].sha256 == load_corpus(base).sha256
    assert finished_model(run)[0]
    assert not finished_model(shape(run, start_from=""))[0]


def test_a_state_names_the_start_that_its_training_began_from(base, tiny_run):
    """Another model may have the start's name by the time that the state is saved."""
    run = shape(tiny_run(["abx " + line for line in toy_lines(60, 1)], name="second"), start_from="first")
    training = Training(run)
    base.model_file().unlink()
    train_model(base.model_copy(update={"seed": 7}), Quiet())
    training.save_state()
    train_model(run, listener := Quiet())
    assert listener.resumed_from is None and "is of other data, settings or version" in listener.notes[0]


def test_a_start_has_a_share_of_the_learning_rates(base, tiny_run):
    run = tiny_run(["abx " + line for line in toy_lines(60, 1)], name="second")
    factors = []
    for start, share in (("", 0.25), ("first", 0.25), ("first", 1.0)):
        training = Training(shape(run, start_from=start, start_rates=share, max_steps=100))
        training.status.step = 50
        factors.append(training.rate_factor())
    assert factors[1:] == [factors[0] / 4, factors[0]] and factors[0] > 0


def test_a_start_of_the_same_text_tells_how_far_it_came(base):
    found = beginning_of(shape(base, start_from="first"))
    assert found is not None
    checkpoint, sha256 = found.checkpoint, found.checkpoint.data_sha256
    metrics = {"steps": 150, "characters": 9_000, "steps_before": 50}
    start = Beginning(replace(checkpoint, metrics=metrics), found.record)
    assert spent_before(start, "first", sha256) == {"steps_before": 200, "characters_before": 9_000}
    assert spent_before(start, "second", sha256) == spent_before(start, "first", "0" * 64) == {}
    for key, told in itertools.product(("steps", "characters"), (None, -1, 1.5, "many", True)):
        damaged = Beginning(replace(checkpoint, metrics={**metrics, key: told}), found.record)
        with pytest.raises(UserError) as error:
            spent_before(damaged, "first", sha256)
        assert str(error.value) == f"first: its model does not tell how many {key} it made; train it anew"


def test_a_voice_whose_start_was_trained_anew_is_not_done(base, tiny_run):
    run = shape(tiny_run(["abx " + line for line in toy_lines(60, 1)], name="second"), start_from="first")
    train_model(run, Quiet())
    train_model(shape(base, max_steps=151), Quiet())
    found, reason = finished_model(run)
    assert found is None and reason.endswith("first.pt as it was, which was trained anew since")


def test_a_voice_that_was_trained_further_is_done_if_it_learnt_what_it_should_start_from(base, tiny_run):
    run = tiny_run(["abx " + line for line in toy_lines(60, 1)], name="second")
    from_first = shape(run, start_from="first")
    for began, is_done in ((run, False), (from_first, True)):
        train_model(began, Quiet())
        train_model(with_more_time(began), Quiet())
        assert bool(finished_model(from_first)[0]) == is_done
        assert finished_model(run)[0]
    with base.data_file().open("a", encoding="utf-8") as file:
        file.write("another line\n")
    train_model(base, Quiet())
    assert finished_model(from_first)[0] is None


def test_a_start_of_another_network_is_one_line(base, tiny_run):
    run = shape(tiny_run(name="second", model={"width": 24}), start_from="first")
    with pytest.raises(UserError) as error:
        beginning_of(run)
    path = base.model_file()
    assert str(error.value) == (f"training.start_from: {path} has model.width 16, this run 24; choose the same preset")
    with pytest.raises(UserError, match="no such file"):
        beginning_of(shape(run, start_from="nothing"))
    own = shape(run, start_from="second")
    assert own.overwritten().endswith("is the model to be trained; name another")
    # wherever a stored run is read, its own paths are not
    elsewhere = shape(run, start_from="models/second.pt")
    assert not elsewhere.overwritten() and type(run).stored(elsewhere.model_dump()).trains_like(elsewhere)


def test_a_start_that_names_no_text_is_one_line(base):
    found = load_checkpoint(base.model_file())
    base.model_file().unlink()
    save_checkpoint(base.model_file(), replace(found, data_sha256=""))  # as one from elsewhere may be
    with pytest.raises(UserError, match=r"start_from: .*first.pt: does not say which texts it learnt; name another"):
        beginning_of(shape(base, start_from="first"))


@pytest.mark.usefixtures("warm_processes")
def test_a_start_that_is_not_there_is_found_before_a_model_is_set_aside(project, capsys):
    path, train = project
    assert train("--dataset", "one") == 0
    models = path.parent / "models"
    before = tree(models)
    change_config(path, datasets={"one": {"training": {"start_from": "nosuch"}}, "two": {}})
    for option in ("--check", "--force", "--preset=baby"):
        capsys.readouterr()
        assert train("--dataset", "one", option) == 1
        printed = " ".join(capsys.readouterr().out.split())
        assert "error: one:" in printed and "training.start_from:" in printed
        assert "nosuch.pt: no such file; train that model first" in printed.replace("/ ", "/")
        assert tree(models) == before


@pytest.mark.usefixtures("warm_processes")
def test_what_a_voice_starts_from_is_trained_first(project, capsys):
    path, train = project
    change_config(path, datasets={"one": {"training": {"start_from": "two"}}, "two": {}})
    assert train("--all", "--check") == 0
    assert train("--all") == 0
    assert load_checkpoint(path.parent / "models" / "one.pt").start.name == "two"
    change_config(
        path, datasets={name: {"training": {"start_from": o}} for name, o in (("one", "two"), ("two", "one"))}
    )
    capsys.readouterr()
    for options in ([], ["--hours", "1", "--jobs", "2"]):
        assert train("--all", *options) == 2
        assert "training.start_from: one and two and one start from each other; let one" in capsys.readouterr().err


@posix
def test_what_makes_a_start_is_known_by_any_path(tiny_run):
    one, two = tiny_run(name="one"), tiny_run(name="two")
    models = one.model_file().parent
    models.mkdir(exist_ok=True)
    models.with_name("linked").symlink_to(models)
    for folder in (models, models / ".." / models.name, models.with_name("linked")):
        run = shape(two, start_from=str(folder / "one.pt"))
        assert maker_of(run, [one, run]) is one
