"""Recomputes a finished set from its tokens, draws some again, and says what does not match. Mends nothing."""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checkpoint import load_checkpoint
from corpus import hash_file
from editions import FOLDERS, Folder, texts
from metadata import canonical
from tokens import write
from utils import pick_device, sha256
from writer import Voice


def verify_set(arguments: argparse.Namespace) -> int:
    """-> exit status, 1 where something does not match."""
    with Folder.held(arguments.folder) as folder:
        records = folder.records()
        problems = [*check_records(folder, records), *check_files(folder), *check_drawing(folder, records, arguments)]
    for problem in problems:
        print(f"does not match: {problem}")
    if not problems:
        again = min(arguments.tokens, len(records))
        print(f"{len(records)} tokens, their hashes and files match; {again} drawn again were the same")
    return 1 if problems else 0


def check_records(folder: Folder, records: list[dict[str, Any]]) -> Iterator[str]:
    lines = folder.samples.read_bytes().splitlines()
    for line, record in zip(lines, records, strict=True):
        token = record["token_id"]
        if canonical(record).encode("utf-8") != line:
            yield f"token {token}: its line of samples.jsonl is not canonical JSON"
        if sha256(record["text"]) != record["sha256"]:
            yield f"token {token}: its text has another hash than it says"


def check_files(folder: Folder) -> Iterator[str]:
    """Every file against what the tokens make of it; of pictures in PNG only that they are there."""
    edition = folder.edition()
    expected = {f"images/{number}.png" for number in range(1, len(edition.records) + 1)}
    for path, content in texts(edition):
        expected.add(path)
        found = folder.path / path
        if not found.is_file():
            yield f"{path}: missing"
        elif found.read_bytes() != content.encode("utf-8"):
            yield f"{path}: not what its tokens make of it"
    there = {f"{name}/{file.name}" for name in FOLDERS for file in (folder.path / name).glob("*")}
    yield from (f"{path}: of no token" for path in sorted(there - expected))
    yield from (f"{path}: missing" for path in sorted(expected - there) if path.endswith(".png"))


def check_drawing(folder: Folder, records: list[dict[str, Any]], arguments: argparse.Namespace) -> Iterator[str]:
    """The model's hash, the data's if its file is here, and some tokens drawn again."""
    about = folder.about
    path = arguments.model or Path(about["model_file"])
    checkpoint = load_checkpoint(path)
    if hash_file(path) != about["identity"]["model_sha256"]:
        yield f"{path}: not the model that this set was drawn with"
        return
    data = checkpoint.run.data_file()
    if data.is_file() and hash_file(data) != about["identity"]["data_sha256"]:
        yield f"{data}: not the text that the model was trained on"
    voice = Voice.of(checkpoint, pick_device(arguments.device))
    chosen = random.SystemRandom().sample(records, min(arguments.tokens, len(records)))
    keys = [(record["token_id"], record["attempt"]) for record in chosen]
    again = write(voice, voice.settings(**about["sampler"]), about["seed"], keys)
    for record, written in zip(chosen, again, strict=True):
        if sha256(written.text) != record["drawn_sha256"]:
            yield f"token {record['token_id']}: drawn again, it is another text"
