"""What learns: a network, the average of its weights and the optimizers, all of which a step changes."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from config.schema import RunConfig
from dataset_loader import Batch
from diffusion.objectives import Diffusion, bell, stratified_times
from evaluation.likelihood import NATS_PER_BIT
from generation.graphs import GraphedStep, compiles
from model import DiffusionTransformer
from training.step import Objective, Optimizers, Shard, blind_nats
from utils import CPU, derive_seed, pick_precision

# compiling takes a GPU half a minute, and saves time only where kernels wait for memory rather than for their launch:
COMPILED_SIZE = 2**22  # positions of a step times width, at least
COMPILED_STEPS, COMPILED_MINUTES = 10_000, 3.0  # at least; what is over sooner does not save that half minute
BLIND_TIMES = 256  # at which a blind guess is measured
EMA_WARMUP = 10  # the average's decay is (1 + step) / (10 + step) at first, so that it soon forgets early weights


def pays_to_compile(run: RunConfig, steps: int) -> bool:
    """Whether a GPU trains so much faster with compiled blocks that this training ends sooner for it."""
    size = run.training.batch_size * run.model.context * run.model.width
    return size >= COMPILED_SIZE and steps >= COMPILED_STEPS and run.minutes() >= COMPILED_MINUTES


class Learner:
    """A network in training. Every draw of a step is a function of (seed, name, step), so no generator needs saving."""

    def __init__(
        self, run: RunConfig, diffusion: Diffusion, model: DiffusionTransformer, shards: int, steps: int
    ) -> None:
        self.run, self.diffusion, self.model = run, diffusion, model
        self.device = next(model.parameters()).device
        self.graphs = self.device.type == "cuda"
        self.average = copy.deepcopy(model).requires_grad_(False)
        precision = pick_precision(run.training.precision, self.device)
        self.objective = Objective(model, diffusion, run.training.loss, self.device, precision, self.graphs)
        self.note = self._compile() if self.graphs and pays_to_compile(run, steps) else ""
        self.optimizers = Optimizers(model, model.matrices(), run.training)
        self.cut(shards)

    def _compile(self) -> str:
        """Have the kernels of each block compiled in the first step, if that works here -> a line that says so."""
        if not compiles(self.device):
            return "torch.compile does not work here: it needs Triton and a C compiler; it goes on without, slower"
        for block in self.model.blocks:
            block.compile(dynamic=True)  # once for all of a kind, and for rows of every length
        return "the first step takes half a minute: it compiles the network for this GPU"

    def cut(self, shards: int) -> None:
        """Compute steps in so many parts from now on, with generators for these. Graphs are captured anew."""
        self.shards = shards
        self.noise, *self.dropout = (torch.Generator(self.device) for _ in range(1 + shards))
        if self.graphs:  # compiled kernels draw from no other
            self.dropout = [torch.cuda.default_generators[self.noise.device.index or 0]] * shards
        self.times = self.noise if self.device == CPU else torch.Generator()  # noise levels are the same everywhere
        self.follow = GraphedStep(self._follow, self.device, [self.noise]) if self.graphs else self._follow

    def step(self, number: int, batch: Batch, characters: int, factor: float, averaged: int) -> tuple[Tensor, Tensor]:
        """Learn from a batch at learning rates times `factor` -> nats a character, and the gradient's norm.

        1. Draw a time t for each row. 2. Noise the rows to it: x_t. 3. Predict, and sum loss and gradients over the
        shards of the batch. 4. Clip the gradient. 5. Let Muon and AdamW follow it. 6. Move the average a little towards
        the weights. On a GPU, 2 to 5 are one graph. `number` says which noise is drawn; `averaged`, how many steps the
        average holds already.
        """
        for generator in (self.times, self.noise):
            generator.manual_seed(derive_seed(self.run.seed, self.run.name, "noise", number))
        for k, generator in enumerate(self.dropout):
            generator.manual_seed(derive_seed(self.run.seed, self.run.name, "dropout", number, k))
        t = self._times_of(len(batch.ids), self.times)
        loss, norm = self.follow(batch.ids, batch.given, t, factor, max(1, characters))
        self._update_average(averaged)
        return loss, norm

    def _times_of(self, rows: int, generator: torch.Generator) -> Tensor:
        """(B, 1) random times, as the run spreads them."""
        t, settings = stratified_times(rows, generator), self.run.training
        return bell(t, settings.times_mean, settings.times_width) if settings.times_width else t

    def blind_bits(self) -> float:
        """The loss of a blind guess in bits a character: that of outputs which are all 0, or log2 V if that is more.

        The head `score` begins with far more, since it has to learn how likely each character is as noise.
        """
        t = self._times_of(BLIND_TIMES, torch.Generator().manual_seed(0))
        nats = max(blind_nats(self.diffusion, self.run.training.loss, t), math.log(self.diffusion.process.characters))
        return nats / NATS_PER_BIT

    def _follow(
        self, ids: Tensor, given: Tensor, t: Tensor, factor: float | Tensor, characters: float | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Noise (B, L) ids to t (B, 1), predict them and follow the gradient. In a graph all numbers are tensors."""
        x0, given, t = ids.to(self.device), given.to(self.device), t.to(self.device)
        x_t = torch.where(given, x0, self.diffusion.process.noise(x0, self.diffusion.schedule.sigma(t), self.noise))
        rows = (whole.chunk(self.shards) for whole in (x0, given, x_t, t))
        loss, gradients = self.objective.summed(list(map(Shard, *rows, self.dropout)))
        for parameter, gradient in zip(self.model.parameters(), gradients, strict=True):
            parameter.grad = gradient.div_(characters)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.run.training.clip_norm)
        self.optimizers.step(factor)
        return loss / characters, norm

    @torch.no_grad()
    def _update_average(self, averaged: int) -> None:
        decay = min(self.run.training.ema_decay, (1 + averaged) / (EMA_WARMUP + averaged))
        averages: list[Tensor] = list(self.average.parameters())
        weights: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]

    def state(self) -> dict[str, Any]:
        """All that a step changes, not copied."""
        optimizers = [part.state_dict() for part in self.optimizers.parts]
        return {"model": self.model.state_dict(), "average": self.average.state_dict(), "optimizers": optimizers}

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from a state, which may become part of this."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizers.load(state["optimizers"])
        self.cut(self.shards)
