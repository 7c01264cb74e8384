"""CUDA graphs: one launch for the hundreds of small kernels of a training step, or of a network's call.

A kernel of a small network ends sooner than the next can be launched, so a GPU would wait most of the time. The kernels
of a large one wait for memory, and fewer do where a compiler joins them.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffusion.objectives import Network

Step = Callable[..., tuple[Tensor, ...]]  # tensors on the device -> tensors on the device


class Captured(NamedTuple):
    """A graph, and the places of what comes in and what goes out."""

    graph: "torch.cuda.CUDAGraph"
    inputs: list[Tensor]
    outputs: tuple[Tensor, ...]


class GraphedStep:
    """A step whose kernels are launched together, by a graph for each shape of its inputs.

    The first step of a shape runs as it is, which sets up what a graph must not; the second is captured. A step may
    change what lies on the device in place, but must always do the same: no branch may depend on a value.
    """

    def __init__(self, step: Step, device: torch.device, generators: Sequence[torch.Generator] = ()) -> None:
        self.step, self.device, self.generators = step, device, generators
        self.captured: dict[torch.Size, Captured | None] = {}

    def __call__(self, first: Tensor, *others: Tensor | float) -> tuple[Tensor, ...]:
        """What the step returns for tensors, wherever they are, and numbers; `first` tells the shape of all."""
        shape, inputs = first.shape, [first, *map(torch.as_tensor, others)]
        if shape not in self.captured:
            self.captured[shape] = None
            return self.step(*(value.to(self.device) for value in inputs))
        graph, places, outputs = self.captured[shape] = self.captured[shape] or self._capture(inputs)
        for place, value in zip(places, inputs, strict=True):
            # from memory that is not pinned, a copy waits for the GPU
            place.copy_(value.pin_memory() if value.device.type == "cpu" else value, non_blocking=True)
        graph.replay()
        return tuple(output.clone() for output in outputs)  # the next step writes over these

    def _capture(self, inputs: list[Tensor]) -> Captured:
        places = [torch.empty_like(value, device=self.device) for value in inputs]
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, pool=self._pool()):
            outputs = self.step(*places)
        return Captured(graph, places, outputs)

    def _pool(self) -> Any:
        """The memory of the graphs so far: no two run at once, so they can share it."""
        return next((known.graph.pool() for known in self.captured.values() if known), None)


class GraphedNetwork:
    """A network of fixed weights on a GPU, whose calls are graphs: it computes all positions and returns those asked.

    Shapes as of `Network`. A graph has fixed shapes, and how many positions are asked for depends on values.
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        self.call = GraphedStep(lambda *question: (network(*question),), device)

    def __call__(self, x_t: Tensor, sigma: Tensor, given: Tensor, *, positions: Tensor | None = None) -> Tensor:
        (output,) = self.call(x_t, sigma, given)
        return output if positions is None else output[positions].unsqueeze(1)


@cache
def compiles(device: torch.device) -> bool:
    """Whether torch.compile works on a GPU: it takes Triton, a C compiler and a GPU that is not too old."""
    try:
        torch.compile(torch.square)(torch.ones(2, device=device))
    except RuntimeError:
        return False
    return True


def launched_together(network: Network, device: torch.device) -> Network:
    """The network, on a GPU as graphs. Its weights must not be replaced any more."""
    return GraphedNetwork(network, device) if device.type == "cuda" else network
