"""What a training reports and to whom: its status, its validations, the listener that may stop it, its messages."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from command.disk import write_atomic
from command.messages import error_text
from command.outputs import check_ours
from config.schema import RunConfig
from diffusion.objectives import Network
from generation.course import Change
from text.corpus import Corpus
from utils import UserError

FIGURES = ("held_out_bits", "held_out_error", "best_step", "steps", "characters")  # metrics of a model
SMOOTHING = 0.9  # share of the past in the running average of speed and loss


@dataclass
class Validation:
    """What one validation found."""

    step: int
    progress: float  # 0..1 of the training's budget
    characters: int  # seen in training, padding and given positions not counted
    train_loss: float  # bits per character of the training loss, running average
    held_out: float  # bits per character, NELBO
    held_out_error: float
    learning_rate: float
    minutes: float
    sample: str
    learnt: float | None = None  # bits per character of as much training text, NELBO; at first not measured


@dataclass
class Status:
    """How far a training is."""

    name: str
    progress: float = 0.0
    step: int = 0
    characters: int = 0
    loss: float = math.nan  # bits per character, running average
    speed: float = math.nan  # real characters per second, running average
    seconds: float = 0.0
    slowdowns: int = 0  # how often it diverged and went back to half its rates
    validated: int = 0  # planned validations that are over; a slow one may have passed several
    history: list[Validation] = field(default_factory=list)

    def seconds_left(self) -> float:
        return self.seconds * (1 - self.progress) / self.progress if self.progress else math.nan

    def figures(self) -> dict[str, float]:
        """What a model says of the training that it came from, by the names in FIGURES."""
        best = self.history[-1 - since_best(self.history)]
        found = best.held_out, best.held_out_error, best.step, self.step, self.characters
        return dict(zip(FIGURES, found, strict=True))


def since_best(history: list[Validation]) -> int:
    """How many validations followed the best; of equal ones the last, as where no noise falls on a tiny text.

    If none has finite bits, the first is the best.
    """
    since = min(range(len(history)), key=lambda since: history[-1 - since].held_out)
    return since if math.isfinite(history[-1 - since].held_out) else len(history) - 1


def stalled(history: list[Validation], patience: int) -> bool:
    """Whether as many validations as `patience` have passed since the best one; never if patience is 0."""
    return bool(patience and history) and since_best(history) >= patience


def smoothed(average: float, value: float) -> float:
    """A running average with one more value; `average` is nan before the first."""
    return value if math.isnan(average) else SMOOTHING * average + (1 - SMOOTHING) * value


class Listener:
    """Hears what a training does, and may stop it: a display, a test. A subclass overrides only what it needs.

    This one says nothing and never stops.
    """

    def started(self, run: RunConfig, corpus: Corpus, parameters: int, device: torch.device, steps: int) -> None:
        """Data are read and the network is built; it takes so many steps at most."""

    def resumed(self, status: Status) -> None:
        """A saved state is gone on from."""

    def note(self, text: str) -> None:
        """Something that a person should know happened."""

    def stepped(self, status: Status) -> None:
        """A step is done."""

    def validated(self, status: Status, course: list[Change]) -> None:
        """The last of `status.history` is new; `course` says how its sample was written."""

    def finishing(self, status: Status) -> None:
        """The model is about to be saved."""

    def stopping(self) -> bool:
        """Whether to save the state and stop."""
        return False


SILENT = Listener()


@dataclass(frozen=True)
class Note:
    """A message of a training in another process: a line for a person."""

    name: str
    text: str


@dataclass(frozen=True)
class Advance:
    """A message of a training in another process: how far it is, with its last validation.

    If that is new, also how its sample was written.
    """

    status: Status
    validated: bool = False
    course: list[Change] = field(default_factory=list)
    used: float = math.nan  # share of a card's peak bf16 rate, where that is known

    @property
    def name(self) -> str:
        return self.status.name


Message = Note | Advance
Hear = Callable[[Message], None]


class Stopped(Exception):
    """A training was asked to stop. Its state is saved, and the same command goes on from there."""


def try_save(listener: Listener, save: Callable[[], None]) -> None:
    """Save, or note why not: a full disk does not end a training, and a later save may find room."""
    try:
        save()
    except (OSError, UserError) as error:
        listener.note(f"not saved, and going on: {error_text(error)}")


def stoppable(network: Network, listener: Listener) -> Network:
    """The network, but a call raises Stopped once the listener asks to stop: a validation makes many calls."""

    def answer(x_t: Tensor, sigma: Tensor, given: Tensor, *, positions: Tensor | None = None) -> Tensor:
        if listener.stopping():
            raise Stopped
        return network(x_t, sigma, given, positions=positions)

    return answer


def is_history(content: bytes) -> bool:
    """Whether these are the validations of a training, of this or an earlier version, and nothing beside them."""
    try:
        records = [Validation(**json.loads(line)) for line in content.splitlines()]
    except (ValueError, TypeError, RecursionError):
        return False
    return bool(records)


def write_metrics(run: RunConfig, history: list[Validation]) -> None:
    """models/NAME.metrics.jsonl: one validation a line."""
    lines = "".join(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in history)
    path = run.model_file().with_suffix(".metrics.jsonl")
    check_ours(path, is_history)
    write_atomic(path, lines)
