"""What a set holds, changes to it as a forger would make them, and sets without a model, for the tests of sets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import collection
from generation.course import Change
from nft.animation import WRITERS, frames
from nft.contact_sheet import contact_sheet
from nft.courses import course_line, course_of
from nft.edition import Edition
from nft.files import pages
from nft.formats import SET_FORMAT
from nft.schemas import SetInfo
from nft.store import indented_json
from nft.traits import bands_of, figures_of
from pages.themes import Theme
from utils import UserError


def animation(kind: str, text: str, course: list[Change], caption: str, theme: Theme) -> bytes:
    """A token as an animation of this kind."""
    return WRITERS[kind](frames(text, course, caption, theme), theme)


def texts(folder: Path) -> list[str]:
    return [record["text"] for record in records(folder)]


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]


def alter(path: Path, old: str, new: str) -> None:
    """Replace one passage of a text file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")


def change_tokens(folder: Path, token: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change fields of a token's record, and write its line as canonical JSON."""
    found = records(folder)
    found[token - 1] |= change(found[token - 1])
    lines = [json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for record in found]
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    fit_courses(folder)


def info_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "set.json").read_text("utf-8"))


def change_info(folder: Path, **changes: Any) -> None:
    """Change fields of set.json, and write it as this program does."""
    (folder / "set.json").write_text(indented_json(info_of(folder) | changes), encoding="utf-8", newline="\n")


def select(folder: Path, tokens: str) -> int:
    """Select tokens by a file of a person's; -> exit status."""
    keep = folder.with_name("keep.txt")
    keep.write_text(tokens, encoding="utf-8")
    return collection.main(["select", str(folder), "--keep", str(keep)])


def fit_courses(folder: Path) -> None:
    """Give each token whose course leads to another text a course that writes its text at once."""
    path = folder / "courses.jsonl"
    fitting = []
    for line, record in zip(path.read_bytes().splitlines(keepends=True), records(folder), strict=True):
        try:
            course_of(line, record)
            fitting.append(line)
        except UserError:
            text = record["text"]
            fitting.append(course_line(record["token_id"], [Change(1, list(range(len(text))), text)] if text else []))
    path.write_bytes(b"".join(fitting))


def course_to(text: str) -> list[Change]:
    """A course that writes a text: from its two ends in turns, a wrong character first at every third place."""
    order = sorted(range(len(text)), key=lambda place: min(place, len(text) - 1 - place))
    size = max(1, len(text) // 40)
    groups = [sorted(order[start : start + size]) for start in range(0, len(text), size)]
    course = [
        Change(2 * k + 1, own, "".join("#" if place % 3 == 0 else text[place] for place in own))
        for k, own in enumerate(groups)
    ]
    wrong = list(range(0, len(text), 3))
    return [*course, Change(2 * len(groups) + 5, wrong, "".join(text[place] for place in wrong))]


def made_up_edition(texts: dict[int, str], *pieces: str) -> Edition:
    """A set of these texts by token id, with these pieces of each, without a model; token 13 has a flag."""
    records = []
    for token, text in texts.items():
        share = token % 10 / 10
        figures = {"chars": len(text), "novelty": share, "confidence": 1 - share, "invented": 0.0}
        record = {
            "token_id": token,
            "text": text,
            "flags": ["words"] * (token == 13),
            "settling": 0,
            "corrections": 0,
            **figures,
        }
        records.append({**record, "traits": figures_of(record)})
    lines = {token: course_line(token, course_to(text)) for token, text in texts.items()}
    courses = [lines.get(token, b"") for token in range(1, max(texts) + 1)]
    drawn_with = {"format": SET_FORMAT, "identity": {}, "seed": 0, "sampler": {}, "rules": {}, "word_list_sha256": ""}
    origin = {"name": "toy", "license": "", "source": ""}
    info = {**drawn_with, **origin, "title": "made up", "base_uri": "", "pieces": [*pieces], "theme": "paper"}
    bands = bands_of([record["traits"] for record in records])
    return Edition(SetInfo.model_construct(**info), records, bands, courses)


def made_up_set(folder: Path, texts: dict[int, str]) -> Edition:
    """The same with all that a browser shows of it written to a folder: the contact sheet, and two pieces of each."""
    edition = made_up_edition(texts, "svg", "html")
    (folder / "images").mkdir(parents=True)
    for number, record, _ in edition.numbered:
        for path, text in pages(edition, number, record):
            (folder / path).write_text(text, encoding="utf-8", newline="\n")
    (folder / "index.html").write_text(contact_sheet(edition), encoding="utf-8", newline="\n")
    return edition
