"""The file format of models and training states: plain values and tensors. Reading runs nothing and fills no memory.

A file is a zip archive as torch.save writes it: the values as a pickle, each tensor as bytes, nothing compressed.
"""

import contextlib
import difflib
import io
import os
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from command.disk import write_atomic
from command.messages import is_of_system
from utils import Result, UserError, check_readable, hash_file, out_of_memory, unreadable

DAMAGE_ERRORS = (
    OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, OverflowError, AssertionError,
    struct.error, zlib.error, zipfile.BadZipFile, pickle.PickleError,
)  # fmt: skip
VALUES_BYTES = 1 << 20  # of a file besides its tensors: 60,000 characters and the names of 600 tensors take a third
BYTES_PER_OPCODE = 4  # of a pickle at least, on average; each opcode takes some microseconds
LABELS_BYTES = 1 << 12  # of the entries that say how an archive was written
DIRECTORY_BYTES = 1 << 20  # of an archive's list of entries: some 100 for each tensor
TIED = 2  # a matrix may serve twice, as embedding and as head
# all that a pickle may name; nothing of it takes memory beyond what the file holds
KINDS = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
NAMES = {
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter",
    *(f"torch {kind}Storage" for kind in KINDS),
}  # fmt: skip
MARK, MUTABLE, MOST_DEPTH = -1, 8, 32  # depths of values; a short tuple of numbers has 1, the arguments of a tensor 9
MOST_SHARED = 16  # references to one tuple of tuples, list or dict; files of ours have none
MAKERS = {
    "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "REDUCE", "NEWOBJ", "BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS",
}  # fmt: skip
# the end of an archive as torch writes it: end record of zip64, its locator, end record of zip
END = struct.Struct("<4sQHHIIQQQQ 4sIQI 4sHHHHIIH")


class Damaged(UserError):
    """A file that was cut short or changed, or is another program's."""


def archive_bytes(content: dict[str, Any]) -> bytes:
    """Plain values and tensors -> a file's bytes; the same run gives the same."""
    buffer = io.BytesIO()  # a buffer has no name, so the archive inside does not depend on the path
    torch.save(content, buffer)
    return buffer.getvalue()


def write_archive(path: Path, content: dict[str, Any]) -> None:
    """Write `archive_bytes` as a file, whole or not at all."""
    write_atomic(path, archive_bytes(content))


def read_archive(path: Path, *, values_bytes: int = VALUES_BYTES) -> dict[str, Any]:
    """The content that `write_archive` wrote; raises as `read_hashed`."""
    return read_hashed(path, dict, values_bytes=values_bytes)[0]


def read_hashed(
    path: Path, read: Callable[[dict[str, Any]], Result], *, values_bytes: int = VALUES_BYTES
) -> tuple[Result, str]:
    """What `read` makes of the content that `write_archive` wrote, and the SHA-256 of the very bytes that were read.

    Raises Damaged for any other content, UserError for what is no file.

    `read` sees the content before its checksums are compared, and raises UserError if it should not be. The memory
    taken is bounded by the length of the file, that of all but tensors by `values_bytes`.
    """
    if unreadable(path):  # only then are similar names looked for
        check_readable(path, f"name a model file, models/NAME.pt{nearest_model(path)}")
    # opened once: another file may take its name meanwhile, as when a training ends
    with damage_named(path, "not a model file"), path.open("rb") as file, archive_in(file) as archive:
        check_entries(archive, os.fstat(file.fileno()).st_size, values_bytes)
        file.seek(0)
        content = torch.load(file, map_location="cpu", weights_only=True)
        check_tensors(content, archive)
        if not isinstance(content, dict):
            raise Damaged(f"{path}: not a model of this program")
        made = read(plain(content))
        if archive.testzip():  # torch itself reads over checksums
            raise ValueError
        file.seek(0)
        return made, hash_file(file)


@contextlib.contextmanager
def damage_named(path: Path, what: str) -> Iterator[None]:
    """Let what a damaged file raises be one line that names it; errors of the disk and of memory stay what they are."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        if is_of_system(error) or out_of_memory(error):
            raise
        raise Damaged(f"{path}: {what}, or damaged") from None


def nearest_model(path: Path) -> str:
    """The text "; did you mean 'models/x.pt'?" for a path that is no file, or "" for any other."""
    if path.is_file():  # which cannot be read
        return ""
    files = [file for folder in (path.parent, Path("models")) for file in sorted(folder.glob("*.pt"))]
    # no state, no earlier model
    models = {file.stem: file for file in files if file.is_file() and "." not in file.stem}
    close = difflib.get_close_matches(path.stem, models, n=1, cutoff=0.5)
    return f"; did you mean {str(models[close[0]])!r}?" if close else ""


def archive_in(file: BinaryIO) -> zipfile.ZipFile:
    """The zip archive in a file that begins and ends as torch.save writes it. Raises ValueError for any other file.

    Of such a file torch and zipfile read the same list of entries: what one checks is what the other loads.
    """
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":  # torch would read a pickle of its old format there, which nothing here checks
        raise ValueError
    start = os.fstat(file.fileno()).st_size - END.size
    file.seek(max(start, 0))
    end = END.unpack(file.read())
    size, offset = end[8:10]
    *_, short_size, short_offset, comment = end
    signatures = (end[0], end[10], end[14]) == (b"PK\x06\x06", b"PK\x06\x07", b"PK\x05\x06")
    places = end[12] == start == offset + size and comment == 0 and end[1] == 44
    same = (short_size, short_offset) == (min(size, 0xFFFFFFFF), min(offset, 0xFFFFFFFF))
    if not (signatures and places and same and size <= DIRECTORY_BYTES):
        raise ValueError
    return zipfile.ZipFile(file)


def check_entries(archive: zipfile.ZipFile, size: int, values_bytes: int) -> None:
    """Raise ValueError if entries could unpack to more than the file's size, or hold what no model has."""
    entries = archive.infolist()
    packed = any(e.compress_type != zipfile.ZIP_STORED or e.file_size != e.compress_size for e in entries)
    marked = any(e.external_attr for e in entries)  # of one that is marked as a folder, torch reads nothing
    # torch finds entries by names without regard to case
    folders, names = {e.filename.split("/")[0] for e in entries}, {e.filename.lower() for e in entries}
    if packed or marked or sum(e.file_size for e in entries) > size or len(names) != len(entries) or len(folders) != 1:
        raise ValueError
    values = archive.getinfo(f"{folders.pop()}/data.pkl")
    others = sum(e.file_size for e in entries if e is not values and "/data/" not in e.filename)
    if values.file_size > values_bytes or others > LABELS_BYTES:
        raise ValueError
    check_pickle(archive.read(values), values_bytes // BYTES_PER_OPCODE)


def check_pickle(values: bytes, most_opcodes: int) -> None:
    """Raise ValueError for a pickle that names what no model has, or whose few bytes stand for endless values.

    It follows the pickle's stack without making any value, and tracks how deep tuples lie in each: 0 for a single
    value, MUTABLE for what may hold anything. If each level refers twice to the one below, hashing or printing takes
    Python forever. So do many numbers with the same hash; only huge ones have that.
    """
    stack: list[int] = []
    memo: dict[Any, int] = {}
    shared = huge = 0
    for number, (opcode, argument, _) in enumerate(pickletools.genops(values)):
        name, before = opcode.name, opcode.stack_before
        if ("GLOBAL" in name or name == "INST") and argument not in NAMES:
            raise ValueError
        if "PUT" in name:
            memo[argument] = stack[-1]
        elif "GET" in name:
            stack.append(memo[argument])
            shared += stack[-1] > 1
        else:
            taken = []
            if pickletools.stackslice in before:
                while (depth := stack.pop()) != MARK:
                    taken.append(depth)
            taken += [stack.pop() for kind in before if kind not in (pickletools.stackslice, pickletools.markobject)]
            stack += [depth_of(name, taken)] * len(opcode.stack_after)
        huge += isinstance(argument, int) and abs(argument) >> 64 > 0
        if number > most_opcodes or max(shared, huge) > MOST_SHARED or (stack and stack[-1] > MOST_DEPTH):
            raise ValueError


def depth_of(opcode: str, taken: list[int]) -> int:
    """How deep tuples lie in what an opcode makes of these values."""
    if opcode == "MARK":
        return MARK
    if "TUPLE" in opcode:
        return max([MUTABLE if len(taken) > MUTABLE else 1, *(1 + depth for depth in taken)])
    return MUTABLE if opcode in MAKERS else 0


def check_tensors(content: object, archive: zipfile.ZipFile) -> None:
    """Raise ValueError unless the tensors of a file are as long as its entries: many must not share few bytes."""
    tensors = tensors_in(content)
    there = sum(e.file_size for e in archive.infolist() if "/data/" in e.filename)
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    if sum(storages.values()) != there or sum(t.numel() * t.element_size() for t in tensors) > TIED * there:
        raise ValueError


def tensors_in(content: object) -> list[Tensor]:
    """All tensors in nested values, each once. Raises ValueError for a value that is neither plain nor a tensor."""
    found: list[Tensor] = []
    seen: set[int] = set()
    rest = [content]
    while rest:
        value = rest.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            if value.layout != torch.strided or value.device.type != "cpu" or value.is_neg() or value.is_conj():
                raise ValueError
            found.append(value)
        elif isinstance(value, dict):
            rest += [*value, *value.values(), *getattr(value, "__dict__", {}).values()]
        elif isinstance(value, (list, tuple, set)):
            rest += value
        elif not isinstance(value, (str, bytes, int, float, type(None))):
            raise ValueError
    return found


def plain(value: Any) -> Any:
    """Nested values without what a pickle may add to them: gradients of tensors, attributes of dictionaries."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: plain(own) for key, own in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, (list, tuple, set)) else value
