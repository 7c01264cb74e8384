"""Samplers that fill in masks, the surest characters first, and then mend the text: `surest` and `gibbs`.

They need the absorbing process, under which a text may be written in any order. pi is the network's distribution of a
character by all that is written. Shapes: B batch, L positions, K of them in each row, V characters; ids are (B, L).
"""

import math

import torch
from torch import Tensor

from diffusion import orders
from diffusion.draws import draw, likelihood, tempered
from diffusion.orders import filled_up, noise_of, placed
from diffusion.sampler_settings import SamplerInputs, SamplerSettings
from diffusion.schedules import SCHEDULES

GIBBS_CALLS = 6  # network calls of a revision of `gibbs`; what one hides lies so far apart
COOLING = 0.65  # what `gibbs` draws again is drawn at this part of the temperature: variety comes from the first draft
JUDGING_CALLS = 4  # network calls that judge a text; each hides another quarter of its characters
ENTROPY_SHARE = 0.5  # weight of entropy in a judgement: 0 makes text too predictable, 1 lets nonsense pass
REVISION_SPEEDUP = 4  # a revision's stretches are shorter by this factor, unless set: most text is known, few calls do


def stretch_of_revisions(settings: SamplerSettings) -> int:
    """The most positions of a stretch, and so network calls, while a revision writes."""
    return settings.revision_stretch or max(1, settings.stretch // REVISION_SPEEDUP)


def fill_in(inputs: SamplerInputs, x: Tensor, unwritten: Tensor, most: int, longest: int, call: int) -> Tensor:
    """Write what is unwritten, of which no row has more than `most`, in stretches of at most `longest`.

    Each network call writes, in every stretch, the position where pi is surest, and keeps it. Any order of writing is
    allowed, so the sure characters come first and guide the unsure. One stretch is exact but slow; several write at
    once, seldom side by side. `call` is the number of calls before.
    """
    _, pi_logits, given, uniforms, settings, observe = inputs
    order, become = orders.surest(~unwritten, longest), uniforms(x.shape[1])
    stretches, left = -(-most // longest), longest  # at most: stretches of a row, unwritten positions of a stretch
    while unwritten.any():
        positions = filled_up(unwritten, min(most, stretches * left))
        logits = pi_logits(x, noise_of(unwritten, given), positions)
        pi, shaped = logits.softmax(-1), tempered(logits, settings.temperature, settings.top_p)
        drawn = draw(shaped, become[positions].view(len(x), -1))
        chosen = order.choose(unwritten, placed(positions, pi.amax(-1)))
        x, unwritten = torch.where(chosen, x.masked_scatter(positions, drawn), x), unwritten & ~chosen
        call, left = call + 1, left - 1
        observe(call, x, placed(positions, likelihood(shaped, drawn)))
    return x


def surest_first(inputs: SamplerInputs, x: Tensor) -> Tensor:
    """Fill in the masks, the surest first. Each revision then masks the share `revised` of the text that fits its
    surroundings worst, and writes it again.
    """
    given, settings = inputs.given, inputs.settings
    length, shorter = x.shape[1], stretch_of_revisions(settings)
    x = fill_in(inputs, x, ~given, length, settings.stretch, 0)
    most = math.ceil(settings.revised * length)
    for revision in range(revisions_of(settings)):
        doubtful = least(plausibilities(inputs, x), settings.revised, ~given)
        # steps are counted as if every stretch were full: a row's step numbers must not depend on the other rows
        before = settings.stretch + revision * shorter
        x = fill_in(inputs, x.masked_fill(doubtful, inputs.process.characters), doubtful, most, shorter, before)
    return x


def gibbs(inputs: SamplerInputs, x: Tensor) -> Tensor:
    """Fill in the masks, the surest first. Each revision then hides every sixth character, six times in turn, and draws
    the share `revised` of the hidden that fits its surroundings worst again, one at least.

    Drawing a character again by all others is Gibbs sampling, and those of one call lie apart. What a call hides it
    also judges and writes, where `surest` has calls that judge alone.
    """
    given, settings = inputs.given, inputs.settings
    x = fill_in(inputs, x, ~given, x.shape[1], settings.stretch, 0)
    for call in range(GIBBS_CALLS * revisions_of(settings)):
        positions, logits = logits_behind(inputs, x, call % GIBBS_CALLS, GIBBS_CALLS)
        now, free, become = (each[positions].view(len(x), -1) for each in (x, ~given, inputs.uniforms(x.shape[1])))
        worst = least(plausibility(logits.log_softmax(-1), now), settings.revised, free, fewest=1)
        shaped = tempered(logits, COOLING * settings.temperature, settings.top_p)
        drawn = torch.where(worst, draw(shaped, become), now)
        x = x.masked_scatter(positions, drawn)
        inputs.observe(settings.stretch + call + 1, x, placed(positions, likelihood(shaped, drawn)))
    return x


def logits_behind(inputs: SamplerInputs, x: Tensor, turn: int, turns: int) -> tuple[Tensor, Tensor]:
    """Hide every `turns`-th character, from the one numbered `turn`: (B, L) their positions, (B, K, V) logits of pi."""
    positions = (torch.arange(x.shape[1], device=x.device) % turns == turn).expand_as(x)
    share = torch.full((1, 1), 1 / turns, dtype=torch.float64, device=x.device)
    hidden = x.masked_fill(positions & ~inputs.given, inputs.process.characters)
    return positions, inputs.pi_logits(hidden, SCHEDULES["log_linear"].sigma(share), positions)


def least(values: Tensor, share: float, among: Tensor, fewest: int = 0) -> Tensor:
    """(B, L) values, (B, L) bool -> (B, L): marks the least `among` these in each row: a share, `fewest` at least."""
    number = (share * among.sum(1, keepdim=True)).round().clamp_min(fewest)
    return (values.masked_fill(~among, torch.inf).argsort(1).argsort(1) < number) & among


def plausibility(log_pi: Tensor, ids: Tensor) -> Tensor:
    """(B, K, V) log pi, (B, K) ids -> (B, K) nats: how well each fits its surroundings, log pi(x) + H(pi) / 2.

    Surprise, -log pi(x), is no fault where any character would surprise, as at the start of a name: half of the
    expected surprise, the entropy H(pi), is subtracted from it (compare locally typical sampling, arXiv:2202.00666).
    """
    entropy = torch.special.entr(log_pi.exp()).sum(-1)
    return log_pi.gather(-1, ids.unsqueeze(-1)).squeeze(-1) + ENTROPY_SHARE * entropy


def plausibilities(inputs: SamplerInputs, x: Tensor) -> Tensor:
    """(B, L) ids -> (B, L) nats: the plausibility of each character; 0 where given.

    Each call masks every fourth character and asks for pi there.
    """
    judged = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
    for turn in range(JUDGING_CALLS):
        positions, logits = logits_behind(inputs, x, turn, JUDGING_CALLS)
        now = x[positions].view(len(x), -1)
        judged = judged.masked_scatter(positions, plausibility(logits.log_softmax(-1), now))
    return judged.masked_fill(inputs.given, 0)


def calls_to_fill(characters: int, longest: int) -> int:
    """The network calls that fill in so many characters: one for each of the longest stretch."""
    return -(-characters // -(-characters // longest)) if characters else 0


def revisions_of(settings: SamplerSettings) -> int:
    """How many revisions a text gets, even if nothing is to be written."""
    return settings.revisions if settings.revised else 0


def surest_calls(settings: SamplerSettings, characters: int) -> int:
    """Network calls that fill in the text, and for each revision those that judge and those that write again."""
    rewritten = int((settings.revised * torch.tensor(characters)).round())  # in float32, as surest_first rounds it
    revision = JUDGING_CALLS + calls_to_fill(rewritten, stretch_of_revisions(settings))
    return calls_to_fill(characters, settings.stretch) + revisions_of(settings) * revision


def gibbs_calls(settings: SamplerSettings, characters: int) -> int:
    """Those that fill in the text, and six for each revision."""
    return calls_to_fill(characters, settings.stretch) + revisions_of(settings) * GIBBS_CALLS
