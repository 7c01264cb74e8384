"""What tells a set's tokens apart: a few figures of each, banded by the set's own quantiles. Knows no rules."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

Record = dict[str, Any]  # one token of samples.jsonl, without its traits
Bands = dict[str, dict[str, list]]  # for each trait the names of its bands and the edges between them

QUANTILES = (0.1, 0.35, 0.65, 0.9)  # where bands part: the outer ones are the rarer


def mix(text: str) -> str:
    """The rarest kind of character that a text holds."""
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
    "Corrections": (lambda r: r["corrections"] / r["chars"], ("fewest", "few", "some", "many", "most")),
}


def figures_of(record: Record) -> dict[str, float | str]:
    return {name: figure(record) for name, (figure, _) in TRAITS.items()}


def bands_of(tokens: list[dict[str, float | str]]) -> Bands:
    """Bands by the tokens' own quantiles; a trait that is the same for all tokens is left out."""
    bands: Bands = {}
    for name, (_, labels) in TRAITS.items():
        values = [token[name] for token in tokens]
        if labels:
            quantiles = np.quantile(np.array(values, dtype=float), QUANTILES)
            edges = sorted({float(q) for q in quantiles if q > min(values)})  # among equal values quantiles coincide
            chosen = np.linspace(0, len(labels) - 1, len(edges) + 1).round().astype(int)
            bands[name] = {"edges": edges, "labels": [labels[i] for i in chosen]}
        else:
            bands[name] = {"edges": [], "labels": sorted(set(values))}
    return {name: band for name, band in bands.items() if len(band["labels"]) > 1}


def traits_of(figures: dict[str, float | str], bands: Bands) -> dict[str, str]:
    """A token's band in each trait."""

    def band(value: float | str, edges: list[float], labels: list[str]) -> str:
        return value if isinstance(value, str) else labels[int(np.searchsorted(edges, value, side="right"))]

    return {name: band(figures[name], **parts) for name, parts in bands.items()}


def rarity(traits: list[dict[str, str]]) -> list[float]:
    """Information content of each token: the sum over its traits of -log2 of the share of tokens alike, in bits."""
    counts = Counter((name, value) for token in traits for name, value in token.items())
    return [sum(-math.log2(counts[item] / len(traits)) for item in token.items()) for token in traits]
