"""A temporary folder beside the text that is made, and files whose write errors name them."""

import contextlib
import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from command.disk import patiently
from command.lock import exclusive_lock
from command.places import is_link, is_regular
from config.data_file import CACHE
from utils import UserError

STRANGE = "holds what this program did not put there; move it away"
LINK = "link"
SCRATCH_FILES = ("plain", "text", "sample", LINK)
PATTERN = re.compile(r"[*?\[\]{}\ud800-\udfff]")  # what DuckDB takes for a pattern, and bytes that are not UTF-8


class NamedFile(io.FileIO):
    """A file to write whose errors name it: those of a full disk name none."""

    def write(self, data: Any) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = error.filename or self.name
            raise


def writing(path: Path) -> io.TextIOWrapper:
    """A new text file, to be written."""
    return io.TextIOWrapper(writing_bytes(path), encoding="utf-8", newline="\n")


def writing_bytes(path: Path) -> io.BufferedWriter:
    """A new file of bytes, to be written."""
    return io.BufferedWriter(NamedFile(path, "w"))


@contextlib.contextmanager
def scratch_folder(text: Path) -> Iterator[Path]:
    """A folder on the disk of a text to be made, for what is made on the way.

    What a killed command left there goes, and so does all at the end. A folder without a lock file beside it may be a
    person's, so it is not touched.
    """
    cache, name = text.parent / CACHE, text.stem
    folder = cache / f"{name}.prepare"
    trouble = f"another prepare.py makes {name} at this moment; wait for it, or choose another --name"
    lock = cache / f"{name}.prepare.lock"
    ours = is_regular(lock)
    with exclusive_lock(lock, trouble):
        if os.path.lexists(folder):
            if not ours:
                raise UserError(f"{folder}: {STRANGE}")
            remove_scratch(folder)
        folder.mkdir()
        try:
            yield folder
        finally:
            remove_scratch(folder)


@contextlib.contextmanager
def harmless_path(path: Path, folder: Path) -> Iterator[Path]:
    """Another path of a file, in this folder, for a reader that takes [ and * for patterns and knows only UTF-8.

    It is removed at the end. If that reader cannot take the folder's own path either, the system's temporary folder
    is used.
    """
    with contextlib.ExitStack() as stack:
        if not is_harmless(folder):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            if not is_harmless(folder):
                raise UserError(f"{folder}: DuckDB reads no file in a folder of such a name; set TMPDIR to another")
        link = folder.absolute() / LINK
        try:
            link_or_copy(path.absolute(), link)
            yield link
        finally:
            patiently(partial(link.unlink, missing_ok=True))


def is_harmless(path: Path) -> bool:
    return not PATTERN.search(path.absolute().as_posix())


def link_or_copy(path: Path, link: Path) -> None:
    """Give a file a second path. On Windows few users may make symbolic links; hard ones need the same disk.

    A read-only file gets no hard link: Windows would not delete it.
    """
    for give in (os.symlink, *[os.link] * bool(path.stat().st_mode & stat.S_IWUSR)):
        with contextlib.suppress(OSError, NotImplementedError):
            give(path, link)
            return
    shutil.copyfile(path, link)


def remove_scratch(folder: Path) -> None:
    """Remove a scratch folder, and nothing that this program did not put there."""
    for name in SCRATCH_FILES if folder.is_dir() and not is_link(folder) else ():
        patiently(partial((folder / name).unlink, missing_ok=True))
    try:
        patiently(folder.rmdir)
    except OSError:
        if folder.is_dir() and not is_link(folder) and not any(folder.iterdir()):
            raise
        raise UserError(f"{folder}: {STRANGE}") from None
