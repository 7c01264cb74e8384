"""Draws the tokens and courses that a set lacks, batch by batch; what was drawn is on the disk before the next."""

import time
from collections.abc import Iterable
from pathlib import Path

from command.console import progress
from command.disk import sync
from command.outputs import named_errors
from generation.writer import Writer
from nft.courses import course_line, course_of
from nft.rules import Judge
from nft.schemas import canonical_json
from nft.store import SetFolder
from nft.tokens import TextSource, courses_again, draw_tokens
from nft.traits import Record
from utils import UserError

SAVE_SECONDS = 60  # of work are lost, about, if a command is ended
LEAST_BATCH = 32  # tokens: among fewer long texts, cores would wait for the longest


def add_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Add lines to a file; they are on the disk when this returns."""
    with named_errors(path), path.open("ab") as file:
        file.writelines(lines)
        sync(file)


def draw_missing(folder: SetFolder, source: TextSource, judge: Judge, size: int, batch_size: int) -> None:
    """Add the tokens that a set lacks; each batch is on the disk before the next is drawn.

    Their courses are written first: those of tokens that a kill then takes are cut off when the set goes on.
    """
    records = folder.records()
    for record in records:
        if record["accepted"]:
            judge.accept(record["text"])
    first, count = len(records) + 1, min(batch_size, LEAST_BATCH)
    with progress("tokens drawn", size, len(records)) as advance:
        while first <= size:
            began, numbers = time.monotonic(), range(first, min(first + count, size + 1))
            tokens = draw_tokens(source, judge, numbers, advance)
            if source.info.courses:
                add_lines(folder.courses_file, [course_line(t.record["token_id"], t.course) for t in tokens])
            add_lines(folder.samples, [f"{canonical_json(token.record)}\n".encode() for token in tokens])
            first, count = numbers.stop, batch_after(len(numbers), time.monotonic() - began, batch_size)


def batch_after(count: int, seconds: float, most: int) -> int:
    """How many tokens to draw next: SAVE_SECONDS' worth, where `count` took so long; some clocks tick seldom."""
    return min(most, max(LEAST_BATCH, round(count * SAVE_SECONDS / max(seconds, 0.1))))


def draw_courses(folder: SetFolder, writer: Writer, records: list[Record], batch_size: int) -> None:
    """Draw how these tokens were written; one whose text does not come out again gets an empty course."""
    lines, info, saved = dict(enumerate(folder.course_lines(), 1)), folder.info(), time.monotonic()
    with progress("courses drawn", len(records)) as advance:
        for start in range(0, len(records), batch_size):
            batch = records[start : start + batch_size]
            for record, course in zip(batch, courses_again(writer, info, batch), strict=True):
                lines[record["token_id"]] = course_line(record["token_id"], course)
            if time.monotonic() - saved > SAVE_SECONDS or start + batch_size >= len(records):
                folder.write(folder.courses_file.name, b"".join(lines.values()))
                saved = time.monotonic()
            advance(len(batch))


def without_course(folder: SetFolder) -> list[Record]:
    """The accepted tokens whose course is empty, or damaged."""

    def is_known(line: bytes, record: Record) -> bool:
        try:
            return bool(course_of(line, record))
        except UserError:
            return False

    pairs = zip(folder.records(), folder.course_lines(), strict=False)
    return [record for record, line in pairs if record["accepted"] and not is_known(line, record)]
