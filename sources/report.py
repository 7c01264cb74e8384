"""What prepare.py says at its end: what was made of how many rows, what was left out or changed, with examples."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from command.messages import argument, counted
from command.options import config_option
from config.schema import ENOUGH_TEXT, RunConfig
from sources.columns import excerpt
from sources.pipeline import Made
from text.vocabulary import NEWLINE, UNICODE_SIZE, codepoints, too_small

READ_BYTES = 1 << 22  # of the text, to count its characters


def report(made: Made, run: RunConfig, config: Path) -> Iterator[str]:
    """The lines that tell a user what became of the sources, and the next commands."""
    log, path = made.log, run.data_file()
    yield from made.notes
    made_of = f"{counted(log.characters, 'character')}, of {counted(log.rows, 'row')}"
    yield f"{path}: {counted(log.documents, 'document')}, {made_of}"
    if made.encoding and log.beyond_ascii:  # most encodings fit any bytes: only a reader sees that one is wrong
        yield f"with --encoding {made.encoding} it reads: {excerpt(log.beyond_ascii)!r}"
    for reason, count in log.left_out.most_common():
        yield f"left out: {counted(count, 'row')} {reason}"
        yield from (f"    {place}" for place in log.places.get(reason, ()))
    yield from log.without_number()
    for what, count in log.changed.most_common():
        yield f"{what}: in {counted(count, 'row')}"
        yield from (f"    {before!r} -> {after!r}" for before, after in log.examples[what])
    if log.replaced:
        yield f"could not be decoded: {counted(log.replaced, 'character')} of the text, now U+FFFD"
    if log.repeated:
        yield f"repeated: {counted(log.repeated, 'document')}; training drops them"
    given = config_option(config)
    preset = " --preset tiny" if run.preset == "cpu" and log.characters < ENOUGH_TEXT else ""
    train = f"python train.py --dataset {run.name}"
    if lost := left_out(run):
        yield lost
        yield f"now: {train} --check{given}"
    yield f"{'then' if lost else 'now'}: {train} --minutes 60{preset}{given}"
    yield f"then: python generate.py --model {argument(run.model_file())} --samples 100{given}"


def left_out(run: RunConfig) -> str:
    """What `too_small` says of the text that was made, and of the size that the run's vocabulary will have."""
    with run.data_file().open("rb") as file:
        begin = file.read(READ_BYTES).decode("utf-8", "ignore")  # its end may lie within a character
    counts = np.bincount(codepoints(begin), minlength=UNICODE_SIZE)
    counts[NEWLINE] = 0
    limit = run.data.vocab_size
    known = np.sort(counts)[UNICODE_SIZE - limit + 1 :]  # one is the newline
    return too_small(int(counts.sum() - known.sum()), int(counts.sum()), limit)
