"""Optional libraries, of exports and of what was exported: imported at their use; a line says what to install."""

import importlib
from typing import Any

from utils import UserError


def library(name: str) -> Any:
    """A module of an optional library. Raises UserError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"{name.split('.')[0]} is not installed; pip install -r requirements-export.txt") from None
