"""Finds the files of a download: in folders, globs and zip archives, and of which kind each is by its name."""

import glob
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from config.data_file import RECORD
from config.errors import listed, shown
from utils import UserError, check_readable

# how a file's name ends -> its kind
KINDS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".json": "json", ".jsonl": "json", ".ndjson": "json",
    ".parquet": "parquet", ".xml": "xml", ".mbox": "mbox", ".txt": "text", ".md": "text",
}  # fmt: skip
PACKED = (".gz", ".bz2", ".zst")
# of what lies in one folder or archive the first of these that is there is taken: a README beside tables is no source
RANKS = (("csv", "tsv", "json", "parquet"), ("xml", "mbox"), ("text",))
MOST_FILES = 200_000  # of a folder or an archive


@dataclass(frozen=True)
class Found:
    """A file to read: where it lies, which member of a zip archive it is, and of which kind."""

    path: Path
    kind: str  # a value of KINDS, or "git"
    packing: str = ""  # one of PACKED
    member: str = ""  # of the zip archive at `path`
    chosen: bool = True  # named by the user, not found in a folder or an archive

    @property
    def name(self) -> str:
        """The file as messages name it."""
        name = f"{self.path}/{self.member}" if self.member else str(self.path)
        return name if name.isprintable() else shown(name)


def find_files(sources: Iterable[Path], repositories: Iterable[Path]) -> list[Found]:
    """All files that the names of files, folders and globs stand for, in order, and git repositories.

    Raises UserError for what is not there, and for what is no source.
    """
    found = [file for source in sources for path in expanded(source) for file in found_at(path)]
    for path in repositories:
        if not path.is_dir():
            raise UserError(f"--git {path}: no such folder; name the folder of a git repository")
        found.append(Found(path, "git"))
    if not found:
        raise UserError("nothing to read: name files or folders, or a repository with --git")
    return list(dict.fromkeys(found))


def expanded(source: Path) -> list[Path]:
    """The paths that a name stands for: itself, or those that match it as a glob, which Windows' shells leave to us."""
    if os.path.lexists(source) or not glob.has_magic(str(source)):
        return [source]
    paths = [Path(path) for path in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207  it may be absolute
    if not paths:
        raise UserError(f"{source}: no file matches")
    return paths


def found_at(path: Path) -> list[Found]:
    """The files to read of a path: a file, a folder, a zip archive, or ARCHIVE.zip/MEMBER."""
    archive = next((parent for parent in path.parents if parent.suffix.lower() == ".zip" and parent.is_file()), None)
    if archive:
        return members(archive, path.relative_to(archive).as_posix())
    if path.is_dir():
        return of_one_rank(path, files_below(path))
    check_readable(path, "name a file, a folder or a zip archive")
    if not stat.S_ISREG(path.stat().st_mode):
        raise UserError(f"{path}: is a pipe or a device, not a file")
    if path.suffix.lower() == ".zip":
        return members(path)
    return [classified(path, path.name)]


def kind_of(name: str) -> tuple[str, str]:
    """The kind and the packing of a file of this name; "" for a kind that is none."""
    suffix = Path(name).suffix.lower()
    packing = suffix if suffix in PACKED else ""
    return KINDS.get(Path(name[: len(name) - len(packing)]).suffix.lower(), ""), packing


def classified(path: Path, name: str, member: str = "") -> Found:
    kind, packing = kind_of(name)
    if not kind:
        where = f"{path}/{member}" if member else path
        raise UserError(f"{where}: not a kind of file that is read; these are: {', '.join(KINDS)}, also {PACKED_ALSO}")
    return Found(path, kind, packing, member)


PACKED_ALSO = f"{', '.join(PACKED)} of them, and .zip"


def files_below(folder: Path) -> Iterator[tuple[str, Found]]:
    """(name, file) of all files below a folder, in order, but no hidden ones and no records of ours."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".") and not name.endswith(RECORD)):
            path = Path(parent) / name
            if path.is_file():
                kind, packing = kind_of(name)
                yield path.relative_to(folder).as_posix(), Found(path, kind, packing, chosen=False)


def members(archive: Path, chosen: str = "") -> list[Found]:
    """The files to read of a zip archive, or the one that is chosen; no name in it is ever used as a path."""
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = [info for info in opened.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeError) as error:
        raise UserError(f"{archive}: is no whole zip archive: {error}") from None
    for info in infos:
        if climbs(info.filename):
            raise UserError(f"{archive}: holds {info.filename!r}, a name that leads out of its folder; nothing is read")
    if chosen:
        if chosen not in [info.filename for info in infos]:
            raise UserError(f"{archive}: has no {chosen!r}; it holds {listed(info.filename for info in infos)}")
        return [classified(archive, chosen, chosen)]
    names = [info.filename for info in infos if not any(part[:1] in "._" for part in info.filename.split("/"))]
    kinds = {name: kind_of(name) for name in names}
    return of_one_rank(archive, ((n, Found(archive, k, p, n, chosen=False)) for n, (k, p) in kinds.items()))


def climbs(name: str) -> bool:
    """Whether a name in an archive leads out of the folder into which it would be unpacked."""
    return any(".." in path.parts or path.anchor for path in (PurePosixPath(name), PureWindowsPath(name)))


def of_one_rank(place: Path, files: Iterable[tuple[str, Found]]) -> list[Found]:
    """The files of the first rank that is there."""
    every = []
    for name, file in files:
        every.append((name, file))
        if len(every) > MOST_FILES:
            raise UserError(f"{place}: holds more than {MOST_FILES:,} files; name a part of them")
    for rank in RANKS:
        if found := [file for _, file in every if file.kind in rank]:
            return found
    holds = f"; it holds {listed(name for name, _ in every)}" if every else ""
    raise UserError(f"{place}: no file in it is of a kind that is read: {', '.join(KINDS)}{holds}")
