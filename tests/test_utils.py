"""The vocabulary round trip, seeds that are functions of their parts, files that are whole or absent."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from config.command_line import run_command
from tests.helpers import ROOT
from text.vocabulary import Vocabulary
from utils import (
    UserError,
    atomic_path,
    derive_seed,
    numpy_generator,
    pick_device,
    torch_generator,
    write_atomic,
)

CHARACTERS = "\nabcé🙂 \u2028\x00"


@given(st.text(alphabet=CHARACTERS))
def test_vocabulary_round_trip(text):
    vocabulary = Vocabulary(CHARACTERS)
    assert vocabulary.decode(vocabulary.encode(text)) == text


@given(st.text())
def test_unknown_characters_become_unk(text):
    vocabulary = Vocabulary("\nab")
    expected = [{"\n": 0, "a": 1, "b": 2}.get(c, 3) for c in text]
    assert vocabulary.encode(text).tolist() == expected
    assert vocabulary.decode(vocabulary.encode(text)) == "".join(c if c in "\nab" else "\ufffd" for c in text)
    assert vocabulary.size == 4 and vocabulary.unk == 3


@pytest.mark.parametrize("characters", ["", "ab\n", "\naa"])
def test_vocabulary_refuses_what_is_none(characters):
    with pytest.raises(ValueError, match="starts with the newline"):
        Vocabulary(characters)


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


def test_seed_is_the_same_in_another_process():
    command = [sys.executable, "-c", "from utils import derive_seed; print(derive_seed(7, 'name', 3))"]
    assert int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) == derive_seed(7, "name", 3)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_atomic(path, "old é\n")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_bytes() == "old é\n".encode() and [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_what_a_killed_write_left_goes_with_a_later_one(tmp_path):
    old, young, other = (tmp_path / name for name in (".[a].x1.part", ".[a].x2.part", ".a.x3.part"))
    for part in (old, young, other):
        part.touch()
    for part in (old, other):
        os.utime(part, (0, 0))
    write_atomic(tmp_path / "[a]", "whole")  # a name that is a pattern to glob
    assert sorted(tmp_path.iterdir()) == sorted([young, other, tmp_path / "[a]"])


def test_a_command_turns_mistakes_into_lines_and_a_status(capsys):
    def fail():
        raise UserError("one\ntwo")

    assert run_command(fail) == 2
    assert capsys.readouterr().err == "error: one\nerror: two\n"
    assert run_command(lambda: 0) == 0


def test_a_device_that_is_not_here_is_named():
    missing = next(
        kind
        for kind, here in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()))
        if not here
    )
    with pytest.raises(UserError, match=f"device '{missing}' is not available here; choose from auto, "):
        pick_device(missing)


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is another error elsewhere")
def test_a_reader_that_has_left_is_noticed_though_the_text_was_buffered():
    code = (
        "import sys; from config.command_line import run_command; sys.stdin.read();"
        "sys.exit(run_command(lambda: print('text') or 0))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([sys.executable, "-c", code], env={**environment, "PYTHONPATH": str(ROOT)}, **pipes)
    process.stdout.close()
    _, errors = process.communicate()
    assert process.returncode == 141 and errors == b""
