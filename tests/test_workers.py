"""Tasks side by side give what they would give in turn."""

import time

import pytest
import torch

from utils import map_on_cores, parallel_tasks

CPU = torch.device("cpu")


def test_results_come_in_the_order_of_the_tasks():
    def late(k: int) -> int:
        time.sleep(0.02 * (3 - k))
        return k * k

    assert map_on_cores(CPU, late, range(4)) == [0, 1, 4, 9]


def test_each_task_computes_on_one_core_and_so_does_its_caller():
    assert set(map_on_cores(CPU, lambda _: torch.get_num_threads(), range(2 * parallel_tasks(CPU)))) == {1}
    assert torch.get_num_threads() == 1


def test_a_failure_reaches_the_caller_when_all_have_ended():
    ended = []

    def work(k: int) -> None:
        time.sleep(0.05 * k)
        ended.append(1 // k)

    with pytest.raises(ZeroDivisionError):
        map_on_cores(CPU, work, [0, 4, 2])
    assert ended == [0, 0] if parallel_tasks(CPU) > 1 else ended == []


def test_a_gpu_takes_its_tasks_in_turn():
    assert parallel_tasks(torch.device("cuda")) == 1
