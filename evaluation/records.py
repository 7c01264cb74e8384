"""What an evaluation finds: one voice's likelihood, metrics and copies, and several voices side by side, as records."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from evaluation.likelihood import Likelihood
from evaluation.metrics import Interval, Metric
from generation.writer import Writer
from text.corpus import Corpus

EXAMPLES = 10  # samples that a report shows


@dataclass(frozen=True)
class Comparison:
    """One metric of the samples, and of as many held-out documents: the ceiling."""

    metric: Metric
    samples: Interval
    real: Interval

    @property
    def at_ceiling(self) -> bool:
        """Whether the samples differ from real text by no more than chance."""
        return self.samples.agrees(self.real)

    @property
    def measured(self) -> bool:
        """Whether both sides hold what is measured: words, for example."""
        return self.samples.measured and self.real.measured

    @property
    def certain(self) -> bool:
        """Whether both intervals are known, so that a difference can be told from chance."""
        return self.samples.certain and self.real.certain


@dataclass(frozen=True)
class Baselines:
    """Bits per character of held-out text under simple models.

    All characters equally likely, by frequency, by the four characters before each (5-gram): exact likelihoods, of the
    windows on which those of the voice are measured. Counts of both sides: a NELBO, of the voice's own windows. And
    what the length of a document is worth, spread over its characters: the voice alone is told it.
    """

    uniform: float
    unigram: float
    five_gram: float
    two_sided: float
    length: float

    def plain(self) -> dict[str, float]:
        return {
            "uniform": self.uniform,
            "unigram": self.unigram,
            "5-gram": self.five_gram,
            "counts of both sides": self.two_sided,
            "length": self.length,
        }


@dataclass(frozen=True)
class Likelihoods:
    """The voice's bits per character of held-out and of training text, and those of baselines."""

    held_out: Likelihood  # NELBO
    training: Likelihood  # NELBO
    ordered: dict[str, Likelihood]  # exact, of held-out windows, by the order of writing; empty if not absorbing
    baselines: Baselines

    @property
    def gap(self) -> float:
        """Bits per character that held-out text costs more than training text."""
        return self.held_out.bits - self.training.bits

    @property
    def gap_error(self) -> float:
        """Standard error of the gap, whose two figures are of different documents."""
        return math.hypot(self.held_out.error, self.training.error)


@dataclass(frozen=True)
class Copy:
    """A sample that copies: its index among the samples, its longest match in characters, its text."""

    index: int
    match: int
    text: str


@dataclass(frozen=True)
class Copies:
    """Which samples copy the training text."""

    bound: int  # characters; a document with a longer match is a copy
    share: float  # of the samples
    calibrated_on: int  # real documents, not mostly copies themselves, whose matches with other text set the bound
    gauge: str  # creating, in between, memorising, repeating, not checked or too few to tell
    flagged: list[int]  # indices of the samples that copy
    worst: list[Copy]  # those with the longest matches, longest first
    repeats: int  # samples that are, but for case and white space, the same as an earlier one
    unknown: int  # samples with so many characters that the voice does not know that copies would not be seen
    nearly: int  # flagged samples that nearly recite one training document


@dataclass(frozen=True)
class Origin:
    """What the model was made from: hashes of its text and settings, program version, figures of its training."""

    data_sha256: str
    training_sha256: str
    version: str
    weights_sha256: str
    voice_sha256: str  # of what else decides what it draws
    training: dict[str, Any]
    start: str  # the name of the model that training started from; "" for none
    unseen: list[str]  # models before this one whose texts are not at hand
    held_out_seen: int  # held-out documents that are in the texts of models before this one


@dataclass(frozen=True)
class Evaluation:
    """Everything measured of one voice, and what pictures and a comparison with other voices need."""

    name: str
    source: str  # of the samples, in words
    drawn: bool  # by this evaluation; else they are the lines of a file, whoever wrote them
    texts: list[str]
    likelihood: Likelihoods
    comparisons: dict[str, Comparison]  # by metric, in the order of METRICS
    copies: Copies
    origin: Origin
    writer: Writer
    corpus: Corpus
    matches: np.ndarray  # (samples,) characters
    real_matches: np.ndarray  # (compared,) characters
    training_lengths: np.ndarray  # ascending, characters
    training_texts: list[str]  # for a classifier to learn from
    real_texts: list[str]  # held-out documents
    unread: int  # documents of the file of samples that were not judged
    blank: int  # lines of that file without a document

    @property
    def compared(self) -> int:
        """Samples, and as many held-out documents, that the comparisons take."""
        return len(self.real_matches)

    @property
    def examples(self) -> list[str]:
        return self.texts[:EXAMPLES]

    def plain(self) -> dict[str, Any]:
        """The figures as NAME_evaluation.json holds them."""
        return {
            "name": self.name,
            "samples": self.source,
            "drawn": self.drawn,
            "judged": len(self.texts),
            "compared": self.compared,
            "likelihood": {
                "held_out": asdict(self.likelihood.held_out),
                "training": asdict(self.likelihood.training),
                "gap": self.likelihood.gap,
                "gap_error": self.likelihood.gap_error,
                "ordered": {order: asdict(found) for order, found in self.likelihood.ordered.items()},
                "baselines": self.likelihood.baselines.plain(),
            },
            "figures": {
                name: {"samples": asdict(found.samples), "real": asdict(found.real)}
                for name, found in self.comparisons.items()
            },
            "copies": asdict(self.copies),
            "examples": self.examples,
            **asdict(self.origin),
        }


@dataclass(frozen=True)
class VoiceComparison:
    """Several voices side by side; every matrix has a row and a column for each name."""

    names: list[str]
    confusion: list[list[int]]  # samples: row, the voice that wrote them; column, the source they are taken for
    confusion_real: list[list[int]]  # the same of held-out documents
    style_bits: list[list[float]]  # bits per character: row, the voice; column, the corpus

    def attributions(self) -> dict[str, "Attribution"]:
        """How often each voice's documents are taken for its own, by name."""
        rows = zip(self.names, self.confusion, self.confusion_real, strict=True)
        return {
            name: Attribution(*share_with_interval(samples, i), *share_with_interval(real, i))
            for i, (name, samples, real) in enumerate(rows)
        }


@dataclass(frozen=True)
class Attribution:
    """Share of a voice's samples, and of real documents, named as its own; 95 % intervals (Wilson's)."""

    samples: float
    samples_interval: tuple[float, float]
    real: float
    real_interval: tuple[float, float]


def share_with_interval(counts: list[int], chosen: int) -> tuple[float, tuple[float, float]]:
    """The share of one of these counts, and its 95 % interval: Wilson's, not centred on it."""
    low, high = binomtest(counts[chosen], sum(counts)).proportion_ci(method="wilson")
    return counts[chosen] / sum(counts), (float(low), float(high))
