"""Quantised weights: how far they are from the original, and that a file gives back what was put into it."""

import zlib

import numpy as np
import pytest
import torch

from exporting.quantise import SCHEMES, bytes_of, keep, restore
from exporting.weights import pack, unpack

RNG = np.random.default_rng(0)
MATRIX = (RNG.standard_normal((24, 64)) * RNG.uniform(0.01, 3, (24, 1))).astype(np.float32)
MATRIX[3] = 0  # a row without a number has no scale


@pytest.mark.parametrize(("scheme", "group"), [("int8", 64), ("int8-grouped", 32)])
def test_int8_is_off_by_half_a_step_of_its_group_at_most(scheme, group):
    entry, data = keep("m", MATRIX, SCHEMES[scheme])
    steps = np.abs(MATRIX.reshape(-1, group)).max(1, keepdims=True) / 127
    assert entry.group == group and len(data) == bytes_of(entry) == 24 * 64 + 4 * 24 * 64 // group
    error = np.abs(restore(entry, data) - MATRIX).reshape(-1, group)
    assert (error <= steps * 0.5001).all() and error.max() > 0 and (restore(entry, data)[3] == 0).all()


def test_a_row_that_holds_no_whole_groups_has_one_scale():
    entry, data = keep("m", MATRIX[:, :50], SCHEMES["int8-grouped"])
    assert entry.group == 50 and restore(entry, data).shape == (24, 50)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_no_matrix_is_float16(scheme):
    taps = MATRIX.reshape(24, 1, 1, 64)
    entry, data = keep("taps", taps, SCHEMES[scheme])
    assert entry.kind == "float16" and np.array_equal(restore(entry, data), taps.astype(np.float16).astype(np.float32))


def test_a_number_beyond_float16_is_named():
    with pytest.raises(OverflowError, match=r"^bias holds numbers beyond those of float16$"):
        keep("bias", np.array([1, 70_000], np.float32), SCHEMES["int8"])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_packed_file_is_zlibs_and_gives_back_every_array(scheme):
    weights = {"a.weight": torch.from_numpy(MATRIX), "a.bias": torch.arange(5.0), "b.weight": torch.eye(8).bfloat16()}
    packed = pack(weights, scheme)
    kept = [keep(name, value.float().numpy(), SCHEMES[scheme]) for name, value in weights.items()]
    assert zlib.decompress(packed.data) == b"".join(data for _, data in kept)
    found = unpack(packed)
    assert list(found) == list(weights)
    assert all(np.array_equal(found[entry.name].numpy(), restore(entry, data)) for entry, data in kept)
