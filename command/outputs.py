"""What may be written over: files of this program that nobody changed since, and nothing that a command reads."""

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

from command.disk import atomic_path, check_writable, replace, sync, write_atomic
from command.lock import exclusive_lock
from command.places import is_locked, is_protected, is_regular, is_reserved, is_same_file
from utils import UserError, hash_file, sha256, size_of

SUFFIX = ".written.jsonl"  # of a record, a hidden file with the name of a command's first output
MOST_RECORD = 1 << 20  # bytes of the record of a command's outputs, which are a few; that of a set may be longer
MOST_ENTRY = 1 << 14  # bytes of one line of a record: a path, in escapes, and a hash
LOCK, PATIENCE = ".written.lock", 60  # of a folder; seconds to wait for writes that take a moment
ENTRY = b'{"path": '  # how each line of a record begins
LINE = re.compile(ENTRY + rb'"(?:[^"\\]|\\.)*(?:"[ ,:"shaf0-9bcde]{0,80}\}?|\\?)')  # an entry, or one cut short
FREE = 2  # Windows' ERROR_FILE_NOT_FOUND: to Python, a path that is too long is a missing file too
NOT_OURS = "not written by this program, or changed since"


def check_ours(path: Path, ours: Callable[[bytes], bool] | None = None) -> None:
    """Raise UserError for anything here but a writable file; with `ours`, also if it does not accept the bytes."""
    if os.path.lexists(path) and not (is_regular(path) and (ours is None or ours(path.read_bytes()))):
        raise UserError(f"{path}: not written by this program; move it away")
    if is_protected(path):
        raise UserError(f"{path}: is read-only; move it away")


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Let an error of a write that names no file, as of a full disk, name this one."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def move(finished: Path, path: Path) -> None:
    """Let a finished file take the place of another; from another disk by way of a copy."""
    try:
        replace(finished, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic_path(path) as copy:
            shutil.copyfile(finished, copy)


class OutputRecord:
    """The files that this program wrote into a folder: a hidden list of their SHA-256 in that folder.

    A file with another hash is somebody else's, or a person changed it. The list may hold several hashes of one path:
    it names what is about to be written, so that a killed command still knows its files.
    """

    def __init__(self, path: Path) -> None:
        if os.path.lexists(path) and not is_regular(path):
            raise UserError(f"{path}: not a regular file; move it away")
        self.path, self.folder = path, path.parent
        self.hashes: dict[str, set[str]] = {}
        for line in map(bytes.rstrip, entries(path)):
            if not (LINE.fullmatch(line) or ENTRY.startswith(line)):  # somebody else's, which a new list would lose
                raise UserError(f"{path}: not written by this program; move it away")
            with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):  # a line cut short tells nothing
                found = json.loads(line)
                self.add(found["path"], found["sha256"])

    def add(self, name: str, found: str) -> None:
        parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
        if ".." not in parts and not PureWindowsPath(name).anchor and len(found) == 64:  # inside the folder
            self.hashes.setdefault(name, set()).add(found)

    def take_over(self, other: "OutputRecord") -> None:
        """Add what another record of this folder knows."""
        for name, hashes in other.hashes.items():
            self.hashes.setdefault(name, set()).update(hashes)

    def missing(self) -> str:
        """Why no file here is known, in words."""
        return f"not known as this program's: the list of what it wrote there, {self.path.name}, is missing or empty"

    def hash_at(self, name: str) -> str:
        """SHA-256 of the file itself that stands at this path; "" for anything else, or nothing."""
        return hash_file(self.folder / name) if is_regular(self.folder / name) else ""

    def knows(self, name: str) -> bool:
        """Whether the file at this path is as this program wrote it."""
        return self.hash_at(name) in self.hashes.get(name, ())

    def is_foreign(self, name: str, content: bytes | None = None) -> bool:
        """Whether something stands at this path that this program did not write and that differs from `content`."""
        found = self.hash_at(name)
        if not os.path.lexists(self.folder / name) or found in self.hashes.get(name, ()):
            return False
        return content is None or found != sha256(content)

    def write(self, files: dict[str, bytes]) -> None:
        """Write files, each whole or not at all; their hashes are on the disk before they are."""
        hashes = {name: sha256(data) for name, data in files.items()}
        self.announce(hashes)
        for name, data in files.items():
            if self.hash_at(name) != hashes[name]:
                # under one name: to look for what a kill left of each of a set's thousands would take too long
                write_atomic(self.folder / name, data, self.path)
            self.hashes[name] = {hashes[name]}

    def write_together(self, files: dict[str, bytes]) -> None:
        """Write files, none of them if the disk has no room for all. The first is the last to take its name."""
        hashes = {name: sha256(data) for name, data in files.items()}
        self.announce(hashes)
        with contextlib.ExitStack() as parts:  # which take their names in reverse, once all are written
            for name, data in files.items():
                if self.hash_at(name) != hashes[name]:
                    parts.enter_context(atomic_path(self.folder / name, self.path)).write_bytes(data)
        self.hashes |= {name: {found} for name, found in hashes.items()}

    def announce(self, hashes: dict[str, str]) -> None:
        """Add files that are about to be written, by their hashes, to the list on the disk."""
        if self.path.exists() and self.path.stat().st_nlink > 1:  # what is added must not reach its other names
            write_atomic(self.path, self.path.read_bytes())
        with named_errors(self.path), self.path.open("a", encoding="utf-8", newline="\n") as record:
            for name, found in hashes.items():
                self.add(name, found)
                record.write("\n" + entry(name, found))  # a new line, wherever a full disk cut the last one
            sync(record)

    def close(self, names: Iterable[str]) -> None:
        """Write the list anew, with these files alone; old parts of a killed process go."""
        self.hashes = {name: self.hashes[name] for name in sorted(names)}
        write_atomic(self.path, "".join(entry(name, h) for name, hashes in self.hashes.items() for h in sorted(hashes)))


def entries(path: Path) -> Iterator[bytes]:
    """The lines of a list, if it is there; of a longer one, which a stranger wrote, parts."""
    if path.exists():
        with path.open("rb") as file:
            yield from iter(partial(file.readline, MOST_ENTRY), b"")


def entry(name: str, found: str) -> str:
    """A line of the list."""
    return json.dumps({"path": name, "sha256": found}) + "\n"


def record_of_outputs(path: Path) -> OutputRecord:
    """The record of a command's few outputs. Raises UserError for one that is far too long: a stranger may have it."""
    if is_regular(path) and size_of(path) > MOST_RECORD:
        raise UserError(f"{path}: longer than {MOST_RECORD:,} bytes, so not written by this program; move it away")
    return OutputRecord(path)


class Outputs:
    """The files that a command is to write, checked before its work and again when they are written."""

    def __init__(
        self, folder: Path, names: list[str], inputs: Iterable[Path], *, overwrite: bool, option: str = "--output",
        at_other_times: Iterable[str] = (),
    ) -> None:  # fmt: skip
        """Raises UserError for what may not be written to; even with `overwrite` for `inputs`, which the command reads.

        `names`: the files that will be written; the record is called after the first. `at_other_times`: files that the
        same command writes with other options; they stay. `option`: the one that names the outputs, for messages; "" if
        none does. `overwrite`: also replace files that this program did not write, or that changed since.
        """
        self.names, self.overwrite, self.option = names, overwrite, option
        self.own = {*names, *at_other_times}
        self.inputs = [*inputs]
        self.record = record_of_outputs(folder / f".{names[0]}{SUFFIX}")
        if is_regular(folder / LOCK):  # a command that writes this very moment may be between its record and its files
            with self.locked():
                pass
        else:
            self.check()
        check_writable(folder)
        self.try_names()

    def try_names(self) -> None:
        """Raise UserError now for a name that no file here can have, also as part of a temporary name."""
        folder = self.record.folder
        for name in self.names:
            if os.name == "nt" and is_reserved(name):
                raise UserError(f"{folder / name}: cannot be written: no file of Windows has such a name")
            longest = self.record.path.name if name == self.names[0] else name
            try:
                (folder / f".{longest}.{'0' * 8}.part").lstat()  # by looking alone: what is made, a kill would leave
            except OSError as error:
                if isinstance(error, FileNotFoundError) and getattr(error, "winerror", FREE) == FREE:
                    continue
                raise UserError(f"{folder / name}: cannot be written: {error.strerror or error}") from None

    def check(self) -> None:
        others = sorted(name for name in self.record.hashes.keys() - self.own if self.record.hash_at(name))
        for path in (self.record.folder / name for name in self.names):
            if any(is_same_file(path, other) for other in self.inputs):
                raise UserError(f"{path}: this command reads it; name another {self.option}")
            if os.path.lexists(path) and not is_regular(path):
                raise UserError(f"{path}: not a regular file; name another {self.option}")
            if is_locked(path):
                raise UserError(f"{path}: is locked; unlock it")
            foreign = self.record.is_foreign(path.name)
            why = self.owner(path.name) if foreign else "is read-only" if is_protected(path) else ""
            if others and os.path.lexists(path) and not why:
                why = f"another command wrote it, with {others[0]}"
            if why and not self.overwrite:
                fix = f"name another {self.option}, or replace it with --overwrite" if self.option else "move it away"
                raise UserError(f"{path}: {why}; {fix}")

    def owner(self, name: str) -> str:
        """Whose a file is that the record does not know, in words."""
        for other in sorted(self.record.folder.glob(f".*{SUFFIX}")):
            with contextlib.suppress(UserError, OSError):
                if record_of_outputs(other).knows(name):
                    return f"belongs to {other.name[1:].removesuffix(SUFFIX)}, which an earlier command wrote"
        return NOT_OURS if self.record.hashes else self.record.missing()

    def write(self, *contents: bytes) -> Path:
        """Write the files, whose contents stand in the order of the names; -> the path of the first.

        The first takes its name last: it tells of nothing that is not there.
        """
        with self.locked():
            self.record.write_together(dict(zip(self.names, contents, strict=True)))
            return self.finish()

    def place(self, finished: Path, found: str, *contents: bytes) -> Path:
        """As `write`, but the first file, of this SHA-256 and any size, stands finished and is moved."""
        name, *others = self.names
        files = dict(zip(others, contents, strict=True))
        with self.locked():
            self.record.announce({name: found})
            move(finished, self.record.folder / name)
            self.record.write(files)
            self.record.hashes[name] = {found}
            return self.finish()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from writing into the folder meanwhile, or files of two would stand beside each other."""
        trouble = f"{self.record.folder}: another command has been writing there for {PATIENCE} seconds; start again"
        with exclusive_lock(self.record.folder / LOCK, trouble, PATIENCE):
            known = self.record
            self.record = record_of_outputs(known.path)  # another command may have written since it was looked at
            self.record.take_over(known)  # and a person may have moved it away, which must cost no work
            self.check()
            yield

    def finish(self) -> Path:
        """Close the record, which goes on knowing what was written at other times; -> the path of the first file."""
        left = [name for name in self.left() if self.record.knows(name)]
        self.record.close([*self.names, *left])
        return self.record.folder / self.names[0]

    def left(self) -> list[str]:
        """What stands beside the outputs that this command writes with other options."""
        return sorted(name for name in self.own - {*self.names} if os.path.lexists(self.record.folder / name))
