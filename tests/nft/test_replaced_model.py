"""A model file that is replaced while a command works: hashes name the very bytes that were read."""

import torch

import collection
from generation import archive
from generation.checkpoint import load_checkpoint
from tests.helpers import Quiet, shape
from tests.nft.sets import info_of
from training.start import beginning_of
from training.trainer import train_model
from utils import hash_file


def replacing(function, path, data: bytes):
    """The function, which has the file replaced behind it, as when a training ends at this moment."""

    def call(*arguments, **options):
        found = function(*arguments, **options)
        new = path.with_suffix(".new")
        new.write_bytes(data)
        new.replace(path)
        return found

    return call


def test_a_set_names_the_model_that_wrote_it_though_another_takes_its_place(studio, verify, monkeypatch):
    run, make = studio
    model = run.model_file()
    first = model.read_bytes()
    model.rename(model.with_name("toy.previous.pt"))
    train_model(shape(run, max_steps=9), Quiet())
    second = model.read_bytes()
    model.write_bytes(first)
    with monkeypatch.context() as patch:
        patch.setattr("nft.commands.load_checkpoint", replacing(load_checkpoint, model, second))
        status, folder = make("set", 3)
    assert status == 0 and model.read_bytes() == second
    named = info_of(folder)["identity"]["model_sha256"]
    assert named == hash_file(model.with_name("toy.previous.pt"))
    status, said = verify(folder)  # with the one kept aside
    assert status == 0 and "3 tokens drawn again, 3 the same" in said
    (folder / "courses.jsonl").unlink()
    assert collection.main(["draw-courses", str(folder)]) == 0 and verify(folder)[0] == 0
    model.write_bytes(first)
    with monkeypatch.context() as patch:
        patch.setattr(
            "nft.originals.hash_at_hand", replacing(lambda path: named if path == model else "", model, second)
        )
        status, said = verify(folder)
    assert status == 0 and f"{model} was replaced meanwhile; verify again" in said


def test_a_hash_is_of_the_bytes_that_were_read(studio, monkeypatch):
    run, _ = studio
    model = run.model_file()
    first, content = model.read_bytes(), archive.read_archive(model)
    wanted, weights = hash_file(model), load_checkpoint(model).weights
    other = archive.archive_bytes({**content, "weights": {k: v + 1 for k, v in content["weights"].items()}})
    for name in ("check_entries", "check_tensors"):  # before and after the weights are read
        with monkeypatch.context() as patch:
            patch.setattr(archive, name, replacing(getattr(archive, name), model, other))
            found = load_checkpoint(model)
        assert found.file_sha256 == wanted and all(torch.equal(weights[k], v) for k, v in found.weights.items())
        model.write_bytes(first)
    kept = model.rename(model.with_name("kept.pt"))
    with monkeypatch.context() as patch:
        patch.setattr("training.start.load_checkpoint", replacing(load_checkpoint, kept, other))
        beginning = beginning_of(shape(run, start_from=str(kept)))
    assert beginning and beginning.record.model_sha256 == wanted
