"""An evaluation read back from the NAME_evaluation.json that evaluate.py wrote, if it is that of a model at hand."""

import json
import math
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from command.outputs import SUFFIX, OutputRecord, record_of_outputs
from config.errors import describe
from evaluation.identity import voice_sha256, weights_sha256
from evaluation.metrics import Interval
from generation.checkpoint import Checkpoint
from utils import UserError, read_text

MOST_BYTES = 16 << 20  # of a stored evaluation: ten documents and a list of a million copies take less
# JSON has no NaN; null stands for it
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


class Part(BaseModel):
    """A part of a stored evaluation: what else it holds is for people."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class StoredBits(Part):
    """Bits per character of so many characters, with a standard error."""

    bits: Number
    error: Number
    characters: int


class StoredLikelihood(Part):
    """See evaluation.records.Likelihoods."""

    held_out: StoredBits
    training: StoredBits
    ordered: dict[str, StoredBits]
    baselines: dict[str, Number]


class StoredInterval(Part):
    """A value with its 95 % confidence interval."""

    value: Number
    low: Number
    high: Number

    def __str__(self) -> str:
        return str(Interval(self.value, self.low, self.high))


class StoredComparison(Part):
    """A figure of samples, and of as many held-out documents."""

    samples: StoredInterval
    real: StoredInterval


class StoredCopies(Part):
    """See evaluation.records.Copies."""

    bound: int
    share: Number
    calibrated_on: int
    gauge: str
    flagged: list[int]
    nearly: int | None = None  # earlier versions did not look for them
    repeats: int
    unknown: int


class StoredEvaluation(Part):
    """See evaluation.records.Evaluation."""

    samples: str
    drawn: bool = False  # earlier versions did not say whether the samples are the model's
    judged: int
    compared: int
    likelihood: StoredLikelihood
    figures: dict[str, StoredComparison]
    copies: StoredCopies
    data_sha256: str
    training_sha256: str
    weights_sha256: str = ""  # earlier versions wrote neither
    voice_sha256: str = ""
    training: dict[str, int | float | None]
    unseen: list[str]
    held_out_seen: int

    def is_of(self, checkpoint: Checkpoint) -> bool:
        """Whether this is the evaluation of a model: of its text, weights, figures of its training, how it draws."""
        mine = {name: value if math.isfinite(value) else None for name, value in checkpoint.metrics.items()}
        origin = self.data_sha256, self.training_sha256, self.weights_sha256, self.voice_sha256
        own = checkpoint.data_sha256, checkpoint.training_sha256, weights_sha256(checkpoint), voice_sha256(checkpoint)
        return origin == own and self.training == mine


def stored_evaluation(folder: Path, name: str, checkpoint: Checkpoint) -> tuple[StoredEvaluation | None, str]:
    """The evaluation of a model that evaluate.py wrote into a folder; without one, why, in words without a path.

    Raises UserError for a file that is damaged.
    """
    path = folder / f"{name}_evaluation.json"
    if not path.exists():
        return None, f"there is no {path.name}"
    record = evaluation_record(folder, name)
    if not record.hashes:
        return None, f"{path.name} is {record.missing()}"
    if not record.knows(path.name):
        return None, f"{path.name} was changed since evaluate.py wrote it"
    text = read_text(path, most_bytes=MOST_BYTES)
    try:
        found = StoredEvaluation.model_validate(json.loads(text))
    except ValidationError as error:
        raise UserError(
            f"{path}: {describe(error.errors()[0], StoredEvaluation, {})}; evaluate.py writes it anew"
        ) from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not JSON; evaluate.py writes it anew") from None
    if not found.voice_sha256:
        return None, f"{path.name} is of an earlier version, which did not say what drew the samples"
    if not found.is_of(checkpoint):
        return None, f"{path.name} is of another model"
    if not found.drawn:
        return None, f"{path.name} judged the documents of {found.samples}, not what the model draws"
    return found, ""


def evaluation_record(folder: Path, name: str) -> OutputRecord:
    """The record of the files that evaluate.py wrote on a voice."""
    return record_of_outputs(folder / f".{name}_evaluation.md{SUFFIX}")
