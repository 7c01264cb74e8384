"""What a set was made from, as far as it is at hand when it is verified: model, training text, list of words."""

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath

import numpy as np

from command.messages import counted
from config.errors import listed
from config.loader import Config, config_or_defaults
from config.sets import Rules
from evaluation.learnt_text import seen_text
from evaluation.reference import Reference
from generation.aside import kept_aside
from generation.checkpoint import Checkpoint, load_checkpoint
from nft.findings import Findings
from nft.formats import ONE_COMPARISON, OWN_BOUND, SMALL_LETTERS, TWINS_APART
from nft.schemas import SetInfo, rules_with_defaults
from text.corpus import Corpus, load_trained_corpus
from utils import UserError, check_readable, hash_file, sha256, size_of, unreadable

MOST_BYTES = 1 << 34  # of a model or a list of words; a file may be of any size without taking room on a disk
OF_THE_TEXT = "copies, novelty, invented words and dropped texts"  # what cannot be checked without the training text


@dataclass(frozen=True)
class Originals:
    """What is at hand of that from which a set was made; each has the hash that set.json names."""

    rules: Rules  # without the rule `words` if its list is not at hand
    knows_words: bool  # whether `rules` are all rules of the set
    checkpoint: Checkpoint | None = None
    reference: Reference | None = None  # of the training text


def find_originals(found: Findings, info: SetInfo, arguments: argparse.Namespace) -> Originals:
    """Look for what a set was made from; what is not at hand, or not what the set was made from, is reported.

    Raises UserError where the command line names no file.
    """
    for path in (arguments.model, arguments.data):
        if path:
            check_readable(path)
    rules, knows_words = rules_at_hand(found, info)
    checkpoint = find_model(found, info, arguments.model)
    reference = None
    if checkpoint:
        try:
            reference = find_text(found, info, checkpoint, arguments)
        except (UserError, OSError) as error:  # of the configuration, of the text, or of its store
            found.not_checked(f"{OF_THE_TEXT}: {'; '.join(str(error).splitlines())}")
    return Originals(rules, knows_words, checkpoint, reference)


def is_remote(path: Path) -> bool:
    """Whether a path, maybe a stranger's, makes Windows contact another machine and reveal who asks."""
    return os.name == "nt" and PureWindowsPath(str(path)).drive.startswith("\\\\")


def hash_at_hand(path: Path) -> str:
    """SHA-256 of a file that a set names; "" if none is at hand. Pipes, and some files of a system, have no end."""
    return hash_file(path) if not unreadable(path) and 0 < size_of(path) <= MOST_BYTES else ""


def rules_at_hand(found: Findings, info: SetInfo) -> tuple[Rules, bool]:
    """The set's rules, and whether they are all: without its list the rule `words` cannot be applied."""
    rules = rules_with_defaults(info.rules)
    path, without = rules.word_file(), rules.model_copy(update={"words": "keep", "word_list": ""})
    if bool(rules.word_list) != bool(info.word_list_sha256):
        found.differs("set.json: rules.word_list and word_list_sha256 do not belong together")
    elif path is None or info.word_list_sha256 == sha256(b""):  # an empty list finds nothing, wherever it lies
        return without, True
    elif not is_remote(path) and hash_at_hand(path) == info.word_list_sha256:
        return rules, True
    elif rules.words != "keep":
        found.not_checked(f"the rule words, and dropped texts: its list {path} is not here, or not as it was")
    return without, rules.words == "keep"


def model_of_set(info: SetInfo, named: Path | None) -> Path | None:
    """The file of the model that a set was drawn with: the one that is named, or that of set.json or one kept aside."""
    path = Path(info.model_file)
    there = [named] if named else [] if is_remote(path) else [path, *kept_aside(path)]
    wanted = info.identity["model_sha256"]  # of a forged set it may be anything
    return next((file for file in there if wanted and hash_at_hand(file) == wanted), None)


def find_model(found: Findings, info: SetInfo, named: Path | None) -> Checkpoint | None:
    """The model that a set was drawn with, if it is at hand; where set.json says otherwise of it, that is reported."""
    path, of_set = named or Path(info.model_file), model_of_set(info, named)
    if not of_set:
        if named:
            found.differs(f"{path}: not the model that this set was drawn with")
        else:
            there = not is_remote(path) and hash_at_hand(path)
            what = "is another model than the set's" if there else "is not at hand"
            found.not_checked(
                f"how the tokens were drawn, {OF_THE_TEXT}: {path} {what}; give the model's path with --model"
            )
        return None
    checkpoint = load_checkpoint(of_set)
    if checkpoint.file_sha256 != info.identity["model_sha256"]:
        found.not_checked(f"how the tokens were drawn, {OF_THE_TEXT}: {of_set} was replaced meanwhile; verify again")
        return None
    own = {"config_sha256": checkpoint.training_sha256, "data_sha256": checkpoint.data_sha256}
    for key, value in own.items():
        if info.identity[key] != value:
            found.differs(f"set.json: identity.{key} is not the model's")
    if info.start != checkpoint.start:
        found.differs("set.json: start is not the model's")
    if info.name != checkpoint.run.name:
        found.differs(f"set.json: name is {info.name!r}, but the model's is {checkpoint.run.name!r}")
    return checkpoint


def reference_of(
    corpus: Corpus, checkpoint: Checkpoint, config: Config, set_format: int
) -> tuple[Reference, list[str]]:
    """What the texts of a set of this format are compared with, what its model learnt from; and whose is missing."""
    context, start = checkpoint.run.model.context, checkpoint.start
    visible_only = set_format >= ONE_COMPARISON
    if not start:
        return Reference(corpus, context, visible_only=visible_only), []
    corpus = replace(corpus, vocabulary=replace(corpus.vocabulary, rarer=set_format < SMALL_LETTERS))
    seen = seen_text(corpus, checkpoint.run, start, config, same_split=checkpoint.same_split)
    own = seen.own if set_format >= OWN_BOUND else np.inf
    sought = seen.apart if set_format >= TWINS_APART else [seen.text]
    return Reference(corpus, context, *sought, own=own, visible_only=visible_only), seen.missing


def left_out(corpus: Corpus, checkpoint: Checkpoint) -> str:
    """Which part of the model's own text is not searched for copies, in words; "" if all of it is.

    A set's figures are of what its model learnt from; a model from elsewhere may have learnt more than it says.
    """
    if checkpoint.start or not (count := corpus.reading_log.not_sampled):
        return ""
    return f"{counted(count, 'document')} of the text, which data.max_documents left out of the model's training"


def find_text(
    found: Findings, info: SetInfo, checkpoint: Checkpoint, arguments: argparse.Namespace
) -> Reference | None:
    """The training text of a model, ready to be compared with; None if it is not at hand."""
    config = config_or_defaults(arguments.config)
    run = config.placed(checkpoint.run, arguments.data)
    path = run.data_file()
    if not path.is_file():
        found.not_checked(f"{OF_THE_TEXT}: {path} is not at hand; give the training text's path with --data")
        return None
    if hash_file(path) != info.identity["data_sha256"]:
        if arguments.data:
            found.differs(f"{path}: not the text that the model was trained on")
        else:
            found.not_checked(f"{OF_THE_TEXT}: {path} is another text than the model's; give that with --data")
        return None
    corpus = load_trained_corpus(run, info.identity["data_sha256"], Path(info.model_file))
    if corpus.vocabulary != checkpoint.vocabulary:
        found.not_checked(f"{OF_THE_TEXT}: another version of this program read other characters of {path}")
        return None
    reference, unseen = reference_of(corpus, replace(checkpoint, run=run), config, info.format)
    if unseen:
        found.not_checked(f"{OF_THE_TEXT}: the text of {listed(unseen)}, which the model learnt from too, is not here")
        return None
    if what := left_out(corpus, checkpoint):
        found.not_checked(f"copies of {what}; evaluate.py --samples looks through all of it")
    if reference.copy_bound != info.copy_bound:
        found.differs(f"set.json: copy_bound is {info.copy_bound}, but follows as {reference.copy_bound}")
    return reference
