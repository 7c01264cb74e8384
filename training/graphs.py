"""The steps of a training on a GPU as CUDA graphs: one launch for hundreds of small kernels."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Step = Callable[..., tuple[Tensor, ...]]  # tensors on the device -> tensors on the device


class Captured(NamedTuple):
    """A graph, and the places of what comes in and what goes out."""

    graph: "torch.cuda.CUDAGraph"
    inputs: list[Tensor]
    outputs: tuple[Tensor, ...]


class GraphedStep:
    """A step whose kernels are launched together, by a graph for each shape of its inputs.

    A kernel of a small network ends sooner than the next can be launched, so a GPU would wait most of the time. The
    first step of a shape runs as it is, which sets up what a graph must not; the second is captured. A step may change
    what lies on the device in place, but must always do the same: no branch may depend on a value.
    """

    def __init__(self, step: Step, generators: list[torch.Generator]) -> None:
        self.step, self.generators = step, generators
        self.captured: dict[torch.Size, Captured | None] = {}

    def __call__(self, first: Tensor, *others: Tensor | float) -> tuple[Tensor, ...]:
        """What the step returns for tensors in memory, and numbers; `first` tells the shape of all."""
        shape, inputs = first.shape, [first, *map(torch.as_tensor, others)]
        if shape not in self.captured:
            self.captured[shape] = None
            return self.step(*(value.to(self.generators[0].device) for value in inputs))
        graph, places, outputs = self.captured[shape] = self.captured[shape] or self._capture(inputs)
        for place, value in zip(places, inputs, strict=True):
            place.copy_(value.pin_memory(), non_blocking=True)  # from other memory, a copy waits for the GPU
        graph.replay()
        return tuple(output.clone() for output in outputs)  # the next step writes over these

    def _capture(self, inputs: list[Tensor]) -> Captured:
        places = [torch.empty_like(value, device=self.generators[0].device) for value in inputs]
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, pool=self._pool()):
            outputs = self.step(*places)
        return Captured(graph, places, outputs)

    def _pool(self) -> Any:
        """The memory of the graphs so far: no two run at once, so they can share it."""
        return next((known.graph.pool() for known in self.captured.values() if known), None)
