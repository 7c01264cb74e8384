"""Draws the tokens and courses that a set lacks, and adds them to its two growing files, batch by batch."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from command.console import progress
from command.outputs import named_errors
from generation.writer import Writer
from nft.courses import course_line, course_of
from nft.rules import Judge
from nft.schemas import SetInfo, canonical_json
from nft.store import SetFolder
from nft.tokens import TextSource, courses_again, draw_tokens
from nft.traits import Record
from utils import UserError

SAVE_SECONDS = 60  # between two writes of a file that is written whole


def add_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Add lines to a file; they are on the disk when this returns."""
    with named_errors(path), path.open("ab") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def draw_missing(folder: SetFolder, source: TextSource, judge: Judge, size: int, batch_size: int) -> None:
    """Add the tokens that a set lacks; each batch is on the disk before the next is drawn.

    Their courses are written first: those of tokens that a kill then takes are cut off when the set goes on.
    """
    records = folder.records()
    for record in records:
        if record["accepted"]:
            judge.accept(record["text"])
    with progress("tokens drawn", size, len(records)) as advance:
        for first in range(len(records) + 1, size + 1, batch_size):
            numbers = range(first, min(first + batch_size, size + 1))
            tokens = draw_tokens(source, judge, numbers, advance)
            if source.info.courses:
                add_lines(folder.courses_file, [course_line(t.record["token_id"], t.course) for t in tokens])
            add_lines(folder.samples, [f"{canonical_json(token.record)}\n".encode() for token in tokens])


def draw_missing_courses(folder: SetFolder, writer: Writer, info: SetInfo, batch_size: int) -> None:
    """Add the courses that a set lacks; a token whose text does not come out again gets an empty one."""
    records = folder.records()
    first = len(folder.course_lines())
    with progress("courses drawn", len(records), first) as advance:
        for start in range(first, len(records), batch_size):
            batch = records[start : start + batch_size]
            courses = courses_again(writer, info, batch)
            add_lines(folder.courses_file, [course_line(r["token_id"], c) for r, c in zip(batch, courses, strict=True)])
            advance(len(batch))


def draw_empty_courses(folder: SetFolder, writer: Writer, info: SetInfo, batch_size: int) -> None:
    """Draw the courses again that are empty, as where another machine drew another text, or damaged."""
    lines, empty = folder.course_lines(), without_course(folder)
    saved = time.monotonic()
    with progress("courses drawn again", len(empty)) as advance:
        for start in range(0, len(empty), batch_size):
            batch = empty[start : start + batch_size]
            for record, course in zip(batch, courses_again(writer, info, batch), strict=True):
                lines[record["token_id"] - 1] = course_line(record["token_id"], course)
            if time.monotonic() - saved > SAVE_SECONDS or start + batch_size >= len(empty):
                folder.write(folder.courses_file.name, b"".join(lines))
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
