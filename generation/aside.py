"""Files kept aside when another takes their name: NAME.previous.pt, NAME.previous-2.pt and so on."""

import glob
import itertools
import os
from pathlib import Path

from command.disk import replace, write_atomic
from utils import hash_file


def set_aside(path: Path) -> Path:
    """Rename NAME.pt, for example, to NAME.previous.pt, or NAME.previous-2.pt and so on, over nothing that is there."""
    kept = free_name(path)
    replace(path, kept)
    return kept


def copy_aside(path: Path) -> Path:
    """A copy of a file under such a name: one that is there already, or a new one."""
    if not (kept := copies_aside(path)):
        kept = [free_name(path)]
        write_atomic(kept[0], path.read_bytes())
    return kept[0]


def copies_aside(path: Path) -> list[Path]:
    """The files kept aside that have the same bytes as the current one."""
    if not path.is_file():
        return []
    found = hash_file(path)
    return [kept for kept in kept_aside(path) if kept.is_file() and hash_file(kept) == found]


def free_name(path: Path) -> Path:
    """The first of the names under which a file is kept aside that nothing has."""
    endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    names = (path.with_suffix(f".previous{ending}{path.suffix}") for ending in endings)
    return next(kept for kept in names if not os.path.lexists(kept))


def kept_aside(path: Path) -> list[Path]:
    """Earlier files of this name that were kept aside; none in a folder that cannot be read."""
    try:
        return sorted(path.parent.glob(f"{glob.escape(path.stem)}.previous*{glob.escape(path.suffix)}"))
    except (OSError, ValueError):  # ValueError: no file system has such a name
        return []
