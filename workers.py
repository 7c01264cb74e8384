"""Cores side by side: whole tasks of torch operations, one a core. Knows nothing of what they compute.

A small operation gains little from a second core and waits for it at its end; a task of many operations gains it all.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch

Task = TypeVar("Task")
Result = TypeVar("Result")


def lanes(device: torch.device) -> int:
    """How many tasks run at once: a core each; one on a GPU, which shares out a task by itself."""
    return pool()[1] if device.type == "cpu" else 1


@cache
def pool() -> tuple[ThreadPoolExecutor, int]:
    """A thread for each core that torch would use. From now on an operation keeps to the core it was called on."""
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    return ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)), cores


def side_by_side(device: torch.device, function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
    """[function(task) for task in tasks], at once on the cores of a CPU; autograd and autocast modes are the task's."""
    if lanes(device) == 1:
        return [function(task) for task in tasks]
    futures = [pool()[0].submit(function, task) for task in tasks]
    wait(futures)  # all of them, also where one has failed: nothing may still be at work on what its caller mends
    return [future.result() for future in futures]
