"""Trainings on a Ray cluster: the same bytes as without it, though a machine dies, and one line without Ray."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.helpers import TINY, change_config, posix, toy_lines
from tests.training.program import models_beside, of_datasets
from training.ray_lanes import RayLanes, cores_of_each, train_on_node
from training.worker import Cores, Outcome

pytest.importorskip("ray", reason="Ray is not installed: requirements-ray.txt")

NAMES = ("one", "two", "three", "four")


@pytest.fixture
def four(project):
    of_datasets(project[0], {name: toy_lines(60 + number, number) for number, name in enumerate(NAMES)})
    return project


@posix
@pytest.mark.slow
def test_a_machine_that_dies_costs_no_training_and_no_byte(four, cluster, capfd, monkeypatch):
    path, run = four
    steps = {**TINY["training"], "batch_size": 16, "max_steps": 120, "validations": 12, "patience": 0}
    change_config(path, training=steps)  # long enough that a state is seen
    assert run("--all") == 0
    alone = models_beside(path)
    for file in (path.parent / "models").iterdir():
        file.unlink()

    finished = RayLanes.finished

    def finished_and_lose_a_machine(lanes, seconds, hear):
        if len(cluster.workers) == 2 and list((path.parent / "models").glob("*.resume.pt")):
            cluster.remove_node(cluster.workers.pop(), allow_graceful=False)
        return finished(lanes, seconds, hear)

    monkeypatch.setattr(RayLanes, "finished", finished_and_lose_a_machine)
    assert run("--all", "--ray", cluster.address) == 0
    assert len(alone) == 4 and models_beside(path) == alone and len(cluster.workers) == 1
    out = capfd.readouterr().out
    assert all(f"{name}: trained: " in out for name in NAMES)


def test_without_ray_it_is_one_line(four, capsys, monkeypatch):
    _, run = four
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run("--all", "--ray") == 2
    assert capsys.readouterr().err == "error: Ray is not installed; pip install -r requirements-ray.txt\n"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "head", "head:port", "127.0.0.1:99999"])
def test_no_cluster_is_one_line(four, capsys, address):
    _, run = four
    assert run("--all", "--ray", address) == 2
    fix = "begin one with ray start --head, which names its HOST:PORT"
    assert capsys.readouterr().err == f"error: --ray {address}: no cluster answers; {fix}\n"


def test_a_stop_is_heard_between_steps_of_any_length(tiny_run, monkeypatch, tmp_path):
    """A stand-in for Ray, in which the reply to the last message has never come yet."""

    class Ray:
        def wait(self, replies, num_returns, timeout):
            assert num_returns == len(replies)
            return replies[:-1], replies[-1:]

        def get(self, replies):
            return [True for _ in replies]

    def train(run, sender, cut_for):
        for step in range(5):
            sender.send(step)
            if sender.stopping():
                return Outcome(run.name, "stopped", str(step))
        raise AssertionError

    run = tiny_run(["one", "two"])
    run.model_file().parent.mkdir(exist_ok=True)
    marker = run.model_file().parent / ".shared-x"
    marker.touch()
    monkeypatch.setattr("training.ray_lanes.ray_library", Ray)
    monkeypatch.setattr("training.ray_lanes.train_to_outcome", train)
    mailbox = SimpleNamespace(put=SimpleNamespace(remote=lambda message: message))
    assert train_on_node(run, Cores(torch.get_num_threads(), 1), mailbox, (Path.cwd(), marker)).detail == "1"


def test_a_machine_without_the_folder_trains_nothing(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # as the task does, which stays there
    run = tiny_run()
    place = (tmp_path, tmp_path / "models" / ".shared-elsewhere")
    outcome = train_on_node(run, Cores(1, 1), None, place)
    assert outcome.state == "failed" and not run.model_file().exists()
    assert "does not see" in outcome.detail and "share these folders under the same names" in outcome.detail


@pytest.mark.parametrize(
    ("machines", "trainings", "cores"),
    [
        ([(8, 0), (8, 0)], 15, 1),
        ([(8, 0), (8, 0)], 3, 4),
        ([(4, 0), (12, 0)], 2, 6),  # both on the second
        ([(4, 0), (12, 0)], 1, 12),
        ([(2, 0)], 5, 1),  # more than there are cores
        ([(32, 0), (8, 1)], 1, 8),  # none runs without a GPU
        ([(32, 2), (8, 2)], 4, 4),
        ([(0, 1)], 1, 1),
    ],
)
def test_as_many_trainings_as_there_are_lanes_find_room_at_once(machines, trainings, cores):
    assert cores_of_each(machines, trainings) == cores
