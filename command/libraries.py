"""Optional libraries, imported at their use, and other programs; if one is missing, a line says what to install."""

import importlib
import os
import shutil
from pathlib import Path
from typing import Any

from utils import UserError


def library(name: str, needed_for: str = "export", called: str = "") -> Any:
    """A module of an optional library of requirements-NEEDED_FOR.txt. Raises UserError if it cannot be imported."""
    package = name.split(".")[0]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        # one of its own modules is missing: it is not there, or another version of it is
        absent = isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == package
        what = "is not installed" if absent else f"is installed, but cannot be loaded ({error})"
        raise UserError(f"{called or package} {what}; pip install -r requirements-{needed_for}.txt") from None


def program(name: str) -> str:
    """The path of another program; "" if it is not installed.

    It is sought in the absolute folders of PATH alone: Windows begins with the working folder, which may be a
    stranger's.
    """
    file = f"{name}.exe" if os.name == "nt" else name
    places = (Path(folder, file) for folder in os.get_exec_path() if Path(folder).is_absolute())
    return next((str(place) for place in places if shutil.which(place)), "")
