"""Export of a model as one page that writes in the browser: quantised, proven equal to Python, then written."""

import argparse
import tempfile
from pathlib import Path

from config.command_line import SAMPLING_BOUNDS, check_numbers, sampling_options
from config.loader import config_or_defaults
from config.messages import say
from diffusion.samplers import SamplerSettings
from exporting.html import SCRIPTS, page_of
from exporting.proof import (
    CPU,
    DOCUMENTS,
    EQUAL,
    LARGEST_DIFFERENCE,
    NELBO_LOSS,
    Engine,
    Proof,
    equal_documents,
    largest_difference,
    nelbo_loss,
    node,
)  # fmt: skip
from exporting.quantise import SCHEMES
from exporting.voice import check_exportable, voice_of
from exporting.weights import Packed, in_float32, pack, quantised
from generation.checkpoint import Checkpoint, load_checkpoint, named_weights, save_checkpoint
from generation.console import progress
from generation.outputs import Outputs
from generation.writer import Writer
from text.corpus import Corpus, load_trained_corpus
from utils import UserError, utf8

UNPROVEN = "Not proven equal to Python."


def export_page(arguments: argparse.Namespace) -> int:
    """Write the page of a model. Raises UserError, and writes nothing, if it does not do what Python does."""
    check_numbers(arguments, {key: SAMPLING_BOUNDS[key] for key in SAMPLING_BOUNDS if key != "batch_size"})
    checkpoint = load_checkpoint(arguments.model)
    check_exportable(checkpoint, str(arguments.model))
    here = config_or_defaults(arguments.config).placed(checkpoint.run, arguments.data)
    output = arguments.output or Path(here.paths.outputs) / f"{arguments.model.stem}_live.html"
    inputs = [arguments.model, arguments.config, here.data_file()]
    outputs = Outputs(output.parent, [output.name], inputs, overwrite=arguments.overwrite)
    packed = packed_weights(checkpoint, arguments)
    exported = quantised(checkpoint, packed)
    writer = Writer.of(exported, CPU)
    settings = writer.settings(**sampling_options(arguments))
    voice = voice_of(writer, settings, packed, arguments.title or checkpoint.run.name)
    voice |= {"seed": str(arguments.seed), "theme": arguments.theme, "attempts": {}}
    script = SCRIPTS[arguments.platform]
    how = UNPROVEN
    if not arguments.unproven:
        node()  # before minutes of work
        corpus = load_trained_corpus(here, checkpoint.data_sha256, arguments.model)
        with named_weights(arguments.model):
            how = prove(checkpoint, writer, settings, page_of(voice, packed, script=script), corpus, arguments)
    page = utf8(page_of(voice, packed, script=script, proof=how))
    outputs.write(page)
    if arguments.quantised:
        save_checkpoint(arguments.quantised, exported)
        say(f"{arguments.quantised}: the model as the page has it; a set made from it has the page's texts")
    say(f"{output}: {len(page) / 1e6:.2f} MB. {how}")
    return 0


def packed_weights(checkpoint: Checkpoint, arguments: argparse.Namespace) -> Packed:
    """The weights as --weights says."""
    try:
        return pack(checkpoint.weights, arguments.weights)
    except OverflowError as error:
        raise UserError(f"{arguments.model}: {error}; its training went wrong, train anew") from None


def prove(
    checkpoint: Checkpoint, writer: Writer, settings: SamplerSettings, page: str, corpus: Corpus,
    arguments: argparse.Namespace,
) -> str:  # fmt: skip
    """What was proven, in words. Raises UserError for the first proof that fails."""
    original, scheme = Writer.of(in_float32(checkpoint), CPU), SCHEMES[arguments.weights]
    loss = nelbo_loss(original, writer, corpus)
    if loss > NELBO_LOSS:
        finer = f"choose --weights {scheme.instead}" if scheme.instead else "no finer weights are offered"
        raise UserError(
            f"{arguments.model}: quantised as {arguments.weights} its NELBO is {loss:.3f} bits worse, more than"
            f" {NELBO_LOSS}; {finer}"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_bytes(utf8(page))
        with Engine(file) as engine:
            difference = largest_difference(engine, writer, corpus)
        if difference > LARGEST_DIFFERENCE:
            raise UserError(
                f"{arguments.model}: the page's logits differ from Python's by {difference:.2g}, more than"
                f" {LARGEST_DIFFERENCE}; this is an error of the page, no choice of yours helps"
            )
        with progress("documents written, by Python and by the page", 2 * DOCUMENTS) as advance:
            equal = equal_documents(file, writer, settings, arguments.seed, advance)
    if equal < EQUAL:
        raise UserError(
            f"{arguments.model}: the page writes {equal} of {DOCUMENTS} documents as Python does, fewer than {EQUAL};"
            " choose fewer --revisions, a longer training, or --unproven"
        )
    return f"Proven: {Proof(loss, difference, equal, DOCUMENTS)}."
