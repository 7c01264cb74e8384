"""Samplers: how a network turns noise into text. `tweedie` and `euler` are in `walk`, the others in masks.py.

The network gives pi, its distribution of x0 at each position by the context; temperature and top-p reshape pi.
The characters that one network call writes are drawn independently, so neighbours drawn together may not fit each
other. Each sampler therefore prefers positions that lie far apart.

The clock t runs from 1 (noise) to 0 (text). x_t is the text at noise level sigma, x_s at the lower level sigma_next.
Shapes: B batch, L positions, V characters, D states; ids are (B, L), sigma (B, 1), pi (B, L, V).
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffusion.draws import change, likelihood, normalised, spread, tempered
from diffusion.masks import gibbs, gibbs_calls, surest_calls, surest_first
from diffusion.objectives import Diffusion, Network, checked
from diffusion.processes import Process
from diffusion.sampler_settings import Observe, SamplerInputs, SamplerSettings, Uniforms
from diffusion.schedules import SCHEDULES


def euler_step(process: Process, pi: Tensor, x_t: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """The Euler step, SEDD eq. 18: (B, L, D) p(x_s | x_t), exact only as sigma - sigma_next goes to 0."""
    rate = process.reverse_rate(process.x0_log_score(pi.log(), x_t, sigma), x_t)
    step = (sigma - sigma_next).unsqueeze(-1) * rate
    return step.scatter_add(-1, x_t.unsqueeze(-1), torch.ones_like(step[..., :1]))


STEPS = {"tweedie": Process.tweedie, "euler": euler_step}


def noise_levels(grid: str, steps: int) -> Tensor:
    """(steps + 1,) float64 sigma, from sigma(1) down to exactly 0."""
    sigma = SCHEDULES[grid].sigma(torch.linspace(1, 0, steps + 1, dtype=torch.float64))
    sigma[-1] = 0  # the geometric schedule ends above 0, but the last step must remove all noise
    return sigma


def walk(inputs: SamplerInputs, x: Tensor) -> Tensor:
    """Go down the noise levels with a step of STEPS; in each step any position that is not given may change.

    Neighbours seldom change in the same step (`spread`), yet each position changes with its exact probability.
    """
    process, pi_logits, given, uniforms, settings, observe = inputs
    step, length = STEPS[settings.sampler], x.shape[1]
    levels = noise_levels(settings.grid, settings.steps).to(x.device)
    for k in range(settings.steps):
        sigma, sigma_next = levels[k].view(1, 1), levels[k + 1].view(1, 1)
        pi = tempered(pi_logits(x, sigma), settings.temperature, settings.top_p)
        last = k == settings.steps - 1  # the exact step down to sigma = 0 draws from p(x0 | x_t)
        back = settings.renoise * sigma_next  # noise removed beyond sigma_next and added again; 0 in the last step
        weights = (Process.tweedie if last else step)(process, pi, x, sigma, sigma_next - back)
        if settings.renoise and not last:
            weights = process.renoised(normalised(weights, x), back)
        if last and settings.greedy_last_step:
            drawn = normalised(weights, x).argmax(-1)
        else:
            drawn = change(x, weights, spread(uniforms(1), length), uniforms(length))
        x = torch.where(given, x, drawn)
        observe(k + 1, x, likelihood(pi, x))
    return x


class Sampler(NamedTuple):
    """A sampler: its loop, the settings it reads, and its cost."""

    write: Callable[[SamplerInputs, Tensor], Tensor]  # (B, L) noise, with the text where it is given -> (B, L) ids
    reads: tuple[str, ...]  # fields of SamplerSettings
    calls: Callable[[SamplerSettings, int], int]  # (settings, characters to write in a window) -> network calls
    fills_masks: bool = False  # needs the absorbing process, and writes the surest characters first


SHARED = ("temperature", "top_p")
WALKING = ("grid", "steps", "greedy_last_step", "renoise", *SHARED)
FILLING = ("stretch", "revisions", "revised")
SAMPLERS = {
    **dict.fromkeys(STEPS, Sampler(walk, WALKING, lambda settings, characters: settings.steps)),
    "surest": Sampler(surest_first, (*FILLING, "revision_stretch", *SHARED), surest_calls, fills_masks=True),
    "gibbs": Sampler(gibbs, (*FILLING, *SHARED), gibbs_calls, fills_masks=True),
}
LATER = {"revision_stretch": 0}  # settings that came after the first sets, and their defaults


def not_read(sampler: str, names: Iterable[str]) -> str:
    """What to say of a setting that a sampler does not read; `names` are what a user calls those that it does."""
    return f"the sampler {sampler} does not read it; it reads {', '.join(names)}"


def settings_read(settings: SamplerSettings) -> dict[str, Any]:
    """The settings that the sampler reads: two samplers with the same ones write the same texts.

    Those of LATER are left out at their default, so that what an earlier version wrote down has the same form.
    """
    read = {key: getattr(settings, key) for key in ("sampler", *SAMPLERS[settings.sampler].reads)}
    return {key: value for key, value in read.items() if (key, value) not in LATER.items()}


@torch.no_grad()
def sample(
    diffusion: Diffusion, network: Network, x0: Tensor, given: Tensor, uniforms: Uniforms, settings: SamplerSettings,
    *, forbidden: list[int], observe: Observe | None = None,
) -> Tensor:  # fmt: skip
    """(B, L) x0, read where it is given -> (B, L) ids: all others are written; those in `forbidden` never are.

    `observe(step, x, p)` gets each state x, from the prior (step 0) on. p is the probability that pi, as temperature
    and top-p shape it, gave each character in the call that led to x: None at the prior, 0 for a mask and where nothing
    was computed.
    Raises FloatingPointError if the network gives NaN or infinite numbers.
    """
    process = diffusion.process
    never = torch.zeros(process.characters, dtype=torch.float64)
    never[forbidden] = -torch.inf
    never = never.to(x0.device)

    def pi_logits(x_t: Tensor, sigma: Tensor, positions: Tensor | None = None) -> Tensor:
        output = network(x_t, sigma.squeeze(1).float().expand(len(x_t)), given, positions=positions).double()
        output = output.view(len(x_t), -1, output.shape[-1])
        if positions is not None:
            x_t = x_t[positions].view(len(x_t), -1)
        return checked(diffusion.head.logits(process, output, x_t, sigma) + never)  # NaN stays NaN

    x = torch.where(given, x0, process.prior(uniforms(x0.shape[1])))
    observe = observe or (lambda *_: None)
    observe(0, x, None)
    return SAMPLERS[settings.sampler].write(SamplerInputs(process, pi_logits, given, uniforms, settings, observe), x)
