"""A state whose parts are not those of its training is damaged; one that came aside is found again."""

import json
import math
from collections import OrderedDict

import pytest
import torch

from generation.archive import Damaged, write_archive
from tests.helpers import TINY, Quiet, make_run, one_short_line, shape
from tests.training.states import change_state, state_of, stop
from training import trainer
from training.queue import Queue
from training.resume import read_state
from training.trainer import Training, train_model
from utils import UserError

WRONG = [
    ("model", {}), ("model", None), ("average", {"head.bias": torch.zeros(1)}), ("best", [1]), ("optimizers", []),
    ("optimizers", None), ("status", {"history": 3}), ("status", {"name": "toy", "steps": 1}), ("status", None),
    ("status", lambda status: {**status, "name": "other"}),
    *(
        ("status", lambda status, key=key, value=value: {**status, key: value})
        for key, value in (("seconds", math.nan), ("seconds", -1e300), ("slowdowns", -5000), ("step", -5))
    ),
    *(
        ("status", lambda status, key=key: {**status, "history": [{**status["history"][0], key: [1]}]})
        for key in ("held_out", "sample", "step", "learnt")
    ),
    *(
        ("status", lambda status, key=key, value=value: {**status, "history": [{**status["history"][0], key: value}]})
        for key, value in (("held_out", -9e99), ("held_out", math.nan), ("minutes", math.nan), ("learnt", -math.inf))
    ),
    *(
        (part, lambda weights, value=value: {**weights, "head.bias": torch.full_like(weights["head.bias"], value)})
        for part in ("model", "average", "best") for value in (math.nan, -math.inf)
    ),
    *(
        ("model", lambda weights, kind=kind: {**weights, "head.bias": weights["head.bias"].to(kind)})
        for kind in (torch.int32, torch.float64, torch.complex64)
    ),
    *(("optimizers", lambda parts, change=change: changed(parts, *change)) for change in (
        (0, "exp_avg", lambda value: value[:0]), (0, "exp_avg", lambda value: value.int()),
        (0, "exp_avg", lambda value: value + math.nan), (0, "exp_avg", None), (0, "exp_avg", lambda value: [1]),
        (0, "exp_avg_sq", lambda value: value - 1), (0, "exp_avg_sq", lambda value: value.double()),
        (0, "step", lambda value: value * 0), (0, "step", lambda value: value + math.inf), (0, "step", lambda value: 3),
        (1, "momentum_buffer", lambda value: value.T[:1]), (1, "momentum_buffer", lambda value: value * math.inf),
        (1, "momentum_buffer", None),
    )),
    ("optimizers", lambda parts: [{**part, "state": {7000: {}}} for part in parts]),
    ("optimizers", lambda parts: [{**part, "state": {**part["state"], 0: {}}} for part in parts]),
    ("optimizers", lambda parts: [{**part, "state": []} for part in parts]),
    ("status", lambda status: {**status, "characters": 10**400}),
    ("shards", "many"), ("shards", 2**40), ("shards", 0), ("shards", None), ("sound", {"model": {}}), ("sound", 5),
    ("sound", torch.zeros(2)),
]  # fmt: skip


def changed(parts: list[dict], part: int, name: str, change) -> list[dict]:
    """States of optimizers with one number of the first parameter of one changed; None: it is missing."""
    rest = {key: value for key, value in parts[part]["state"][0].items() if key != name}
    found = rest if change is None else {**rest, name: change(parts[part]["state"][0][name])}
    other = {**parts[part], "state": {**parts[part]["state"], 0: found}}
    return [*parts[:part], other, *parts[part + 1 :]]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A training that is about to go on, and the state that it finds."""
    run = make_run(tmp_path_factory.mktemp("stopped"))
    stop(run, 4)  # after a validation
    return Training(run), state_of(run)


@pytest.mark.parametrize(("part", "value"), WRONG)
def test_a_state_with_a_wrong_part_is_damaged(stopped, part, value):
    training, state = stopped
    run, learner = training.run, training.learner

    def read_again(content: dict) -> dict:
        write_archive(run.state_file(), content)
        return read_state(run.state_file(), run, training.corpus, training.sound, learner.optimizers)

    assert read_again(state)["status"]["step"] == 4
    with pytest.raises(Damaged):
        read_again({**state, part: value(state[part]) if callable(value) else value})


@pytest.mark.parametrize("change", [
    {"held_out": math.inf}, {"learnt": math.nan}, {"learnt": math.inf}, {"held_out": 1e300, "learnt": 1e300},
    {"learnt": None},
])  # fmt: skip
def test_a_state_after_a_validation_without_finite_bits_is_gone_on_from(tiny_run, change):
    run = tiny_run()
    stop(run, 4)  # after a validation
    change_state(run, status=lambda status: {**status, "history": [{**status["history"][0], **change}]})
    train_model(run, listener := Quiet())
    assert listener.resumed_from == 4 and not listener.notes and run.model_file().is_file()


@pytest.mark.parametrize(("device", "parts"), [("cpu", 1), ("cuda", 2)])
def test_a_state_of_another_device_is_cut_for_this_one(tiny_run, monkeypatch, device, parts):
    """A GPU computes a step as one part, of which a CPU would use one core."""
    run = tiny_run()
    monkeypatch.setattr(trainer, "shard_count", lambda *_: 1)
    stop(run, 4)
    change_state(run, device=device)
    monkeypatch.setattr(trainer, "shard_count", lambda *_: 2)
    training = Training(run)
    training.restore(Quiet())
    assert training.learner.shards == len(training.learner.dropout) == parts


def test_a_training_goes_on_after_one_of_other_settings_came_between(tiny_run):
    """As where an option is forgotten once: neither of the two loses its hours."""
    run = tiny_run()
    other = run.model_copy(update={"seed": 7})
    unbroken = train_model(run, Quiet()).weights
    run.model_file().unlink()
    for each, step in ((run, 4), (other, 3)):
        stop(each, step)
    kept = run.state_file().with_name("toy.resume.previous.pt")
    listener = stop(run, 5)
    assert listener.resumed_from == 4 and f"{kept}, which was kept aside, is of this training" in listener.notes
    weights = train_model(run, Quiet()).weights
    assert all(torch.equal(weights[name], value) for name, value in unbroken.items())
    run.model_file().unlink()
    train_model(other, listener := Quiet())  # whose state lies aside, though none is in its place now
    assert listener.resumed_from == 3 and not [*kept.parent.glob("*.resume*")]


def test_a_shorter_training_takes_back_the_state_that_one_of_other_settings_moved_aside(tiny_run):
    """As where a model is to be made of what was learnt so far, and an option was forgotten before."""
    run = tiny_run()
    interrupted(run, 60, spent=30)
    stop(run.model_copy(update={"seed": 7}), 3)
    assert Queue([run], force=False, command="").status_of(run) == "interrupted"
    train_model(shape(run, max_minutes=1), listener := Quiet())
    assert listener.resumed_from == 2 and listener.last is None and run.model_file().is_file()


def test_what_is_added_to_the_values_of_a_state_is_not_read(tiny_run):
    run = tiny_run()
    stop(run, 4)
    state = state_of(run)
    status = OrderedDict(state["status"])
    status.pop = "no method"
    write_archive(run.state_file(), {**state, "status": status})
    train_model(run, listener := Quiet())
    assert listener.resumed_from == 4 and not listener.notes


def test_settings_of_optimizers_are_those_of_the_run_whatever_a_state_says(tiny_run):
    run = tiny_run()
    unbroken = train_model(run, Quiet()).weights
    run.model_file().unlink()
    stop(run, 4)
    state = state_of(run)
    strange = {"betas": 3, "eps": -1.0, "momentum": "x", "ns_steps": 10**9, "amsgrad": True, "params": [5]}
    for part in state["optimizers"]:
        part["param_groups"] = [{**group, **strange} for group in part["param_groups"]]
    write_archive(run.state_file(), state)
    listener = Quiet()
    weights = train_model(run, listener).weights
    assert listener.resumed_from == 4 and all(torch.equal(weights[name], value) for name, value in unbroken.items())


@pytest.mark.parametrize("config", [None, 5, [], {"sampling": 3}, {1: 2}])
def test_a_state_with_a_config_of_another_kind_belongs_to_no_run(tiny_run, config):
    run = tiny_run()
    stop(run, 3)
    change_state(run, config=config)
    listener = Quiet()
    train_model(run, listener)
    assert "is of other data, settings or version; it is kept as" in listener.notes[0]


ABSURD = [
    *(("status", lambda status, key=key: {**status, key: 2**52})
      for key in ("step", "seconds", "slowdowns", "validated")),
    ("status", lambda status: {**status, "loss": 1e308}),
    ("status", lambda status: {**status, "history": [{**status["history"][0], "held_out": 0.0, "minutes": 2.0**52}]}),
    *((part, lambda weights: {name: torch.full_like(value, 3e38) for name, value in weights.items()})
      for part in ("model", "average", "best")),
    ("optimizers", lambda parts: changed(parts, 0, "exp_avg", lambda value: value * 0 + 3e38)),
]  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The weights of an unbroken training."""
    return train_model(make_run(tmp_path_factory.mktemp("unbroken")), Quiet()).weights


@pytest.mark.parametrize(("part", "change"), ABSURD)
def test_a_state_of_absurd_numbers_ends_in_a_model_or_a_line_and_force_begins_anew(tiny_run, unbroken, part, change):
    """No number tells that another training, or nobody, came to it: a state is believed as a model file is."""
    run = tiny_run()
    stop(run, 4)
    change_state(run, **{part: change})
    try:
        train_model(run, Quiet())
    except UserError as error:
        assert one_short_line(str(error)) and "training diverged" in str(error)
    except FloatingPointError as error:
        assert one_short_line(str(error))
    Queue([run], force=True, command="").forget_all()
    assert not run.state_file().exists() and not run.model_file().exists()
    weights = train_model(run, Quiet()).weights
    assert all(torch.equal(weights[name], value) for name, value in unbroken.items())


@pytest.mark.parametrize("seconds", [10**400, -1, math.nan, "long"])
def test_force_takes_no_state_for_a_longer_one_by_seconds_that_no_clock_shows(tiny_run, seconds):
    run = tiny_run()
    stop(run, 2)
    change_state(run, status=lambda status: {**status, "seconds": seconds})
    queue = Queue([run], force=False, command="")
    assert queue.status_of(run) == "new"
    queue.force = True
    queue.forget_all()
    assert not run.state_file().exists() and not queue.failed


def interrupted(run, minutes: float, *, spent: float) -> None:
    """A training of so many minutes that stopped at step 2 of 6, after `spent` of them."""
    stop(shape(run, max_minutes=minutes), 2)
    change_state(run, status=lambda status: {**status, "seconds": 60 * spent})


def spent(run) -> float:
    return state_of(run)["status"]["seconds"] / 60


@pytest.mark.parametrize("minutes", [60, 0])
@pytest.mark.parametrize("limits", [[1], [1, 2, 1.5]])
def test_a_state_of_a_longer_training_outlives_a_shorter_one(tiny_run, minutes, limits):
    run = tiny_run()
    interrupted(run, minutes, spent=30)
    limit = "of 60 minutes" if minutes else "without a limit of time"
    for short in limits:
        listener = Quiet()
        train_model(shape(run, max_minutes=short), listener)
        assert listener.resumed_from == 2 and listener.last is None and run.model_file().is_file()
        assert listener.notes == [f"{run.state_file()} stays for a training {limit}, which goes on from it"]
        assert spent(run) >= 30
        figures = run.model_file().with_suffix(".metrics.jsonl").read_text("utf-8").splitlines()
        assert json.loads(figures[-1])["progress"] == 1
        run.model_file().unlink()
    listener = Quiet()
    train_model(shape(run, max_minutes=minutes), listener)
    assert listener.resumed_from == 2 and listener.last.step == 6 and not listener.notes
    assert [record.step for record in listener.last.history][-2:] == [2 if minutes else 3, 6]
    assert not run.state_file().exists()


def test_a_last_measurement_of_a_shorter_training_ends_no_longer_one(tiny_run):
    """Though patience would end it there: the longer one measures at other steps."""
    run = tiny_run(training={**TINY["training"], "patience": 3})
    interrupted(run, 60, spent=30)
    one = {"progress": 0.1, "characters": 1, "train_loss": 3.0, "held_out_error": 0.1, "learning_rate": 0.1,
           "minutes": 1.0, "sample": ""}  # fmt: skip
    history = [{**one, "step": 1, "held_out": bits} for bits in (0.001, 3.0, 3.0)]
    change_state(run, sound=None, status=lambda status: {**status, "history": history})
    train_model(shape(run, max_minutes=1), listener := Quiet())
    assert listener.resumed_from == 2 and "stays for a training of 60 minutes" in listener.notes[0]
    assert spent(run) >= 30


def test_a_shorter_training_that_stops_again_leaves_the_state_to_the_longer(tiny_run):
    run = tiny_run()
    interrupted(run, 60, spent=0.1)
    stop(shape(run, max_minutes=1), 3)
    train_model(shape(run, max_minutes=0.01), listener := Quiet())
    assert "stays for a training of 60 minutes" in listener.notes[0] and spent(run) > 0.1


def test_a_state_goes_where_its_training_has_no_more_to_do(tiny_run):
    run = tiny_run()
    for longer, shorter in ((60, 50), (60, 55), (60, 60), (1, 60)):  # it ends by its steps; or had nearly the time
        interrupted(run, longer, spent=0.1 if shorter == 50 else 59)
        train_model(shape(run, max_minutes=shorter), listener := Quiet())
        assert not run.state_file().exists() and not listener.notes
        run.model_file().unlink()


def test_a_state_of_another_format_is_kept_aside(tiny_run):
    run = tiny_run()
    stop(run, 3)
    change_state(run, format="3")
    train_model(run, listener := Quiet())
    assert listener.resumed_from is None and "is of other data, settings or version" in listener.notes[0]
