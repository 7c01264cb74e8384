"""A set's folder: what collection.py makes, chooses from and writes there. Knows nothing of rules or formats.

samples.jsonl is only ever added to, a canonical line a token; set.json says what it was drawn with. All else in the
folder follows from these two and from selection.json.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from acceptance import Judge
from checkpoint import load_checkpoint
from config import load_config
from corpus import hash_file, load_corpus
from measures import Reference
from metadata import Edition, canonical, files, images, readable
from provenance import provenance
from sheet import sheet
from tokens import Source, tokens
from traits import TRAITS, bands_of
from utils import UserError, alone, check_numbers, pick_device, write_atomic
from writer import SAMPLING_BOUNDS, Voice

FORMAT = 1
FOLDERS = ("json", "erc1155", "metaplex", "images")  # holding a file a token each
NAMED = ("title", "description", "base_uri")  # what may be changed later


class Folder:
    """A set on disk, held against other processes while it is open."""

    def __init__(self, path: Path, *, new: bool = False) -> None:
        self.path, self.samples = path, path / "samples.jsonl"
        fresh = new and not (path / "set.json").is_file()
        self.about: dict[str, Any] = {} if fresh else self.read("set.json")

    @classmethod
    @contextlib.contextmanager
    def held(cls, path: Path, *, new: bool = False) -> "Iterator[Folder]":
        """The set in a folder, held against other processes."""
        folder = cls(path, new=new)
        with alone(path / ".lock", f"{path}: another process is at work on this set"):
            yield folder

    def read(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{self.path}: no set is here, or it is not finished: {name} is missing") from None
        except ValueError:
            raise UserError(f"{self.path / name}: damaged; not JSON") from None

    def write(self, name: str, value: Any) -> None:
        write_atomic(self.path / name, readable(value))

    def begin(self, drawn_with: dict[str, Any], said: dict[str, Any], model: Path) -> None:
        """Start a set, or go on with one that was drawn with the same."""
        for key, value in drawn_with.items():
            if self.about and self.about.get(key) != value:
                raise UserError(f"{self.path}: its tokens were drawn with another {key}; give another --out")
        fresh = {"title": drawn_with["name"], "description": "", "base_uri": ""}
        self.about = {**fresh, **self.about, **drawn_with, **said, "model_file": model.as_posix()}
        self.write("set.json", self.about)

    def records(self) -> list[dict[str, Any]]:
        """The tokens so far. A last line that an interruption cut short is taken away; it will be drawn again."""
        if not self.samples.is_file():
            return []
        data = self.samples.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            with self.samples.open("rb+") as file:
                file.truncate(len(whole))
        found = [token_of(line) for line in whole.splitlines()]
        for number, token in enumerate(found, start=1):
            if token is None or token["token_id"] != number:
                raise UserError(f"{self.samples} line {number}: damaged; not token {number} of a set")
        return found  # pyright: ignore[reportReturnType]

    def edition(self) -> Edition:
        """The tokens that are published: accepted, and kept if there is a selection."""
        records = [record for record in self.records() if record["accepted"]]
        selection = self.path / "selection.json"
        kept = set(self.read("selection.json")["kept"]) if selection.is_file() else None
        chosen = [record for record in records if kept is None or record["token_id"] in kept]
        about = {**self.about, "drawn": len(records), "curated": kept is not None}
        return Edition(about, chosen, self.read("traits.json"))


def token_of(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("token_id"), int) else None


def make_set(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    check_numbers(arguments, {"size": (1, None), **SAMPLING_BOUNDS})
    checkpoint = load_checkpoint(arguments.model)
    run = load_config(arguments.config).resolve(checkpoint.run.name)
    corpus = load_corpus(checkpoint.run)
    if corpus.sha256 != checkpoint.data_sha256:
        raise UserError(f"{checkpoint.run.data_file()}: not the text that {arguments.model} was trained on")
    voice = Voice.of(checkpoint, pick_device(arguments.device))
    settings = voice.settings(steps=arguments.steps, temperature=arguments.temperature, top_p=arguments.top_p)
    reference = Reference(corpus, checkpoint.run.model.context)
    judge = Judge(run.collection, reference.copy_bound)
    identity = {
        "model": arguments.model.name,
        "model_sha256": hash_file(arguments.model),
        "config_sha256": checkpoint.training_sha256,
        "data_sha256": checkpoint.data_sha256,
        "version": checkpoint.version,
    }
    drawn_with = {
        "format": FORMAT,
        "name": run.name,
        "seed": arguments.seed,
        "sampler": vars(settings),
        "rules": run.collection.model_dump(),
        "word_list_sha256": hash_file(Path(run.collection.word_list)) if run.collection.word_list else "",
        "copy_bound": reference.copy_bound,
        "identity": identity,
    }
    with Folder.held(arguments.out, new=True) as folder:
        folder.begin(drawn_with, {"license": run.license, "source": run.source, **named(arguments)}, arguments.model)
        stamp = {"sampler": vars(settings), **identity}
        source = Source(voice, settings, arguments.seed, reference, stamp)
        draw_all(folder, source, judge, arguments.size, arguments.batch_size or run.sampling.batch_size)
        records = folder.records()
        accepted = [record["traits"] for record in records if record["accepted"]]
        if not accepted:
            raise UserError(f"{arguments.out}: the rules accept none of {len(records)} tokens; see {folder.samples}")
        folder.write("traits.json", bands_of(accepted))
        write_files(folder)
    return tell(folder, records, time.monotonic() - began)


def draw_all(folder: Folder, source: Source, judge: Judge, size: int, batch: int) -> None:
    """Add the tokens that are missing, a batch at a time; each batch is on the disk before the next is drawn."""
    records = folder.records()
    if len(records) > size:
        raise UserError(f"{folder.path}: holds {len(records)} tokens already, more than --size {size}")
    for record in records:
        if record["accepted"]:
            judge.accept(record["text"])
    with (
        folder.samples.open("a", encoding="utf-8", newline="\n") as file,
        Progress(console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task("drawing", total=size, completed=len(records))
        for first in range(len(records) + 1, size + 1, batch):
            numbers = range(first, min(first + batch, size + 1))
            for record in tokens(source, judge, numbers, judge.config.attempts):
                file.write(canonical(record) + "\n")
                bar.advance(task)
            file.flush()
            os.fsync(file.fileno())


def tell(folder: Folder, records: list[dict[str, Any]], seconds: float) -> int:
    """Say what the rules found; -> exit status, 1 where a token ran out of attempts."""
    dropped = Counter(rule for record in records for rule in record["dropped"])
    flagged = Counter(rule for record in records for rule in record["flags"])
    left = [str(record["token_id"]) for record in records if not record["accepted"]]
    refused = [name for name in TRAITS if name not in folder.read("traits.json")]
    print(f"{len(records) - len(left)} tokens: {folder.path} ({seconds:.0f} seconds)")
    print(f"to look through them: {folder.path / 'index.html'}")
    for what, counts in (("drawn again for", dropped), ("flagged for", flagged)):
        if counts:
            print(f"{what}: " + ", ".join(f"{rule} {count}" for rule, count in counts.most_common()))
    if refused:
        print(f"the same for all tokens, so no trait: {', '.join(refused)}")
    if left:
        print(f"error: collection.attempts are used up for {len(left)}: tokens {', '.join(left)}", file=sys.stderr)
    return 1 if left else 0


def write_files(folder: Folder) -> None:
    """Everything that follows from the tokens, anew."""
    edition = folder.edition()
    for name in FOLDERS:
        shutil.rmtree(folder.path / name, ignore_errors=True)
        (folder.path / name).mkdir()
    for path, content in texts(edition):
        (folder.path / path).write_bytes(content.encode("utf-8"))
    for path, content in images(edition):
        (folder.path / path).write_bytes(content)


def texts(edition: Edition) -> Iterator[tuple[str, str]]:
    yield from files(edition)
    yield "provenance.json", readable(provenance(edition))
    yield "index.html", sheet(edition)


def export_set(arguments: argparse.Namespace) -> int:
    with Folder.held(arguments.folder) as folder:
        folder.write("set.json", {**folder.read("set.json"), **named(arguments)})
        folder.about = folder.read("set.json")
        write_files(folder)
    print(f"{len(folder.edition().records)} tokens written anew: {arguments.folder}")
    return 0


def named(arguments: argparse.Namespace) -> dict[str, str]:
    """What the command line says of title, description and address."""
    return {key: value for key in NAMED if (value := getattr(arguments, key)) is not None}


def select_tokens(arguments: argparse.Namespace) -> int:
    with Folder.held(arguments.folder) as folder:
        known = {record["token_id"] for record in folder.records() if record["accepted"]}
        if arguments.keep == "all":
            (folder.path / "selection.json").unlink(missing_ok=True)
        else:
            kept = sorted(token_ids(Path(arguments.keep)))
            if strangers := [str(token) for token in kept if token not in known]:
                raise UserError(f"{arguments.keep}: the set has no token {', '.join(strangers[:10])}")
            folder.write("selection.json", {"kept": kept, "of": len(known)})
        write_files(folder)
        print(f"{len(folder.edition().records)} of {len(known)} tokens kept: {arguments.folder}")
    return 0


def token_ids(path: Path) -> set[int]:
    """Token ids in a file, with anything that is no digit between them."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    found = {int(number) for number in re.findall(r"\d+", text)}
    if not found:
        raise UserError(f"{path}: names no token; ids of tokens to keep are expected, as index.html saves them")
    return found
