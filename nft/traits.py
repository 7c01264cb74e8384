"""What tells a set's tokens apart: a few figures of each, banded by the set's own quantiles. Knows no rules."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from nft.rules import BLOT

Record = dict[str, Any]  # one token of samples.jsonl, without its traits
Bands = dict[str, dict[str, list]]  # for each trait the names of its bands and the edges between them

QUANTILES = (0.1, 0.35, 0.65, 0.9)  # where bands part: the outer ones are the rarer


def mix(text: str) -> str:
    """The rarest kind of character that a text holds, blots aside."""
    text = text.replace(BLOT, "")
    if any(not character.isascii() for character in text):
        return "beyond ASCII"
    if any(not (c.isalnum() or c.isspace() or c in ".,;:!?'\"()-") for c in text):
        return "symbols"
    if any(character.isdigit() for character in text):
        return "digits"
    return "letters alone"


# name: (a token's figure, or a word; the names of five bands from the lowest, none where it is a word)
TRAITS: dict[str, tuple[Callable[[Record], float | str], tuple[str, ...]]] = {
    "Length": (lambda r: r["chars"], ("shortest", "short", "medium", "long", "longest")),
    "Characters": (lambda r: mix(r["text"]), ()),
    "Invented words": (lambda r: r["invented"], ("fewest", "few", "some", "many", "most")),
    "Novelty": (lambda r: r["novelty"], ("lowest", "low", "middle", "high", "highest")),
    "Confidence": (lambda r: r["confidence"], ("least", "less", "middle", "more", "most")),
    "Settling": (lambda r: r["settling"], ("earliest", "early", "middle", "late", "latest")),
    "Corrections": (lambda r: r["corrections"] / max(r["chars"], 1), ("fewest", "few", "some", "many", "most")),
}


def figures_of(record: Record) -> dict[str, float | str]:
    return {name: figure(record) for name, (figure, _) in TRAITS.items()}


def bands_of(tokens: list[dict[str, float | str]]) -> Bands:
    """Bands by the tokens' own quantiles; a trait that is the same for all tokens is left out."""
    bands = {name: band([token[name] for token in tokens], labels) for name, (_, labels) in TRAITS.items()}
    return {name: parts for name, parts in bands.items() if len(parts["labels"]) > 1}


def band(values: list[float | str], labels: tuple[str, ...]) -> dict[str, list]:
    """Edges between bands and the bands' names; words, which have no names, are bands themselves."""
    if not labels or not values:
        return {"edges": [], "labels": sorted(set(map(str, values)))}
    figures = np.array(values, dtype=float)
    above = figures[figures > figures.min()]
    # the quantiles of equal values are equal; where nearly all are, what differs stands out
    edges = sorted({float(q) for q in np.quantile(figures, QUANTILES) if q > figures.min()})
    if len(above) and not edges:
        edges = [float(above.min())]
    chosen = np.linspace(0, len(labels) - 1, len(edges) + 1).round().astype(int)
    return {"edges": edges, "labels": [labels[i] for i in chosen]}


def traits_of(figures: dict[str, float | str], bands: Bands) -> dict[str, str]:
    """A token's band in each trait."""

    def name_of(value: float | str, edges: list[float], labels: list[str]) -> str:
        return value if isinstance(value, str) else labels[int(np.searchsorted(edges, value, side="right"))]

    return {name: name_of(figures[name], **parts) for name, parts in bands.items()}


def rarity(traits: list[dict[str, str]]) -> list[float]:
    """Information content of each token: the sum over its traits of -log2 of the share of tokens alike, in bits."""
    counts = Counter((name, value) for token in traits for name, value in token.items())
    return [sum(-math.log2(counts[item] / len(traits)) for item in token.items()) for token in traits]
