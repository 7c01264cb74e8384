"""A lock file, which keeps other processes from the same work."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from command.disk import check_writable
from utils import UserError


@contextlib.contextmanager
def exclusive_lock(path: Path, trouble: str, seconds: float = 0) -> Iterator[None]:
    """Hold a lock file against other processes; it is freed at the end or if this process is killed.

    Raises UserError(trouble), which says what the other process does, after waiting for `seconds`; -1: for ever.
    """
    check_writable(path.parent)
    if path.is_symlink() or (path.exists() and (not path.is_file() or path.stat().st_size)):  # FileLock would empty it
        raise UserError(f"{path}: not a lock of this program, whose locks are empty files; move it away")
    # a soft lock would outlive a process that is killed; the file stays on Windows too, where scratch_folder needs it
    lock = FileLock(path, timeout=seconds, fallback_to_soft=False, preserve_lock_file=True)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(trouble) from None
    except OSError as error:
        if error.filename:
            raise
        what = "cannot be locked, as each of two commands at once must; put its folder on a disk that has locks"
        raise UserError(f"{path}: {what} ({error.strerror or error})") from None
    try:
        yield
    finally:
        lock.release()
