"""What may be written over: files of this program that nobody changed since, and nothing that a command reads."""

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from utils import UserError, check_writable, hash_file, sha256, write_atomic

ENTRY = b'{"path": '  # how each line of a record begins
NOT_OURS = "not written by this program, or changed since"


def is_regular(path: Path) -> bool:
    """Whether a file itself stands here: no link, folder, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # ValueError: no file system has such a name
        return False


def check_ours(path: Path, ours: Callable[[bytes], bool]) -> None:
    """Raise UserError where anything stands but a file whose bytes show that this program wrote it."""
    if os.path.lexists(path) and not (is_regular(path) and ours(path.read_bytes())):
        raise UserError(f"{path}: not written by this program; move it away")


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Let an error of a write that names no file, as of a full disk, name this one."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


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
        data = path.read_bytes() if path.exists() else b""
        if not ENTRY.startswith(data.lstrip()[: len(ENTRY)]):
            raise UserError(f"{path}: not written by this program; move it away")
        for line in data.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):  # a line cut short tells nothing
                found = json.loads(line)
                self.add(found["path"], found["sha256"])

    def add(self, name: str, found: str) -> None:
        parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
        if ".." not in parts and not PureWindowsPath(name).anchor and isinstance(found, str):  # inside the folder
            self.hashes.setdefault(name, set()).add(found)

    def is_foreign(self, name: str, content: bytes | None = None) -> bool:
        """Whether something stands at this path that this program did not write and that differs from `content`."""
        path = self.folder / name
        if not os.path.lexists(path):
            return False
        if not is_regular(path):
            return True
        found = hash_file(path)
        return found not in self.hashes.get(name, ()) and (content is None or found != sha256(content))

    def write(self, files: dict[str, bytes]) -> None:
        """Write files, each whole or not at all; their hashes are on the disk before they are."""
        with named_errors(self.path), self.path.open("a", encoding="utf-8", newline="\n") as record:
            for name, data in files.items():
                self.add(name, sha256(data))
                record.write("\n" + entry(name, sha256(data)))  # a new line, wherever a full disk cut the last one
            record.flush()
            os.fsync(record.fileno())
        for name, data in files.items():
            if not self.holds(name, data):
                self._replace(name, data)
            self.hashes[name] = {sha256(data)}

    def _replace(self, name: str, data: bytes) -> None:
        # not atomic_path, which looks through the folder for what a killed process left: too slow for a set's thousands
        handle, part = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".part", dir=self.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            Path(part).chmod(0o644)
            Path(part).replace(self.folder / name)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.folder / name)) from None
        finally:
            Path(part).unlink(missing_ok=True)

    def holds(self, name: str, data: bytes) -> bool:
        """Whether a file has exactly these bytes already."""
        path = self.folder / name
        return is_regular(path) and path.stat().st_size == len(data) and hash_file(path) == sha256(data)

    def close(self, names: Iterable[str]) -> None:
        """Write the list anew, with these files alone; old parts of a killed process go."""
        self.hashes = {name: self.hashes[name] for name in sorted(names)}
        write_atomic(self.path, "".join(entry(name, h) for name, hashes in self.hashes.items() for h in sorted(hashes)))


def entry(name: str, found: str) -> str:
    """A line of the list."""
    return json.dumps({"path": name, "sha256": found}) + "\n"


class Outputs:
    """The files that a command is to write, checked before its work and again when they are written."""

    def __init__(self, folder: Path, names: list[str], inputs: Iterable[Path], *, overwrite: bool) -> None:
        """`names` of the outputs; the record bears the first. `overwrite`: also over files that are not this program's.

        Raises UserError for what may not be written to, and for what the command reads in any case.
        """
        self.names, self.overwrite = names, overwrite
        self.inputs = [path for path in inputs if path.exists()]
        self.record = OutputRecord(folder / f".{names[0]}.written.jsonl")
        self.check()
        check_writable(folder)

    def check(self) -> None:
        for path in (self.record.folder / name for name in self.names):
            if path.exists() and any(path.samefile(other) for other in self.inputs):
                raise UserError(f"{path}: this command reads it; name another --output")
            if os.path.lexists(path) and not is_regular(path):
                raise UserError(f"{path}: not a regular file; name another --output")
            protected = path.exists() and not path.stat().st_mode & stat.S_IWUSR
            why = NOT_OURS if self.record.is_foreign(path.name) else "is read-only" if protected else ""
            if why and not self.overwrite:
                raise UserError(f"{path}: {why}; name another --output, or replace it with --overwrite")

    def write(self, *contents: bytes) -> Path:
        """Write the files, whose contents stand in the order of the names; -> the path of the first."""
        self.check()
        self.record.write(dict(zip(self.names, contents, strict=True)))
        self.record.close(self.names)
        return self.record.folder / self.names[0]
