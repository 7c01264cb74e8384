"""In which order trainings run: none before the one that makes its start, and in several lanes the longest first."""

from collections.abc import Sequence

from config.schema import RunConfig
from training.start import check_alike
from utils import UserError, size_of


def maker_of(run: RunConfig, runs: Sequence[RunConfig]) -> RunConfig | None:
    """The one of these runs that makes the model which a run starts from."""
    return next(filter(run.starts_from, runs), None)


def in_order(runs: list[RunConfig]) -> list[RunConfig]:
    """The runs, each behind the one that makes its start. UserError if that is of another network, or for a circle."""
    found: list[RunConfig] = []

    def add(run: RunConfig, waiting: list[str]) -> None:
        if run.name in waiting:
            circle = " and ".join([*waiting[waiting.index(run.name) :], run.name])
            raise UserError(f"training.start_from: {circle} start from each other; let one start from none")
        if start := maker_of(run, runs):
            try:
                check_alike(start.model_file(), start, run)
            except UserError as error:
                raise UserError(f"{run.name}: {error}") from None
            add(start, [*waiting, run.name])
        if run not in found:
            found.append(run)

    for run in runs:
        add(run, [])
    return found


def longest_first(runs: Sequence[RunConfig]) -> list[RunConfig]:
    """The runs as several lanes begin them: those that others start from, then the longest first."""
    starts = {maker.name for run in runs if (maker := maker_of(run, runs))}
    return sorted(runs, key=lambda run: (run.name not in starts, -run.minutes(), -characters_of(run)))


def characters_of(run: RunConfig) -> float:
    """About how many characters a run trains on: a byte each in every epoch, and no more than its steps hold."""
    epochs, steps = size_of(run.data_file()) * run.training.epochs, run.training.max_steps
    return min(epochs, steps * run.training.batch_size * run.model.context) if steps else epochs
