"""Makes a set, chooses from it, writes what follows from its tokens. Knows nothing of rules or formats."""

import argparse
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

import torch

from config.command_line import SAMPLING_BOUNDS, check_numbers, sampling_options
from config.loader import load_config
from config.schema import RunConfig
from evaluation.reference import Reference
from generation.checkpoint import Checkpoint, load_checkpoint
from generation.progress import progress
from generation.writer import Writer
from nft.draw import TextSource, tokens
from nft.export import write_files
from nft.image import unpictured
from nft.rules import Judge
from nft.store import SetFolder, SetInfo, canonical, completed, readable
from nft.traits import TRAITS
from text.corpus import load_trained_corpus
from utils import VERSION, UserError, hash_file, pick_device, write_atomic

FORMAT = 1
MOST_TOKENS = 1_000_000  # in a range of ids
TOKEN_RANGE = re.compile(r"(\d{1,9})(?:[^\S\n]*[-\u2013][^\S\n]*(\d{1,9}))?")  # a hyphen or an en dash
NAMED = ("title", "description", "base_uri")  # what may be changed later


def make_set(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    check_numbers(arguments, {"size": (1, None), **SAMPLING_BOUNDS})
    checkpoint = load_checkpoint(arguments.model)
    run = load_config(arguments.config).resolve(checkpoint.run.name)
    corpus = load_trained_corpus(checkpoint.run, checkpoint.data_sha256, arguments.model)
    reference = Reference(corpus, checkpoint.run.model.context)
    writer = Writer.of(checkpoint, pick_device(arguments.device))
    settings = writer.settings(**sampling_options(arguments))
    stamp = {"sampler": vars(settings), **identity_of(checkpoint, hash_file(arguments.model), writer.device.type)}
    source = TextSource(writer, settings, arguments.seed, reference, stamp)
    with SetFolder.held(arguments.out, new=True) as folder:
        folder.mend()
        if (held := len(folder.records())) > arguments.size:
            raise UserError(f"{folder.path}: holds {held} tokens already, more than --size")
        folder.begin(set_info(folder, run, source, arguments))
        judge = Judge(run.collection, reference.copy_bound)
        draw_all(folder, source, judge, arguments.size, arguments.batch_size or run.sampling.batch_size)
        write_files(folder)
        return tell(folder, time.monotonic() - began)


def identity_of(checkpoint: Checkpoint, model_sha256: str, device: str) -> dict[str, str]:
    """What a token's text depends on, besides seed and sampler."""
    return {
        "model_sha256": model_sha256,
        "config_sha256": checkpoint.training_sha256,
        "data_sha256": checkpoint.data_sha256,
        "version": f"{VERSION}, torch {torch.__version__}",
        "device": device,
    }


def set_info(folder: SetFolder, run: RunConfig, source: TextSource, arguments: argparse.Namespace) -> SetInfo:
    words, rules = run.collection.word_list, run.collection.model_dump()
    there = (folder.path / "set.json").is_file()
    said = {key: getattr(folder.info(), key) for key in NAMED} if there else {}
    identity = {key: value for key, value in source.stamp.items() if key != "sampler"}
    fresh = {"title": run.name, "description": "", "base_uri": ""}
    return SetInfo(
        format=FORMAT, name=run.name, seed=source.seed, sampler=vars(source.settings), rules=rules,
        word_list_sha256=hash_file(Path(words)) if words else "", copy_bound=source.reference.copy_bound,
        identity=identity, model_file=arguments.model.as_posix(), license=run.license, source=run.source,
        **{**fresh, **said, **named(arguments)},
    )  # fmt: skip


def draw_all(folder: SetFolder, source: TextSource, judge: Judge, size: int, batch: int) -> None:
    """Add the tokens that are missing, a batch at a time; each batch is on the disk before the next is drawn."""
    records, stamp = folder.records(), {key: value for key, value in source.stamp.items() if key != "sampler"}
    for record in records:
        alike = all(record[key] == value for key, value in {**stamp, "seed": source.seed}.items())
        if not alike or completed(record["sampler"]) != source.settings:
            raise UserError(f"{folder.samples}: token {record['token_id']} is of another model, seed or sampler")
        if record["accepted"]:
            judge.accept(record["text"])
    with (
        folder.samples.open("a", encoding="utf-8", newline="\n") as file,
        progress("tokens drawn", size, len(records)) as advance,
    ):
        for first in range(len(records) + 1, size + 1, batch):
            numbers = range(first, min(first + batch, size + 1))
            for record in tokens(source, judge, numbers, judge.config.attempts):
                file.write(canonical(record) + "\n")
                advance(1)
            file.flush()
            os.fsync(file.fileno())


def tell(folder: SetFolder, seconds: float) -> int:
    """Say what the rules found; -> exit status, 1 where a token ran out of attempts."""
    records, edition = folder.records(), folder.edition()
    dropped = Counter(rule for record in records for rule in record["dropped"])
    flagged = Counter(rule for record in records for rule in record["flags"])
    left = [str(record["token_id"]) for record in records if not record["accepted"]]
    refused = [name for name in TRAITS if name not in edition.bands]
    print(f"{len(records) - len(left)} tokens: {folder.path} ({seconds:.0f} seconds)")
    print(f"to look through them: {folder.path / 'index.html'}")
    if edition.info["curated"]:
        print(f"selection.json publishes {len(edition.records)} of them; select --keep all publishes all")
    for what, counts in (("drawn again for", dropped), ("flagged for", flagged)):
        if counts:
            print(f"{what}: " + ", ".join(f"{rule} {count}" for rule, count in counts.most_common()))
    if refused:
        print(f"the same for all tokens, so no trait: {', '.join(refused)}")
    if boxes := Counter(character for record in edition.records for character in unpictured(record["text"])):
        shown = " ".join(character for character, _ in boxes.most_common(10))
        print(f"the pictures show boxes for {len(boxes)} characters that their face lacks: {shown}")
    if left:
        print(f"error: collection.attempts are used up for {len(left)}: tokens {', '.join(left)}", file=sys.stderr)
    return 1 if left else 0


def export_set(arguments: argparse.Namespace) -> int:
    with SetFolder.held(arguments.folder) as folder:
        folder.say(folder.info().model_copy(update=named(arguments)))
        write_files(folder)
        print(f"{len(folder.edition().records)} tokens written anew: {arguments.folder}")
    return 0


def named(arguments: argparse.Namespace) -> dict[str, str]:
    """What the command line says of title, description and address."""
    said = {key: value for key in NAMED if (value := getattr(arguments, key)) is not None}
    for key, value in said.items():
        if any("\ud800" <= character <= "\udfff" for character in value) or (key == "title" and not value.strip()):
            raise UserError(f"--{key.replace('_', '-')} {value!r}: must be text" + " of some length" * (key == "title"))
    return said


def select_tokens(arguments: argparse.Namespace) -> int:
    with SetFolder.held(arguments.folder) as folder:
        known = {record["token_id"] for record in folder.records() if record["accepted"]}
        if arguments.keep == "all":
            (folder.path / "selection.json").unlink(missing_ok=True)
        else:
            kept = sorted(token_ids(Path(arguments.keep)))
            if strangers := [str(token) for token in kept if token not in known]:
                raise UserError(f"{arguments.keep}: the set has no token {', '.join(strangers[:10])}")
            write_atomic(folder.path / "selection.json", readable({"kept": kept}))
        write_files(folder)
        print(f"{len(folder.edition().records)} of {len(known)} tokens kept: {arguments.folder}")
    return 0


def token_ids(path: Path) -> set[int]:
    """Token ids and ranges (3-7, with blanks or a longer dash as well) in a file, with anything else between them."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    ranges = [(int(low), int(high or low)) for low, high in TOKEN_RANGE.findall(text)]
    for low, high in ranges:
        if not 0 <= high - low < MOST_TOKENS:
            raise UserError(f"{path}: {low}-{high} must run upwards, over {MOST_TOKENS:,} tokens at most")
    found = {token for low, high in ranges for token in range(low, high + 1)}
    if not found:
        raise UserError(f"{path}: names no token; ids of tokens to keep are expected, as index.html saves them")
    return found
