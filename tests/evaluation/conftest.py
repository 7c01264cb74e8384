"""A reference of random sentences."""

import pytest

from evaluation.reference import Reference
from tests.evaluation.references import sentences
from text.corpus import load_corpus


@pytest.fixture
def reference(tiny_run):
    return Reference(load_corpus(tiny_run(sorted(set(sentences(3000, 0))))), 32)
