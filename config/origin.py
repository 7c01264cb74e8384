"""Source and licence of a text, as prepare.py recorded them beside it in NAME.source.json."""

from pathlib import Path

from pydantic import ConfigDict, Field, ValidationError

from config.data_file import RECORD
from config.schema import Section
from utils import UserError, read_text

MOST_BYTES = 1 << 20  # of a record
LONGEST = 20_000  # characters of a source or a licence, as in a set


class Origin(Section):
    """What config.yaml takes from a record; the rest of it is for people."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    source: str = Field(default="", max_length=LONGEST)
    license: str = Field(default="", max_length=LONGEST)


def origin_of(data_file: Path) -> Origin:
    """The origin recorded beside a text, empty if there is no record. Raises UserError if it is damaged."""
    path = data_file.with_suffix(RECORD)
    if not path.exists():
        return Origin()
    text = read_text(path, "move it away", MOST_BYTES)
    try:
        return Origin.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        what = f"{place}: {problem['msg'].removeprefix('Value error, ')}" if place else "is no JSON object"
        raise UserError(f"{path}: {what}; move it away") from None
