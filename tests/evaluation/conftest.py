"""A reference of random sentences; two trained voices."""

import pytest

from evaluation.reference import Reference
from tests.evaluation.references import sentences
from tests.evaluation.voices import GREEK, LEARNT
from tests.helpers import WORDS, Quiet, make_run, prose
from text.corpus import load_corpus
from training.trainer import train_model


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("sentences"), sorted(set(sentences(3000, 0))))
    return Reference(load_corpus(run), 32)


@pytest.fixture(scope="module")
def trained_voices(tmp_path_factory):
    folder, runs = tmp_path_factory.mktemp("voices"), {}
    for name, words in (("build", WORDS), ("greek", GREEK)):
        runs[name] = make_run(folder, prose(words, 500, 1), name, training=LEARNT)
        train_model(runs[name], Quiet())
    return runs


@pytest.fixture
def two_voices(trained_voices):
    """Two trained voices, of different words: -> {name: run}; what a test does to their data is undone."""
    before = {run.data_file(): run.data_file().read_bytes() for run in trained_voices.values()}
    yield trained_voices
    for file, data in before.items():
        file.write_bytes(data)
