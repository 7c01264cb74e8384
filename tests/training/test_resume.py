"""A state whose parts are not those of its training is kept aside, and the training ends as an unbroken one."""

import math

import pytest
import torch

from generation.archive import read_archive, write_archive
from tests.helpers import Quiet
from training.events import Stopped
from training.resume import STATE_BYTES
from training.trainer import train_model

WRONG = [
    ("model", {}), ("model", None), ("average", {"head.bias": torch.zeros(1)}), ("best", [1]), ("optimizers", []),
    ("optimizers", None), ("status", {"history": 3}), ("status", {"name": "toy", "steps": 1}), ("status", None),
    *(
        ("status", lambda status, key=key, value=value: {**status, key: value})
        for key, value in (("seconds", math.nan), ("seconds", -1e300), ("slowdowns", -5000), ("step", -5))
    ),
    *(
        ("status", lambda status, key=key: {**status, "history": [{**status["history"][0], key: [1]}]})
        for key in ("held_out", "sample", "step", "learnt")
    ),
    ("shards", "many"), ("shards", 0), ("shards", None), ("sound", {"model": {}}), ("sound", 5),
]  # fmt: skip


@pytest.fixture(scope="module")
def unbroken():
    """The weights of an unbroken training, made once."""
    return {}


@pytest.mark.parametrize(("part", "value"), WRONG)
def test_a_state_with_a_wrong_part_is_kept_and_the_end_is_the_same(tiny_run, unbroken, part, value):
    run = tiny_run()
    if not unbroken:
        unbroken |= train_model(run, Quiet()).weights
        run.model_file().unlink()
    with pytest.raises(Stopped):
        train_model(run, Quiet(stop_at=4))  # after a validation
    state = read_archive(run.state_file(), values_bytes=STATE_BYTES)
    write_archive(run.state_file(), {**state, part: value(state[part]) if callable(value) else value})
    listener = Quiet()
    weights = train_model(run, listener).weights
    assert listener.resumed_from is None and "is damaged; it is kept as" in listener.notes[0]
    assert all(torch.equal(weights[name], value) for name, value in unbroken.items())


@pytest.mark.parametrize("config", [None, 5, [], {"sampling": 3}, {1: 2}])
def test_a_state_with_a_config_of_another_kind_belongs_to_no_run(tiny_run, config):
    run = tiny_run()
    with pytest.raises(Stopped):
        train_model(run, Quiet(stop_at=3))
    state = read_archive(run.state_file(), values_bytes=STATE_BYTES)
    write_archive(run.state_file(), {**state, "config": config})
    listener = Quiet()
    train_model(run, listener)
    assert "is of other data, settings or version; it is kept as" in listener.notes[0]
