"""Finds the files of a download: in folders, globs and zip archives, and of which kind each is by its name."""

import contextlib
import glob
import itertools
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NoReturn

from command.messages import is_of_system
from command.places import is_link
from config.data_file import ARCHIVE, KINDS, PACKED, RECORD, UNREAD, kind_of
from config.errors import listed, shown
from text.vocabulary import nfc
from utils import NO_FILE, UserError, check_readable

# of what lies in one folder or archive the first of these that is there is taken: a README beside tables is no source
RANKS = (("csv", "tsv", "json", "parquet"), ("xml", "mbox"), ("text",))
MOST_FILES = 200_000  # of a folder or an archive
MOST_FOLDERS = 100  # in one another
TOO_DEEP = f"has more than {MOST_FOLDERS} folders in one another; name the one with the texts"
HIDDEN = re.compile(r"\.[^.]|__MACOSX$")  # a part of a name in an archive
REPLACED, LINK = "one of this name comes later", "a link"


@dataclass(frozen=True)
class Found:
    """A file: where it lies, which member of a zip archive it is, and of which kind."""

    path: Path
    kind: str  # a value of KINDS, or "git"; "" for one that is not read
    packing: str = ""  # one of PACKED
    member: str = ""  # of the zip archive at `path`
    # named by the user, not found in a folder or an archive; one that is both is read once
    chosen: bool = field(default=True, compare=False)
    reason: str = ""  # why it is not read, where its name does not tell

    @property
    def name(self) -> str:
        """The file as messages name it."""
        name = f"{self.path}/{self.member}" if self.member else str(self.path)
        return name if name.isprintable() else shown(name)


def find_files(sources: Iterable[Path], repositories: Iterable[Path]) -> tuple[list[Found], list[str]]:
    """All files that the names of files, folders and globs stand for, in order, and git repositories.

    Also the names of those in their folders and archives that are not read. Raises UserError for what is not there,
    and for what is no source.
    """
    found = [file for source in sources for path in expanded(source) for file in found_at(path)]
    for path in repositories:
        if not path.is_dir():
            raise UserError(f"--git {path}: no such folder; name the folder of a git repository")
        found.append(Found(path, "git"))
    if not found:
        raise UserError("nothing to read: name files or folders, or a repository with --git")
    chosen = {file for file in found if file.chosen}
    found = [replace(file, chosen=file in chosen) for file in dict.fromkeys(found)]
    read = [file for file in found if file.kind]
    names = {file.name for file in read}
    return read, [described(file) for file in found if file.reason or not (file.kind or file.name in names)]


def described(file: Found) -> str:
    return f"{file.name} ({file.reason})" if file.reason else file.name


def expanded(source: Path) -> list[Path]:
    """The paths that a name stands for: itself, or those that match it as a glob, which Windows' shells leave to us."""
    # names in an archive are taken as they are
    if archive_of(source) or os.path.lexists(source) or not glob.has_magic(str(source)):
        return [source]
    try:
        paths = [Path(path) for path in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207  may be absolute
    except RecursionError:
        raise UserError(f"{source}: {TOO_DEEP}") from None
    if not paths:
        raise UserError(f"{source}: no file matches")
    return paths


def found_at(path: Path) -> list[Found]:
    """The files of a path: a file, a folder, a zip archive, or ARCHIVE.zip/MEMBER."""
    if archive := archive_of(path):
        return member(archive, path.relative_to(archive).as_posix())
    if path.is_dir():
        return of_one_rank(path, files_below(path))
    check_readable(path, "name a file, a folder or a zip archive")
    if not stat.S_ISREG(path.stat().st_mode):
        raise UserError(f"{path}: {NO_FILE}")
    return of_one_rank(path, members(path)) if is_archive(path) else [classified(path)]


def archive_of(path: Path) -> Path | None:
    """The archive that a path leads into; None if it leads into none."""
    return next(filter(is_archive, path.parents), None)


def is_archive(path: Path) -> bool:
    return path.suffix.lower() == ARCHIVE and path.is_file()


def classified(path: Path, member: str = "") -> Found:
    """A file that the user names, or a member of an archive. Raises UserError if it is of no kind that is read."""
    found = Found(path, *kind_of(member or path.name), member)
    if not found.kind:
        kinds = f"{', '.join(KINDS)}, also {', '.join(PACKED)} of them, and .zip"
        raise UserError(f"{found.name}: not a kind of file that is read; these are: {kinds}; {fix_of(found.name)}")
    return found


def fix_of(name: str) -> str:
    """What to do with a file of this name, which is of no kind that is read."""
    _, packing = kind_of(name)
    if packing and Path(name.removesuffix(packing)).suffix.lower() not in UNREAD:
        return f"let the name say what is packed in it, as NAME.jsonl{packing}"
    return "unpack other archives, a .tar with tar -xf, and name the folder; save pages and PDFs as .txt"


def files_below(folder: Path) -> Iterator[Found]:
    """All files below a folder and in its archives, in order, but no hidden ones and no records of ours."""

    def fail(error: OSError) -> NoReturn:
        raise error

    for parent, folders, names in walked(folder, fail):
        links = [name for name in folders if is_link(Path(parent, name))]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in links)
        records = {f"{name.removesuffix('.txt')}{RECORD}" for name in names if name.endswith(".txt")}
        for name in sorted(name for name in [*names, *links] if not name.startswith(".") and name not in records):
            path = Path(parent) / name
            if reason := no_source(path, folder):
                yield Found(path, "", chosen=False, reason=reason)
            elif is_archive(path):
                yield from members(path)
            else:
                yield Found(path, *kind_of(name), chosen=False)


def walked(
    folder: Path, onerror: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """os.walk, which up to Python 3.11 recurses; UserError for more folders in one another than it could walk."""
    for parent, folders, names in os.walk(folder, onerror=onerror):
        if len(Path(parent).parts) - len(folder.parts) > MOST_FOLDERS:
            raise UserError(f"{folder}: {TOO_DEEP}")
        yield parent, folders, names


def no_source(path: Path, folder: Path) -> str:
    """Why what lies in a folder is not read, whatever its name; "" for a file."""
    if path.is_dir():
        return "a link to a folder"
    if not path.is_file():
        return "no file"
    leads_out = path.is_symlink() and not path.resolve().is_relative_to(folder.resolve())
    return "a link that leads out of the folder" if leads_out else ""


@contextlib.contextmanager
def clear_errors(what: str) -> Iterator[None]:
    """Turn any error of reading a packed file into one line: nobody can list all that damage may raise.

    What the disk and the memory say stays as it is.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if is_of_system(error):
            raise
        raise UserError(f"{what}: {' '.join(str(error).split()) or type(error).__name__}") from None


def open_archive(path: Path) -> zipfile.ZipFile:
    """A zip archive. macOS names files in it in UTF-8 without saying so, and Python would read the names as cp437."""
    try:
        return zipfile.ZipFile(path, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(path)


def member_names(archive: Path) -> tuple[list[str], set[str]]:
    """The names of the files of a zip archive, none of which is ever used as a path; and which of them are links."""
    with clear_errors(f"{archive}: is no whole zip archive"), open_archive(archive) as opened:
        files = [info for info in opened.infolist() if not info.is_dir()]
    for file in files:
        if climbs(file.filename):
            raise UserError(f"{archive}: holds {file.filename!r}, a name that leads out of its folder; nothing is read")
    links = {file.filename for file in files if stat.S_ISLNK(file.external_attr >> 16)}  # which hold a path
    return [file.filename for file in files], links


def members(archive: Path) -> Iterator[Found]:
    """The files of a zip archive, but no hidden ones, and none of macOS. Of several of one name the last holds."""
    names, links = member_names(archive)
    last = {name: number for number, name in enumerate(names)}
    for number, name in enumerate(names):
        if not any(HIDDEN.match(part) for part in name.split("/")):
            if reason := REPLACED if number < last[name] else LINK if name in links else "":
                yield Found(archive, "", member=name, chosen=False, reason=reason)
            else:
                yield Found(archive, *kind_of(name), member=name, chosen=False)


def member(archive: Path, name: str) -> list[Found]:
    """One file of a zip archive, and those that it replaces."""
    names, links = member_names(archive)
    if name not in names:  # as ./a.csv, whose path is a.csv, or one in which macOS has parted letters and accents
        name = next((each for each in names if PurePosixPath(nfc(each)) == PurePosixPath(nfc(name))), name)
    if name not in names:
        raise UserError(f"{archive}: has no {name!r}; it holds {listed(names)}")
    if name in links:
        raise UserError(f"{archive}: {name!r} is a link; name the file that it leads to")
    replaced = [Found(archive, "", member=name, reason=REPLACED)] * (names.count(name) - 1)
    return [*replaced, classified(archive, name)]


def climbs(name: str) -> bool:
    """Whether a name in an archive leads out of the folder into which it would be unpacked."""
    return any(".." in path.parts or path.anchor for path in (PurePosixPath(name), PureWindowsPath(name)))


def of_one_rank(place: Path, files: Iterable[Found]) -> list[Found]:
    """The files; those below the first rank found are marked as not read."""
    every = list(itertools.islice(files, MOST_FILES + 1))
    if len(every) > MOST_FILES:
        raise UserError(f"{place}: holds more than {MOST_FILES:,} files; name a part of them")
    for rank in RANKS:
        if any(file.kind in rank for file in every):
            return [file if file.kind in rank else replace(file, kind="") for file in every]
    holds = f"; it holds {listed(map(described, every))}; {fix_of(every[0].name)}" if every else ""
    raise UserError(f"{place}: no file in it is of a kind that is read: {', '.join(KINDS)}{holds}")
