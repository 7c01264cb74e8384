"""The traits of tokens and their rarity: a few figures of each token, sorted into bands by the set's own quantiles."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from nft.rules import BLOT

Record = dict[str, Any]  # a line of samples.jsonl as it is read: the fields of StoredToken in schemas.py
Bands = dict[str, dict[str, list]]  # trait -> "labels", the names of its bands, and "edges", the figures between them

QUANTILES = (0.1, 0.35, 0.65, 0.9)  # between bands: the first and the last band are the rarest


def rarest_kind_of_character(text: str) -> str:
    """The rarest kind of character in a text; masked characters do not count."""
    text = text.replace(BLOT, "")
    if any(not character.isascii() for character in text):
        return "beyond ASCII"
    if any(not (c.isalnum() or c.isspace() or c in ".,;:!?'\"()-") for c in text):
        return "symbols"
    if any(character.isdigit() for character in text):
        return "digits"
    return "letters alone" if all(c.isalpha() or c.isspace() for c in text) else "punctuation"


# name: (function of a token that gives a figure or a word, names of its bands from low to high; none for words)
TRAITS: dict[str, tuple[Callable[[Record], float | str], tuple[str, ...]]] = {
    "Length": (lambda r: r["chars"], ("shortest", "short", "medium", "long", "longest")),
    "Characters": (lambda r: rarest_kind_of_character(r["text"]), ()),
    "Invented words": (lambda r: r["invented"], ("fewest", "few", "some", "many", "most")),
    "Novelty": (lambda r: r["novelty"], ("lowest", "low", "middle", "high", "highest")),
    "Confidence": (lambda r: r["confidence"], ("least", "less", "middle", "more", "most")),
    "Settling": (lambda r: r["settling"], ("earliest", "early", "middle", "late", "latest")),
    "Corrections": (lambda r: r["corrections"] / max(r["chars"], 1), ("fewest", "few", "some", "many", "most")),
}


def figures_of(record: Record, *, punctuation: bool = True) -> dict[str, float | str]:
    """A token's figure, or word, for each trait; without `punctuation` this counts as letters, as in the first sets."""
    figures = {name: figure(record) for name, (figure, _) in TRAITS.items()}
    if not punctuation and figures["Characters"] == "punctuation":
        figures["Characters"] = "letters alone"
    return figures


def bands_of(tokens: list[dict[str, float | str]]) -> Bands:
    """The bands of each trait, from the figures of all tokens; a trait that is the same for all is left out."""
    bands = {name: bands_of_trait([token[name] for token in tokens], labels) for name, (_, labels) in TRAITS.items()}
    return {name: parts for name, parts in bands.items() if len(parts["labels"]) > 1}


def bands_of_trait(values: list[float | str], labels: tuple[str, ...]) -> dict[str, list]:
    """The edges between the bands of one trait, and the names of the bands; each word is a band of its own."""
    if not labels or not values:
        return {"edges": [], "labels": sorted(set(map(str, values)))}
    figures = np.array(values, dtype=float)
    above = figures[figures > figures.min()]
    # equal quantiles are one edge
    edges = sorted({float(q) for q in np.quantile(figures, QUANTILES) if q > figures.min()})
    if len(above) and not edges:  # nearly all tokens have the least figure: the others are the second band
        edges = [float(above.min())]
    chosen = np.linspace(0, len(labels) - 1, len(edges) + 1).round().astype(int)
    return {"edges": edges, "labels": [labels[i] for i in chosen]}


def traits_of(figures: dict[str, float | str], bands: Bands) -> dict[str, str]:
    """The name of a token's band in each trait."""

    def band_of(value: float | str, edges: list[float], labels: list[str]) -> str:
        return value if isinstance(value, str) else labels[int(np.searchsorted(edges, value, side="right"))]

    return {name: band_of(figures[name], **parts) for name, parts in bands.items()}


def rarity(traits: list[dict[str, str]]) -> list[float]:
    """Information content of each token in bits: sum over its traits of -log2(share of the tokens with that trait)."""
    return [math.fsum(-math.log2(count / len(traits)) for count in counts) for counts in trait_counts(traits)]


def ranks(traits: list[dict[str, str]], *, rounded: bool = False) -> list[int]:
    """The rank of each token by its rarity, from 1, the rarest; equally rare ones keep their order.

    `rounded`, as before EXACT_RANKS: sums of rounded logarithms are compared. Then few are equally rare, and in Python
    3.12 other ones than before.
    """
    every = trait_counts(traits)
    if rounded:
        common = [-sum(-math.log2(count / len(traits)) for count in counts) for counts in every]
    else:  # the same order in whole numbers: all have equally many traits
        common = [math.prod(counts) for counts in every]
    order = sorted(range(len(common)), key=common.__getitem__)
    return [place + 1 for place in sorted(range(len(order)), key=order.__getitem__)]


def trait_counts(traits: list[dict[str, str]]) -> list[list[int]]:
    """How many tokens have each trait of a token."""
    counts = Counter((name, value) for token in traits for name, value in token.items())
    return [[counts[item] for item in token.items()] for token in traits]
