"""Archives that declare, unpack or repeat more than they hold: refused before memory is taken, and nothing is run."""

import errno
import io
import os
import struct
import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from config.schema import RunConfig
from evaluation.identity import weights_sha256
from generation.archive import END, Damaged, archive_bytes, nearest_model, read_archive
from generation.checkpoint import load_checkpoint, shape_of
from model import DiffusionTransformer
from tests.generation.hostile import outcome


def test_a_network_far_larger_than_its_file_is_never_built(model, tmp_path):
    """48 layers of 4,096 from weights of one number each, which a view repeats."""
    content = read_archive(model)
    shape = {"layers": 48, "heads": 8, "width": 4096, "context": 4096, "noise_width": 1024}
    content["config"]["model"] |= shape
    run, vocabulary = RunConfig.stored(content["config"]), load_checkpoint(model).vocabulary
    with torch.device("meta"):
        declared = DiffusionTransformer(*shape_of(run, vocabulary)).state_dict()
    content["weights"] = {name: torch.zeros(1).expand(value.shape) for name, value in declared.items()}
    torch.save(content, tmp_path / "large.pt")
    assert (tmp_path / "large.pt").stat().st_size < 400_000
    assert "not a model file, or damaged" in outcome(tmp_path / "large.pt")
    shared = torch.zeros(4096)
    content["weights"] = {name: shared[: value.numel()] for name, value in declared.items()}
    torch.save(content, tmp_path / "large.pt")
    assert "not a model" in outcome(tmp_path / "large.pt")


def rezipped(data: bytes, compression: int, extra: dict[str, bytes]) -> bytes:
    """The entries of an archive and others in a new one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        for name, content in extra.items():
            new.writestr(f"{old.namelist()[0].split('/')[0]}/{name}", content)
    return buffer.getvalue()


def torch_archive(path: Path, entries: dict[str, bytes]) -> None:
    """An archive as torch writes it, with these entries."""
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, content in entries.items():
        writer.write_record(name, content, len(content))
    writer.write_end_of_file()


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(model, tmp_path):
    path, data = tmp_path / "toy.pt", model.read_bytes()
    for compression, extra in (
        (zipfile.ZIP_DEFLATED, {"data/999": bytes(1 << 26)}),
        (zipfile.ZIP_STORED, {}),  # without the end that torch writes, other readers could find another list
        (zipfile.ZIP_BZIP2, {"data/999": bytes(1 << 26)}),
    ):
        path.write_bytes(rezipped(data, compression, extra))
        assert "not a model file, or damaged" in outcome(path)
    for spoilt in (data + b"x", data + data, data[:-98] + data[-98:-20] + bytes(20), b"x" * 50):
        path.write_bytes(spoilt)
        assert "not a model file, or damaged" in outcome(path)


def test_a_file_holds_nothing_but_its_model(model, tmp_path):
    path = tmp_path / "toy.pt"
    with zipfile.ZipFile(model) as archive:
        entries = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    own = {name: content for name, content in entries.items() if name not in ("version", ".data/serialization_id")}
    torch_archive(path, own)
    assert not outcome(path)
    for extra in ({"data/999": bytes(10_000)}, {"more": bytes(10_000)}, {f"data/{k}": b"x" for k in range(900, 960)}):
        torch_archive(path, {**own, **extra})
        assert "not a model file, or damaged" in outcome(path)


PICKLED = b"\x80\x02"
PICKLES = {
    "a name": PICKLED + b"cbuiltins\nbytearray\n(I10000000000\ntR.",
    "a tensor that is copied": PICKLED + b"ctorch._utils\n_rebuild_device_tensor_from_cpu_tensor\n.",
    "tuples in tuples": PICKLED + b"}(" + b")" + b"\x85" * 200_000 + b"K\x01u.",
    "shared tuples": PICKLED + b"}()" + b"".join(b"q%ch%c\x86" % (k, k) for k in range(60)) + b"K\x01u.",
    "shared lists": PICKLED + b"]" + b"".join(b"q%c](h%ch%ce" % (k, k, k) for k in range(60)) + b".",
    "a list that is called": PICKLED + b"]" + b"".join(b"q%c](h%ch%ce" % (k, k, k) for k in range(60)) + b")R.",
    "a million lists": PICKLED + b"](" + b"]" * 1_000_000 + b"e.",
    "a text of megabytes": PICKLED + b"}(X\x06\x00\x00\x00formatX\x00\x00\x60\x00" + b"x" * 0x600000 + b"u.",
    "no end": PICKLED + b"}(",
    "no stack": PICKLED + b"\x85\x85tuR.",
}  # fmt: skip


def test_a_model_that_cannot_be_read_is_not_mistaken_for_itself(tmp_path):
    (tmp_path / "tweets.pt").touch()
    assert nearest_model(tmp_path / "tweets.pt") == ""
    assert nearest_model(tmp_path / "tweet.pt") == f"; did you mean {str(tmp_path / 'tweets.pt')!r}?"


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_that_is_a_bomb_is_refused_before_it_is_read(tmp_path, name):
    path = tmp_path / "toy.pt"
    torch_archive(path, {"data.pkl": PICKLES[name], "byteorder": b"little"})
    assert "not a model file, or damaged" in outcome(path)


def behind(prefix: bytes, data: bytes) -> bytes:
    """An archive behind other bytes, where its list of entries says that they stand."""
    end, by = list(END.unpack(data[-END.size :])), len(prefix)
    size, offset = end[8:10]
    entries, place = bytearray(data[offset : offset + size]), 0
    while place < size:
        lengths, (header,) = (
            struct.unpack_from("<HHH", entries, place + 28),
            struct.unpack_from("<I", entries, place + 42),
        )
        struct.pack_into("<I", entries, place + 42, header + by)
        place += 46 + sum(lengths)
    end[9], end[12], end[-2] = offset + by, end[12] + by, end[-2] + by
    return prefix + data[:offset] + bytes(entries) + END.pack(*end)


def test_a_pickle_before_the_archive_which_torch_would_read_is_refused(tmp_path):
    """Nothing has looked at it: the archive's own pickle is what is checked."""
    old, path = io.BytesIO(), tmp_path / "x.pt"
    torch.save({"b": torch.arange(4)}, old, _use_new_zipfile_serialization=False)
    path.write_bytes(behind(old.getvalue(), archive_bytes({"a": torch.arange(4)})))
    assert torch.load(path, weights_only=True).keys() == {"b"}
    with pytest.raises(Damaged):
        read_archive(path)


def test_numbers_that_share_one_hash_are_refused(tmp_path):
    """Python's hash of a number is its rest by 2^61 - 1: a dictionary of such keys takes the square of their count."""
    keys = b"".join(b"\x8a\x0a" + (k * ((1 << 61) - 1)).to_bytes(10, "little") + b"K\x00" for k in range(1, 60_000))
    path, began = tmp_path / "x.pt", time.process_time()
    torch_archive(path, {"data.pkl": b"\x80\x02}(" + keys + b"u.", "byteorder": b"little"})
    with pytest.raises(Damaged):
        read_archive(path)
    assert time.process_time() - began < 5  # the dictionary alone takes half a minute


def test_a_tensor_longer_than_its_entry_is_refused(tmp_path):
    """torch would read on in the memory behind it."""
    buffer = io.BytesIO()
    torch.save({"x": torch.zeros(7)}, buffer)
    with zipfile.ZipFile(buffer) as archive:
        entries = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    values = entries["data.pkl"].replace(b"K\x07", b"M\xff\x7f")
    assert values != entries["data.pkl"]
    torch_archive(tmp_path / "x.pt", {"data.pkl": values, "byteorder": b"little", "data/0": entries["data/0"]})
    assert "not a model file, or damaged" in outcome(tmp_path / "x.pt")


def test_what_a_pickle_adds_to_values_is_not_read(model, tmp_path):
    """Weights that require gradients cannot be written as numbers, and dictionaries can have any attributes."""
    content, path = read_archive(model), tmp_path / "odd.pt"
    odd = OrderedDict(content["weights"])
    for name, value in list(odd.items()):
        odd[name] = nn.Parameter(value) if "tokens" in name else value.requires_grad_()
    odd.copy = "no method"
    torch.save({**content, "weights": odd}, path)
    assert type(read_archive(path)["weights"]) is dict
    assert weights_sha256(load_checkpoint(path)) == weights_sha256(load_checkpoint(model))


def test_a_disk_that_cannot_be_read_does_not_make_a_model_damaged(model, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        load_checkpoint(model)
