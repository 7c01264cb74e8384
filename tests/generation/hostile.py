"""What the tests of hostile model files share: changing one field of a file, and what loading it comes to."""

import time
from pathlib import Path

import torch

from config.schema import RunConfig
from generation.checkpoint import load_checkpoint
from generation.writer import Writer, write_documents
from tests.helpers import one_short_line
from utils import UserError

SECONDS = 10  # far more than a case takes, far less than what it asks for
ABSENT = object()


def changed(content: dict, place: tuple, value: object) -> dict:
    """A copy of nested mappings with another value at a path of keys, or none there."""
    key, *rest = place
    if rest:
        return {**content, key: changed(content[key], tuple(rest), value)}
    return {k: v for k, v in {**content, key: value}.items() if v is not ABSENT}


def outcome(path: Path) -> str:
    """What is wrong with a model file; "" where it loads, is sane and writes."""
    began = time.monotonic()
    try:
        found = load_checkpoint(path)
        writer = Writer.of(found, torch.device("cpu"))
        [text] = write_documents(writer, 0, [0], writer.settings())
    except (UserError, FloatingPointError) as error:
        assert one_short_line(str(error).replace(str(path), "")), str(error)[:2000]
        return str(error)
    finally:
        assert time.monotonic() - began < SECONDS
    assert set(text) <= set(found.vocabulary.characters) and len(text) <= found.run.sampling.max_length
    assert RunConfig.model_validate(found.run.model_dump()) == found.run
    assert all(value.isfinite().all() for value in found.weights.values())
    assert found.lengths.counts.sum() > 0 and found.lengths.values.min() >= 0
    return ""
