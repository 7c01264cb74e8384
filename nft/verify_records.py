"""Verifies the tokens of a set: each record against its text, the set's settings, the rules and the training text."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from command.console import progress
from command.messages import counted
from config.sets import Rules
from diffusion.samplers import settings_read
from nft.courses import course_line, course_of
from nft.edition import Edition
from nft.findings import Findings
from nft.formats import ONE_FORM, PUNCTUATION
from nft.originals import Originals
from nft.rules import BLOT, Candidate, Judge, Verdict
from nft.schemas import SetInfo, canonical_json, rules_with_defaults, sampler_with_defaults
from nft.tokens import candidates, common_fields, length_figures, text_figures
from nft.traits import Record, figures_of
from utils import UserError, sha256

TEXTS_AT_ONCE = 4096  # compared with the training text together, which is read once each time


def check_records(found: Findings, edition: Edition, at_hand: Originals, redrawn: set[int]) -> None:
    """Compare each token with its own text, with set.json, and with what the rules make of it.

    Of the tokens in `redrawn` the text that was masked is known, so they are not named as unchecked.
    """
    info = edition.info
    rules, unread = rules_with_defaults(info.rules), info.sampler.keys() - settings_read(info.sampler_settings()).keys()
    if unread and info.format >= ONE_FORM:
        what = f"settings that the sampler {info.sampler['sampler']} does not read"
        found.not_checked(f"set.json: {', '.join(sorted(unread))}: {what}")
    for line, record in zip(edition.lines, edition.every, strict=True):
        problems = [
            *written_otherwise(line, record), *drawn_otherwise(record, info), *other_outcome(record, rules),
            *other_traits(record, punctuation=info.format >= PUNCTUATION),
        ]  # fmt: skip
        report(found, record, problems)
    accepted = [record for record in edition.every if record["accepted"]]
    check_rules(found, accepted, Judge(at_hand.rules, info.copy_bound, info.format), at_hand)
    if masked := sum(is_masked(record) and record["token_id"] not in redrawn for record in accepted):
        found.not_checked(f"rules, copies and novelty of {counted(masked, 'token')} with masked text")


def check_courses(found: Findings, edition: Edition) -> Edition:
    """Compare each token's course with its text, and its line with the one that is written of it.

    -> the edition without the courses that are damaged.
    """
    if not edition.courses:
        return edition
    unknown, sound = 0, list(edition.courses)
    for line, record in zip(edition.courses, edition.every, strict=True):
        try:
            course = course_of(line, record)
        except UserError as error:
            found.differs(str(error))
            sound[record["token_id"] - 1] = course_line(record["token_id"], [])
            continue
        if course_line(record["token_id"], course) != line:
            found.differs(f"token {record['token_id']}: its line of courses.jsonl is not canonical JSON")
        unknown += record["accepted"] and not course
    if unknown:
        found.not_checked(f"the writing of {counted(unknown, 'token')}: courses.jsonl holds no course")
    return replace(edition, courses=sound)


def report(found: Findings, record: Record, problems: Iterable[str]) -> None:
    for problem in problems:
        found.differs(f"token {record['token_id']}: {problem}")


def written_otherwise(line: bytes, record: Record) -> Iterator[str]:
    """Where a record's line is not as it is written, or its hashes are not those of its text."""
    if f"{canonical_json(record)}\n".encode() != line:
        yield "its line of samples.jsonl is not canonical JSON"
    if sha256(record["text"]) != record["sha256"]:
        yield "its text has another hash than its record says"
    elif record["accepted"] and not is_masked(record) and record["sha256"] != record["drawn_sha256"]:
        yield "its text is not the one that was drawn"


def is_masked(record: Record) -> bool:
    """Whether a rule covered a part of the text that was drawn, which is therefore not known."""
    return BLOT in record["text"] and record["sha256"] != record["drawn_sha256"]


def drawn_otherwise(record: Record, info: SetInfo) -> Iterator[str]:
    """Where a record says that it was drawn with other settings than set.json does."""
    expected, own = common_fields(info), {**record}
    if info.format < ONE_FORM:  # its tokens may come from versions with more and with fewer settings
        for origin in (expected, own):
            origin["sampler"] = settings_read(sampler_with_defaults(origin["sampler"]))
    for key, value in expected.items():
        if canonical_json(own[key]) != canonical_json(value):
            yield f"its {key} is not that of set.json"


def other_outcome(record: Record, rules: Rules) -> Iterator[str]:
    """Where the attempts, the rules that dropped a text, and whether one was accepted do not go together."""
    attempts = len(record["dropped"]) + record["accepted"]
    if record["attempt"] != attempts - 1 or attempts > rules.attempts:
        dropped = counted(len(record["dropped"]), "text")
        yield f"its attempt {record['attempt']} does not follow from the {dropped} dropped before"
    elif not record["accepted"] and attempts != rules.attempts:
        yield f"it is not accepted, but only {attempts} of {counted(rules.attempts, 'attempt')} were made"
    for key, actions in (("dropped", ("drop",)), ("flags", ("flag", "mask"))):
        if other := [rule for rule in record[key] if getattr(rules, rule) not in actions]:
            yield f"its {key} name {', '.join(other)}, which {' and '.join(actions)} no text"
    if record["accepted"] and is_masked(record) and all(getattr(rules, rule) != "mask" for rule in record["flags"]):
        yield "a part of its text is masked, but none of its flags masks"
    if record["accepted"] != bool(record["text"]):
        yield "it is accepted without a text" if record["accepted"] else "it has a text, but is not accepted"


def other_traits(record: Record, *, punctuation: bool) -> Iterator[str]:
    """Where figures and traits do not follow from the text and from each other."""
    figures = length_figures(record["text"], record["longest_match"]) if record["accepted"] else {}
    yield from other_values(record, figures)
    known = figures_of(record, punctuation=punctuation)
    if not record["accepted"]:  # the text that would tell is not kept
        known["Characters"] = record["traits"]["Characters"]
    if canonical_json(record["traits"]) != canonical_json(known):
        yield "its traits do not follow from its figures"


def other_values(record: Record, expected: dict[str, Any]) -> Iterator[str]:
    """Where a record has other values than expected."""
    for key, value in expected.items():
        if record[key] != value:
            yield f"its {key} is {record[key]}, but follows as {value}"


def check_rules(found: Findings, accepted: list[Record], judge: Judge, at_hand: Originals) -> None:
    """Judge the accepted texts again, each after those before it; compare what they share with the training text.

    Of a masked text, only what the mask left is known.
    """
    with progress("texts judged again", len(accepted)) as advance:
        for record, candidate in zip(accepted, candidates_of(accepted, at_hand), strict=True):
            if not is_masked(record):
                verdict = judge.judge(candidate)
                report(found, record, other_verdict(record, verdict, knows_words=at_hand.knows_words))
            if at_hand.reference:
                figures = text_figures(candidate.text, candidate.longest_match, at_hand.reference)
                known = ("invented",) if is_masked(record) else ("invented", "longest_match")
                report(found, record, other_values(record, {key: figures[key] for key in known}))
            judge.accept(record["text"])
            advance(1)


def candidates_of(accepted: list[Record], at_hand: Originals) -> Iterator[Candidate]:
    """The texts with what they share with the training text; as their records say if that text is not at hand."""
    if not at_hand.reference or not at_hand.checkpoint:
        yield from (Candidate(r["text"], r["longest_match"], "copies" in r["flags"]) for r in accepted)
        return
    for first in range(0, len(accepted), TEXTS_AT_ONCE):
        texts = [record["text"] for record in accepted[first : first + TEXTS_AT_ONCE]]
        yield from candidates(texts, at_hand.checkpoint.vocabulary, at_hand.reference)


def other_verdict(record: Record, verdict: Verdict, *, knows_words: bool) -> Iterator[str]:
    """Where the rules decide otherwise about a text than its record says."""
    flags = [flag for flag in record["flags"] if knows_words or flag != "words"]
    if verdict.dropped:
        yield f"the rule {verdict.dropped} drops its text"
    elif verdict.text != record["text"]:
        yield f"the rules mask a part of its text ({', '.join(verdict.flags)})"
    elif verdict.flags != flags:
        yield f"its flags are {flags}, but follow as {verdict.flags}"
