"""Draws the tokens and courses that a set lacks, and adds them to its two growing files, batch by batch."""

import os
from collections.abc import Iterable
from pathlib import Path

from generation.console import progress
from generation.outputs import named_errors
from generation.writer import Writer
from nft.courses import course_line
from nft.rules import Judge
from nft.schemas import SetInfo, canonical_json
from nft.store import SetFolder
from nft.tokens import TextSource, courses_again, draw_tokens


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
            tokens = []
            for token in draw_tokens(source, judge, numbers, judge.config.attempts):
                tokens.append(token)
                advance(1)
            if source.info.courses:
                add_lines(folder.courses_file, [course_line(t.record["token_id"], t.course) for t in tokens])
            add_lines(folder.samples, [f"{canonical_json(token.record)}\n".encode() for token in tokens])


def draw_missing_courses(folder: SetFolder, writer: Writer, info: SetInfo, batch_size: int) -> list[int]:
    """Add the courses that a set lacks; -> the accepted tokens whose text does not come out again, so without one."""
    records = folder.records()
    first = folder.course_lines().count(b"\n")
    unknown = []
    with progress("courses drawn", len(records), first) as advance:
        for start in range(first, len(records), batch_size):
            batch = records[start : start + batch_size]
            courses = courses_again(writer, info, batch)
            add_lines(folder.courses_file, [course_line(r["token_id"], c) for r, c in zip(batch, courses, strict=True)])
            unknown += [r["token_id"] for r, c in zip(batch, courses, strict=True) if r["accepted"] and not c]
            advance(len(batch))
    return unknown
