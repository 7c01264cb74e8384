"""Files that are written whole or not at all, and are on the disk when a write returns."""

import contextlib
import errno
import glob
import os
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from utils import UserError, utf8

if sys.platform != "win32":
    import fcntl

RANDOM_NAME = "[0-9a-f]" * 8  # between a temporary file's prefix and suffix, as a pattern to glob
F_BARRIERFSYNC = 85  # of macOS' sys/fcntl.h, which its manual of fsync advises; F_FULLFSYNC takes many times as long
HELD = (errno.EACCES, errno.EPERM, errno.ENOTEMPTY)  # what Windows says while another program has a file open
STALE_SECONDS = 3600  # a temporary file that has not changed for so long belongs to a process that was killed


def sync(file: IO[Any]) -> None:
    """Wait until all that was written to an open file is on the disk, where a power cut cannot take it.

    macOS leaves it in the drive's own memory, which may keep what follows and lose this; the barrier keeps the order.
    """
    file.flush()
    os.fsync(file.fileno())
    if sys.platform == "darwin":
        with contextlib.suppress(OSError):  # of a disk that knows none
            fcntl.fcntl(file.fileno(), F_BARRIERFSYNC)


def flush_to_disk(path: Path) -> None:
    """Wait until a file that was written before is on the disk."""
    with path.open("rb+") as file:
        sync(file)


@contextlib.contextmanager
def atomic_path(path: Path, under: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path, named after `under` or `path`; it replaces `path`, whose mode it takes, or is deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for part in () if under else path.parent.glob(f".{glob.escape(path.name)}.{RANDOM_NAME}.part"):  # a kill left it
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()
    temporary = (under or path).with_name(f".{(under or path).name}.{secrets.token_hex(4)}.part")
    try:
        temporary.touch(exist_ok=False)  # readable for whom the umask says, where mkstemp would leave only its owner
        yield temporary
        flush_to_disk(temporary)
        replace(temporary, path)
    except OSError as error:
        if str(error.filename or temporary) == str(temporary):  # that of a full disk names no file
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # or that of a name too long hides the error above
            temporary.unlink()


def write_atomic(path: Path, content: str | bytes, under: Path | None = None) -> None:
    """Write a file completely or not at all; text as UTF-8 with "\\n" line ends on every system."""
    with atomic_path(path, under) as temporary:
        temporary.write_bytes(utf8(content) if isinstance(content, str) else content)


def replace(new: Path, path: Path) -> None:
    """Let a file take the place of another, whose mode it takes."""
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if os.name == "nt" and not mode & stat.S_IWUSR:  # there a read-only file is neither replaced nor deleted
            path.chmod(mode | stat.S_IWUSR)
        set_mode(new, mode)
    patiently(lambda: new.replace(path))


def set_mode(path: Path, mode: int) -> None:
    """Give a file this mode, if it has another: some disks give all files one, and forbid to set it."""
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)


def patiently(work: Callable[[], object]) -> None:
    """Do this; on Windows up to four times, as virus scanners and indexers there hold what was just written."""
    for seconds in (0.1, 0.4, 1.5) if os.name == "nt" else ():
        try:
            work()
            return
        except OSError as error:
            if error.errno not in HELD:
                raise
        time.sleep(seconds)
    work()


def check_writable(folder: Path) -> None:
    """Raise UserError now, before long work, if its results could not be written to this folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":  # there tempfile tries other names for hours (CPython's gh-66305)
            own = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_TEMPORARY
            os.close(os.open(folder / f".{secrets.token_hex(4)}.part", own))
        else:
            tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        why = "it is a file, not a folder" if folder.is_file() else error.strerror or error
        raise UserError(f"{folder}: cannot be written to: {why}") from None
