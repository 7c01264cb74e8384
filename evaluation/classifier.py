"""A classifier that tells from character n-grams which dataset a text comes from (scikit-learn)."""

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

PIECES = 1500  # of each dataset that the classifier learns from
LONGEST_PIECE = 300  # characters of a piece, for all datasets: enough to show a style
NGRAMS = (1, 4)  # shortest and longest, characters
SEED = 0  # of the pieces that are chosen, and of the learning
FEATURES = 1 << 18  # columns that n-grams are hashed into


class SourceClassifier:
    """A linear classifier of texts, trained on {dataset name: its real texts}."""

    def __init__(self, corpora: dict[str, list[str]]) -> None:
        self.names = list(corpora)
        rng = np.random.default_rng(SEED)
        texts, labels = [], []
        for label, documents in enumerate(corpora.values()):
            chosen = rng.choice(len(documents), PIECES, replace=len(documents) < PIECES)
            texts += [cut(documents[i], rng) for i in chosen]
            labels += [label] * PIECES
        vectorizer = HashingVectorizer(analyzer="char", ngram_range=NGRAMS, n_features=FEATURES, alternate_sign=False)
        self.pipeline = make_pipeline(vectorizer, SGDClassifier(alpha=1e-5, random_state=SEED, average=True))
        self.pipeline.fit(texts, labels)

    def confusion(self, texts: dict[str, list[str]]) -> np.ndarray:
        """{name: texts} -> (names, names) counts: row, where texts come from; column, what they are taken for."""
        rows = []
        for name in self.names:
            predicted = self.pipeline.predict([text[:LONGEST_PIECE] for text in texts[name]])
            rows.append(np.bincount(predicted, minlength=len(self.names)))
        return np.stack(rows)


def cut(text: str, rng: np.random.Generator) -> str:
    """At most LONGEST_PIECE characters of a text: half the time its opening, by which samples are judged."""
    if len(text) <= LONGEST_PIECE or rng.random() < 0.5:
        return text[:LONGEST_PIECE]
    start = int(rng.integers(len(text) - LONGEST_PIECE + 1))
    return text[start : start + LONGEST_PIECE]
