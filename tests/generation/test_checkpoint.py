"""Model files: whole when they come back, refused when they are not ours, never run."""

import contextlib
import errno
import pickle
import stat
import zipfile
from pathlib import Path

import pytest
import torch

from config.schema import PathsConfig
from generation.archive import check_entries
from generation.checkpoint import load_checkpoint, save_checkpoint
from generation.writer import Writer, write_documents
from tests.helpers import Quiet, posix
from training.events import Stopped
from training.trainer import train_model
from utils import UserError

CPU = torch.device("cpu")


def test_a_checkpoint_comes_back_whole(tiny_run):
    run = tiny_run()
    checkpoint = train_model(run, Quiet())
    loaded = load_checkpoint(run.model_file())
    assert (loaded.vocabulary, loaded.metrics) == (checkpoint.vocabulary, checkpoint.metrics)
    assert loaded.run == run.model_copy(update={"paths": PathsConfig()})  # those of the file are not used
    assert loaded.data_sha256 == checkpoint.data_sha256 and loaded.training_sha256 == run.training_hash()
    assert all(torch.equal(loaded.weights[name], value) for name, value in checkpoint.weights.items())
    before, after = (
        write_documents(Writer.of(c, CPU), 0, range(3), Writer.of(c, CPU).settings()) for c in (checkpoint, loaded)
    )
    assert before == after


@posix
def test_a_model_that_is_trained_again_keeps_its_mode(tiny_run):
    """A voice of private texts may be closed to others; one that is read-only can be replaced, and is not locked."""
    run = tiny_run()
    checkpoint = train_model(run, Quiet())
    path = run.model_file()
    for mode, kept in ((0o600, 0o600), (0o400, 0o600), (0o664, 0o664)):
        path.chmod(mode)
        aside = save_checkpoint(path, checkpoint)
        assert [stat.S_IMODE(each.stat().st_mode) for each in (path, aside)] == [kept, mode]
        aside.unlink()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),  # on Windows
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_little_memory_is_no_damage(tiny_run, monkeypatch, error):
    run = tiny_run()
    with pytest.raises(Stopped):
        train_model(run, Quiet(stop_at=2))
    state = run.state_file().read_bytes()

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(type(error)):
        train_model(run, Quiet())
    assert run.state_file().read_bytes() == state


def test_what_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "file.pt"
    path.write_bytes(b"")

    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"file\.pt: cannot be read: Permission denied"):
        load_checkpoint(path)


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a model file, or damaged"),
        (b"hello", "not a model file, or damaged"),
        (b")bc hello", "not a model file, or damaged"),
        (pickle.dumps(Bomb()), "not a model file, or damaged"),
        ({"weight": torch.zeros(3)}, "format None is not one this version reads (1)"),
        ({"format": 99}, "format 99 is not one this version reads (1)"),
        ({"format": 1}, "not a model of this program: config: is missing"),
        (
            {"optimizers": []},
            "the state of an interrupted training, not a model; the same train.py command goes on with it",
        ),
        (torch.zeros(3), "not a model of this program"),
        (Bomb(), "not a model file, or damaged"),
    ],
)
def test_a_foreign_file_is_refused_and_never_run(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    path = Path("file.pt")
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError) as error:
        load_checkpoint(path)
    assert str(error.value) == f"file.pt: {message}" and not Path("exploded").exists()


def test_a_truncated_checkpoint_is_refused(tiny_run):
    run = tiny_run()
    train_model(run, Quiet())
    data = run.model_file().read_bytes()
    for size in (10, len(data) // 2, len(data) - 1):
        run.model_file().write_bytes(data[:size])
        with pytest.raises(UserError, match="not a model file, or damaged"):
            load_checkpoint(run.model_file())


def test_a_single_wrong_bit_is_noticed(tiny_run):
    run = tiny_run()
    train_model(run, Quiet())
    content = bytearray(run.model_file().read_bytes())
    content[len(content) // 2] ^= 1
    run.model_file().write_bytes(content)
    with pytest.raises(UserError, match="not a model file, or damaged"):
        load_checkpoint(run.model_file())


def test_an_entry_marked_as_a_folder_is_damage(tiny_run):
    """torch would read nothing of it, and take whatever stands in memory for its numbers."""
    run = tiny_run()
    train_model(run, Quiet())
    content = run.model_file().read_bytes()
    with zipfile.ZipFile(run.model_file()) as archive:
        place, entries = archive.start_dir, archive.infolist()
    for entry in entries:
        marked = bytearray(content)
        marked[place + 38] |= 0x10  # in its external attributes, as MS-DOS marks a folder
        place += 46 + len(entry.filename) + len(entry.extra) + len(entry.comment)
        run.model_file().write_bytes(marked)
        with pytest.raises(UserError, match="not a model file, or damaged"):
            load_checkpoint(run.model_file())
    assert place == content.index(b"PK\x06\x06")


def test_names_of_entries_that_differ_in_case_alone_are_damage(tmp_path):
    """torch finds entries without regard to case, so it may read another than the one that was checked."""
    path, values = tmp_path / "m.pt", pickle.dumps({}, protocol=2)
    for names, refused in ((["data.pkl", "version"], False), (["data.pkl", "version", "DATA.pkl"], True)):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(f"m/{name}", values)
            for entry in archive.infolist():
                entry.external_attr = 0  # as torch writes it
        expected = pytest.raises(ValueError) if refused else contextlib.nullcontext()
        with zipfile.ZipFile(path) as archive, expected:
            check_entries(archive, path.stat().st_size, 1 << 20)


def test_weights_of_another_shape_are_named(tiny_run):
    checkpoint = train_model(tiny_run(), Quiet())
    checkpoint.weights["head.weight"] = checkpoint.weights["head.weight"][:-1]
    with pytest.raises(UserError, match=r"the weights do not fit the model's config: .*head\.weight"):
        Writer.of(checkpoint, CPU)
