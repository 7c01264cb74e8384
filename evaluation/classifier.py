"""Whose voice is it? A character n-gram classifier, taught on real text, names the source of each document."""

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

PIECES = 1500  # of each corpus that the classifier learns from
LONGEST_PIECE = 300  # characters of a piece: enough to hear a style, and the same for all corpora
NGRAMS = (1, 4)
FEATURES = 1 << 18


class SourceClassifier:
    """A classifier of sources: {name: real texts} in, the name of each text out."""

    def __init__(self, corpora: dict[str, list[str]], seed: int = 0) -> None:
        self.names = list(corpora)
        rng = np.random.default_rng(seed)
        texts, labels = [], []
        for label, documents in enumerate(corpora.values()):
            chosen = rng.choice(len(documents), PIECES, replace=len(documents) < PIECES)
            texts += [cut(documents[i], rng) for i in chosen]
            labels += [label] * PIECES
        vectorizer = HashingVectorizer(analyzer="char", ngram_range=NGRAMS, n_features=FEATURES, alternate_sign=False)
        self.pipeline = make_pipeline(vectorizer, SGDClassifier(alpha=1e-5, random_state=seed, average=True))
        self.pipeline.fit(texts, labels)

    def confusion(self, texts: dict[str, list[str]]) -> np.ndarray:
        """(names, names) counts: row, where the texts come from; column, the source they are taken for."""
        rows = []
        for name in self.names:
            found = self.pipeline.predict([text[:LONGEST_PIECE] for text in texts[name]])
            rows.append(np.bincount(found, minlength=len(self.names)))
        return np.stack(rows)


def cut(text: str, rng: np.random.Generator) -> str:
    """A window of at most LONGEST_PIECE characters: the opening half the time, as samples are judged by it."""
    if len(text) <= LONGEST_PIECE or rng.random() < 0.5:
        return text[:LONGEST_PIECE]
    start = int(rng.integers(len(text) - LONGEST_PIECE + 1))
    return text[start : start + LONGEST_PIECE]
