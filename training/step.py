"""The parts of a training step, which `Learner.step` puts together: loss and gradients of shards, the optimizers."""

import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from config.schema import TrainingConfig
from diffusion.objectives import LOSSES, Diffusion
from model import DiffusionTransformer
from training.muon import muon_steps
from utils import map_on_cores, parallel_tasks, pick_precision

# positions in a shard: below the first, calls cost more than computing; above the second, a CPU's cache is too small
LEAST_SHARD, MOST_SHARD = 256, 2048
MOST_SHARDS = 64  # a step is cut into no more parts when memory runs out
POSITIONS_AT_ONCE = 64  # a CPU compiles its matrix products for each number of rows, so there should be few numbers


class Diverged(Exception):
    """A step gave numbers that are not finite, or a loss far above that of a blind guess."""


class Shard(NamedTuple):
    """A part of a step, computed by one core: (R, L) x0, given and x_t, (R, 1) t, and the generator of its dropout."""

    x0: Tensor
    given: Tensor
    x_t: Tensor
    t: Tensor
    dropout: torch.Generator


def shard_count(device: torch.device, positions: int, cores: int = 0) -> int:
    """How many shards a step is cut into: one on a GPU, the same number for each core of a CPU; 0: all there are."""
    cores = cores if cores and device.type == "cpu" else parallel_tasks(device)
    rounds = math.ceil(positions / (cores * MOST_SHARD)) if device.type == "cpu" else 1
    return max(1, min(cores * rounds, positions // LEAST_SHARD))


def rounded_up(positions: Tensor) -> Tensor:
    """(B, L) bool -> (B, L) bool: these and enough others, if there are any, for a multiple of POSITIONS_AT_ONCE."""
    others = ~positions.flatten()
    missing = -positions.sum() % POSITIONS_AT_ONCE
    return positions | (others & (others.cumsum(0) <= missing)).view_as(positions)


def blind_nats(diffusion: Diffusion, loss: str, t: Tensor) -> float:
    """Nats a character that a network loses whose outputs are all 0, as a new one's are; the mean over (N, 1) times."""
    process, x0 = diffusion.process, torch.zeros(t.shape, dtype=torch.long)  # one character stands for all
    x_t = process.noise(x0, diffusion.schedule.sigma(t), torch.Generator().manual_seed(0))
    nats = LOSSES[loss](diffusion, torch.zeros(*t.shape, diffusion.head.width(process)), x_t, x0, t)
    return float(nats.masked_fill(~process.open_to_noise(x_t), 0).mean())


@dataclass(frozen=True)
class Objective:
    """The loss of a network: a row of LOSSES under a diffusion, computed in some precision.

    A CPU computes only where there is a loss; with `fixed_shapes`, as a CUDA graph needs, all positions are computed.
    """

    model: DiffusionTransformer
    diffusion: Diffusion
    loss: str
    device: torch.device
    precision: torch.dtype
    fixed_shapes: bool

    def loss_and_gradients(self, shard: Shard) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The loss of a shard, in nats summed over the positions not given, and its gradient for each parameter."""
        x0, given, x_t, t, dropout = shard
        sigma = self.diffusion.schedule.sigma(t).squeeze(1)
        learnt = ~given & self.diffusion.process.open_to_noise(x_t)
        positions = None if self.fixed_shapes else rounded_up(learnt)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            output = self.model(x_t, sigma, given, dropout, positions)
        if positions is not None:
            x_t, x0, t, learnt = (whole[positions].unsqueeze(1) for whole in (x_t, x0, t.expand_as(x0), learnt))
        loss = LOSSES[self.loss](self.diffusion, output, x_t, x0, t).masked_fill(~learnt, 0).sum()
        return loss.detach(), torch.autograd.grad(loss, list(self.model.parameters()))

    def summed(self, shards: list[Shard]) -> tuple[Tensor, list[Tensor]]:
        """Loss and gradients of all shards, one a core at a time, so that memory holds no more than these."""
        at_once = parallel_tasks(self.device)
        rounds = (shards[first : first + at_once] for first in range(0, len(shards), at_once))
        parts = itertools.chain.from_iterable(
            map_on_cores(self.device, self.loss_and_gradients, some) for some in rounds
        )
        loss, (*gradients,) = next(parts)
        for other, more in parts:
            loss = loss + other
            for total, gradient in zip(gradients, more, strict=True):
                total += gradient
        return loss, gradients


ADAM_BETA1 = 0.9
# what each optimizer keeps of a parameter after its first step, under torch's names, and the least that it can be
KEPT = {
    torch.optim.AdamW: {"step": 1, "exp_avg": -math.inf, "exp_avg_sq": 0},
    torch.optim.Muon: {"momentum_buffer": -math.inf},
}


def check_tensor(found: object, like: Tensor, least: float = -math.inf) -> None:
    """Raise ValueError unless a value is a tensor of this shape and type, of finite numbers that are not less."""
    if not isinstance(found, Tensor) or (found.shape, found.dtype) != (like.shape, like.dtype):
        raise ValueError(f"not a tensor like {[*like.shape]}")
    if not (found.isfinite() & (found >= least)).all():
        raise ValueError("numbers that no step gives")


class Optimizers:
    """Muon for the matrices, one for each block, and AdamW for the rest; or AdamW for all.

    On a GPU the learning rates lie in its memory, where a CUDA graph can change them.
    """

    def __init__(self, model: nn.Module, blocks: list[list[nn.Parameter]], config: TrainingConfig) -> None:
        blocks = {"muon": blocks, "adamw": []}[config.optimizer]
        own = {id(p) for matrices in blocks for p in matrices}
        rest = [p for p in model.parameters() if id(p) not in own]
        decay, betas = config.weight_decay, (ADAM_BETA1, config.beta2)
        self.device = next(model.parameters()).device
        self.graphs = self.device.type == "cuda"
        # Muon needs few digits, but a product in bfloat16 is by far the slower one where hardware for it is missing
        self.precision = torch.float32 if config.precision == "float32" else pick_precision("auto", self.device)
        self.rates = [config.learning_rate, *[config.muon_learning_rate] * len(blocks)]
        adam, *muon = (torch.tensor(rate, device=self.device) if self.graphs else rate for rate in self.rates)
        self.muons = [
            torch.optim.Muon(m, lr=rate, weight_decay=decay)  # pyright: ignore[reportArgumentType]: a tensor may be
            for m, rate in zip(blocks, muon, strict=True)
        ]
        others = torch.optim.AdamW(rest, lr=adam, betas=betas, weight_decay=decay, fused=True, capturable=self.graphs)
        self.parts: list[torch.optim.Optimizer] = [others, *self.muons]

    def load(self, states: list[dict[str, Any]]) -> None:
        """Go on from the states of the parts. Their settings are the run's, whatever a file says."""
        for part, found in zip(self.parts, states, strict=True):
            part.load_state_dict({**part.state_dict(), "state": found["state"]})

    def check(self, states: list[dict[str, Any]], steps: int) -> None:
        """Raise ValueError unless these are states of the parts after so many steps."""
        for part, found in zip(self.parts, states, strict=True):
            parameters = dict(enumerate(part.param_groups[0]["params"] if steps else ()))
            if found["state"].keys() != parameters.keys():
                raise ValueError("parameters")
            for number, parameter in parameters.items():
                kept, own = KEPT[type(part)], found["state"][number]
                if own.keys() != kept.keys():
                    raise ValueError("what is kept of a parameter")
                for name, least in kept.items():
                    check_tensor(own[name], torch.zeros(()) if name == "step" else parameter, least)

    def step(self, factor: float | Tensor) -> None:
        """Follow the gradients, at learning rates times `factor`."""
        for part, rate in zip(self.parts, self.rates, strict=True):
            group = part.param_groups[0]
            if isinstance(factor, Tensor):
                group["lr"].copy_(factor * rate)
            else:
                group["lr"] = rate * factor
        steps = muon_steps(self.muons, precision=self.precision, stacked=self.graphs) if self.muons else []
        map_on_cores(self.device, lambda step: step(), [self.parts[0].step, *steps])


def scheduled_rate(progress: float, config: TrainingConfig) -> float:
    """The factor of the learning rates: a linear warm-up, then a cosine from 1 to final_rate at progress 1."""
    if progress < config.warmup:
        return progress / config.warmup
    falling = (progress - config.warmup) / (1 - config.warmup)
    return config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * min(falling, 1.0)))
