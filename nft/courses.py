"""The lines of courses.jsonl: how the text of each token was written, which step wrote which character."""

from generation.course import Change, text_after, written_after
from nft.rules import BLOT
from nft.schemas import StoredCourse, canonical_json, parse
from nft.traits import Record
from utils import UserError


def course_line(token: int, course: list[Change]) -> bytes:
    """A line of the file; a token whose course is not known has an empty one."""
    return (canonical_json({"token_id": token, "course": course}) + "\n").encode()


def course_of(line: bytes, record: Record) -> list[Change]:
    """The course in a token's line; UserError where it is damaged, or leads to another text than the token's."""
    token = record["token_id"]
    where = f"courses.jsonl line {token}"
    found = parse(StoredCourse, line, where)
    course = [Change(*change) for change in found.course]
    if found.token_id != token:
        raise UserError(f"{where}: damaged: holds token {found.token_id}")
    if any(len(change.positions) != len(change.characters) for change in course):
        raise UserError(f"{where}: damaged: a step has more positions or characters than the other")
    if any(change.positions != sorted({*change.positions}) for change in course):
        raise UserError(f"{where}: damaged: the positions of a step are not in order")
    places = written_after(course).keys()
    if course and (text_after(course) != record["text"] or places != {*range(len(places))}):
        raise UserError(f"{where}: damaged: it does not lead to the token's text")
    if [change.step for change in course] != sorted(change.step for change in course):
        raise UserError(f"{where}: damaged: its steps are not in order")
    return course


def masked_course(course: list[Change], drawn: str, text: str) -> list[Change]:
    """A course as it may be shown: what a rule masked in the text never shows, at any step.

    `drawn` is the text before it was masked. A masked place gets its █ where it was last written.
    """
    pairs = enumerate(zip(drawn, text, strict=True))
    hidden = {place for place, (was, character) in pairs if character == BLOT != was}
    last = {place: index for index, change in enumerate(course) for place in change.positions if place in hidden}
    shown: list[Change] = []
    for index, (step, positions, characters) in enumerate(course):
        kept = [
            (place, BLOT if place in hidden else character)
            for place, character in zip(positions, characters, strict=True)
            if last.get(place, index) == index
        ]
        if kept:
            shown.append(Change(step, [place for place, _ in kept], "".join(character for _, character in kept)))
    return shown
