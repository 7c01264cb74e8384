"""What stands at a path: a file itself, a link, something protected or locked."""

import os
import stat
from pathlib import Path

JUNCTION = 0xA0000003  # Windows' IO_REPARSE_TAG_MOUNT_POINT


def is_regular(path: Path) -> bool:
    """Whether a file itself stands here: no link, folder, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # ValueError: no file system has such a name
        return False


def is_same_place(path: Path, other: Path) -> bool:
    """Whether two paths lead to one place, be there a file or not. Path.resolve raises for a loop of links."""
    return os.path.normcase(os.path.realpath(path)) == os.path.normcase(os.path.realpath(other))


def is_link(path: Path) -> bool:
    """Whether a path is a link; on Windows a junction is one too, a folder that lies elsewhere."""
    try:
        state = path.lstat()
    except (OSError, ValueError):
        return False
    return stat.S_ISLNK(state.st_mode) or getattr(state, "st_reparse_tag", 0) == JUNCTION


def is_protected(path: Path) -> bool:
    """Whether somebody made a file read-only, or locked it."""
    return path.exists() and (not path.stat().st_mode & stat.S_IWUSR or is_locked(path))


def is_locked(path: Path) -> bool:
    """Whether a file is locked, as macOS' Finder does it: then it cannot be replaced at all."""
    flags = getattr(path.stat(), "st_flags", 0) if path.exists() else 0
    return bool(flags & (stat.UF_IMMUTABLE | stat.SF_IMMUTABLE))
