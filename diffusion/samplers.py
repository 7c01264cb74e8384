"""Samplers: how a network turns noise into text. `tweedie` and `euler` are in `walk`, `surest` is in `surest_first`.

The network gives pi, its distribution of x0 at each position by the context; temperature and top-p reshape pi.
The characters that one network call writes are drawn independently, so neighbours drawn together may not fit each
other. Each sampler therefore prefers positions that lie far apart.

The clock t runs from 1 (noise) to 0 (text). x_t is the text at noise level sigma, x_s at the lower level sigma_next.
Shapes: B batch, L positions, V characters, D states; ids are (B, L), sigma (B, 1), pi (B, L, V).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from diffusion import orders
from diffusion.draws import change, draw, likelihood, normalised, reshape, spread
from diffusion.objectives import Diffusion, Network
from diffusion.orders import filled_up, noise_of
from diffusion.processes import Process
from diffusion.schedules import SCHEDULES

JUDGING_CALLS = 4  # network calls that judge a text; each hides another quarter of its characters
ENTROPY_SHARE = 0.5  # weight of entropy in a judgement: 0 makes text too predictable, 1 lets nonsense pass
REVISION_SPEEDUP = 4  # a revision's stretches are shorter by this factor, unless set: most text is known, few calls do


def tweedie_step(process: Process, pi: Tensor, x_t: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """The analytic step, SEDD eq. 19: (B, L, D) unnormalised p(x_s | x_t), exact given pi for a step of any size."""
    return process.ancestral(pi, x_t, sigma, sigma_next)


def euler_step(process: Process, pi: Tensor, x_t: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """The Euler step, SEDD eq. 18: (B, L, D) p(x_s | x_t), exact only as sigma - sigma_next goes to 0."""
    rate = process.reverse_rate(process.x0_log_score(pi.log(), x_t, sigma), x_t)
    step = (sigma - sigma_next).unsqueeze(-1) * rate
    return step.scatter_add(-1, x_t.unsqueeze(-1), torch.ones_like(step[..., :1]))


STEPS = {"tweedie": tweedie_step, "euler": euler_step}


@dataclass(frozen=True)
class SamplerSettings:
    """Settings of all samplers. SAMPLERS lists which a sampler reads; all read temperature and top_p."""

    sampler: str  # a row of SAMPLERS
    grid: str  # the row of SCHEDULES that gives the noise levels, at equally spaced t
    steps: int  # noise levels, one network call each
    temperature: float
    top_p: float
    greedy_last_step: bool
    renoise: float  # each step goes down further by this share of the remaining noise, then adds it again
    stretch: int  # positions of a stretch at most; each network call writes one in every stretch
    revisions: int  # how often the text is judged and a part of it written again
    revised: float  # share of the text that each revision writes again
    revision_stretch: int  # positions of a stretch at most while a revision writes; 0: a quarter of `stretch`


def stretch_of_revisions(settings: SamplerSettings) -> int:
    """Positions of a stretch at most while a revision writes: as many network calls."""
    return settings.revision_stretch or max(1, settings.stretch // REVISION_SPEEDUP)


def noise_levels(grid: str, steps: int) -> Tensor:
    """(steps + 1,) float64 sigma, from sigma(1) down to exactly 0."""
    sigma = SCHEDULES[grid].sigma(torch.linspace(1, 0, steps + 1, dtype=torch.float64))
    sigma[-1] = 0  # the geometric schedule ends above 0, but the last step must remove all noise
    return sigma


class PiLogits(Protocol):
    """(B, L) x_t, (B, 1) sigma -> (B, L, V) logits of pi; with (B, L) positions, K a row, only there: (B, K, V)."""

    def __call__(self, x_t: Tensor, sigma: Tensor, positions: Tensor | None = None) -> Tensor: ...


Uniforms = Callable[[int], Tensor]  # n -> (B, n) fresh float64 uniforms in [0, 1)
Observe = Callable[[int, Tensor, Tensor | None], None]  # see `sample`


def walk(
    process: Process, pi_logits: PiLogits, x: Tensor, given: Tensor, uniforms: Uniforms, settings: SamplerSettings,
    *, observe: Observe,
) -> Tensor:  # fmt: skip
    """Go down the noise levels with a step of STEPS; in each step any position that is not given may change.

    Neighbours seldom change in the same step (`spread`), yet each position changes with its exact probability.
    """
    step, length = STEPS[settings.sampler], x.shape[1]
    levels = noise_levels(settings.grid, settings.steps).to(x.device)
    for k in range(settings.steps):
        sigma, sigma_next = levels[k].view(1, 1), levels[k + 1].view(1, 1)
        pi = reshape(pi_logits(x, sigma), settings.temperature, settings.top_p)
        last = k == settings.steps - 1  # the exact step down to sigma = 0 draws from p(x0 | x_t)
        back = settings.renoise * sigma_next  # noise removed beyond sigma_next and added again; 0 in the last step
        weights = (tweedie_step if last else step)(process, pi, x, sigma, sigma_next - back)
        if settings.renoise and not last:
            weights = process.renoised(normalised(weights, x), back)
        if last and settings.greedy_last_step:
            drawn = normalised(weights, x).argmax(-1)
        else:
            drawn = change(x, weights, spread(uniforms(1), length), uniforms(length))
        x = torch.where(given, x, drawn)
        observe(k + 1, x, likelihood(pi, x))
    return x


def surest_first(
    process: Process, pi_logits: PiLogits, x: Tensor, given: Tensor, uniforms: Uniforms, settings: SamplerSettings,
    *, observe: Observe,
) -> Tensor:  # fmt: skip
    """Fill in the masks: each network call writes, in every stretch, the position where pi is surest, and keeps it.

    Any order of writing is allowed, so the sure characters come first and guide the unsure. One stretch is exact but
    slow; several write at once, seldom side by side. Each revision then masks the share `revised` of the text that
    fits its surroundings worst, and writes it again.
    """
    length, masks, size = x.shape[1], x, (~given).sum(1, keepdim=True).clamp_min(1)
    shorter = stretch_of_revisions(settings)

    def write(x: Tensor, unwritten: Tensor, most: int, longest: int, call: int) -> Tensor:
        """Write what is unwritten, at most `most` positions of a row, in stretches of at most `longest`."""
        order, become = orders.surest(~unwritten, longest), uniforms(length)
        left = longest  # unwritten positions of a stretch, at most
        while unwritten.any():
            positions = filled_up(unwritten, min(most, -(-most // longest) * left))
            logits = pi_logits(x, noise_of(unwritten, given), positions)
            pi, shaped = logits.softmax(-1), reshape(logits, settings.temperature, settings.top_p)
            drawn = draw(shaped, become[positions].view(len(x), -1))
            chosen = order.choose(unwritten, torch.zeros_like(become).masked_scatter(positions, pi.amax(-1)))
            x, unwritten = torch.where(chosen, x.masked_scatter(positions, drawn), x), unwritten & ~chosen
            call, left = call + 1, left - 1
            observe(call, x, torch.zeros_like(become).masked_scatter(positions, likelihood(shaped, drawn)))
        return x

    x = write(x, ~given, length, settings.stretch, 0)
    most = math.ceil(settings.revised * length)
    for revision in range(settings.revisions if settings.revised else 0):
        judged = plausibilities(pi_logits, x, masks, given).masked_fill(given, torch.inf)
        doubtful = ~given & (judged.argsort(1).argsort(1) < (settings.revised * size).round())
        # steps are counted as if every stretch were full: a row's step numbers must not depend on the other rows
        before = settings.stretch + revision * shorter
        x = write(torch.where(doubtful, masks, x), doubtful, most, shorter, before)
    return x


def plausibilities(pi_logits: PiLogits, x: Tensor, masks: Tensor, given: Tensor) -> Tensor:
    """(B, L) ids -> (B, L) nats: how well each character fits its surroundings, log pi(x) + H(pi) / 2; 0 where given.

    Each call masks every fourth character and asks for pi there. Surprise, -log pi(x), is no fault where any character
    would surprise, as at the start of a name: half of the expected surprise, the entropy H(pi), is subtracted from it
    (compare locally typical sampling, arXiv:2202.00666).
    """
    turns = (torch.arange(x.shape[1], device=x.device) % JUDGING_CALLS).expand_as(x)
    judged = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
    sigma = SCHEDULES["log_linear"].sigma(torch.full((1, 1), 1 / JUDGING_CALLS, dtype=torch.float64, device=x.device))
    for turn in range(JUDGING_CALLS):
        positions = turns == turn
        log_pi = pi_logits(torch.where(positions & ~given, masks, x), sigma, positions).log_softmax(-1)
        log_p = log_pi.gather(-1, x[positions].view(len(x), -1, 1)).squeeze(-1)
        judged = judged.masked_scatter(positions, log_p + ENTROPY_SHARE * torch.special.entr(log_pi.exp()).sum(-1))
    return judged.masked_fill(given, 0)


def surest_calls(settings: SamplerSettings, characters: int) -> int:
    """One network call per character of the longest stretch; each revision adds its own and those that judge."""

    def longest_stretch(characters: int, longest: int) -> int:
        return -(-characters // -(-characters // longest)) if characters else 0

    rewritten = int((settings.revised * torch.tensor(characters)).round())  # in float32, as surest_first rounds it
    revision = JUDGING_CALLS + longest_stretch(rewritten, stretch_of_revisions(settings))
    revisions = settings.revisions if settings.revised and characters else 0
    return longest_stretch(characters, settings.stretch) + revisions * revision


class Sampler(NamedTuple):
    """A sampler: its loop, the settings it reads, and its cost."""

    run: Callable[..., Tensor]
    reads: tuple[str, ...]  # fields of SamplerSettings
    calls: Callable[[SamplerSettings, int], int]  # (settings, characters to write in a window) -> network calls


SHARED = ("temperature", "top_p")
LATER = {"revision_stretch": 0}  # settings that came when sets had been made, and their defaults
WALK = Sampler(
    walk,
    ("grid", "steps", "greedy_last_step", "renoise", *SHARED),
    lambda settings, characters: settings.steps * (characters > 0),
)
SUREST = Sampler(surest_first, ("stretch", "revisions", "revised", "revision_stretch", *SHARED), surest_calls)
SAMPLERS = {**dict.fromkeys(STEPS, WALK), "surest": SUREST}


def not_read(sampler: str) -> str:
    """What to say of a setting that a sampler does not read."""
    return f"the sampler {sampler} does not read it; it reads {', '.join(SAMPLERS[sampler].reads)}"


def settings_read(settings: SamplerSettings) -> dict[str, Any]:
    """The settings that the sampler reads: two samplers with the same ones write the same texts.

    Those of LATER are left out at their default, so that what an earlier version wrote down has the same form.
    """
    read = {key: getattr(settings, key) for key in ("sampler", *SAMPLERS[settings.sampler].reads)}
    return {key: value for key, value in read.items() if (key, value) not in LATER.items()}


@torch.no_grad()
def sample(
    diffusion: Diffusion, network: Network, x_t: Tensor, given: Tensor, uniforms: Uniforms, settings: SamplerSettings,
    *, forbidden: list[int], observe: Observe | None = None,
) -> Tensor:  # fmt: skip
    """(B, L) x_t -> (B, L) ids: write every position that is not given; ids in `forbidden` are never written.

    `observe(step, x, p)` gets each state x, from the prior (step 0) on. p is the probability of each character in the
    step that led to x: None at the prior, 0 for a mask and where `surest` computed nothing.
    Raises FloatingPointError if the network gives NaN.
    """
    process = diffusion.process
    forbidden_ids = torch.tensor(forbidden, dtype=torch.long, device=x_t.device)

    def pi_logits(x_t: Tensor, sigma: Tensor, positions: Tensor | None = None) -> Tensor:
        output = network(x_t, sigma.squeeze(1).float().expand(len(x_t)), given, positions=positions).double()
        output = output.view(len(x_t), -1, output.shape[-1])
        if positions is not None:
            x_t = x_t[positions].view(len(x_t), -1)
        logits = diffusion.head.logits(process, output, x_t, sigma)
        if logits.isnan().any():  # a CPU-GPU sync point
            raise FloatingPointError("the network's output is not a number (NaN); the model's weights are damaged")
        return logits.index_fill(-1, forbidden_ids, -torch.inf)

    x = torch.where(given, x_t, process.prior(uniforms(x_t.shape[1])))
    observe = observe or (lambda *_: None)
    observe(0, x, None)
    return SAMPLERS[settings.sampler].run(process, pi_logits, x, given, uniforms, settings, observe=observe)
