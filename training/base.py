"""A common start: one text of all datasets, of which a base model learns, and the runs that start from it."""

import contextlib
import math
from typing import Any

import numpy as np

from command.disk import write_atomic
from command.messages import say
from command.outputs import check_ours
from config.loader import BASE, BASE_FILE, Config
from config.schema import RunConfig
from generation.aside import set_aside
from text.corpus import texts_of, vocabulary_of
from text.survey import Survey, survey
from text.vocabulary import Vocabulary, fold
from utils import UserError, hash_file, numpy_generator, sha256, size_of, unreadable

BASE_CHARACTERS = 2_000_000  # of each text, and what the last document has more: a large one must not drown the others
BASE_SHARE = 0.2  # of the time for all
CHECKED_FILE = BASE_FILE.replace(".txt", ".check.txt")  # the text that --check looks at where a base has another


def with_base(config: Config, runs: list[RunConfig], overrides: dict[str, Any], lanes: int) -> list[RunConfig]:
    """The base's run, and these, which start from it. Where their time is limited, the base gets BASE_SHARE of all.

    If the runs share the time of so many lanes, the base, which has all lanes to itself, counts once.
    """
    if twin := next((name for name in config.datasets if name.lower() == BASE), ""):  # models/Base.pt may be base.pt
        raise UserError(f"{config.path}: datasets.{twin}: --base makes a model of this name; rename the dataset")
    base, there = config.trainable(config.merged(BASE, overrides)), [run for run in runs if size_of(run.data_file())]
    limits = [run.training.max_minutes for run in there]  # 0: none
    if base.data.file != BASE_FILE:
        raise UserError(f"{base.data_file()}: --base makes a model of this name; rename it")
    for run in runs:
        if (start := run.training.start_from) not in ("", BASE):
            what = f"{start!r}, but --base starts every model from the base; take one out"
            raise UserError(f"{config.path}: datasets.{run.name}.training.start_from: {what}")
    if all(limits):
        at_once = max(1, min(lanes, len(there)))
        base = base.with_training(max_minutes=sum(limits) / at_once * BASE_SHARE / (1 - BASE_SHARE))
    elsewhere = str(base.model_file())  # for a dataset with a folder of models of its own
    starts = (BASE if run.paths.models == base.paths.models else elsewhere for run in runs)
    return [base, *(run.with_training(start_from=start) for run, start in zip(runs, starts, strict=True))]


def write_base_text(base: RunConfig, runs: list[RunConfig], *, keep: bool = False) -> RunConfig:
    """Write the base's text: documents that the runs train on, and none that any of them holds out, in a drawn order.

    A text that would change is first set aside, since models and sets may have come from it. A text that is there
    stays while a run's text is missing. With `keep` the old text stays, and the new one is written beside it. A run
    with a faulty text is passed over: its own training names the fault. -> the base's run, which reads that text.
    """
    path, missing = base.data_file(), [run.data_file() for run in runs if unreadable(run.data_file())]
    if all(size_of(run.data_file()) == 0 for run in runs):
        first = runs[0].data_file()
        why = unreadable(first) or "is empty"
        raise UserError(f"{first}: {why}; --base learns from the texts of all datasets, and none is there")
    check_ours(path)
    if missing and path.exists():
        say(f"{missing[0]}: {unreadable(missing[0])}; the base keeps the text that it has")
        return base
    content = base_text([run for run in runs if run.data_file() not in missing])
    if path.exists() and hash_file(path) == sha256(content):
        return base
    if path.exists() and keep:
        say(f"{path}: will be another, so base and what starts from it will be trained anew")
        base = base.model_copy(update={"data": base.data.model_copy(update={"file": CHECKED_FILE})})
        check_ours(base.data_file())
    elif path.exists():
        what = "is another now, so base and what starts from it are trained anew"
        say(f"{path}: {what}; the old one is kept as {set_aside(path)}")
    write_atomic(base.data_file(), content)
    return base


def base_text(runs: list[RunConfig]) -> str:
    """The text that a base of these runs learns from, whatever their order."""
    texts, surveyed, held_out = [], [], set()
    for run in sorted(runs, key=lambda run: run.name):
        with contextlib.suppress(UserError):
            found = survey(run)
            held_out |= held_out_lines(run, found)
            surveyed.append((run, found))
    for run, found in surveyed:
        with contextlib.suppress(UserError):
            texts.append(text_of(run, found, held_out))
    return "".join(texts)


def held_out_lines(run: RunConfig, found: Survey) -> set[str]:
    """The lines that a run holds out, as they are compared."""
    documents = texts_of(run, found.lengths, found.held_out)
    return {compared(line) for document in documents for line in document.split("\n")} - {""}


def compared(line: str) -> str:
    """The form in which the lines of two texts are compared."""
    return fold(line).casefold()


def text_of(run: RunConfig, found: Survey, held_out: set[str]) -> str:
    """Lines of a run's training text that are none of `held_out`: about BASE_CHARACTERS, or all."""
    learnt = found.kept & ~found.held_out
    vocabulary, _ = vocabulary_of(run, found.lengths, learnt)
    lengths = found.lengths[learnt]
    order = numpy_generator(run.seed, BASE, run.name).permutation(len(lengths))
    order = order[: int(np.searchsorted(np.cumsum(lengths[order]), BASE_CHARACTERS)) + 1]
    chosen = np.zeros(len(learnt), dtype=bool)
    chosen[np.flatnonzero(learnt)[order]] = True
    documents = texts_of(run, found.lengths, chosen, BASE_CHARACTERS if run.data.stream else math.inf)
    drawn = (documents[i][:BASE_CHARACTERS] for i in np.argsort(np.argsort(order)))  # texts_of has the file's order
    lines = (line for document in drawn for line in document.split("\n") if compared(line) not in held_out)
    return "".join(f"{known_text(line, vocabulary)}\n" for line in lines)


def known_text(text: str, vocabulary: Vocabulary) -> str:
    """A text without the characters that a voice does not know: those of other scripts, emoji."""
    ids = vocabulary.encode(text)
    return vocabulary.decode(ids[ids != vocabulary.unk])
