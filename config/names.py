"""What a dataset may be called: its name becomes that of files on every system."""

import re
from typing import Annotated

from pydantic import AfterValidator

from command.places import is_device
from config.errors import shown

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # with suffixes of ours a file name, of at most 255 bytes
NAME_RULE = (
    "must consist of at most 100 letters a-z and A-Z, digits, '_' and '-', begin with a letter or digit, "
    "and be no Windows device name"
)


def is_safe_name(name: object) -> bool:
    """Whether a dataset can have this name: it becomes a file name, so it may contain no dot, slash or device name."""
    return isinstance(name, str) and SAFE_NAME.fullmatch(name) is not None and not is_device(name)


def safe_name(name: str) -> str:
    """The name itself; ValueError if no dataset can have it."""
    if not is_safe_name(name):
        raise ValueError(f"{shown(name)} {NAME_RULE}")
    return name


Name = Annotated[str, AfterValidator(safe_name)]  # of a dataset, in files that pydantic reads
