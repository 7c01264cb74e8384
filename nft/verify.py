"""Verifies a finished set: recomputes what can be, draws tokens again, and says what it could not check."""

import argparse
import random
from collections.abc import Iterator

from command.console import progress
from command.messages import counted, say
from command.options import check_numbers
from generation.writer import Writer
from nft.courses import masked_course
from nft.edition import Edition
from nft.findings import Findings
from nft.formats import SETTINGS_COVERED
from nft.originals import Originals, find_originals
from nft.rules import Judge
from nft.schemas import SetInfo, canonical_json
from nft.store import SetFolder, check_known, indented_json, selection_json
from nft.summary import say_what_to_publish
from nft.tokens import DrawnToken, TextSource, draw_token, identity_of, masked_like, writing_figures, written_attempts
from nft.traits import Record
from nft.verify_files import check_files
from nft.verify_records import check_courses, check_records
from utils import pick_device, sha256, utf8

AT_ONCE = 64  # tokens that are drawn together


def verify_set(arguments: argparse.Namespace) -> int:
    """Verify a set; print what does not match and what could not be checked; -> exit status, 1 if anything differs."""
    check_numbers(arguments, {"tokens": (0, None)})
    found = Findings()
    with SetFolder.opened(arguments.folder, to_read=True) as folder:
        edition = folder.edition()  # once: where nothing can be written the set is not locked, and may grow
        check_sources(found, folder, edition.info)
        if not edition.records:
            found.not_checked("tokens: the set publishes none")
        at_hand = find_originals(found, edition.info, arguments)
        edition = check_courses(found, edition)
        redrawn = check_drawing(found, edition, at_hand, arguments)
        check_records(found, edition, at_hand, redrawn)
        check_files(found, folder, edition)
    if not edition.info.base_uri:
        say("pictures are named by relative paths, which no marketplace follows; export --base-uri gives an address")
    say_what_to_publish(edition)
    print(f"{counted(len(edition.every), 'token')}: {found.summary()}")
    return 1 if found.wrong else 0


def check_sources(found: Findings, folder: SetFolder, info: SetInfo) -> None:
    """Compare set.json and selection.json, and the form of each setting, with what this program writes.

    In another form, other programs may read other values, and the same tokens have another hash.
    """
    if (kept := folder.selection()) is not None and folder.read_file("selection.json") != utf8(selection_json(kept)):
        found.differs("selection.json: not as its values are written; select writes it again")
    if info.format < SETTINGS_COVERED:
        found.not_checked("set.json: the provenance of sets of this earlier version does not cover it")
        return
    if folder.read_file("set.json") != utf8(indented_json(info.plain())):
        found.differs("set.json: not as its values are written; export writes it again")
    written = info.drawn_with()  # with all settings: those of this format hold them, those not read are named elsewhere
    for key in ("sampler", "rules"):
        own = {name: value for name, value in getattr(info, key).items() if name in written[key]}
        if canonical_json(own) != canonical_json(written[key]):
            found.differs(f"set.json: its {key} lack a setting, or hold one in another form than it is written in")


def check_drawing(found: Findings, edition: Edition, at_hand: Originals, arguments: argparse.Namespace) -> set[int]:
    """Draw some tokens again and compare them; -> those of which the whole record came out the same."""
    if not at_hand.checkpoint:
        return set()
    info, records = edition.info, edition.every
    writer = Writer.of(at_hand.checkpoint, pick_device(arguments.device))
    here = identity_of(at_hand.checkpoint, writer, info.identity["device"])
    elsewhere = [f"{key} {info.identity[key]}" for key in ("version", "device") if here[key] != info.identity[key]]
    if elsewhere:
        say(f"drawn with {', '.join(elsewhere)}; here a text may come out different, and the stored one counts")
    chosen = named(records, arguments) if arguments.token else sampled(records, arguments.tokens)
    again = writings_again(writer, chosen, info)
    reference = at_hand.reference if at_hand.knows_words else None  # without all rules, no whole record comes out
    if reference:
        judge = Judge(at_hand.rules, info.copy_bound, info.format)
        again = records_again(TextSource(writer, info, reference), judge, chosen, records)
    same: set[int] = set()
    with progress("tokens drawn again", len(chosen)) as advance:
        for record, (expected, course) in again:
            advance(1)
            other = [key for key, value in expected.items() if record[key] != value]
            other += ["course"] * (course != edition.course(record) != [])
            if other:
                what = f"token {record['token_id']}: drawn again, it is another text or has other figures"
                (found.not_checked if elsewhere else found.differs)(f"{what} ({', '.join(other)})")
            else:
                same.add(record["token_id"])
    print(f"{counted(len(chosen), 'token')} drawn again, {len(same)} the same")
    if left := len(records) - len(chosen):
        found.not_checked(f"the drawing of {counted(left, 'token')}; --tokens {len(records)} draws all again")
    return same if reference else set()


def sampled(records: list[Record], count: int) -> list[Record]:
    """Some tokens, in order; which ones, nobody can know before."""
    return [records[k] for k in sorted(random.SystemRandom().sample(range(len(records)), min(count, len(records))))]


def named(records: list[Record], arguments: argparse.Namespace) -> list[Record]:
    """The tokens of --token. Raises UserError for an id that no token has."""
    wanted = set(arguments.token)
    check_known(arguments.folder, wanted - {record["token_id"] for record in records})
    return [record for record in records if record["token_id"] in wanted]


def records_again(
    source: TextSource, judge: Judge, chosen: list[Record], records: list[Record]
) -> Iterator[tuple[Record, DrawnToken]]:
    """Each chosen record, and the token when its texts are drawn and judged again after the tokens before it."""
    ahead = {part[0]["token_id"]: part for part in parts_of(chosen)}
    numbers = {record["token_id"] for record in chosen}
    for record in records:
        if part := ahead.get(record["token_id"]):
            source.drawn.clear()
            attempts = ((r["token_id"], min(len(r["dropped"]) + 1, judge.config.attempts)) for r in part)
            source.draw((token, attempt) for token, count in attempts for attempt in range(count))
        if record["token_id"] in numbers:
            yield record, draw_token(source, judge, record["token_id"])
        if record["accepted"]:
            judge.accept(record["text"])


def writings_again(writer: Writer, chosen: list[Record], info: SetInfo) -> Iterator[tuple[Record, DrawnToken]]:
    """Each chosen record, and how the model writes the text of its last attempt."""
    for part in parts_of(chosen):
        keys = [(record["token_id"], record["attempt"]) for record in part]
        again = written_attempts(writer, info.sampler_settings(), info.seed, keys)
        for record, written in zip(part, again, strict=True):
            text = masked_like(written, record["text"]) if record["accepted"] else ""
            figures = {"text": text, "drawn_sha256": sha256(written.text), **writing_figures(written)}
            yield record, DrawnToken(figures, masked_course(written.course, written.text, text) if text else [])


def parts_of(chosen: list[Record]) -> list[list[Record]]:
    """The tokens in the parts that are drawn together."""
    return [chosen[first : first + AT_ONCE] for first in range(0, len(chosen), AT_ONCE)]
