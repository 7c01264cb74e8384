"""Reverse-time steps and the one loop that runs them. Knows nothing of text, files or how the network is made.

The network's output becomes pi(x0), what the context says of each position; temperature, top-p and forbidden characters
reshape it, and a step needs nothing else. Draws are by inverse CDF in float64 from uniforms the caller supplies.

What changes in one step cannot know of each other, so it should lie far apart: each position changes with its exact
probability, but neighbours seldom at once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from diffusion.objectives import Diffusion, Network
from diffusion.processes import Process
from diffusion.schedules import SCHEDULES

GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
HIDDEN_IN_TURN = 4  # characters of which one is hidden when surest judges its text: so many network calls
FORGIVEN = 0.5  # of the surprise that a judgement had to expect: with 0 text grows predictable, with 1 nonsense passes
PARTS = 8  # of a row, in which the network is asked for some of its positions: shapes of matrix products stay few
REVISED_FASTER = 4  # a revision's stretches are shorter by this: among much that is written few calls do


def tweedie_step(process: Process, pi: Tensor, x_t: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """The analytic step, SEDD eq. 19: (B, L, V) p(x_s | x_t) exactly, given pi, for a step of any size."""
    return process.ancestral(pi, x_t, sigma, sigma_next)


def euler_step(process: Process, pi: Tensor, x_t: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """One Euler step of the reverse rate, SEDD eq. 18: exact only as sigma - sigma_next goes to 0."""
    rate = process.reverse_rate(process.x0_log_score(pi.log(), x_t, sigma), x_t)
    step = (sigma - sigma_next).unsqueeze(-1) * rate
    return step.scatter_add(-1, x_t.unsqueeze(-1), torch.ones_like(step[..., :1]))


STEPS = {"tweedie": tweedie_step, "euler": euler_step}


@dataclass(frozen=True)
class SamplerSettings:
    """How to get from noise to text. SAMPLERS says which of these a sampler reads; all read temperature and top_p."""

    sampler: str  # a row of SAMPLERS
    grid: str  # the noise levels visited: sigma of this row of SCHEDULES at equally spaced t
    steps: int  # noise levels, one network call each
    temperature: float
    top_p: float
    greedy_last_step: bool
    renoise: float  # share of the remaining noise that each step takes off further and puts on again
    stretch: int  # positions of a stretch at most; each network call writes one of every stretch
    revisions: int  # how often a part of the text is judged and written again
    revised: float  # share of the text that each revision writes again


def noise_levels(grid: str, steps: int) -> Tensor:
    """(steps + 1,) float64 sigma, falling from sigma(1) to exactly 0."""
    sigma = SCHEDULES[grid].sigma(torch.linspace(1, 0, steps + 1, dtype=torch.float64))
    sigma[-1] = 0  # the geometric schedule ends above 0, but the last step must reach the text
    return sigma


def reshape(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """(B, L, V) logits -> pi at this temperature, kept to the smallest set of characters whose mass reaches top_p.

    What is reshaped is the context's pi, not p(x0 | x_t): sharpening the posterior would sharpen a noisy character's
    evidence for itself as well, and lock the prior's random characters in.
    """
    pi = (logits / temperature).softmax(-1)
    if top_p < 1:
        ranked, order = pi.sort(-1, descending=True)
        outside = ranked.cumsum(-1) - ranked >= top_p  # the first is always inside
        pi = pi.masked_fill(outside.scatter(-1, order, outside), 0)
        pi = pi / pi.sum(-1, keepdim=True)
    return pi


def draw(weights: Tensor, uniforms: Tensor) -> Tensor:
    """(B, L, V) unnormalised float64 weights, (B, L) uniforms in [0, 1) -> ids by inverse CDF; negatives count as 0."""
    cdf = weights.clamp_min(0).cumsum(-1)
    threshold = uniforms.unsqueeze(-1) * cdf[..., -1:]
    # the second condition stops at the last positive weight where rounding lifts the threshold to the whole mass
    return ((cdf <= threshold) & (cdf < cdf[..., -1:])).sum(-1)


def spread(starts: Tensor, length: int) -> Tensor:
    """(B, 1) uniforms -> (B, L) uniforms whose small values lie evenly apart: start + i * golden ratio mod 1.

    A Kronecker sequence: each is uniform in [0, 1), and those below q are never nearer than 0.38 / q positions.
    """
    return (starts + GOLDEN_RATIO * torch.arange(length, dtype=starts.dtype, device=starts.device)) % 1


def change(x: Tensor, weights: Tensor, leave: Tensor, become: Tensor) -> Tensor:
    """(B, L) ids -> the next ones: x stays where `leave` is within its weight's share, else another is drawn.

    (B, L, D) unnormalised float64 weights, negatives counting as 0; (B, L) uniforms in [0, 1) for either draw. An id
    comes out with its weight's share of the sum.
    """
    p, own = normalised(weights, x), x.unsqueeze(-1)
    stays = leave < p.gather(-1, own).squeeze(-1)
    return torch.where(stays, x, draw(p.scatter(-1, own, 0), become))


def normalised(weights: Tensor, x: Tensor) -> Tensor:
    """(B, L, D) weights, negatives counting as 0 -> distributions; x itself where truncation has left nothing."""
    weights = weights.clamp_min(0)
    total = weights.sum(-1, keepdim=True)
    # what is written is certain under the absorbing process, and temperature or top-p may have thought otherwise
    missing = (total == 0).to(weights.dtype)
    return weights.scatter_add(-1, x.unsqueeze(-1), missing) / (total + missing)


def likelihood(pi: Tensor, x: Tensor) -> Tensor:
    """(B, L, V), (B, L) -> (B, L): pi of each character, 0 of a mask."""
    written = x < pi.shape[-1]
    return pi.gather(-1, x.where(written, 0).unsqueeze(-1)).squeeze(-1) * written


def stretches(given: Tensor, longest: int) -> Tensor:
    """(B, L) -> (B, S, L): what is not given, in order, in the fewest stretches alike of at most `longest`."""
    order, size = (~given).cumsum(1) - 1, (~given).sum(1, keepdim=True)
    count = (size + longest - 1) // longest
    stretch = (order * count // size.clamp_min(1)).masked_fill(given, -1)
    return stretch.unsqueeze(1) == torch.arange(int(count.max()), device=given.device).view(1, -1, 1)


def best_of(own: Tensor, values: Tensor) -> Tensor:
    """(B, S, L) stretches, (B, L) values -> (B, L): where each stretch has its greatest value, if above 0."""
    best, at = values.unsqueeze(1).masked_fill(~own, 0).max(-1)
    return torch.zeros_like(values).scatter_add(1, at, (best > 0).to(values.dtype)) > 0


def filled_up(positions: Tensor, most: int) -> Tensor:
    """(B, L), at most `most` in a row -> (B, L): these and, from the left, others, as many in every row.

    How many says `most` alone, so that no company in a batch can change the shape of a matrix product, and in eighths
    of L, because a CPU's matrix products are compiled, and kept, for each shape.
    """
    part = max(1, positions.shape[1] // PARTS)
    missing = -(-most // part) * part - positions.sum(1, keepdim=True)
    return positions | (~positions & ((~positions).cumsum(1) <= missing))


# (B, L) x_t, (B, 1) sigma -> (B, L, V) logits of pi(x0); with (B, L) positions, K in every row, there alone: (B, K, V)
Context = Callable[..., Tensor]
Uniforms = Callable[[int], Tensor]  # n -> (B, n) fresh float64 uniforms in [0, 1)
Observe = Callable[[int, Tensor, Tensor | None], None]


def walk(
    process: Process, context: Context, x: Tensor, given: Tensor, uniforms: Uniforms, settings: SamplerSettings,
    *, observe: Observe,
) -> Tensor:  # fmt: skip
    """Down the noise levels by the steps of STEPS: at each, every position may change."""
    step, length = STEPS[settings.sampler], x.shape[1]
    levels = noise_levels(settings.grid, settings.steps).to(x.device)
    for k in range(settings.steps):
        sigma, sigma_next = levels[k].view(1, 1), levels[k + 1].view(1, 1)
        pi = reshape(context(x, sigma), settings.temperature, settings.top_p)
        last = k == settings.steps - 1  # the exact step down to sigma = 0 is a draw from p(x0 | x_t)
        back = settings.renoise * sigma_next  # how much further down to step, and to noise up again; 0 in the last step
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
    process: Process, context: Context, x: Tensor, given: Tensor, uniforms: Uniforms, settings: SamplerSettings,
    *, observe: Observe,
) -> Tensor:  # fmt: skip
    """Each stretch of positions writes, at each call, the one position that pi is surest of, and keeps it.

    A draw from pi in an order that the text itself chooses: with one stretch no two characters are drawn in ignorance
    of each other; what several stretches write at once seldom lies side by side. Then, at each
    revision, a share `revised` is written again: what is least plausible by all that now surrounds it.
    """
    length, noise, size = x.shape[1], x, (~given).sum(1, keepdim=True).clamp_min(1)
    sigma_of, again = SCHEDULES["log_linear"].sigma, max(1, settings.stretch // REVISED_FASTER)

    def write(x: Tensor, unwritten: Tensor, most: int, longest: int, call: int) -> Tensor:
        """What is unwritten, `most` of a row at most."""
        own, become = stretches(~unwritten, longest), uniforms(length)
        left = longest  # of each stretch, at most
        while unwritten.any():
            share = (unwritten.sum(1, keepdim=True) / size).clamp_min(1 / length)  # a finished row's must not be 0
            positions = filled_up(unwritten, min(most, -(-most // longest) * left))
            logits = context(x, sigma_of(share.double()), positions)  # of which this share is noise
            pi, shaped = logits.softmax(-1), reshape(logits, settings.temperature, settings.top_p)
            drawn = draw(shaped, become[positions].view(len(x), -1))
            chosen = best_of(own, torch.zeros_like(become).masked_scatter(positions, pi.amax(-1)) * unwritten)
            x, unwritten = torch.where(chosen, x.masked_scatter(positions, drawn), x), unwritten & ~chosen
            call, left = call + 1, left - 1
            observe(call, x, torch.zeros_like(become).masked_scatter(positions, likelihood(shaped, drawn)))
        return x

    x = write(x, ~given, length, settings.stretch, 0)
    most = math.ceil(settings.revised * length)
    for revision in range(settings.revisions if settings.revised else 0):
        judged = plausibilities(context, x, noise, given).masked_fill(given, torch.inf)
        doubtful = ~given & (judged.argsort(1).argsort(1) < (settings.revised * size).round())
        before = settings.stretch + revision * again  # calls at most: a row's numbers must not depend on the others
        x = write(torch.where(doubtful, noise, x), doubtful, most, again, before)
    return x


def plausibilities(context: Context, x: Tensor, noise: Tensor, given: Tensor) -> Tensor:
    """(B, L) nats: log pi of each character by the others, some hidden at a time, plus half of pi's entropy.

    0 where given. Where much is open even the right character is unlikely: its surprise counts beside the one that was
    to be expected (locally typical sampling, arXiv:2202.00666).
    """
    turns = (torch.arange(x.shape[1], device=x.device) % HIDDEN_IN_TURN).expand_as(x)
    judged = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
    sigma = SCHEDULES["log_linear"].sigma(torch.full((1, 1), 1 / HIDDEN_IN_TURN, dtype=torch.float64, device=x.device))
    for turn in range(HIDDEN_IN_TURN):
        positions = turns == turn
        log_pi = context(torch.where(positions & ~given, noise, x), sigma, positions).log_softmax(-1)
        own = log_pi.gather(-1, x[positions].view(len(x), -1, 1)).squeeze(-1)
        judged = judged.masked_scatter(positions, own + FORGIVEN * torch.special.entr(log_pi.exp()).sum(-1))
    return judged.masked_fill(given, 0)


def walk_calls(settings: SamplerSettings, characters: int) -> int:
    """One call a step, however much there is to write."""
    return settings.steps if characters else 0


def surest_calls(settings: SamplerSettings, characters: int) -> int:
    """A call for each character of the longest stretch; in each revision as well, and those that judge before it."""

    def longest_stretch(characters: int, longest: int) -> int:
        return -(-characters // -(-characters // longest)) if characters else 0

    again = round(settings.revised * characters)
    revision = HIDDEN_IN_TURN + longest_stretch(again, max(1, settings.stretch // REVISED_FASTER))
    revisions = settings.revisions if settings.revised and characters else 0
    return longest_stretch(characters, settings.stretch) + revisions * revision


class Sampler(NamedTuple):
    """A way from noise to text: its loop, the settings that it alone reads, and what it costs."""

    run: Callable[..., Tensor]
    reads: tuple[str, ...]  # fields of SamplerSettings, besides temperature and top_p
    calls: Callable[[SamplerSettings, int], int]  # network calls to write so many characters of one window


WALK = Sampler(walk, ("grid", "steps", "greedy_last_step", "renoise"), walk_calls)
SAMPLERS = {
    **dict.fromkeys(STEPS, WALK),
    "surest": Sampler(surest_first, ("stretch", "revisions", "revised"), surest_calls),
}


@torch.no_grad()
def sample(
    diffusion: Diffusion,
    network: Network,
    x_t: Tensor,
    given: Tensor,
    uniforms: Uniforms,
    settings: SamplerSettings,
    *,
    forbidden: list[int],
    observe: Observe | None = None,
) -> Tensor:
    """Denoise (B, L) ids where not given.

    Ids in `forbidden` never come out. `observe(step, x, p)` sees every state, from the prior (step 0) on, and how
    likely the step to it found each character: None at the prior, 0 for a mask and where `surest` did not ask.
    """
    process = diffusion.process
    barred = torch.tensor(forbidden, dtype=torch.long, device=x_t.device)

    def context(x: Tensor, sigma: Tensor, positions: Tensor | None = None) -> Tensor:
        output = network(x, sigma.squeeze(1).float().expand(len(x)), given, positions=positions).double()
        output = output.view(len(x), -1, output.shape[-1])
        x_t = x if positions is None else x[positions].view(len(x), -1)
        logits = diffusion.head.logits(process, output, x_t, sigma)
        if logits.isnan().any():  # a CPU-GPU sync point
            raise FloatingPointError("the network's answer is not a number; its weights are ruined")
        return logits.index_fill(-1, barred, -torch.inf)

    x = torch.where(given, x_t, process.prior(uniforms(x_t.shape[1])))
    observe = observe or (lambda *_: None)
    observe(0, x, None)
    return SAMPLERS[settings.sampler].run(process, context, x, given, uniforms, settings, observe=observe)
