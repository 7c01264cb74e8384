"""Kinds of files by their names; what is wrong with the name or the file of a dataset, and what to do instead."""

import re
from pathlib import Path, PureWindowsPath

from command.messages import argument
from command.places import is_same_place
from config.errors import nearest
from config.names import NAME_RULE, is_safe_name
from utils import NO_FILE, unreadable

CACHE = ".cache/diffusion-gpt-local"  # in the folder of the texts; other programs keep files in .cache too
RECORD = ".source.json"  # what prepare.py writes beside a text
SYSTEM_FILES = (".ds_store", "thumbs.db", "desktop.ini")  # macOS and Windows put these into folders
CHANGED = "{}: the file changed while it was read; start again"
MOST_LINE = 4 << 20  # bytes of a line that is a document: a long novel has a third of it
# how the name of a file ends that prepare.py reads -> its kind; READERS in sources/pipeline.py has a row for each kind
KINDS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".json": "json", ".jsonl": "json", ".ndjson": "json",
    ".parquet": "parquet", ".xml": "xml", ".mbox": "mbox", ".txt": "text", ".md": "text",
}  # fmt: skip
PACKED, ARCHIVE = (".gz", ".bz2", ".xz", ".zst"), ".zip"  # of such a file, and of several
UNREAD = (".7z", ".tar", ".tgz", ".tbz2", ".txz", ".rar")  # archives that are to be unpacked first


def no_data(path: Path, missing: str) -> str:
    """Why a dataset's file cannot be read, and what to do; `missing` if no file of a similar name is there."""
    if (why := unreadable(path) or NO_FILE) != "no such file":
        return f"{path}: {why}; put a text file there, one document per line"
    stem = path.name.split(".")[0]
    near = (
        file for file in files_in(path.parent) if file.name.split(".")[0] == stem and not file.name.endswith(RECORD)
    )
    if beside := next(near, None):
        return f"{path}: {why}, but {beside.name} is there; {make_of(beside, stem, path.name)}"
    return missing


def make_of(file: Path, name: str, text: str) -> str:
    """How to make the text of the dataset `name`, a file called `text`, from another file."""
    end = file.suffix.lower()
    if not is_text(file.name) or end == ARCHIVE:
        return f"python prepare.py {argument(file)} --name {argument(name)} makes a text of it"
    if end in (*PACKED, *UNREAD):
        return f"unpack it to {text}" if is_text(file.stem) else "unpack it first"
    return f"rename it to {text}" if kind_of(file.name)[0] or not end else f"save it as plain text, {text}"


def is_text(name: str) -> bool:
    """Whether a file of this name may be a text: its name tells of no other kind."""
    return kind_of(name)[0] in ("", "text")


def kind_of(name: str) -> tuple[str, str]:
    """The kind and the packing of a file of this name; "" for a kind that is none."""
    suffix = Path(name).suffix.lower()
    packing = suffix if suffix in PACKED else ""
    path = Path(name[: len(name) - len(packing)])
    if path.name == "mbox":  # Apple Mail exports a folder INBOX.mbox with a file of this name in it
        return "mbox", packing
    return KINDS.get(path.suffix.lower(), ""), packing


def misnamed(name: str, folder: Path, names: list[str]) -> str:
    """What to type in place of a name that no dataset can have."""
    path = PureWindowsPath(name)  # accepts the separators of Windows and of Unix
    if is_safe_name(path.stem) and (path.suffix == ".txt" or path.stem in names):
        place = folder / f"{path.stem}.txt"
        elsewhere = Path(name).is_file() and not is_same_place(Path(name), place)
        do = f"copy it to {place} and type" if elsewhere else "type"
        return f"--dataset {name!r}: takes a name, not a file; {do} --dataset {path.stem}"
    file = next((file for file in files_in(folder) if path.name in (file.stem, file.name)), None)
    safe = re.sub("[^A-Za-z0-9_-]+", "_", path.name.split(".")[0]).strip("_-")
    if file and is_safe_name(safe):
        return f"{file}: a dataset's name {NAME_RULE}; {make_of(file, safe, f'{safe}.txt')} and type --dataset {safe}"
    return f"--dataset {name!r}: a dataset's name {NAME_RULE}{nearest(name, names)}"


def text_files(folder: Path) -> list[str]:
    """The names of the datasets that are text files of a folder."""
    return [file.stem for file in files_in(folder) if file.suffix == ".txt" and is_safe_name(file.stem)]


def is_of_a_system(path: Path) -> bool:
    """Whether macOS or Windows put a file into a folder, or macOS one beside another on a disk of Windows."""
    beside = path.name.startswith("._") and path.with_name(path.name[2:] or ".").is_file()
    return (beside or path.name.lower() in SYSTEM_FILES) and path.is_file() and not path.is_symlink()


def files_in(folder: Path) -> list[Path]:
    """The files of a folder that is there, in order."""
    return sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
