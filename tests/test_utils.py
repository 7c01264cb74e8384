"""Seeds are functions of their parts, texts are read with care, tasks side by side give what they would in turn."""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from utils import (
    NO_FILE,
    UserError,
    derive_seed,
    map_on_cores,
    numpy_generator,
    parallel_tasks,
    pick_device,
    read_text,
    torch_generator,
    unreadable,
)


def test_seeds_tell_purposes_apart_and_repeat():
    assert derive_seed(1, "data") == derive_seed(1, "data")
    assert (
        len({derive_seed(1, "data"), derive_seed(1, "noise"), derive_seed(2, "data"), derive_seed(1, "dat", "a")}) == 4
    )
    assert np.array_equal(numpy_generator(1, "x").random(5), numpy_generator(1, "x").random(5))
    cpu = torch.device("cpu")
    assert torch.equal(
        torch.rand(5, generator=torch_generator(cpu, 1)), torch.rand(5, generator=torch_generator(cpu, 1))
    )


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_byte_that_is_not_utf8_is_named_after_a_byte_order_mark_too(tmp_path, mark):
    path = tmp_path / "file.txt"
    path.write_bytes(mark + b"ab\n\xffe\n")
    with pytest.raises(UserError) as error:
        read_text(path)
    assert str(error.value) == f"{path} line 2: byte 0xff is not UTF-8; save it as UTF-8"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no folder below /dev is here")
def test_a_pipe_in_a_folder_below_dev_is_not_read():
    """Of those there only what a shell gives a command has an end."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        os.mkfifo(Path(folder, "pipe"))
        assert unreadable(Path(folder, "pipe")) == NO_FILE
    reading, writing = os.pipe()
    for folder in ("/dev/fd", "/proc/self/fd"):  # the second is zsh's
        assert unreadable(Path(folder, str(reading))) == ""
    os.close(reading)
    os.close(writing)


def test_a_device_that_is_not_here_is_named():
    missing = next(
        kind
        for kind, here in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()))
        if not here
    )
    with pytest.raises(UserError, match=f"device '{missing}' is not available here; choose from auto, "):
        pick_device(missing)


@pytest.mark.parametrize(
    ("capability", "built", "picked"),
    [
        ((6, 1), ["sm_75", "sm_86", "sm_90a", "compute_120"], "cpu"),  # a GTX 1080 where the kernels begin with Turing
        ((6, 1), ["sm_50", "sm_60", "sm_75", "sm_86", "sm_90"], "cuda"),
        ((7, 5), ["sm_75", "sm_120"], "cuda"),
        ((12, 1), ["sm_75", "sm_120", "compute_120"], "cuda"),
        ((12, 0), ["sm_50", "sm_75", "sm_86", "sm_90"], "cpu"),  # an RTX 50xx where the kernels end with Hopper
        ((12, 0), ["sm_50", "sm_75", "sm_90", "compute_90"], "cuda"),  # which is compiled when it is loaded
        ((8, 9), ["sm_75", "sm_86", "sm_90"], "cuda"),
        ((8, 0), ["sm_75", "sm_86", "sm_90"], "cpu"),
        ((9, 0), ["gfx90a", "gfx1100"], "cuda"),  # AMD's GPUs, whose names are others
    ],
)
def test_a_gpu_that_torch_has_no_kernels_for_is_not_picked(capability, built, picked, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto").type == picked
    if picked == "cpu":
        why = "this PyTorch has no kernels for its GPU, and docs/install.md says which one has"
        with pytest.raises(UserError, match=f"device 'cuda' is not available here: {why}; choose from auto, cpu"):
            pick_device("cuda")


def test_who_wants_the_cpu_starts_no_gpu(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: asked.append("cuda") or (9, 0))
    assert pick_device("cpu").type == "cpu" and not asked
    assert pick_device("cuda").type == "cuda" and asked


CPU = torch.device("cpu")


def test_results_come_in_the_order_of_the_tasks():
    def late(k: int) -> int:
        time.sleep(0.02 * (3 - k))
        return k * k

    assert map_on_cores(CPU, late, range(4)) == [0, 1, 4, 9]


def test_each_task_computes_on_one_core_and_so_does_its_caller():
    assert set(map_on_cores(CPU, lambda _: torch.get_num_threads(), range(2 * parallel_tasks(CPU)))) == {1}
    assert torch.get_num_threads() == 1


def test_a_failure_reaches_the_caller_when_all_have_ended():
    ended = []

    def work(k: int) -> None:
        time.sleep(0.05 * k)
        ended.append(1 // k)

    with pytest.raises(ZeroDivisionError):
        map_on_cores(CPU, work, [0, 4, 2])
    assert ended == [0, 0] if parallel_tasks(CPU) > 1 else ended == []


def test_a_gpu_takes_its_tasks_in_turn():
    assert parallel_tasks(torch.device("cuda")) == 1
