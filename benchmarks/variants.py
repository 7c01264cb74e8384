"""Pieces of code that stand in place of the program's own where ablation.py pulls a lever of levers.py."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import dataset_loader
import model
from diffusion.processes import Process
from training import learner, trainer

stratified = learner.stratified_times


def independent_times(batch: int, generator: torch.Generator) -> Tensor:
    return torch.rand(batch, 1, generator=generator).clamp_min(1e-4)


class Times:
    """Stratified times to a power: above 1 more little noise, below 1 more much. Or a power that falls in training."""

    def __init__(self, first: float, last: float | None = None, calls: int = 1000) -> None:
        self.first, self.last, self.calls, self.called = first, first if last is None else last, calls, 0

    def __call__(self, batch: int, generator: torch.Generator) -> Tensor:
        share = min(1.0, self.called / self.calls)
        self.called += 1
        return stratified(batch, generator) ** (self.first + share * (self.last - self.first))


def noise_in_runs(longest: float) -> Callable[..., None]:
    """A step whose masks come in runs, of a mean length of 1 to `longest`, as texts look while they are written."""
    advance = trainer.Training.advance

    def noise(process: Process, x0: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
        mean = longest ** torch.rand(len(x0), 1, generator=generator)
        run = (torch.rand(x0.shape, generator=generator) < 1 / mean).cumsum(1)
        uniform = torch.rand(len(x0), x0.shape[1] + 1, generator=generator).gather(1, run)
        return torch.where(uniform < -torch.expm1(-sigma), process.characters, x0)

    def step(self: trainer.Training, batch: Any) -> None:
        with mock.patch.object(Process, "noise", noise):
            advance(self, batch)

    return step


class OneConvolution(model.Block):
    def __init__(self, config: Any, *, attends: bool) -> None:
        super().__init__(config, attends=attends)
        self.conv_mlp = nn.Identity()


class GatedBlock(model.Block):
    """An MLP whose up projection gates itself (SwiGLU), of equal size."""

    def __init__(self, config: Any, *, attends: bool) -> None:
        super().__init__(config, attends=attends)
        hidden = config.width * 8 // 3 // 16 * 16
        self.up = nn.Linear(config.width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, config.width, bias=False)


class MixedAttention(model.Attention):
    """A convolution of queries, keys and values (Primer, arXiv:2109.08668)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.qkv = nn.Sequential(self.qkv, model.ShortConvolution(3 * width, 3))


class SelfConditioned(model.DiffusionTransformer):
    """Told what it guessed at first, in training every other time (arXiv:2208.04202); a call more each time."""

    def __init__(self, config: Any, states: int, outputs: int) -> None:
        super().__init__(config, states, outputs)
        self.guess_out, self.alone = nn.Linear(outputs, config.width), False
        self.told: Tensor | None = None
        self.tokens.register_forward_hook(self.tell)  # a bound method: a copy of the network gets its own

    def tell(self, tokens: nn.Module, question: Any, embedded: Tensor) -> Tensor:
        return embedded if self.told is None else embedded + self.told

    def forward(
        self, x_t: Tensor, sigma: Tensor, given: Tensor,
        dropping: torch.Generator | None = None, positions: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        self.alone = dropping is not None and not self.alone  # which training alone passes
        self.told, guess = None, x_t.new_zeros(*x_t.shape, self.head.out_features, dtype=torch.float32)
        if not self.alone:
            with torch.no_grad():
                guess = super().forward(x_t, sigma, given).softmax(-1)
        self.told = self.guess_out(guess)
        return super().forward(x_t, sigma, given, dropping, positions)


class TwiceBlock(model.Block):
    """A block that runs twice unless it attends (a looped one, arXiv:2605.26106)."""

    def __init__(self, config: Any, *, attends: bool) -> None:
        super().__init__(config, attends=attends)
        self.attends = attends

    def forward(
        self, x: Tensor, noise: Tensor, turns: Tensor, dropping: Any = None, positions: Tensor | None = None
    ) -> Tensor:
        if not self.attends:
            x = super().forward(x, noise, turns, dropping)
        return super().forward(x, noise, turns, dropping, positions)


class ConvolvedMLP(model.Block):
    """A block whose MLP also convolves what it widens, unless it attends: there only some positions are computed."""

    def __init__(self, config: Any, *, attends: bool, taps: int = 3) -> None:
        super().__init__(config, attends=attends)
        self.conv_hidden = nn.Identity() if attends else model.ShortConvolution(4 * config.width, taps)

    def forward(
        self, x: Tensor, noise: Tensor, turns: Tensor, dropping: Any = None, positions: Tensor | None = None
    ) -> Tensor:
        up = self.up
        self.up = nn.Sequential(up, self.conv_hidden)
        try:
            return super().forward(x, noise, turns, dropping, positions)
        finally:
            self.up = up


class Pool:
    """Rows of one length that stay in training until all their characters show."""

    def __init__(self, batch: tuple[Tensor, Tensor], levels: int) -> None:
        self.x0, self.given = (whole.clone() for whole in batch)
        self.level = torch.arange(len(self.x0)) * levels // len(self.x0)
        self.hidden = ~self.given & (torch.rand(self.x0.shape) < (1 - self.level / levels).unsqueeze(1))


def unmasked_in_turn(levels: int) -> Callable[..., Any]:
    """A step on rows that stay: each shows, step by step, where the network was surest (PUMA, arXiv:2602.10314)."""
    pools: dict[int, Pool] = {}
    follow = learner.Learner._follow

    def renewed(batch: tuple[Tensor, Tensor]) -> Pool:
        """The pool of this length, whose finished rows have become rows of the batch."""
        pool = pools.setdefault(batch[0].shape[1], Pool(batch, levels))
        over = (pool.level == levels).nonzero().squeeze(1)[: len(batch[0])]
        for whole, fresh in zip((pool.x0, pool.given), batch, strict=True):
            whole[over] = fresh[: len(over)]
        pool.hidden[over], pool.level[over] = ~pool.given[over], 0
        return pool

    def step(self: learner.Learner, ids: Tensor, given: Tensor, t: Tensor, factor: Any, characters: Any) -> Any:
        pool, seen = renewed((ids, given)), []

        def noise(process: Process, x0: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
            return torch.where(pool.hidden, process.characters, x0)

        def look(network: nn.Module, question: tuple[Any, ...], output: Tensor) -> None:
            sure = torch.full(question[0].shape, -torch.inf)
            sure[question[4]] = output.detach().float().softmax(-1).amax((1, 2))
            seen.append(sure)

        share = (pool.hidden.sum(1) / (~pool.given).sum(1).clamp_min(1)).clamp(1e-4, 1).unsqueeze(1)
        watching = self.model.register_forward_hook(look)
        with mock.patch.object(Process, "noise", noise):
            found = follow(self, pool.x0, pool.given, share, factor, max(1, int((~pool.given).sum())))
        watching.remove()
        show_surest(pool, torch.cat(seen), self.run.training, levels)
        return found

    return step


def show_surest(pool: Pool, sure: Tensor, training: Any, levels: int) -> None:
    """Go to the next level of each row: of its hidden positions only the least sure stay hidden."""
    pool.level += 1
    clock = ((levels - pool.level + torch.rand(len(pool.level)) - 0.5) / levels).clamp(0, 1).unsqueeze(1)
    share = learner.bell(clock, training.times_mean, training.times_width).squeeze(1)
    kept = (share * (~pool.given).sum(1)).round().unsqueeze(1)
    rank = sure.masked_fill(~pool.hidden, torch.inf).argsort(1).argsort(1)  # 0: the least sure
    pool.hidden &= rank < kept
    pool.level[~pool.hidden.any(1)] = levels


def half_as_pairs(self: dataset_loader.TrainingBatches, step: int) -> dataset_loader.Batch:
    """The first half of a batch, twice; a single row stays alone."""
    found = whole_batch(self, step)
    half = range(len(found.ids) // 2) or range(1)
    rows = [*half, *half] if len(found.ids) > 1 else [0]
    return dataset_loader.Batch(found.ids[rows], found.given[rows], found.documents[rows])


whole_batch = dataset_loader.TrainingBatches.batch


def opposite_times(batch: int, generator: torch.Generator) -> Tensor:
    """Stratified times of the first half of a batch, and 1 minus them."""
    t = stratified(max(1, batch // 2), generator)
    return torch.cat([t, 1 - t]).clamp_min(1e-4) if batch > 1 else t


def complementary(self: trainer.Training, batch: Any) -> None:
    """A step in which the second of each pair shows what the first hides (arXiv:2511.18159)."""

    def noise(process: Process, x0: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
        half = max(1, len(x0) // 2)
        hidden = torch.rand(x0[:half].shape, generator=generator) < -torch.expm1(-sigma[:half])
        return torch.where(torch.cat([hidden, ~hidden])[: len(x0)], process.characters, x0)

    with mock.patch.object(Process, "noise", noise):
        advance_alone(self, batch)


advance_alone = trainer.Training.advance


class RatesApart(torch.optim.AdamW):
    """AdamW that follows its step for the characters' embedding, or for the head, by another factor."""

    def __init__(self, params: list[Tensor], *, embedding: float = 1.0, head: float = 1.0, **settings: Any) -> None:
        super().__init__(params, **settings)
        self.apart = [(params[0], embedding), (params[-2], head), (params[-1], head)]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        before = [parameter.clone() for parameter, _ in self.apart]
        super().step(closure)
        for (parameter, factor), old in zip(self.apart, before, strict=True):
            parameter.copy_(old + factor * (parameter - old))


def gate(x: Tensor) -> Tensor:
    left, right = x.chunk(2, -1)
    return F.silu(left) * right


def hourglass(
    self: model.DiffusionTransformer, x_t: Tensor, sigma: Tensor, given: Tensor,
    dropping: Any = None, positions: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """All blocks but the first and the last see pairs of positions as one (Nawrot et al. 2021)."""
    x = self.tokens(x_t) + self.given(given.long())
    noise = F.silu(self.noise(sigma))
    turns = model.rotary_turns(x_t.shape[1], self.config.width // self.config.heads, x.device)
    first, *middle, last = self.blocks
    if not middle:
        raise ValueError("an hourglass needs three layers or more; choose a deeper preset")
    x = first(x, noise, turns, dropping)
    pairs = coarse = x.unflatten(1, (-1, 2)).mean(2)
    for block in middle:
        coarse = block(coarse, noise, turns[: coarse.shape[1]], dropping)
    x = x + (coarse - pairs).repeat_interleave(2, dim=1)
    x = last(x, noise, turns, dropping)
    shift, scale = self.modulation(noise).float().unsqueeze(1).chunk(2, dim=-1)
    outputs = self.head(model.modulate(x, shift, scale)).float()
    return outputs if positions is None else outputs[positions].unsqueeze(1)


def blind(self: model.NoiseEmbedding, sigma: Tensor) -> Tensor:
    return 0 * self.mlp(torch.zeros(len(sigma), model.NOISE_FEATURES))
