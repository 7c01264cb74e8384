"""What stands at a path: a file itself, a link, something protected or locked; and which names Windows keeps."""

import contextlib
import os
import re
import stat
from pathlib import Path

JUNCTION = 0xA0000003  # Windows' IO_REPARSE_TAG_MOUNT_POINT
# Windows takes these for devices, with any suffix; no file can have such a name there
DEVICES = re.compile(r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]", re.IGNORECASE)
# nor one with these: a colon begins the name of a stream of a file, and a last dot or space is cut off
UNUSABLE = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]$')


def is_regular(path: Path) -> bool:
    """Whether a file itself stands here: no link, folder, pipe or device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # ValueError: no file system has such a name
        return False


def is_device(name: str) -> bool:
    """Whether Windows takes this name of a file for a device, whatever its suffix."""
    return DEVICES.fullmatch(name.partition(".")[0].strip()) is not None


def is_reserved(name: str) -> bool:
    """Whether no file of Windows can have this name (Python 3.13 has os.path.isreserved)."""
    return is_device(name) or UNUSABLE.search(name) is not None


def is_same_place(path: Path, other: Path) -> bool:
    """Whether two paths lead to one place. Names in other letters are one place where a file there shows it.

    Path.resolve raises for a loop of links.
    """
    first, second = (os.path.normcase(os.path.realpath(each)) for each in (path, other))
    if first.casefold() != second.casefold():
        return False
    with contextlib.suppress(OSError):  # macOS' disks take letters of both cases for one, and normcase does not
        return first == second or path.samefile(other)
    return False


def is_same_file(path: Path, other: Path) -> bool:
    """Whether two paths are one file that is there, under whatever names."""
    if not (path.exists() and other.exists() and path.samefile(other)):
        return False
    # some drives of Windows number no file, so that all seem to be one (CPython's gh-78116)
    return path.stat().st_ino != 0 or is_same_place(path, other)


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
