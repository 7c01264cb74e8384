"""The classifier of sources finds no difference where there is none."""

from evaluation.classifier import SourceClassifier
from tests.helpers import WORDS, prose


def test_classifier_cannot_tell_one_source_from_itself():
    texts = prose(WORDS, 600, 1)
    classifier = SourceClassifier({"a": texts[::2], "b": texts[1::2]})
    counts = classifier.confusion({"a": prose(WORDS, 300, 7), "b": prose(WORDS, 300, 8)})
    assert 0.35 < counts.diagonal().sum() / counts.sum() < 0.65
