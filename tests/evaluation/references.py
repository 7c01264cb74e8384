"""A reference made of random sentences, and documents beside it."""

import numpy as np

from evaluation.metrics import DocumentGroup, figures
from tests.helpers import WORDS


def sentences(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(3, 12))) + rng.choice([".", "!", ""]) for _ in range(count)]


def encode(reference, texts):
    return [reference.vocabulary.encode(text).astype(np.int64) for text in texts]


def judged(documents, reference):
    return figures(DocumentGroup(documents, reference))
