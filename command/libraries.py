"""Optional libraries: imported at their use; where one lacks, a line says what to install."""

import importlib
from typing import Any

from utils import UserError


def library(name: str, needed_for: str = "export", called: str = "") -> Any:
    """A module of an optional library of requirements-NEEDED_FOR.txt. Raises UserError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        what = f"{called or name.split('.')[0]} is not installed"
        raise UserError(f"{what}; pip install -r requirements-{needed_for}.txt") from None
