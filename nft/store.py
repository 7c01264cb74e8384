"""Reads and writes the folder of a set: its tokens, the settings they were drawn with, and which are published.

samples.jsonl holds one line of canonical JSON a token, courses.jsonl how it was written; lines are only ever added. All
other files of the folder follow from these two, set.json and selection.json.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from command.disk import check_writable, write_atomic
from command.lock import exclusive_lock
from command.messages import counted
from command.places import is_protected, is_regular
from config.data_file import is_of_a_system
from nft.edition import Edition, sound_course
from nft.schemas import Selection, SetInfo, StoredToken, parse
from nft.traits import Record, bands_of
from utils import UserError, utf8

SOURCES = ("set.json", "samples.jsonl", "courses.jsonl", "selection.json")  # all other files follow from these
LOCK = ".lock"
SMALL, MOST_BYTES = ("set.json", "selection.json"), 1 << 26  # a million tokens are named in 8 MB; of others, of a line
BEGIN = b'{"accepted":'  # of each line of samples.jsonl
LINK = "a link; a set holds its files itself"


def indented_json(value: Any) -> str:
    """JSON for people to read."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def selection_json(kept: Iterable[int]) -> str:
    """What selection.json holds where these tokens are published."""
    return indented_json({"kept": sorted(kept)})


def is_writable(folder: Path) -> bool:
    """Whether files can be put into a folder."""
    try:
        check_writable(folder)
    except UserError:
        return False
    return True


class SetFolder:
    """The folder of a set; `opened` locks it, so that no other process changes it."""

    def __init__(self, path: Path, *, mends: bool = False) -> None:
        """`mends`: a last line of samples.jsonl that was cut short is no fault, because `begin` removes it."""
        self.path, self.mends = path, mends
        self.samples, self.courses_file = path / "samples.jsonl", path / "courses.jsonl"

    @classmethod
    @contextlib.contextmanager
    def opened(
        cls, path: Path, *, new: bool = False, mends: bool = False, to_read: bool = False
    ) -> "Iterator[SetFolder]":
        """Open and lock a set; a new one needs an empty folder, because what lies in a set's folder counts as its own.

        One that is only to be read is not locked where the folder cannot be written to.
        """
        if not os.path.lexists(path / "set.json"):
            if not new:
                raise UserError(f"{path}: no set is here; set.json is missing")
            if path.exists() and any(file.name[0] != "." and not is_of_a_system(file) for file in path.iterdir()):
                raise UserError(f"{path}: holds files but no set; give --out an empty or a new folder")
        folder = cls(path, mends=new or mends)
        for name in SOURCES:
            folder.has(name)
        lock = exclusive_lock(path / LOCK, f"{path}: another process is at work on this set")
        with contextlib.nullcontext() if to_read and not is_writable(path) else lock:
            yield folder

    def info(self) -> SetInfo:
        """What set.json holds."""
        return parse(SetInfo, self.read_file("set.json"), str(self.path / "set.json"))

    def has(self, name: str) -> bool:
        """Whether a file of the set is there; UserError if it is no file itself."""
        path = self.path / name
        if os.path.lexists(path) and not is_regular(path):  # a pipe waits for ever, a link leads anywhere
            raise UserError(f"{path}: {LINK if path.is_symlink() else 'not a regular file; move it away'}")
        return path.exists()

    def read_file(self, name: str) -> bytes:
        """The bytes of a file of the set; UserError if it is missing, no file itself, or larger than it can be."""
        if not self.has(name):
            raise UserError(f"{self.path}: no set is here, or it is not finished: {name} is missing")
        if name in SMALL and (self.path / name).stat().st_size > MOST_BYTES:
            raise UserError(f"{self.path / name}: larger than {MOST_BYTES >> 20} MB; this program did not write it")
        return b"".join(bounded_lines(self.path / name, MOST_BYTES))

    def check_courses(self, tokens: set[int] | None = None) -> None:
        """Raise UserError, before anything is changed, for a damaged course of these tokens, or of those published.

        Courses that are missing are not damaged.
        """
        tokens = self.selection() if tokens is None else tokens
        for record, line in zip(self.records(), self.course_lines() if self.info().courses else (), strict=False):
            if record["accepted"] and (tokens is None or record["token_id"] in tokens):
                sound_course(line, record)

    def write(self, name: str, content: bytes) -> None:
        """Write one of the files from which all others follow; UserError if it is read-only and not the same."""
        if self.has(name) and self.read_file(name) == content:
            return
        self.check_free(name)
        write_atomic(self.path / name, content)

    def check_free(self, name: str) -> None:
        """Raise UserError if a file that is to be changed was made read-only."""
        if is_protected(self.path / name):
            raise UserError(f"{self.path / name}: is read-only; make it writable to have it changed")

    def write_info(self, info: SetInfo) -> None:
        """Write set.json."""
        self.write("set.json", utf8(indented_json(info.plain())))

    def agreed(self, wanted: SetInfo) -> SetInfo:
        """What set.json is to hold, if its tokens were drawn with the same settings; nothing is written yet.

        PRESENTATION, licence, source and the paths of model and word list may change. UserError names the first other
        setting that differs.
        """
        if self.has("set.json"):
            found = self.info()
            if (old := found.drawn_with()) != (new := wanted.drawn_with()):
                key = next(key for key in old if old[key] != new[key])
                what = first_difference(key, old[key], new[key])
                fix = "add to them there" if key == "identity" else "set that as it was"
                raise UserError(f"{self.path}: its tokens were drawn with another {what}; {fix}, or give another --out")
            # kept as an earlier version wrote them: index.html depends on the stored sampler
            kept = found.model_dump(include={"format", "sampler", "rules", "courses"})
            kept["rules"] |= {"word_list": wanted.rules["word_list"]} if "word_list" in kept["rules"] else {}  # moved
            wanted = wanted.model_copy(update=kept)
        return wanted

    def begin(self, info: SetInfo) -> None:
        """Write set.json, and cut the two growing files back to whole lines, so that more can be added.

        Courses of tokens that samples.jsonl lacks go too; those that are missing are left to be drawn again.
        """
        grows = {"samples.jsonl": b"".join(self.lines())}
        if info.courses:
            grows["courses.jsonl"] = b"".join(self.course_lines())
        for name in grows:
            self.check_free(name)
        self.write_info(info)
        for name, lines in grows.items():
            if self.has(name):
                # what is added must not reach its other names, as in a backup
                if (self.path / name).stat().st_nlink > 1:
                    write_atomic(self.path / name, lines)
                self.write(name, lines)

    def course_lines(self) -> list[bytes]:
        """The whole lines of courses.jsonl; those of tokens that samples.jsonl lacks are left out."""
        lines = split_lines(self.course_data())[: len(self.lines())]
        return [line for line in lines if line.endswith(b"\n")]

    def course_data(self) -> bytes:
        """What courses.jsonl holds; nothing if it is missing."""
        return self.read_file("courses.jsonl") if self.has("courses.jsonl") else b""

    def lines(self) -> list[bytes]:
        """The whole lines of samples.jsonl; a last one that lacks only its line break counts as whole.

        UserError where the last line is cut short. If `mends`, it is left out instead, and UserError is for a last line
        that is not the beginning of one token.
        """
        data = self.read_file("samples.jsonl") if self.has("samples.jsonl") or not self.mends else b""
        whole, rest = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
        if not rest:
            return split_lines(data)
        if not self.mends:
            raise UserError(f"{self.samples}: its last line is cut short; run make again")
        rest = rest.rstrip(b"\0")  # as a power cut may leave them
        behind = behind_value(rest)
        # in a text quotes are escaped: a second beginning is that of another token
        if behind or rest.count(BEGIN) > 1 or not (rest.startswith(BEGIN) or BEGIN.startswith(rest)):
            raise UserError(f"{self.samples}: damaged: its last line is neither one token nor the beginning of one")
        return split_lines(whole if behind is None else whole + rest + b"\n")

    def records(self) -> list[Record]:
        """The tokens drawn so far, accepted or not; UserError names a damaged line."""
        return self.parsed(self.lines())

    def parsed(self, lines: list[bytes]) -> list[Record]:
        """The tokens in the lines of samples.jsonl."""
        found = []
        for number, line in enumerate(lines, start=1):
            token = parse(StoredToken, line, f"{self.samples} line {number}")
            if token.token_id != number:
                raise UserError(f"{self.samples} line {number}: damaged: holds token {token.token_id}")
            found.append(token.model_dump())
        return found

    def edition(self) -> Edition:
        """The published tokens: all accepted ones, or those of selection.json if there is one."""
        lines = self.lines()
        every = self.parsed(lines)
        accepted = {record["token_id"]: record for record in every if record["accepted"]}
        kept = self.selection()
        check_known(self.path / "selection.json", set(kept or ()) - accepted.keys())
        chosen = [record for token, record in accepted.items() if kept is None or token in kept]
        info, bands = self.info(), bands_of([record["traits"] for record in accepted.values()])
        courses = self.courses(len(every)) if info.courses else []
        return Edition(info, chosen, bands, courses, every, lines, kept is not None)

    def courses(self, tokens: int) -> list[bytes]:
        """The lines of courses.jsonl, one for each token; UserError if it holds more, fewer, or a part of one."""
        lines = split_lines(self.course_data())
        if len(lines) != tokens or not all(line.endswith(b"\n") for line in lines):
            what = f"{counted(len(lines), 'course')} for {counted(tokens, 'token')}"
            raise UserError(f"{self.path / 'courses.jsonl'}: holds {what}; collection.py draw-courses mends it")
        return lines

    def selection(self) -> set[int] | None:
        """The token ids of selection.json; None if there is no such file."""
        name = "selection.json"
        return set(parse(Selection, self.read_file(name), str(self.path / name)).kept) if self.has(name) else None


def bounded_lines(path: Path, most: int) -> Iterator[bytes]:
    """The lines of a file, with their ends. Raises UserError at one of more than `most` bytes, which is not read on."""
    with path.open("rb") as file:
        while line := file.readline(most + 1):
            if len(line) > most:
                raise UserError(f"{path}: a line is longer than {most:,} bytes; this program did not write it")
            yield line


def split_lines(data: bytes) -> list[bytes]:
    """Lines with their ends; a carriage return ends none."""
    return io.BytesIO(data).readlines()


def check_known(path: Path, unknown: set[int]) -> None:
    """Raise UserError for tokens that a file names and the set lacks."""
    if unknown:
        raise UserError(f"{path}: the set has no token {', '.join(map(str, sorted(unknown)[:10]))}")


def behind_value(line: bytes) -> str | None:
    """What follows the JSON value with which a line begins, white space aside; None if that value does not end."""
    text = line.decode("utf-8", "ignore")
    try:
        return text[json.JSONDecoder().raw_decode(text)[1] :].strip()
    except (ValueError, RecursionError):
        return None


def first_difference(key: str, found: Any, wanted: Any) -> str:
    """The first setting in which two values differ, as "rules.similarity (0.9, not 0.5)"."""
    if isinstance(found, dict):
        name = next(name for name in {**found, **wanted} if found.get(name) != wanted.get(name))
        return first_difference(f"{key}.{name}", found.get(name), wanted.get(name))
    return f"{key} ({found}, not {wanted})"
