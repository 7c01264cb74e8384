"""The commands of collection.py that change a set: make it, select from it, and export its files."""

import argparse
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from command.messages import argument, counted, say
from command.options import SAMPLING_BOUNDS, check_numbers, option, sampling_options
from command.outputs import NOT_OURS, OutputRecord
from command.program import complain
from config.errors import listed
from config.loader import BASE, BASE_FILE, Config, load_config
from config.origin import with_origin
from config.schema import RunConfig
from config.sets import CollectionConfig
from diffusion.sampler_settings import SamplerSettings
from diffusion.samplers import settings_read
from evaluation.learnt_text import corpus_of
from generation.checkpoint import Checkpoint, load_checkpoint
from generation.cluster import on_machines
from generation.writer import Writer
from nft.animation import check_mp4
from nft.contact_sheet import sheet_identity
from nft.drawing import draw_courses, draw_missing, without_course
from nft.edition import Edition
from nft.files import hashes_of_pictures, known_files, write_files
from nft.formats import SET_FORMAT
from nft.originals import is_remote, left_out, model_of_set, reference_of
from nft.rules import Judge
from nft.schemas import LARGEST, PRESENTATION, SetInfo, check_presentation, info_of
from nft.selection import MOST_TOKENS, token_ids
from nft.store import SetFolder, check_known, selection_json
from nft.summary import print_summary, say_what_to_publish
from nft.tokens import TextSource, identity_of
from nft.traits import Record
from nft.verify_records import drawn_otherwise
from utils import UserError, check_readable, hash_file, pick_device, utf8

OF_A_FILE = "a set is made of a model file, models/NAME.pt, whose hash it names"


def make_set(arguments: argparse.Namespace) -> int:
    """Draw a set, or the tokens that it lacks, and write its files; -> exit status."""
    began = time.monotonic()
    check_numbers(arguments, {"size": (1, MOST_TOKENS), **SAMPLING_BOUNDS})
    checkpoint = load_checkpoint(arguments.model)
    check_readable(arguments.model, OF_A_FILE)
    config = load_config(arguments.config)
    run = config.merged(checkpoint.run.name, {})  # with the rules of this machine, whoever trained the model
    placed = replace(checkpoint, run=config.placed(checkpoint.run, arguments.data))
    corpus = corpus_of(placed, arguments.model)
    if arguments.data:  # else the config's text is the one that was just read
        run = without_other_origin(run, corpus.sha256)
    run = with_origin(run, corpus.sha256, say, placed.run.data_file())
    writer = Writer.of(checkpoint, pick_device(arguments.device))
    settings = writer.settings(**sampling_options(arguments))
    presentation_options(arguments)  # whose mistakes are told before the text is compared, which may take minutes
    set_format = format_of(arguments, checkpoint)
    judge = Judge(run.collection, 0, set_format)  # its word list may be unusable
    reference, unseen = reference_of(corpus, placed, config, set_format)
    judge.copy_bound = reference.copy_bound
    check_all_seen(arguments.model, unseen, config)
    if what := left_out(corpus, checkpoint):
        say(f"copies are not sought in {what}; evaluate.py --samples does")
    with on_machines(writer, checkpoint, arguments.ray) as writer, SetFolder.opened(arguments.out, new=True) as folder:
        batch_size = (arguments.batch_size or run.sampling.batch_size) * writer.machines.count
        stored = folder.info() if folder.has("set.json") else None
        identity = identity_of(checkpoint, writer, stored.identity["device"] if stored else "")
        of_model = {"copy_bound": reference.copy_bound, "identity": identity, "start": checkpoint.start}
        info = folder.agreed(set_info(stored, run, settings, of_model, arguments))
        check_presentable(info)
        check_records_fit(folder, info, arguments.size)
        if stored:
            folder.check_courses()
        written = known_files(folder, growing=True)
        folder.begin(info)  # from here on the set changes: all that is a reason not to go on was looked at
        if info.courses:  # those that a power cut has taken
            draw_courses(folder, writer, folder.records()[len(folder.course_lines()) :], batch_size)
        draw_missing(folder, TextSource(writer, info, reference), judge, arguments.size, batch_size)
        edition = write_and_name(folder, written)
        return print_summary(folder.path, edition, time.monotonic() - began)


def format_of(arguments: argparse.Namespace, checkpoint: Checkpoint) -> int:
    """The format of the set that is there, or of a new one. UserError, with what to type, if another model drew it."""
    folder = SetFolder(arguments.out)
    if not folder.has("set.json"):
        return SET_FORMAT
    info = folder.info()
    if info.identity["model_sha256"] != checkpoint.file_sha256:
        own = model_of_set(info, None)
        fix = f"--model {argument(own)} adds to them" if own else "only that model can add to them"
        another = f"for a set of {arguments.model} give another --out"
        raise UserError(f"{arguments.out}: its tokens were drawn with another model; {fix}; {another}")
    return info.format


def check_all_seen(model: Path, unseen: list[str], config: Config) -> None:
    """Raise UserError if text that a model learnt from is missing: copies of it could not be dropped."""
    if unseen:
        what = f"learnt also from the text of {listed(unseen)}, which is not here as it was"
        fix = f"put it back where {config.path} has the dataset {unseen[0]}"
        if unseen == [BASE] and BASE not in config.datasets:
            fix = f"train.py --all --base writes it, as {BASE_FILE}, from the texts that it was made of"
        raise UserError(f"{model}: {what}: copies of it could not be dropped; {fix}")


def without_other_origin(run: RunConfig, sha256: str) -> RunConfig:
    """The run without licence and source if the config's text is there and has another hash: they are of that text."""
    path = run.data_file()
    if not (run.license or run.source) or not path.is_file() or hash_file(path) == sha256:
        return run
    say(f"{path}: not the text that the model learnt from, so the set does not take its license and source")
    return run.model_copy(update={"license": "", "source": ""})


def set_info(
    stored: SetInfo | None, run: RunConfig, settings: SamplerSettings, model: dict[str, Any],
    arguments: argparse.Namespace,
) -> SetInfo:  # fmt: skip
    """What set.json is to hold; of PRESENTATION, what a stored one says stays unless the command line gives it.

    `model`: what the fields copy_bound, identity and start say of the model.
    """
    if arguments.seed > LARGEST and not stored:
        raise UserError(
            f"--seed {arguments.seed}: more than {LARGEST}, the last number that every program reads exactly"
        )
    words, rules = run.collection.word_file(), run.collection.rules()
    look = {"pieces": run.collection.pieces, "theme": run.collection.theme}
    presentation = {"title": run.name.replace("_", " "), "description": "", "base_uri": "", **look}
    origin = {"license": run.license, "source": run.source}
    if stored:
        presentation = {key: getattr(stored, key) for key in PRESENTATION}
        origin = {key: value or getattr(stored, key) for key, value in origin.items()}
    drawn_with = {
        **model, "format": SET_FORMAT, "name": run.name, "seed": arguments.seed, "sampler": settings_read(settings),
        "rules": rules, "word_list_sha256": hash_file(words) if words else "",
        "model_file": below_here(arguments.model).as_posix(), "courses": True, **origin,
    }  # fmt: skip
    return info_of({**drawn_with, **presentation, **presentation_options(arguments)})


def below_here(path: Path) -> Path:
    """A path as seen from the working folder, if it is below: a published set need not tell where that lies."""
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path


def check_presentable(info: SetInfo) -> None:
    """Raise UserError if set.json holds what no file of a set may show, or if its films cannot be written here."""
    check_presentation(info.plain(), "set.json: {}".format)
    if "mp4" in (info.pieces or ()):
        check_mp4()


def check_records_fit(folder: SetFolder, info: SetInfo, size: int) -> None:
    """Raise UserError if a set holds more tokens than it is to have, or one of another origin, or publishes others.

    A selection may name tokens that are still to be drawn: a power cut can have taken them.
    """
    records = folder.records()
    check_known(folder.path / "selection.json", {token for token in folder.selection() or () if token > size})
    if len(records) > size:
        raise UserError(f"{folder.path}: holds {counted(len(records), 'token')} already, more than --size")
    for record in records:
        if any(drawn_otherwise(record, info)):
            raise UserError(
                f"{folder.samples}: token {record['token_id']} was drawn with another model, seed or sampler"
            )


def export_set(arguments: argparse.Namespace) -> int:
    """Write all files of a set again, with what the command line gives of PRESENTATION."""
    with SetFolder.opened(arguments.folder) as folder:
        written, info = known_files(folder), info_of(folder.info().model_dump() | presentation_options(arguments))
        check_presentable(info)
        folder.check_courses()
        folder.write_info(info)
        edition = write_and_name(folder, written)
        if info.pieces and not info.courses:
            fix = f"python collection.py draw-courses {argument(arguments.folder)}"
            say(f"no pieces: how the texts were written is not known; {fix} draws it")
        say_what_to_publish(edition)
        say(f"all files of {counted(len(edition.records), 'token')} written again: {arguments.folder}")
    return 0


def write_and_name(folder: SetFolder, written: OutputRecord) -> Edition:
    """Write the files of a set, and name what is left as it is, and pictures uploaded before; -> what is published."""
    edition, before = folder.edition(), hashes_of_pictures(written)
    if left := write_files(folder, edition, written):
        say(f"left as they are, {NOT_OURS} (delete one and run export to have it written): {listed(left)}")
    if edition.info.base_uri and before and before != hashes_of_pictures(written):
        place = f"the metadata name {edition.info.base_uri}"
        say(f"images/ has changed, and {place}: upload it again, and give its new address to export --base-uri")
    return edition


def presentation_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the command line gives of how a set is presented; UserError if it cannot be so."""
    own = (*PRESENTATION, "license", "source")  # the last two as export has them; make takes the config's
    given = {key: value for key in own if (value := getattr(arguments, key, None)) is not None}
    check_presentation(given, option)
    if "pieces" in given:
        given["pieces"] = [piece for piece in re.split(r"[\s,]+", given["pieces"]) if piece not in ("", "none")]
    try:
        collection = CollectionConfig(**{key: given[key] for key in given.keys() & {"pieces", "theme"}})
    except ValidationError as error:
        problem = error.errors()[0]
        raise UserError(f"--{problem['loc'][0]}: {problem['msg'].removeprefix('Value error, ')}") from None
    return given | ({"pieces": collection.pieces} if "pieces" in given else {})


def redraw_courses(arguments: argparse.Namespace) -> int:
    """Draw the courses that a set lacks, and write all its files; -> exit status, 1 if another text comes out."""
    with SetFolder.opened(arguments.folder, mends=True) as folder:
        info = folder.info()
        path = model_of_set(info, arguments.model) or arguments.model or Path(info.model_file)
        if not arguments.model and is_remote(path):
            raise UserError(f"{path}: lies on another machine; give the model with --model")
        checkpoint = load_checkpoint(path)
        check_readable(path, OF_A_FILE)
        if checkpoint.file_sha256 != info.identity["model_sha256"]:
            raise UserError(f"{path}: not the model that this set was drawn with; give that with --model")
        writer = Writer.of(checkpoint, pick_device(arguments.device))
        pieces = CollectionConfig().pieces if info.pieces is None else info.pieces  # of sets before there were courses
        info = info.model_copy(update={"courses": True, "pieces": pieces})
        check_presentable(info)
        written = known_files(folder, growing=True)
        folder.begin(info)
        missing = folder.records()[len(folder.course_lines()) :]
        draw_courses(folder, writer, [*without_course(folder), *missing], writer.run.sampling.batch_size)
        unknown = [record["token_id"] for record in without_course(folder)]
        write_and_name(folder, written)
        say(f"the courses of {counted(len(folder.records()), 'token')}: {folder.courses_file}")
        if unknown:
            what = f"another text came out when drawn again, so without a course: {listed(map(str, unknown))}"
            complain(f"error: {counted(len(unknown), 'token')}: {what}")
    return 1 if unknown else 0


def select_tokens(arguments: argparse.Namespace) -> int:
    """Publish the tokens whose ids a file names, or all accepted ones, and write all files again."""
    with SetFolder.opened(arguments.folder) as folder:
        written, selection = known_files(folder), folder.path / "selection.json"  # one that is none is not replaced
        records, info = folder.records(), folder.info()
        known = {record["token_id"] for record in records if record["accepted"]}
        check_presentable(info)
        sheet = sheet_identity(info)
        chosen = known if arguments.keep == "all" else named_tokens(Path(arguments.keep), sheet, records, known)
        folder.check_courses(chosen)
        if arguments.keep == "all":
            folder.check_free(selection.name)
            selection.unlink(missing_ok=True)
        else:
            folder.write(selection.name, utf8(selection_json(chosen)))
        say_what_to_publish(write_and_name(folder, written))
        say(f"{len(chosen)} of {counted(len(known), 'token')} kept: {arguments.folder}")
    return 0


def named_tokens(file: Path, sheet: str, records: list[Record], known: set[int]) -> set[int]:
    """The accepted tokens, `known`, that a file names. Reports those that rules left out; UserError for others."""
    named = token_ids(file, sheet)
    refused = named & {record["token_id"] for record in records} - known
    check_known(file, named - known - refused)
    if refused:
        what = f"{file}: the rules left out {listed(map(str, sorted(refused)))}"
        if named == refused:
            raise UserError(f"{what}, and it names no other token")
        say(what)
    return named & known
