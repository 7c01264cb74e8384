"""Verifies a finished set: recomputes its files and hashes, draws some tokens again, reports what does not match."""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.command_line import check_numbers
from config.loader import config_or_defaults
from generation.checkpoint import load_checkpoint
from generation.writer import Writer, Written
from nft.files import FOLDERS, files
from nft.rules import BLOT
from nft.store import SetFolder, canonical_json
from nft.tokens import identity_of, write_texts, writing_figures
from nft.traits import figures_of
from utils import hash_file, pick_device, sha256

SYSTEM_FILES = ("Thumbs.db", "desktop.ini")  # Windows puts these into folders; other systems use names with a dot first


def verify_set(arguments: argparse.Namespace) -> int:
    """Verify a set and print what does not match; -> exit status, 1 if anything does not."""
    check_numbers(arguments, {"tokens": (0, None)})
    wrong = 0
    with SetFolder.opened(arguments.folder) as folder:
        records = folder.records()
        for problem in (*check_records(folder, records), *check_files(folder)):
            print(f"does not match: {problem}")
            wrong += 1
        path = arguments.model or Path(folder.info().model_file)
        if not path.is_file():
            print(f"{path}: not at hand, so no token was drawn again; give its path with --model")
        else:
            for problem in check_drawing(path, folder, records, arguments):
                print(f"does not match: {problem}")
                wrong += 1
    print(f"{len(records)} tokens: " + (f"{wrong} things do not match" if wrong else "hashes and files match"))
    return 1 if wrong else 0


def check_records(folder: SetFolder, records: list[dict[str, Any]]) -> Iterator[str]:
    """Compare each token with its own hashes and figures; yields a line for each problem."""
    lines = folder.samples.read_bytes().splitlines()
    for line, record in zip(lines, records, strict=True):
        token, text = record["token_id"], record["text"]
        if canonical_json(record).encode("utf-8") != line:
            yield f"token {token}: its line of samples.jsonl is not canonical JSON"
        if sha256(text) != record["sha256"]:
            yield f"token {token}: its text has another hash than its record says"
        if record["accepted"] and BLOT not in text and record["sha256"] != record["drawn_sha256"]:
            yield f"token {token}: its text is not the one that was drawn"
        if record["accepted"] and figures_of(record) != record["traits"]:
            yield f"token {token}: its traits do not follow from its figures"


def check_files(folder: SetFolder) -> Iterator[str]:
    """Compare every file with the one that the tokens give; a file whose bytes may differ must only be there."""
    expected: set[str] = set()
    for file in files(folder.edition()):
        expected.add(file.path)
        found = folder.path / file.path
        if not found.is_file():
            yield f"{file.path}: missing"
        elif file.exact and found.read_bytes() != file.content():
            yield f"{file.path}: not what its tokens make of it"
    present = [f"{name}/{file.name}" for name in FOLDERS for file in (folder.path / name).glob("[!.]*")]
    yield from (
        f"{path}: belongs to no token" for path in sorted({*present} - expected) if Path(path).name not in SYSTEM_FILES
    )


def check_drawing(
    path: Path, folder: SetFolder, records: list[dict[str, Any]], arguments: argparse.Namespace
) -> Iterator[str]:
    """Compare the hashes of the model and, if it is there, of the data file; draw some tokens again."""
    info, model_sha256 = folder.info(), hash_file(path)
    if model_sha256 != info.identity["model_sha256"]:
        yield f"{path}: not the model that this set was drawn with"
        return
    checkpoint = load_checkpoint(path)
    data = config_or_defaults(arguments.config).placed(checkpoint.run, arguments.data).data_file()
    if data.is_file() and hash_file(data) != info.identity["data_sha256"]:
        yield f"{data}: not the text that the model was trained on"
    writer = Writer.of(checkpoint, pick_device(arguments.device))
    here = identity_of(checkpoint, model_sha256, writer.device.type)
    if differing := [f"{key} {value}" for key, value in info.identity.items() if here[key] != value]:
        print(f"drawn with {', '.join(differing)}; here a text may come out different, and the stored one counts")
    chosen = random.SystemRandom().sample(records, min(arguments.tokens, len(records)))
    keys = [(record["token_id"], record["attempt"]) for record in chosen]
    again = write_texts(writer, info.sampler_settings(), info.seed, keys)
    same = [is_reproduced(record, written) for record, written in zip(chosen, again, strict=True)]
    for record, is_same in zip(chosen, same, strict=True):
        if not is_same:
            yield f"token {record['token_id']}: drawn again, it is another text or has other figures"
    print(f"{len(chosen)} tokens drawn again, {sum(same)} the same")


def is_reproduced(record: dict[str, Any], written: Written) -> bool:
    """Whether the model now wrote the same text, masked characters aside, in the same way."""
    text = record["text"]
    same = len(text) == len(written.text) and all(a in (b, BLOT) for a, b in zip(text, written.text, strict=True))
    return (
        sha256(written.text) == record["drawn_sha256"]
        and (same or not record["accepted"])
        and all(record[key] == value for key, value in writing_figures(written).items())
    )
