"""The tokens of a set, one after another: drawn, judged, and drawn again where a rule drops them. Writes no files.

Token k is judged beside the tokens before it and no others, so neither the size of a set nor of a batch can change it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from diffusion.samplers import SamplerSettings
from evaluation.reference import Reference, words
from generation.form import ANYTHING
from generation.writer import Draft, Writer, Written, write_drafts
from nft.rules import Candidate, Judge
from nft.traits import figures_of
from utils import sha256

DIGITS = 6  # that figures are kept with
Key = tuple[int, int]  # token, from 1; attempt, from 0


class Drawn(NamedTuple):
    """A text as it was written, and as the rules see it."""

    written: Written
    candidate: Candidate


class TextSource:
    """Texts by token and attempt, each a function of checkpoint, seed, token and attempt, whoever else is drawn."""

    def __init__(
        self, writer: Writer, settings: SamplerSettings, seed: int, reference: Reference, stamp: dict[str, Any]
    ) -> None:
        self.writer, self.settings, self.seed, self.reference = writer, settings, seed, reference
        self.stamp = stamp  # what every record says alike
        self.drawn: dict[Key, Drawn] = {}

    def draw(self, keys: Iterable[Key]) -> None:
        """Draw together what has not been drawn yet."""
        keys = [key for key in keys if key not in self.drawn]
        if not keys:
            return
        written = write(self.writer, self.settings, self.seed, keys)
        ids = [self.writer.vocabulary.encode(document.text) for document in written]
        for key, document, match, line in zip(
            keys, written, self.reference.matches(ids), self.reference.are_lines(ids), strict=True
        ):
            self.drawn[key] = Drawn(document, Candidate(document.text, int(match), line))

    def take(self, token: int, attempt: int) -> Drawn:
        self.draw([(token, attempt)])
        return self.drawn[token, attempt]


def write(writer: Writer, settings: SamplerSettings, seed: int, keys: list[Key]) -> list[Written]:
    """The texts of tokens and attempts; token k is document k - 1 of generate.py with the same seed."""
    drafts = [Draft(writer, ANYTHING, seed, token - 1, attempt) for token, attempt in keys]
    write_drafts(writer, drafts, settings)
    return [draft.written(writer.vocabulary) for draft in drafts]


def tokens(source: TextSource, judge: Judge, numbers: range, attempts: int) -> Iterator[dict[str, Any]]:
    """One record a token, in order."""
    # what a text breaks by itself it breaks in any company: all these are drawn again together
    pending: Iterable[int] = numbers
    for attempt in range(attempts):
        source.draw((token, attempt) for token in pending)
        pending = [
            token for token in pending if judge.judge(source.take(token, attempt).candidate, text_only=True).dropped
        ]
    for token in numbers:
        yield token_record(source, judge, token, attempts)
    source.drawn.clear()


def token_record(source: TextSource, judge: Judge, token: int, attempts: int) -> dict[str, Any]:
    """A token's record: of its first attempt that no rule drops, else of the last one, which is not accepted."""
    dropped: list[str] = []
    drawn = source.take(token, 0)
    verdict = judge.judge(drawn.candidate)
    while verdict.dropped and len(dropped) < attempts - 1:
        dropped.append(verdict.dropped)
        drawn = source.take(token, len(dropped))
        verdict = judge.judge(drawn.candidate)
    if verdict.dropped:
        dropped.append(verdict.dropped)
    else:
        judge.accept(verdict.text)
    figures = token_figures(drawn, verdict.text, source.reference)
    text = "" if verdict.dropped else verdict.text
    return {
        **source.stamp,
        "token_id": token,
        "seed": source.seed,
        "attempt": len(dropped) - bool(verdict.dropped),
        "accepted": not verdict.dropped,
        "text": text,
        "sha256": sha256(text),
        "drawn_sha256": sha256(drawn.written.text),
        "flags": verdict.flags,
        "dropped": dropped,
        **figures,
        "traits": figures_of({"text": verdict.text, **figures}),
    }


def token_figures(drawn: Drawn, text: str, reference: Reference) -> dict[str, Any]:
    """What a token's traits are made of."""
    spoken, (written, candidate) = words(text), drawn
    invented = sum(word not in reference.words for word in spoken)
    return {
        "chars": len(text),
        "longest_match": candidate.match,
        "novelty": round(1 - min(candidate.match / len(text), 1), DIGITS),
        "invented": round(invented / max(len(spoken), 1), DIGITS),
        **course(written),
    }


def course(written: Written) -> dict[str, Any]:
    """How a text came to be."""
    confidence = round(written.confidence, DIGITS)
    return {"confidence": confidence, "settling": written.settling, "corrections": written.corrections}
