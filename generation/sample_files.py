"""Writes a model's documents to a text file, one a line, and with their settings to a JSON Lines file beside it."""

import json
from pathlib import Path
from typing import Any

from text.vocabulary import one_line
from utils import UserError, write_atomic


def write_sample_files(output: Path, texts: list[str], record: dict[str, Any]) -> Path:
    """Write both files, with `record` in every line of the second; return the second's path."""
    objects = [json.dumps({"index": k, "text": text, **record}, ensure_ascii=False) for k, text in enumerate(texts)]
    try:
        # a stream's samples hold newlines, which the text file shows as \n: a sample stays a line
        write_atomic(output, "".join(one_line(text) + "\n" for text in texts))
        write_atomic(output.with_suffix(".jsonl"), "".join(line + "\n" for line in objects))
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror}") from None
    return output.with_suffix(".jsonl")
