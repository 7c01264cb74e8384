"""Source and licence of a text, as prepare.py recorded them beside it in NAME.source.json."""

from collections.abc import Callable
from pathlib import Path

from pydantic import Field, ValidationError

from config.data_file import RECORD
from config.errors import first_problem
from config.schema import RunConfig
from config.section import Section
from utils import UserError, read_text

MOST_BYTES = 1 << 20  # of a record
LONGEST = 20_000  # characters of a source or a licence, as in a set


class RecordedText(Section, extra="ignore"):
    """The text that a record describes; without a hash, none."""

    sha256: str = ""


class Origin(Section, extra="ignore"):
    """What is read of a record, source and licence, and of which text; the rest of it is for people."""

    source: str = Field(default="", max_length=LONGEST)
    license: str = Field(default="", max_length=LONGEST)
    text: RecordedText = RecordedText()


def with_origin(run: RunConfig, sha256: str, tell: Callable[[str], None], text: Path | None = None) -> RunConfig:
    """The run with the source and the licence recorded of a text of this SHA-256, where the config gives none.

    They are sought beside `text`, or else beside the run's text. The text may have been replaced since: a record of
    another text is reported to `tell`.
    """
    if run.source and run.license:
        return run
    text = text or run.data_file()
    origin = origin_of(text)
    if not sha256 or origin.text.sha256 != sha256:  # an imported model names no text
        if origin.source or origin.license:
            what = "is the record of another text, so no source or license is taken from it; give them in config.yaml"
            tell(f"{text.with_suffix(RECORD)}: {what}")
        return run
    found = {"source": run.source or origin.source, "license": run.license or origin.license}
    return run.model_copy(update=found)


def origin_of(data_file: Path) -> Origin:
    """The origin recorded beside a text, empty if there is no record. Raises UserError if it is damaged."""
    path = data_file.with_suffix(RECORD)
    if not path.exists():
        return Origin()
    text = read_text(path, "move it away", MOST_BYTES)
    try:
        return Origin.model_validate_json(text)
    except ValidationError as error:
        what = first_problem(error) if error.errors()[0]["loc"] else "is no JSON object"
        raise UserError(f"{path}: {what}; move it away") from None
