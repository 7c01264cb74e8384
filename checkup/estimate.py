"""Estimates what a voice will reach, from counts of its text, this machine's speed, and trainings measured before."""

import math
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter

import numpy as np

from command.messages import clock, counted
from config.schema import RunConfig
from dataset_loader import Batch
from evaluation.ngram import framed
from evaluation.reference import REFERENCE_CHARACTERS, cut_stream, shuffled_documents
from evaluation.two_sided import two_sided_bits
from text.corpus import Corpus
from utils import numpy_generator

# layers, blocks that attend, width and context of the presets that were trained so, all with absorbing noise
NETWORKS = {"tiny": (2, 1, 192, 128), "cpu": (3, 1, 256, 128)}
# Whole trainings of the presets as they are, each of one seed: text, preset, million characters read, then the NELBO of
# held-out text, and that of counts of both sides for the same windows; benchmarks/results/learning.md
TRAININGS = (
    ("recipes", "tiny", 0.93, 2.435, 2.491),
    ("yelp_reviews", "tiny", 0.94, 2.889, 2.768),
    ("shakespeare", "tiny", 0.99, 2.762, 2.681),
    ("news_headlines", "tiny", 1.05, 3.072, 3.012),
    ("tweets", "tiny", 1.06, 3.300, 3.177),
    ("github_commits", "tiny", 7.27, 2.448, 2.912),
    ("arxiv_abstracts", "tiny", 18.52, 2.180, 2.749),
    ("github_commits", "tiny", 20.75, 2.289, 2.912),
    ("github_commits", "tiny", 31.33, 2.217, 2.912),
    ("arxiv_abstracts", "cpu", 34.50, 2.027, 2.749),
)
_, _, MILLIONS, BITS, COUNTS = zip(*TRAININGS, strict=True)
READ, GAINS = 1e6 * np.array(MILLIONS), np.array(COUNTS) - np.array(BITS)
LEAST_READ, MOST_READ = float(READ.min()), float(READ.max())  # characters read, between which anything is known
# the gain grows with the logarithm of what was read; twice the standard deviation about that line holds most voices
LINE = np.polyfit(np.log(READ), GAINS, 1)
MARGIN = 2 * float(np.sqrt(((np.polyval(LINE, np.log(READ)) - GAINS) ** 2).sum() / (len(TRAININGS) - 2)))
FEW_PASSES = 5  # over a text, that all of them made at most
NIGHT = 28_800  # seconds
BUDGETS = {"15 minutes": 900, "an hour": 3600, "a night of 8 hours": NIGHT}


@dataclass(frozen=True)
class Estimate:
    """What is known of a training before it begins."""

    counts: float  # bits per character of held-out text that counts of both sides need; nan unless `known`
    speed: float  # characters a second, as measured
    characters: float  # that the plan reads, within its minutes
    most: float  # that it would read without a limit of time
    text: int  # characters of the text to learn from
    known: bool  # whether trainings of this preset, as it is, from random weights were measured, and this is one
    started: bool = False  # whether it starts from a model

    @property
    def alike(self) -> bool:
        """Whether texts were measured that are about as hard to predict."""
        return min(COUNTS) - MARGIN <= self.counts <= max(COUNTS) + MARGIN

    def bits(self, characters: float) -> float:
        """The estimate after so many characters; the last that was measured if there are more."""
        return self.counts - float(np.polyval(LINE, math.log(min(max(characters, LEAST_READ), MOST_READ))))

    def gains_from(self, seconds: float) -> bool:
        """Whether a training of so many seconds reads more than is planned."""
        return min(self.speed * seconds, self.most) > self.characters

    def told(self, characters: float) -> str:
        """The estimate in words."""
        low, high = self.bits(characters) - MARGIN, self.bits(characters) + MARGIN
        if characters < LEAST_READ:
            return f"over {low:.1f}"
        return f"{low:.1f} to {high:.1f}" + " or less" * (characters > MOST_READ)


def estimate_of(
    run: RunConfig, corpus: Corpus, held_out: list[Batch], *, speed: float, seconds: float, most: float
) -> Estimate:
    """`held_out` are the batches that a training measures itself on.

    The speed is in characters a second; `seconds` and characters, `most`, are the limits of the plan.
    """
    started, text = bool(run.training.start_from), int(corpus.train.lengths.sum())
    network = (run.model.layers, run.model.attention_layers, run.model.width, run.model.context)
    as_measured = NETWORKS.get(run.preset) == network and run.diffusion.process == "absorbing"
    known = as_measured and not started
    counts = bits_of_counts(run, corpus, held_out) if known else math.nan
    return Estimate(counts, speed, min(speed * seconds, most), most, text, known, started)


def bits_of_counts(run: RunConfig, corpus: Corpus, held_out: list[Batch]) -> float:
    """Bits per character of these batches by counts of both sides, of as much training text as is measured with."""
    split = cut_stream(corpus.train, run.model.context) if corpus.stream else corpus.train
    documents = shuffled_documents(split, numpy_generator("reference"), REFERENCE_CHARACTERS)
    return two_sided_bits(framed(documents), corpus.vocabulary.size, held_out, run.seed)


def in_words(estimate: Estimate) -> str:
    """A sentence: what a quarter of an hour, an hour, a night and the plan bring on this machine."""
    speed = f"{counted(round(estimate.speed), 'character')} a second here, as fast as the steps just timed"
    if not estimate.known:
        which = "this preset from a start" if estimate.started else "this preset"
        return f"{speed}; no training of {which} was measured, so nothing is known of its bits"
    if not estimate.alike:
        counts = f"counts of neighbours need {estimate.counts:.1f} bits a character, of texts that were measured"
        return f"{speed}; {counts} {min(COUNTS):.1f} to {max(COUNTS):.1f}, so nothing is known of its bits"
    read = {f"after {budget}": estimate.speed * seconds for budget, seconds in BUDGETS.items()}
    read = {when: characters for when, characters in read.items() if characters < estimate.most}
    planned, whole = (clock(characters / estimate.speed) for characters in (estimate.characters, estimate.most))
    if limited := estimate.characters < estimate.most:
        read[f"as planned, after {planned}"] = estimate.characters
    read[f"{'without a limit of time' if limited else 'at the end'}, after {whole}"] = estimate.most
    read = dict(sorted(read.items(), key=itemgetter(1)))
    measured = sum(characters <= MOST_READ for characters in read.values())
    told = dict(islice(read.items(), measured + 1))  # and the first that is beyond
    parts = ", ".join(f"{estimate.told(characters)} {when}" for when, characters in told.items())
    many = max(told.values()) > FEW_PASSES * estimate.text
    less = f" (less is known of over {FEW_PASSES} passes)" * many
    return f"bits a character to expect, as {len(TRAININGS)} trainings went: {parts}{less}; {speed}"
