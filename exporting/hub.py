"""A model as a folder for Hugging Face: weights, config, samples, figures, a card; nothing is uploaded."""

import argparse
import re
from dataclasses import replace
from pathlib import Path

from command.console import progress
from command.libraries import library
from command.messages import counted, say
from command.outputs import Outputs
from command.places import is_protected, is_regular
from config.loader import Config, config_or_defaults
from config.origin import with_origin
from config.schema import RunConfig
from evaluation.stored import StoredEvaluation, evaluation_record, stored_evaluation
from exporting.card import CARD, Subject, card_of
from generation.checkpoint import Checkpoint, content_of, load_checkpoint, named_weights
from generation.folder import FILES, folder_files, model_files, model_name
from generation.sample_files import sample_files
from generation.writer import Writer, written_documents
from nft.image import SIGNATURE
from text.personal import personal
from training.curve import is_curve_of
from utils import UserError, hash_file, pick_device, utf8

SAMPLES = "samples.txt"
COUNT = 10  # documents that a card shows; a long one takes a while
CURVE, FIGURES = "learning_curve.png", "evaluation.png"
SHOWS = {CURVE: "learning curve", FIGURES: "figures of the evaluation"}
ORIGIN = ("license", "source")
LIBRARIES = ("huggingface_hub", "safetensors")
MOST_BYTES = 16 << 20  # of a picture
LANGUAGE = re.compile("[a-z]{2,3}|code|multilingual")


def export_hub(arguments: argparse.Namespace) -> int:
    """Write the folder of a model. Raises UserError, before anything is drawn, for what it cannot write or show."""
    check_languages(arguments.language)
    for name in LIBRARIES:
        library(name)
    checkpoint = load_checkpoint(arguments.model)
    if checkpoint.network != "transformer":
        what = "a network of the notebook, of whose training a card could say nothing"
        raise UserError(f"{arguments.model}: {what}; export.py safetensors takes it")
    checkpoint, here = licensed_here(checkpoint, config_or_defaults(arguments.config))
    name, reports = model_name(arguments.model), Path(here.paths.outputs)
    evaluation, why_not = stored_evaluation(reports, name, checkpoint)
    pictures = pictures_of(arguments.model, checkpoint, reports, evaluation)
    names = [CARD, *FILES, SAMPLES, *pictures]
    inputs = [*model_files(arguments.model), arguments.config, here.data_file()]
    outputs = Outputs(arguments.out, names, inputs, overwrite=arguments.overwrite, option="--out", at_other_times=SHOWS)
    old = [arguments.out / path for path in SHOWS if path not in names and outputs.record.knows(path)]
    texts = drawn(checkpoint, arguments)
    private = sum(bool(personal(text)) for text in texts)
    shown = {name: SHOWS[name] for name in pictures}
    subject = Subject(arguments.out, checkpoint, texts, private, evaluation, why_not, shown, arguments.language)
    samples, _ = sample_files(texts, {}, stream=checkpoint.run.data.stream)
    files = folder_files(content_of(checkpoint))
    outputs.write(utf8(card_of(subject)), *files.values(), samples, *pictures.values())
    for path in old:  # pictures of an earlier export, which this card does not show
        if is_protected(path):
            say(f"{path}: read-only, so it stays, though it is of an earlier model")
        else:
            path.unlink()
    tell(subject, names)
    return 0


def licensed_here(checkpoint: Checkpoint, config: Config) -> tuple[Checkpoint, RunConfig]:
    """A model with the licence and source that this machine has for its text by now; its run placed here.

    The config, a record of prepare.py, then the model itself: the first that has one. The config knows a dataset by
    its name alone: another text of that name has its own licence.
    """
    here, run = config.merged(checkpoint.run.name, {}), checkpoint.run
    if why := strange(here.data_file(), checkpoint):
        if here.license or here.source:
            say(f"licence and source are those of the model: {why}")
        here = here.model_copy(update=dict.fromkeys(ORIGIN, ""))
    found = with_origin(here, checkpoint.data_sha256, say)
    run = run.model_copy(update={key: getattr(found, key) or getattr(run, key) for key in ORIGIN})
    return replace(checkpoint, run=run), config.placed(run)


def strange(path: Path, checkpoint: Checkpoint) -> str:
    """Why a file is not known to be the text that a model learnt from; "" if it is that text."""
    if not checkpoint.data_sha256:
        return "it does not say which text it learnt from"
    if not path.is_file():
        return f"there is no {path}"
    return "" if hash_file(path) == checkpoint.data_sha256 else f"{path} is not the text that it learnt from"


def check_languages(languages: list[str]) -> None:
    """Raise UserError for what is no language code."""
    for language in languages:
        if not LANGUAGE.fullmatch(language):
            raise UserError(f"--language {language}: must be an ISO 639 code such as en, or code or multilingual")


def pictures_of(
    model: Path, checkpoint: Checkpoint, reports: Path, evaluation: StoredEvaluation | None
) -> dict[str, bytes]:
    """The learning curve beside a model file, and the figures of its evaluation, by their names in the folder."""
    sources = {CURVE: model.with_suffix(".png")} if model.is_file() else {}
    figures = reports / f"{model_name(model)}_evaluation.png"
    if evaluation and evaluation_record(reports, model_name(model)).knows(figures.name):
        sources[FIGURES] = figures
    found = {name: path.read_bytes() for name, path in sources.items() if is_picture(path)}
    if CURVE in found and not is_curve_of(found[CURVE], checkpoint.training_sha256, checkpoint.metrics):
        say(f"no learning curve: {sources[CURVE]} is of another training, of an earlier version, or somebody else's")
        del found[CURVE]
    return {name: data for name, data in found.items() if data.startswith(SIGNATURE)}


def is_picture(path: Path) -> bool:
    """Whether a file of a picture's size stands here."""
    return is_regular(path) and path.stat().st_size <= MOST_BYTES


def drawn(checkpoint: Checkpoint, arguments: argparse.Namespace) -> list[str]:
    """The first documents of seed 0, as generate.py writes them."""
    writer = Writer.of(checkpoint, pick_device(arguments.device))
    with named_weights(arguments.model), progress("documents written", COUNT) as advance:
        written = written_documents(writer, 0, range(COUNT), writer.settings(), progress=advance)
    return [document.text for document in written]


def tell(subject: Subject, names: list[str]) -> None:
    """Say what was written, and what the card lacks."""
    say(f"{subject.folder}: {', '.join(names)}")
    if subject.personal:
        say(f"{counted(subject.personal, 'document')} in {SAMPLES} may hold personal data: look before you publish")
    if not subject.evaluation:
        say(f"not evaluated: {subject.why_not}; run evaluate.py, then this again")
    if not subject.checkpoint.run.license:
        say("no licence: give the dataset one in config.yaml, where its text is at hand, or edit the card")
    if not subject.languages:
        say("no language: give it with --language, en for example")
    say(f"nothing was uploaded; the last lines of {subject.folder / CARD} say how")
