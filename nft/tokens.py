"""Draws the tokens of a set: a model writes each text, the rules judge it, and a text that they drop is drawn again.

Token k is compared with tokens 1 to k - 1 alone, so it depends neither on the size of the set nor on that of a batch.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from diffusion.sampler_settings import SamplerSettings
from diffusion.samplers import SAMPLERS
from evaluation.reference import Reference, words
from generation.checkpoint import Checkpoint
from generation.course import Change
from generation.draft import Draft, Written
from generation.prompt import ANYTHING
from generation.writer import VERSIONS, Progress, Writer, machine_names
from nft.courses import masked_course
from nft.formats import PUNCTUATION
from nft.rules import BLOT, Candidate, Judge
from nft.schemas import SetInfo
from nft.traits import Record, figures_of
from text.vocabulary import Vocabulary
from utils import UserError, sha256

DECIMALS = 6  # decimal places of the figures of a token
Key = tuple[int, int]  # token from 1, attempt from 0


class Drawn(NamedTuple):
    """A text as the model wrote it, and as the rules judge it."""

    written: Written
    candidate: Candidate


class DrawnToken(NamedTuple):
    """What a set stores of a token: its record in samples.jsonl, and its course in courses.jsonl."""

    record: Record
    course: list[Change]


class TextSource:
    """The texts by token and attempt; each depends on model, sampler settings, seed, token and attempt alone."""

    def __init__(self, writer: Writer, info: SetInfo, reference: Reference) -> None:
        self.writer, self.info, self.reference = writer, info, reference
        self.settings = info.sampler_settings()
        self.drawn: dict[Key, Drawn] = {}  # of the batch at hand

    def draw(self, keys: Iterable[Key], progress: Progress | None = None) -> None:
        """Draw the texts of these keys together, except those that are there already."""
        keys = [key for key in keys if key not in self.drawn]
        if not keys:
            return
        written = written_attempts(self.writer, self.settings, self.info.seed, keys, progress)
        judged = candidates([document.text for document in written], self.writer.vocabulary, self.reference)
        self.drawn |= {key: Drawn(*pair) for key, pair in zip(keys, zip(written, judged, strict=True), strict=True)}

    def text_of(self, token: int, attempt: int) -> Drawn:
        """The text of one attempt, drawn now if it is not there."""
        self.draw([(token, attempt)])
        return self.drawn[token, attempt]


def candidates(texts: list[str], vocabulary: Vocabulary, reference: Reference) -> list[Candidate]:
    """These texts with what they share with the training text."""
    ids = [vocabulary.encode(text) for text in texts]
    matches, are_lines = reference.matches(ids), reference.are_lines(ids)
    return [Candidate(text, int(match), line) for text, match, line in zip(texts, matches, are_lines, strict=True)]


def written_attempts(
    writer: Writer, settings: SamplerSettings, seed: int, keys: list[Key], progress: Progress | None = None
) -> list[Written]:
    """Write the texts of these keys together; token k is document k - 1 of generate.py with the same seed."""
    process = writer.run.diffusion.process
    if SAMPLERS[settings.sampler].fills_masks and process != "absorbing":  # set.json may be a stranger's
        raise UserError(f"set.json: the sampler {settings.sampler} fills masks, and the model's process is {process}")
    drafts = [Draft(writer, ANYTHING, seed, token - 1, attempt) for token, attempt in keys]
    return writer.machines.written(writer, drafts, settings, progress)


def draw_tokens(source: TextSource, judge: Judge, numbers: range, progress: Progress) -> list[DrawnToken]:
    """These tokens, in order; `progress` is told how many have their first text."""
    # the rules that look at one text alone come first: what they drop is drawn again in whole batches, which is faster
    pending: Iterable[int] = numbers
    for attempt in range(judge.config.attempts):
        source.draw(((token, attempt) for token in pending), None if attempt else progress)
        texts = {token: source.text_of(token, attempt).candidate for token in pending}
        pending = [token for token, text in texts.items() if judge.judge(text, text_only=True).dropped]
    tokens = []
    for token in numbers:
        record, course = draw_token(source, judge, token)
        if record["accepted"]:
            judge.accept(record["text"])
        tokens.append(DrawnToken({**common_fields(source.info), **record}, course))
    source.drawn.clear()
    return tokens


def draw_token(source: TextSource, judge: Judge, token: int) -> DrawnToken:
    """A token with its first text that no rule drops, or with its last text, which is then not accepted.

    Its record lacks the fields of `common_fields`.
    """
    dropped: list[str] = []
    drawn = source.text_of(token, 0)
    verdict = judge.judge(drawn.candidate)
    while verdict.dropped and len(dropped) < judge.config.attempts - 1:
        dropped.append(verdict.dropped)
        drawn = source.text_of(token, len(dropped))
        verdict = judge.judge(drawn.candidate)
    if verdict.dropped:
        dropped.append(verdict.dropped)
    match = drawn.candidate.longest_match
    figures = {**text_figures(verdict.text, match, source.reference), **writing_figures(drawn.written)}
    text = "" if verdict.dropped else verdict.text
    record = {
        "token_id": token,
        "attempt": len(dropped) - bool(verdict.dropped),
        "accepted": not verdict.dropped,
        "text": text,
        "sha256": sha256(text),
        "drawn_sha256": sha256(drawn.written.text),
        "flags": verdict.flags,
        "dropped": dropped,
        **figures,
        "traits": figures_of({"text": verdict.text, **figures}, punctuation=source.info.format >= PUNCTUATION),
    }
    return DrawnToken(record, masked_course(drawn.written.course, drawn.written.text, text) if text else [])


def common_fields(info: SetInfo) -> dict[str, Any]:
    """The fields that every record of a set holds with the same value."""
    return {"sampler": info.sampler, "seed": info.seed, **info.identity}


def masked_like(written: Written, text: str) -> str:
    """What the model wrote, masked where a text of the same length is."""
    if len(written.text) != len(text):
        return written.text
    return "".join(BLOT if masked == BLOT else own for own, masked in zip(written.text, text, strict=True))


def courses_again(writer: Writer, info: SetInfo, records: list[Record]) -> list[list[Change]]:
    """How the accepted texts of these tokens are written when they are drawn again.

    Empty for a token that is not accepted, and where another text comes out: with another version or device, or because
    somebody changed it.
    """
    keys = [(record["token_id"], record["attempt"]) for record in records if record["accepted"]]
    written = dict(zip(keys, written_attempts(writer, info.sampler_settings(), info.seed, keys), strict=True))

    def course(record: Record) -> list[Change]:
        own = written.get((record["token_id"], record["attempt"])) if record["accepted"] else None
        if not own or sha256(own.text) != record["drawn_sha256"] or masked_like(own, record["text"]) != record["text"]:
            return []
        return masked_course(own.course, own.text, record["text"])

    return [course(record) for record in records]


def text_figures(text: str, longest_match: int, reference: Reference) -> dict[str, Any]:
    """The figures of a record that describe its text, and how much of it is in the training text."""
    found = words(text)
    invented = sum(word not in reference.words for word in found)
    return {**length_figures(text, longest_match), "invented": round(invented / max(len(found), 1), DECIMALS)}


def length_figures(text: str, longest_match: int) -> dict[str, Any]:
    """The figures of a record that follow from its text and the length of its longest match with the training text."""
    novelty = round(1 - min(longest_match / max(len(text), 1), 1), DECIMALS)
    return {"chars": len(text), "longest_match": longest_match, "novelty": novelty}


def writing_figures(written: Written) -> dict[str, Any]:
    """The figures of a record that describe how the model wrote its text."""
    confidence = round(written.confidence, DECIMALS)
    return {"confidence": confidence, "settling": written.settling, "corrections": written.corrections}


def identity_of(checkpoint: Checkpoint, writer: Writer, stored: str) -> dict[str, str]:
    """What a token's text depends on, besides the seed and the sampler settings.

    Where a set names less of the machine, as those of earlier versions do, no more can be compared.
    """
    names = machine_names(writer)
    device = stored if stored in names else names[-1]
    return {
        "model_sha256": checkpoint.file_sha256,
        "config_sha256": checkpoint.training_sha256,
        "data_sha256": checkpoint.data_sha256,
        "version": VERSIONS,
        "device": device,
    }
