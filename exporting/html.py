"""The page: one HTML file, filled from the sources in `browser/`, with nothing in it that needs a network."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from exporting.weights import Packed
from pages.template import filled, script_json
from pages.themes import FULL_INK, THEMES, css
from utils import SOFTWARE, VERSION

BROWSER = Path(__file__).parent / "browser"
SHARED = ("draws.js", "lengths.js")  # page and worker need them
PAGE = (*SHARED, "platform.js", "page.js")
ENGINE = (*SHARED, "kernel.js", "network.js", "samplers.js", "documents.js", "weights.js", "worker.js")
# the script that a platform wants beside the page
SCRIPTS = {"none": "", "fxhash": "fxhash.js", "highlight": "hl-gen.js"}


def page_of(voice: Mapping[str, Any], packed: Packed, *, script: str = "", proof: str = "") -> str:
    """A page; `voice` is the header of `voice_of`, `script` a file that stands beside the page."""
    weights = base64.b64encode(packed.data).decode()
    about = f"{SOFTWARE} {VERSION}, MIT licence, for all but the voice in it. {proof}".strip()
    themes = {
        name: {"ground": theme.web(0), "ink": theme.web(FULL_INK), "fresh": css(theme.fresh)}
        for name, theme in THEMES.items()
    }
    contents = {
        "<!--ABOUT-->": f"<!-- {about} -->",
        "<!--TITLE-->": escape(voice["title"]),
        "<!--SCRIPT-->": f'<script src="./{script}"></script>' if script else "",
        "/*STYLE*/": (BROWSER / "style.css").read_text(encoding="utf-8").strip(),
        "/*VOICE*/": script_json({**voice, "themes": themes, "packed": len(weights)}),
        "/*PAGE*/": joined(PAGE),
        "/*ENGINE*/": joined(ENGINE),
        "/*KERNEL*/": base64.b64encode((BROWSER / "kernel.wasm").read_bytes()).decode(),
        "/*WEIGHTS*/": weights,
    }
    return filled(BROWSER / "page.html", contents)


def joined(names: tuple[str, ...]) -> str:
    """Sources one behind the other, strict as a whole."""
    sources = [(BROWSER / name).read_text(encoding="utf-8").replace('"use strict";\n\n', "") for name in names]
    return '"use strict";\n\n' + "\n".join(sources).strip()
