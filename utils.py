"""What every module shares: errors, seeds, devices and precision, cores, texts that are read, hashes."""

import contextlib
import hashlib
import io
import json
import operator
import os
import re
import stat
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

VERSION = "0.1.0"
SOFTWARE = "diffusion-gpt-local"  # this program; pictures and event files hold it, so a later training knows its own
CPU = torch.device("cpu")
MOST_TEXT = 1 << 30  # bytes of a text that is read as a whole: samples, a list of words, a selection
COMPRESSED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z"}
COMPRESSED |= {b"BZh%d1AY&SY" % level: "bzip2" for level in range(1, 10)}
# how files begin that are no plain text, whatever their names say, and what to do with them
FOREIGN = {
    **{begin: f"is compressed ({by}); unpack it first" for begin, by in COMPRESSED.items()},
    b"PK\x03\x04": "is a zip archive, an office document or a model; plain text is needed",
    b"PAR1": "is a Parquet table; plain text is needed",
    b"%PDF-": "is a PDF; save its text as plain text",
    b"{\\rtf": "is RTF; save it as plain text",
    b"version https://git-lfs": "is Git LFS's pointer to a file; fetch that with git lfs pull",
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), "is UTF-16; save it as UTF-8"),
}
NO_FILE = "is a pipe or a device, not a file"
PIPES = ("/dev", "/dev/fd", "/proc/self/fd")  # where a shell's pipes are files: standard input, and what <(...) gives
HEARING_SECONDS = 1  # until Ctrl+C is heard in a wait: up to Python 3.13 Windows hears none in one without an end


# Errors


class UserError(Exception):
    """A mistake that the user can correct. Its message, one line per problem, is shown without a traceback."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; torch has other words on Linux, on Windows and for Apple's GPUs."""
    words = ("allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")  # the last: those of cuBLAS
    return any(word in str(error) for word in words) or isinstance(error, (MemoryError, torch.OutOfMemoryError))


# Seeds


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed that follows from `parts` alone: a seed, what the draws are for, and what else tells them apart."""
    # NumPy's integers and strings become Python's, whose repr differs
    plain = tuple(str(part) if isinstance(part, str) else operator.index(part) for part in parts)
    return int.from_bytes(hashlib.sha256(repr(plain).encode()).digest()[:8], "big") >> 1


def numpy_generator(*parts: int | str) -> np.random.Generator:
    """A NumPy generator (Philox) that follows from `parts` alone."""
    return np.random.Generator(np.random.Philox(derive_seed(*parts)))


def torch_generator(device: torch.device, *parts: int | str) -> torch.Generator:
    """A torch generator on `device` that follows from `parts` alone."""
    return torch.Generator(device=device).manual_seed(derive_seed(*parts))


# Devices and precision


def pick_device(name: str) -> torch.device:
    """The device of this name; `auto` is CUDA if it computes, else Apple's MPS, else the CPU. UserError if absent."""
    present = {"cuda": cuda_computes, "mps": torch.backends.mps.is_available, "cpu": lambda: True}
    if name == "auto":
        return torch.device(next(kind for kind in present if present[kind]()))
    if name not in present or not present[name]():  # only this one: asking CUDA starts its runtime
        here = ", ".join(kind for kind in present if present[kind]())
        kernels = ": this PyTorch has no kernels for its GPU, and docs/install.md says which one has"
        why = kernels if name == "cuda" and torch.cuda.is_available() else ""
        raise UserError(f"device {name!r} is not available here{why}; choose from auto, {here}")
    return torch.device(name)


def cuda_computes() -> bool:
    """Whether there is a GPU that torch has kernels for: a build lacks those of the oldest GPUs or of the newest."""
    if not torch.cuda.is_available():
        return False
    here = torch.cuda.get_device_capability()
    codes = re.findall(r"(sm|compute)_(\d+)", " ".join(torch.cuda.get_arch_list()))  # none of AMD's
    built = [(kind, divmod(int(number), 10)) for kind, number in codes]
    # machine code runs on its own generation of GPUs, what is compiled on the machine (PTX) on later ones too
    return not built or any(code <= here and (kind == "compute" or code[0] == here[0]) for kind, code in built)


def exact_device(device: torch.device) -> torch.device:
    """The device for float64 work on a network's output: its own, or the CPU for Apple's GPUs, which lack float64."""
    return CPU if device.type == "mps" else device


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The torch type of this name; `auto` is bfloat16 on CUDA and x86 that multiply it natively, else float32."""
    if name != "auto":
        return getattr(torch, name)
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # a private name of torch, which is looked up for CPUs alone
        native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


# Cores: tasks run in parallel on a CPU, each on one core

Task = TypeVar("Task")
Result = TypeVar("Result")


def parallel_tasks(device: torch.device) -> int:
    """How many tasks `map_on_cores` runs at once: one per core of a CPU, and one on a GPU, which is parallel itself."""
    return set_up_cores()[1] if device.type == "cpu" else 1


@cache
def set_up_cores() -> tuple[ThreadPoolExecutor, int]:
    """A pool of one thread per core, and its size: the threads that torch used for one operation until now.

    The first call sets torch, for the whole process, to compute each operation on one thread: a core each is faster.
    """
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    return ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)), cores


def map_on_cores(device: torch.device, function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
    """[function(task) for task in tasks], in parallel on the cores of a CPU.

    Each thread has its own autograd and autocast modes, so `function` must set those it needs. If tasks fail, the
    first one's error is raised.
    """
    if parallel_tasks(device) == 1:
        return [function(task) for task in tasks]
    futures = [set_up_cores()[0].submit(function, task) for task in tasks]
    while wait(futures, HEARING_SECONDS).not_done:  # even if one failed: none may still run when its error is handled
        pass
    return [future.result() for future in futures]


# Texts that are read, and hashes


def unreadable(path: Path) -> str:
    """Why a path is no file that can be read, in words; "" if it is one."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return "is a folder, not a file"
        if stat.S_ISREG(mode):
            path.open("rb").close()
        elif path != Path(os.devnull) and not (stat.S_ISFIFO(mode) and str(path.parent) in PIPES):
            return NO_FILE
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no path of this system
        return "is a link to a file that is not there" if path.is_symlink() else "no such file"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return ""


def check_readable(path: Path, fix: str = "") -> None:
    """Raise UserError with `fix`, what to do instead, unless a path is a file that can be read."""
    if why := unreadable(path):
        raise UserError(f"{path}: {why}" + (f"; {fix}" if fix else ""))


def foreign(begin: bytes) -> str:
    """What a file is that begins so and is no plain text, and what to do with it; "" if it may be text."""
    return next((what for magic, what in FOREIGN.items() if begin.startswith(magic)), "")


def read_text(path: Path, fix: str = "", most_bytes: int = MOST_TEXT) -> str:
    """The text of a UTF-8 file, with or without a byte order mark. Raises UserError if it cannot be read."""
    check_readable(path, fix)
    with path.open("rb") as file:
        data = file.read(most_bytes + 1)  # a pipe tells no size and may have no end
    if len(data) > most_bytes:
        raise UserError(f"{path}: longer than {most_bytes:,} bytes; no such file needs so many")
    if what := foreign(data):
        raise UserError(f"{path}: {what}")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} {bad_byte(error)}; save it as UTF-8") from None


def bad_byte(error: UnicodeDecodeError, first_line: int = 1) -> str:
    """The line and the byte at which bytes are not UTF-8; the first of them stand in `first_line`."""
    line = first_line + error.object.count(b"\n", 0, error.start)  # of what follows a byte order mark
    return f"line {line}: byte 0x{error.object[error.start]:02x} is not UTF-8"


def utf8(text: str) -> bytes:
    r"""The text as UTF-8. A byte of a file name that is not UTF-8 becomes its escape, \udcff for example."""
    return text.encode("utf-8", "backslashreplace")


def sha256(content: str | bytes) -> str:
    """SHA-256 of bytes, or of text as UTF-8, in hexadecimal."""
    return hashlib.sha256(content.encode("utf-8") if isinstance(content, str) else content).hexdigest()


def hash_json(value: object) -> str:
    """SHA-256 of a value as JSON with sorted keys and no spaces."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")))


def hash_file(file: Path | io.BufferedReader) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; of one that is open, from where it stands."""
    with file.open("rb") if isinstance(file, Path) else contextlib.nullcontext(file) as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def size_of(path: Path) -> int:
    """Size of a file in bytes; 0 if it is missing or not accessible."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
