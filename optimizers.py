"""How weights follow their gradients, and how fast. Knows nothing of data, noise or networks."""

import math

import torch
from torch import nn

from config import TrainingConfig
from workers import side_by_side

ADAM_BETA1 = 0.9


class Optimizers:
    """Muon for the matrices, a part a block, and AdamW for the rest, or AdamW for all; one schedule for the rates."""

    def __init__(self, model: nn.Module, blocks: list[list[nn.Parameter]], config: TrainingConfig) -> None:
        blocks = blocks if config.optimizer == "muon" else []
        own = {id(p) for matrices in blocks for p in matrices}
        rest = [p for p in model.parameters() if id(p) not in own]
        decay, betas = config.weight_decay, (ADAM_BETA1, config.beta2)
        adam = torch.optim.AdamW(rest, lr=config.learning_rate, betas=betas, weight_decay=decay, fused=True)
        self.parts: list[torch.optim.Optimizer] = [adam]
        self.parts += [torch.optim.Muon(m, lr=config.muon_learning_rate, weight_decay=decay) for m in blocks]
        self.device = next(model.parameters()).device
        self.rates = [part.param_groups[0]["lr"] for part in self.parts]

    def step(self, factor: float) -> None:
        for part, rate in zip(self.parts, self.rates, strict=True):
            part.param_groups[0]["lr"] = rate * factor
        side_by_side(self.device, lambda part: part.step(), self.parts)


def rate_factor(progress: float, config: TrainingConfig) -> float:
    """Linear warm-up over the first share of the budget, then a cosine from 1 to final_rate."""
    if progress < config.warmup:
        return progress / config.warmup
    falling = (progress - config.warmup) / (1 - config.warmup)
    return config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * min(falling, 1.0)))
