"""Leaves every module shares: the vocabulary, seeds, the device, atomic files. Knows nothing of models or noise."""

import contextlib
import glob
import hashlib
import io
import json
import operator
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from filelock import FileLock, Timeout

VERSION = "0.1.0"
BLOCK_BYTES = 1 << 19  # of a file at a time: its characters still fit into the processor's caches
STALE_SECONDS = 3600  # a file that is still being written after so long is not being written any more


class UserError(Exception):
    """A mistake the user can mend; its message is shown without a traceback, a problem a line."""


def out_of_memory(error: BaseException) -> bool:
    """Whether the device, Python or torch's own allocator on a CPU had no more to give."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)


def make_streams_safe() -> None:
    """Standard streams that take any text, and lead nowhere where they were closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # what is opened now takes its place, for the processes to come as well
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console without this alphabet shows ?, and nothing stops
            stream.reconfigure(errors="replace")


def mix64(x: np.ndarray) -> np.ndarray:
    """A bijection of uint64 that scatters neighbours (after the finaliser of SplitMix64, Steele et al. 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed for one purpose, from the run's seed, its name and whatever else tells draws apart."""
    plain = tuple(str(part) if isinstance(part, str) else operator.index(part) for part in parts)  # NumPy's as Python's
    return int.from_bytes(hashlib.sha256(repr(plain).encode()).digest()[:8], "big") >> 1


def numpy_generator(*parts: int | str) -> np.random.Generator:
    """A counter-based (Philox) generator that is a function of `parts` alone."""
    return np.random.Generator(np.random.Philox(derive_seed(*parts)))


def torch_generator(device: torch.device, *parts: int | str) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(derive_seed(*parts))


def pick_device(name: str) -> torch.device:
    """`auto` takes CUDA, then Apple's MPS, then the CPU; a device that is named but absent is an error."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, present in available.items() if present))
    if not available.get(name, False):
        present = ", ".join(kind for kind, here in available.items() if here)
        raise UserError(f"device {name!r} is not available here; choose from auto, {present}")
    return torch.device(name)


def exact_device(device: torch.device) -> torch.device:
    """Where float64 can be computed for a network on `device`: there, or on the CPU for Apple's GPUs, which lack it."""
    return torch.device("cpu") if device.type == "mps" else device


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` is `default_precision`; else the type of that name."""
    return default_precision(device) if name == "auto" else getattr(torch, name)


def default_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it natively, else float32."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


Task = TypeVar("Task")
Result = TypeVar("Result")


def parallel_tasks(device: torch.device) -> int:
    """How many tasks run at once: a core each; one on a GPU, which shares out a task by itself."""
    return set_up_cores()[1] if device.type == "cpu" else 1


@cache
def set_up_cores() -> tuple[ThreadPoolExecutor, int]:
    """A thread for each core that torch would use. From now on an operation keeps to the core it was called on."""
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    return ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)), cores


def map_on_cores(device: torch.device, function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
    """[function(task) for task in tasks], at once on the cores of a CPU; autograd and autocast modes are the task's."""
    if parallel_tasks(device) == 1:
        return [function(task) for task in tasks]
    futures = [set_up_cores()[0].submit(function, task) for task in tasks]
    wait(futures)  # all of them, also where one has failed: nothing may still be at work on what its caller mends
    return [future.result() for future in futures]


def flush_to_disk(path: Path) -> None:
    """Wait until a file is on the disk: a power cut after that cannot empty it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes its place whole, on failure it vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):  # of a write that kill -9 ended
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        flush_to_disk(temporary)
        temporary.chmod(0o644)  # mkstemp's 0600 would keep other users of the machine out
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Fail before the work rather than after it where a folder cannot take its result."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to: {error.strerror or error}") from None


@contextlib.contextmanager
def exclusive_lock(path: Path, trouble: str, seconds: float = 0) -> Iterator[None]:
    """Hold a file against other processes, until the end or a kill; `trouble` says what another one is doing."""
    check_writable(path.parent)
    try:
        with FileLock(path, timeout=seconds):
            yield
    except Timeout:
        raise UserError(trouble) from None


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text as UTF-8 with "\\n" line ends on every system."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def sha256(content: str | bytes) -> str:
    return hashlib.sha256(content.encode("utf-8") if isinstance(content, str) else content).hexdigest()


def hash_json(value: object) -> str:
    """SHA-256 of the canonical JSON of plain values."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")))


def hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where there is none, or none that can be looked at."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
