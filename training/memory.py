"""The memory of this machine, or of the container, and whether a network can be trained in it."""

import contextlib
import ctypes
import math
import os
import sys
from pathlib import Path

import torch

from command.messages import counted
from config.schema import ModelConfig
from model import DiffusionTransformer
from utils import UserError

CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # of Linux
# how often memory holds the parameters at least: weights, average, best, these again to go back to, gradient, moment
MEMORY_COPIES = 8


def fitting_parameters(shape: tuple[ModelConfig, int, int], device: torch.device) -> int:
    """The parameters of a network of this shape. Raises UserError, before it is built, if memory cannot hold it."""
    with torch.device("meta"):  # shapes without memory
        parameters = sum(p.numel() for p in DiffusionTransformer(*shape).parameters())
    needed, there = 4 * MEMORY_COPIES * parameters, memory_bytes()
    if device.type == "cpu" and needed > there:
        raise UserError(
            f"{counted(parameters, 'parameter')}: training takes at least {needed / 1e9:.1f} GB of memory, and this "
            f"machine has {there / 1e9:.1f} GB; lower model.layers or model.width"
        )
    return parameters


class MemoryStatus(ctypes.Structure):
    """Windows' MEMORYSTATUSEX: its own size, the share in use in percent, bytes of memory, and six more figures."""

    _fields_ = (("size", ctypes.c_uint32), ("load", ctypes.c_uint32), ("memory", ctypes.c_uint64 * 7))


def memory_bytes() -> float:
    """The memory of this machine, or of the container; infinite where the system does not say."""
    found = [math.inf]
    if sys.platform == "win32":
        status = MemoryStatus(ctypes.sizeof(MemoryStatus))
        if ctypes.WinDLL("kernel32").GlobalMemoryStatusEx(ctypes.byref(status)):
            found.append(status.memory[0])
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in CONTAINER_LIMITS:
        with contextlib.suppress(ValueError, OSError):  # "max" is no number
            found.append(int(limit.read_text()))
    return min(found)
