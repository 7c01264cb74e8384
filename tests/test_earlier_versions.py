"""Models, training states and sets of earlier versions are used as they were made; new settings change none of them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import collection
import dataset_loader
import evaluate
import export
from config.schema import HASHED, RunConfig, SamplingConfig, TrainingConfig
from config.sets import Rules
from diffusion.samplers import settings_read
from evaluation.reference import Reference
from generation.archive import read_archive, write_archive
from generation.checkpoint import load_checkpoint
from generation.writer import Writer, write_documents
from nft.schemas import IDENTITY, SetInfo
from nft.store import SetFolder
from tests.exporting.voices import needs_node
from tests.helpers import Quiet, toy_lines
from tests.homes import MODEL
from text.corpus import load_corpus
from training.base import base_text
from training.events import Stopped
from training.queue import Queue
from training.trainer import Training, train_model
from utils import UserError, derive_seed, hash_json, sha256

# of version 0.1.0 with AdamW, before Muon took fewer products: process -> (last loss, held-out bits, four documents)
GOLDEN = {
    "uniform": (
        3.280001995139117, 3.4011906700414793,
        ["m1fhau3cr", "cdoicto8r0efu97renmd835sipr 893bopxv", "i3d8opcrd2aruhls5",
         "uxvse36ae4euro4n0iopao4a ie6sm6ripc9tassvd1tee"],
    ),
    "hybrid": (
        2.7201480851158384, 3.639814767168604,
        [" d coftce", "64deruff1  r e f  hs39 sx eoo0 a he ", "e ea7adhb2 tfs4p ",
         "xl7resve  eb2srte4rafarf a o n    1 aooh  of  "],
    ),
    "absorbing": (
        2.5655838360138397, 3.5990006502983993,
        [" 6ofoeife", "teoeeddo  c diuedirr ed d ceeeocthrv", " efcoei eefotrear",
         "sad  aeafb  ifd   eee iisaa  e ei rcc drrirc r"],
    ),
}  # fmt: skip
WALKING = ("grid", "steps", "greedy_last_step", "renoise")
SAMPLER_KEYS = {"tweedie": WALKING, "euler": WALKING, "surest": ("stretch", "revisions", "revised")}  # of sets
SAMPLERS = {
    "uniform": {"sampler": "tweedie", "steps": 8},
    "hybrid": {"sampler": "euler", "steps": 6, "renoise": 0.3},
    "absorbing": {"sampler": "surest", "stretch": 8, "revisions": 2, "revised": 0.25},
}
TRAINED = {"max_steps": 12, "validations": 3, "learning_rate": 0.01, "optimizer": "adamw"}


@pytest.fixture
def surest_run(tiny_run):
    lines = [*toy_lines(60), " ".join(toy_lines(12, 9))]

    def make(process: str = "absorbing") -> RunConfig:
        return tiny_run(lines, diffusion={"process": process}, training=TRAINED, sampling=SAMPLERS[process])

    return make


@pytest.mark.parametrize("process", GOLDEN)
def test_losses_and_texts_are_those_of_the_first_version(surest_run, process, monkeypatch):
    loss, bits, texts = GOLDEN[process]
    # it measured no more documents than its budget holds, and every n-th window of these
    monkeypatch.setattr(dataset_loader, "FEWEST_UNITS", 1)
    monkeypatch.setattr(dataset_loader, "one_of_each", lambda several, windows, seed: np.arange(0, windows, several))
    listener = Quiet()
    checkpoint = train_model(surest_run(process), listener)
    assert listener.last.loss == pytest.approx(loss, rel=1e-5)  # other processors may round otherwise
    assert checkpoint.metrics["held_out_bits"] == pytest.approx(bits, rel=1e-5)
    writer = Writer.of(checkpoint, torch.device("cpu"))
    assert write_documents(writer, 7, range(4), writer.settings()) == texts


def as_first_written(run: RunConfig) -> dict:
    """A config as version 0.1.0 wrote it: surest had no keys of its own."""
    config = run.model_dump()
    own = config["sampling"]
    config["sampling"] = {
        **{key: value for key, value in own.items() if key not in ("stretch", "revisions", "revised")},
        "steps": own["stretch"], "renoise": own["revised"],
    }  # fmt: skip
    return config


def test_a_model_of_the_first_version_writes_the_same_and_counts_as_done(surest_run):
    run = surest_run()
    train_model(run, Quiet())
    content = read_archive(run.model_file())
    # every key, those at their defaults too
    hashed_then = hash_json(run.model_dump(include=HASHED, exclude={"training": {"max_minutes", "tensorboard"}}))
    write_archive(run.model_file(), {**content, "config": as_first_written(run), "training_sha256": hashed_then})
    checkpoint = load_checkpoint(run.model_file())
    writer = Writer.of(checkpoint, torch.device("cpu"))
    assert write_documents(writer, 7, range(4), writer.settings()) == GOLDEN["absorbing"][2]
    assert Queue([run], force=False, command="").status_of(run) == "done"


class TrainingOfTomorrow(TrainingConfig):
    momentum: float = 0.9


class RunOfTomorrow(RunConfig):
    training: TrainingOfTomorrow = TrainingOfTomorrow()


def test_a_new_key_at_its_default_makes_no_model_another(surest_run):
    today = surest_run()
    assert RunOfTomorrow.model_validate(today.model_dump()).training_hash() == today.training_hash()
    changed = today.model_dump()
    changed["training"]["momentum"] = 0.8
    assert RunOfTomorrow.model_validate(changed).training_hash() != today.training_hash()


def test_a_new_key_at_its_default_lets_a_state_go_on(surest_run):
    run = surest_run()
    with pytest.raises(Stopped):
        train_model(run, Quiet(stop_at=7))
    tomorrow, listener = RunOfTomorrow.model_validate(run.model_dump()), Quiet()
    Training(tomorrow).restore(listener)
    assert listener.resumed_from == 7 and not listener.notes


def test_seeds_are_the_same_from_plain_and_from_numpy_numbers():
    assert derive_seed(1337, "toy", 3) == 368360631932190303
    assert derive_seed(np.int64(1337), np.str_("toy"), np.uint8(3)) == derive_seed(1337, "toy", 3)
    with pytest.raises(TypeError):
        derive_seed(1.5)


FIRST_SET = {
    "format": 1, "name": "toy", "seed": 0, "rules": {"attempts": 8}, "word_list_sha256": "", "copy_bound": 20,
    "sampler": {
        "sampler": "surest", "grid": "log_linear", "steps": 32, "temperature": 0.9, "top_p": 1.0,
        "greedy_last_step": True, "renoise": 0.15,
    },
    "identity": dict.fromkeys(IDENTITY, ""), "model_file": "toy.pt", "license": "", "source": "",
    "title": "toy", "description": "", "base_uri": "",
}  # fmt: skip


def test_a_set_of_the_first_version_goes_on_though_settings_are_new(tmp_path):
    sampler = SamplingConfig(sampler="surest", stretch=32, revisions=10, revised=0.15, temperature=0.9)
    settings = vars(replace(sampler.sampler_settings(), steps=32, renoise=0.15))
    wanted = SetInfo(**{**FIRST_SET, "sampler": settings, "rules": Rules().model_dump()})
    folder = SetFolder(tmp_path)
    folder.write_info(SetInfo(**FIRST_SET))
    folder.write_info(folder.agreed(wanted))
    assert folder.info().sampler == FIRST_SET["sampler"]  # its pages name the set by this
    folder.write_info(folder.agreed(wanted.model_copy(update={"title": "renamed"})))
    assert folder.info().title == "renamed"
    with pytest.raises(
        UserError, match=r"drawn with another sampler.revisions \(10, not 9\); set that as it was, or give"
    ):
        folder.agreed(wanted.model_copy(update={"sampler": {**settings, "revisions": 9}}))


def test_a_set_drawn_with_other_steps_than_its_model_goes_on(tmp_path):
    """Before, --steps 48 was the stretch; a setting that surest does not read makes no set another."""
    folder = SetFolder(tmp_path)
    folder.write_info(SetInfo(**{**FIRST_SET, "sampler": {**FIRST_SET["sampler"], "steps": 48}}))
    asked = SamplingConfig(sampler="surest", stretch=48, revisions=16, revised=0.15, temperature=0.9)
    wanted = SetInfo(**{**FIRST_SET, "sampler": vars(asked.sampler_settings())})
    folder.agreed(wanted)
    with pytest.raises(UserError, match=r"drawn with another sampler.stretch \(48, not 47\)"):
        folder.agreed(wanted.model_copy(update={"sampler": {**wanted.sampler, "stretch": 47}}))


@pytest.mark.parametrize(
    ("sampler", "reason"),
    [
        ({"stranger": 1}, "no such setting: stranger"),
        ({"steps": -1}, "greater than or equal"),
        ({"sampler": "surest", "steps": None}, "valid integer"),
        ({"sampler": "surest", "steps": 32, "renoise": "much"}, "valid number"),
    ],
)
def test_a_sampler_that_no_version_knew_is_refused(sampler, reason):
    with pytest.raises(ValueError, match=reason):
        SetInfo(**{**FIRST_SET, "sampler": sampler})


def test_what_learnt_control_characters_is_not_mixed_with_a_text_without_them(tiny_run):
    """An earlier version kept them in its vocabulary, so its ids are others."""
    run = tiny_run([*toy_lines(60), "a\x1b[31m red line"])
    with pytest.raises(Stopped):
        train_model(run, Quiet(stop_at=3))
    state = read_archive(run.state_file())
    del state["vocabulary"]
    write_archive(run.state_file(), state)
    listener = Quiet()
    train_model(run, listener)
    assert listener.resumed_from is None and "of other data, settings or version" in listener.notes[0]


@pytest.mark.parametrize(
    "command",
    [
        partial(evaluate.main, ["--count", "3", *MODEL]),
        partial(collection.main, ["make", "--size", "3", "--out", "set", *MODEL]),
        pytest.param(partial(export.main, ["page", *MODEL]), marks=needs_node),
    ],
)
def test_no_command_compares_a_model_with_a_text_that_is_read_with_other_characters(home, capsys, command):
    content = read_archive(Path("models/toy.pt"))
    write_archive(Path("models/toy.pt"), {**content, "vocabulary": content["vocabulary"][:-1] + "\x1b"})
    assert command() == 2
    what = "learnt other characters than are read of datasets/toy.txt; train it anew"
    assert capsys.readouterr().err == f"error: models/toy.pt: {what}\n"


@pytest.mark.parametrize("sampler", SAMPLER_KEYS)
def test_settings_of_sets_keep_the_form_in_which_they_were_first_written(sampler):
    """A key more would make every set that was made before look forged; a later setting shows only where it is set."""
    settings = SamplingConfig(sampler=sampler).sampler_settings()
    assert [*settings_read(settings)] == ["sampler", *SAMPLER_KEYS[sampler], "temperature", "top_p"]
    later = settings_read(replace(settings, sampler="surest", revision_stretch=2))
    assert later["revision_stretch"] == 2


def drawn(run) -> dict[str, str]:
    """What is chosen of a text: SHA-256 of the sample, of what it holds out, of a reference's order, of a base's."""
    corpus = load_corpus(run)
    known = corpus.vocabulary
    split = {name: sorted(known.decode(ids) for ids in getattr(corpus, name)) for name in ("train", "held_out")}
    order = [known.decode(ids) for ids in Reference(corpus, 32).held_out]
    parts = {**split, "reference": order, "base": base_text([run]).splitlines()}
    return {name: sha256("\n".join(lines))[:16] for name, lines in parts.items()}


PINNED = {
    "train": "e4123d21e4112308", "held_out": "56e364734a496c59", "reference": "f6a055f9d7aad4ff",
    "base": "80ac75f0302fd8f6",
}  # fmt: skip


def test_what_is_chosen_of_a_text_is_what_earlier_versions_chose(tiny_run):
    """A model has learnt the sample and never what it holds out; a set's bound of a copy follows from the reference."""
    assert drawn(tiny_run(toy_lines(300), data={"max_documents": 60})) == PINNED
