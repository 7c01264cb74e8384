"""A network's calls as CUDA graphs: the same outputs as of calls launched kernel by kernel."""

import pytest
import torch

from config.schema import ModelConfig
from generation.checkpoint import load_checkpoint
from generation.graphs import GraphedNetwork, launched_together
from generation.writer import Writer, write_documents
from model import Denoiser, DiffusionTransformer

STATES, OUTPUTS = 6, 5
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")


def network_on(device: str) -> Denoiser:
    config = ModelConfig(layers=2, attention_layers=1, heads=2, width=16, context=32, noise_width=8, dropout=0.0)
    network = DiffusionTransformer(config, STATES, OUTPUTS).initialise(torch.Generator().manual_seed(1))
    torch.nn.init.normal_(network.head.weight, generator=torch.Generator().manual_seed(2))  # it starts as zeros
    return Denoiser(network.to(device).requires_grad_(False), torch.float32)


def question(device: str, rows: int, length: int, seed: int) -> list[torch.Tensor]:
    draws = torch.Generator().manual_seed(seed)
    x_t = torch.randint(STATES, (rows, length), generator=draws)
    sigma = torch.rand(rows, generator=draws) + 0.1
    given, positions = (torch.rand(rows, length, generator=draws) < 0.4 for _ in range(2))
    return [part.to(device) for part in (x_t, sigma, given, positions)]


def test_some_positions_are_those_of_the_whole():
    first_of_its_shape = network_on("cpu")  # and runs as it is, so that no GPU is needed
    *asked, positions = question("cpu", 3, 32, 1)
    some = GraphedNetwork(first_of_its_shape, torch.device("cpu"))(*asked, positions=positions)
    torch.testing.assert_close(some, first_of_its_shape(*asked, positions=positions))


def test_elsewhere_the_network_stays_as_it_is():
    network = network_on("cpu")
    assert launched_together(network, torch.device("cpu")) is network


@needs_cuda
@torch.no_grad()
def test_graphs_give_the_same_outputs():
    """At all positions and at some."""
    plain, graphed = network_on("cuda"), GraphedNetwork(network_on("cuda"), torch.device("cuda"))
    for seed, (rows, length) in enumerate([(4, 32), (2, 16), (4, 32), (2, 16), (4, 32)]):
        *asked, positions = question("cuda", rows, length, seed)
        torch.testing.assert_close(graphed(*asked), plain(*asked))
        some = graphed(*asked, positions=positions)
        torch.testing.assert_close(some, plain(*asked, positions=positions))
        assert some.shape == (int(positions.sum()), 1, OUTPUTS)
    assert len(graphed.call.captured) == 2 and all(graphed.call.captured.values())


@needs_cuda
def test_a_model_writes_the_same_documents_twice(model):
    writer = Writer.of(load_checkpoint(model), torch.device("cuda"))
    first, second = (write_documents(writer, 1, range(6), writer.settings()) for _ in range(2))
    assert first == second and len(set(first)) > 1
