"""How tests sample from an oracle, and how far what comes out is from the oracle's distribution."""

from dataclasses import replace

import torch

from diffusion.sampler_settings import SamplerSettings
from diffusion.samplers import sample

ROWS = 8000


PLAIN = SamplerSettings("tweedie", "log_linear", 64, 1.0, 1.0, True, 0.0, 3, 1, 0.0, 0)


def uniform_stream(rows: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return lambda size: torch.rand(rows, size, generator=generator, dtype=torch.float64)


def run(oracle, diffusion, head="x0", *, rows=ROWS, given=None, x=None, forbidden=(), **settings):
    shape = (rows, oracle.length)
    x = torch.zeros(shape, dtype=torch.long) if x is None else x
    given = torch.zeros(shape, dtype=torch.bool) if given is None else given
    own = replace(PLAIN, **{"greedy_last_step": False, **settings})
    return sample(diffusion, oracle.network(head), x, given, uniform_stream(rows), own, forbidden=list(forbidden))


def frequencies(oracle, texts):
    index = (texts * oracle.characters ** torch.arange(oracle.length - 1, -1, -1)).sum(1)
    return torch.bincount(index, minlength=len(oracle.p)).double() / len(texts)


def total_variation(oracle, texts) -> float:
    return float((frequencies(oracle, texts) - oracle.p).abs().sum() / 2)
