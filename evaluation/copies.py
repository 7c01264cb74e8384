"""Which samples copy the text that a voice has learnt from, and what that means for publishing: the gauge."""

import re
import unicodedata

import numpy as np

from evaluation.metrics import DocumentGroup
from evaluation.records import Copies, Copy
from evaluation.reference import Reference
from text.vocabulary import codepoints, is_visible, nfc, visible

# the gauge says creating up to the first share of copies, memorising above the second
COPIES_CREATING, COPIES_MEMORISING = 0.01, 0.10
MOST_REPEATS = 0.10  # share of the first samples that may repeat earlier ones; a set leaves them out
FIRST = 200  # samples whose repeats say so: the more are drawn, the more of them are repeats
WORD = re.compile(r"[^\W\d_]+")
LATIN = re.compile("LATIN (SMALL|CAPITAL) LETTER [A-Z]( WITH .*)?")
MIXED_LETTERS = 1 / 16  # share of a text; with more of them, one in two passages may hold one
NONE_OF = 3.0  # if no sample of n copies, the share of copies is below 3 / n, with 95 % confidence
WORST = 10  # copies that a report shows


def find_copies(texts: list[str], written: DocumentGroup, *, unseen: bool) -> Copies:
    """Which samples are lines of the training text, hold more of it in a row than new real text does, or nearly recite
    one of its documents; and the gauge. `texts` are what was `written`, as text. `unseen`: text that the voice has
    learnt from is not at hand.
    """
    kinds, matches, reference = written.copies, written.matches, written.reference
    flagged = [int(i) for i in np.flatnonzero(kinds.all)]
    worst = sorted(flagged, key=lambda i: -matches[i])[:WORST]
    shown = list(map(visible, texts))
    different, first = len(set(shown)), shown[:FIRST]
    unknown = sum(not is_comparable(text, ids, reference) for text, ids in zip(texts, written.documents, strict=True))
    whole = not unseen and unknown <= COPIES_CREATING * len(texts)
    shares = kinds.lines.mean(), kinds.passages.mean(), kinds.beyond / len(texts), 1 - len(set(first)) / len(first)
    return Copies(
        bound=reference.copy_bound,
        share=len(flagged) / len(texts),
        calibrated_on=reference.calibrated_on,
        gauge=gauge(shares, different, reference.calibrated_on, whole),
        flagged=flagged,
        worst=[Copy(i, int(matches[i]), texts[i]) for i in worst],
        repeats=len(texts) - different,
        unknown=unknown,
        nearly=int(kinds.nearly.sum()),
    )


def is_comparable(text: str, ids: np.ndarray, reference: Reference) -> bool:
    """Whether copies in a text would be found: half of what it shows, accents aside, is known, and few words mix
    alphabets. A few unknown letters in such words break every passage.
    """
    plain = nfc(text)
    shown = sum(is_visible(c) and unicodedata.category(c)[0] != "M" for c in plain)
    mixed = "".join(word for word in WORD.findall(plain) if len(set(map(alphabet, word))) > 1)
    unknown = int((reference.vocabulary.ids_of_alike[codepoints(mixed)] == reference.vocabulary.unk).sum())
    return int(reference.visible[ids].sum()) >= max(shown, 1) / 2 and unknown <= MIXED_LETTERS * shown


def alphabet(letter: str) -> str:
    """Of which alphabet a letter is; small capitals and signs of sounds are of another than the Latin letters."""
    name = unicodedata.name(letter, "")
    return "phonetic" if name.startswith("LATIN") and not LATIN.fullmatch(name) else name[:5]


def gauge(shares: tuple[float, float, float, float], different: int, calibrated_on: int, whole: bool) -> str:
    """A word for how much a voice copies.

    `shares` of the samples: lines, with long passages, nearly recited beyond chance, repeats among the first.
    A line of the training text is always a copy. Copies may be missed with few different samples, with few real
    documents to tell what chance allows, or if not all was compared (`whole`).
    """
    lines, passages, nearly, repeats = shares
    # new text passes the longest of n matches once in n + 1 times; twice that is no sign of copying
    chance = 2 / (calibrated_on + 1)
    share = lines + max(passages - chance, 0) + nearly
    if share > COPIES_CREATING:
        return "in between" if share <= COPIES_MEMORISING else "memorising"
    if repeats > MOST_REPEATS:
        return "repeating"
    if not whole:
        return "not checked"
    if COPIES_CREATING + chance > COPIES_MEMORISING / 2 or NONE_OF / different > COPIES_MEMORISING:
        return "too few to tell"
    return "creating"
