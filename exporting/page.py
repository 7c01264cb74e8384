"""Export of a model as one page that writes in the browser: quantised, proven equal to Python, then written."""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from command.console import progress
from command.messages import counted, say
from command.options import SAMPLING_BOUNDS, check_numbers, option, sampling_options
from command.outputs import Outputs, named_errors
from command.places import is_same_place
from config.loader import config_or_defaults
from diffusion.sampler_settings import SamplerSettings
from evaluation.learnt_text import corpus_of
from exporting import proof
from exporting.html import SCRIPTS, page_of
from exporting.minted import Minted, read_set
from exporting.quantise import SCHEMES
from exporting.voice import check_exportable, voice_of
from exporting.weights import Packed, in_float32, pack, quantised
from generation.archive import archive_bytes
from generation.checkpoint import Checkpoint, content_of, load_checkpoint, named_weights
from generation.folder import model_files, model_name
from generation.writer import Writer
from nft.store import SOURCES
from text.corpus import Corpus
from utils import CPU, UserError, utf8

UNPROVEN = "Not proven equal to Python."


def export_page(arguments: argparse.Namespace) -> int:
    """Write the page of a model. Raises UserError, and writes nothing, if it does not do what Python does."""
    check_options(arguments)
    checkpoint = load_checkpoint(arguments.model)
    check_exportable(checkpoint, str(arguments.model))
    here = config_or_defaults(arguments.config).placed(checkpoint.run, arguments.data)
    output = arguments.output or Path(here.paths.outputs) / f"{model_name(arguments.model)}_live.html"
    inputs = [*model_files(arguments.model), arguments.config, here.data_file()]
    inputs += [arguments.set / name for name in SOURCES] if arguments.set else []
    outputs = Outputs(output.parent, [output.name], inputs, overwrite=arguments.overwrite)
    model_outputs = quantised_outputs(arguments, output, inputs) if arguments.quantised else None
    minted = minted_set(arguments.set, checkpoint, arguments.model) if arguments.set else None
    packed = packed_weights(checkpoint, arguments)
    exported = quantised(checkpoint, packed)
    writer = Writer.of(exported, CPU)
    settings = minted.settings if minted else writer.settings(**sampling_options(arguments))
    seed, attempts, size = (minted.seed, minted.attempts, minted.size) if minted else (arguments.seed, {}, None)
    title, theme = (minted.title, minted.theme) if minted else (checkpoint.run.name, "auto")
    voice = voice_of(writer, settings, packed, arguments.title or title)
    voice |= {"seed": str(seed), "theme": arguments.theme or theme, "attempts": attempts, "size": size}
    filled = partial(page_of, voice, packed, script=SCRIPTS[arguments.platform])
    how = UNPROVEN
    if not arguments.unproven:
        proof.node()  # before minutes of work
        corpus = corpus_of(replace(checkpoint, run=here), arguments.model)
        with named_weights(arguments.model), candidate(filled()) as page:
            lost = check_weights(checkpoint, writer, corpus, arguments)
            difference = check_logits(page, writer, corpus, arguments.model)
            expected = expected_texts(writer, settings, seed, minted)
            differing = check_documents(page, seed, expected, arguments)
            count = f"{'the first ' * bool(minted and len(minted.hashes) > proof.DOCUMENTS)}{len(expected)}"
            what = "tokens of the set" if minted else "documents equal to Python's"
            figures = f"logits within {difference:.1e}, NELBO {lost:+.4f} bits by quantisation"
            how = f"Proven: {len(expected) - len(differing)} of {count} {what}, {figures}."
    page = utf8(filled(proof=how))
    outputs.write(page)
    if model_outputs:
        model_outputs.write(archive_bytes(content_of(exported)))
        say(f"{arguments.quantised}: the model as the page has it; a set made from it has the page's texts")
    say(f"{output}: {len(page) / 1e6:.2f} MB. {how}")
    return 0


def minted_set(folder: Path, checkpoint: Checkpoint, model: Path) -> Minted:
    """The set of --set; says how much of what it withholds the page will show.

    Raises UserError for a set of another training. One of this training with other weights is left to the proof.
    """
    minted = read_set(folder)
    if minted.trained != (checkpoint.training_sha256, checkpoint.data_sha256):
        raise UserError(
            f"{folder}: its tokens are of another training than {model}; name the set's own model with --model"
        )
    if minted.withheld:
        what = f"{counted(minted.withheld, 'token')} masked, dropped or not chosen"
        say(f"{folder}: {what}; the page shows these as the model wrote them")
    return minted


def quantised_outputs(arguments: argparse.Namespace, page: Path, inputs: list[Path]) -> Outputs:
    """The file of --quantised. Raises UserError if it is the page's own, one that is read, or somebody else's."""
    path: Path = arguments.quantised
    if is_same_place(path, page):
        raise UserError(f"{path}: --output names the same file; name another --quantised")
    return Outputs(path.parent, [path.name], [*inputs, page], overwrite=arguments.overwrite, option="--quantised")


def check_options(arguments: argparse.Namespace) -> None:
    """Raise UserError for numbers out of bounds, and for what --set says already."""
    check_numbers(arguments, {key: bounds for key, bounds in SAMPLING_BOUNDS.items() if key != "batch_size"})
    given = [key for key, value in sampling_options(arguments).items() if value is not None]
    if arguments.set and (given or arguments.seed):
        unwanted = option((given or ["seed"])[0])
        raise UserError(f"{unwanted}: the set says how its tokens were drawn; leave out {unwanted} or --set")


def packed_weights(checkpoint: Checkpoint, arguments: argparse.Namespace) -> Packed:
    """The weights as --weights says."""
    try:
        return pack(checkpoint.weights, arguments.weights)
    except OverflowError as error:
        raise UserError(f"{arguments.model}: {error}; its training went wrong, train anew") from None


@contextlib.contextmanager
def candidate(page: str) -> Iterator[Path]:
    """A page's file for the time of its proof."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        with named_errors(file):
            file.write_bytes(utf8(page))
        yield file


def check_weights(checkpoint: Checkpoint, writer: Writer, corpus: Corpus, arguments: argparse.Namespace) -> float:
    """Bits of the NELBO that quantisation costs. Raises UserError if they are too many."""
    lost = proof.bits_lost(Writer.of(in_float32(checkpoint), CPU), writer, corpus)
    finer = SCHEMES[arguments.weights].instead
    if lost > proof.MOST_BITS_LOST:
        raise UserError(
            f"{arguments.model}: quantised as {arguments.weights} its NELBO is {lost:.3f} bits worse, more than"
            f" {proof.MOST_BITS_LOST}; " + (f"choose --weights {finer}" if finer else "no finer weights are offered")
        )
    return lost


def check_logits(page: Path, writer: Writer, corpus: Corpus, model: Path) -> float:
    """The largest difference of a logit between page and Python. Raises UserError if rounding does not explain it."""
    with proof.Engine(page) as engine:
        difference = proof.largest_difference(engine, writer, corpus)
    if not difference <= proof.LARGEST_DIFFERENCE:  # nor NaN
        raise UserError(
            f"{model}: the page's logits differ from Python's by {difference:.2g}, more than"
            f" {proof.LARGEST_DIFFERENCE}; this is an error of the page, no choice of yours helps"
        )
    return difference


def expected_texts(writer: Writer, settings: SamplerSettings, seed: int, minted: Minted | None) -> proof.Expected:
    """What the page must write: the set's first tokens as they stand in it, or documents as Python writes them now."""
    if minted:
        return dict(list(minted.hashes.items())[: proof.DOCUMENTS])
    with progress("documents written", proof.DOCUMENTS) as advance:
        return proof.written_in_python(writer, settings, seed, advance)


def check_documents(
    page: Path, seed: int, expected: proof.Expected, arguments: argparse.Namespace
) -> list[proof.Place]:
    """Which of the expected texts the page writes otherwise; names tokens. Raises UserError if they are too many."""
    with progress("documents compared", len(expected)) as advance:
        differing = proof.differing_documents(page, seed, expected, advance)
    equal = len(expected) - len(differing)
    if equal < proof.EQUAL * len(expected):
        texts, advice = "documents as Python does", "choose fewer --revisions, or a longer training"
        if arguments.set:
            texts = f"tokens of {arguments.set}"
            advice = "make the set from the model that --quantised writes, and give the same --weights as then"
        few = f"{equal} of {len(expected)} {texts}, fewer than {proof.EQUAL:.0%}"
        raise UserError(f"{arguments.model}: the page writes {few}; {advice}")
    if arguments.set and differing:
        numbers = ", ".join(str(index + 1) for index, _ in differing)
        say(f"{arguments.set}: the page writes another text for {counted(len(differing), 'token')}: {numbers}")
    return differing
