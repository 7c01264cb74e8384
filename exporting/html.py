"""The page: one HTML file, filled from the sources in `browser/`, with nothing in it that needs a network."""

import base64
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from exporting.weights import Packed
from utils import VERSION

SOURCES = Path(__file__).parent / "browser"
SHARED = ("draws.js", "lengths.js")  # page and worker need them
PAGE = (*SHARED, "platform.js", "page.js")
ENGINE = (*SHARED, "kernel.js", "network.js", "samplers.js", "documents.js", "weights.js", "worker.js")
# a page's colours: its ground, its ink, and that of a character just written
THEMES = {
    "paper": {"ground": "#f6f3ec", "ink": "#1d1c1a", "fresh": "#a3471f"},
    "night": {"ground": "#151412", "ink": "#ece7db", "fresh": "#e59a5c"},
    "sea": {"ground": "#0f2a33", "ink": "#e4f0ee", "fresh": "#f2c14e"},
    "moss": {"ground": "#e7ecdf", "ink": "#1f2a1c", "fresh": "#2f6d3a"},
    "rose": {"ground": "#f7e9e6", "ink": "#33191c", "fresh": "#b3264a"},
    "terminal": {"ground": "#0b0f0b", "ink": "#b8f2b0", "fresh": "#ffffff"},
}
AUTO = "auto"  # paper, or night where the viewer's system is dark
# the script that a platform wants beside the page
SCRIPTS = {"none": "", "fxhash": "fxhash.js", "highlight": "hl-gen.js"}


def page_of(voice: Mapping[str, Any], packed: Packed, *, script: str = "", proof: str = "") -> str:
    """A page; `voice` is the header of `voice_of`, `script` a file that stands beside the page."""
    weights = base64.b64encode(packed.data).decode()
    parts = {
        "about": f"diffusion-gpt-local {VERSION}, MIT licence, for all but the voice in it. {proof}".strip(),
        "title": escape(voice["title"]),
        "script": f'<script src="./{script}"></script>' if script else "",
        "style": (SOURCES / "style.css").read_text(encoding="utf-8").strip(),
        # "<" could end the script that holds the header
        "voice": json.dumps({**voice, "themes": THEMES, "packed": len(weights)}).replace("<", "\\u003c"),
        "page": joined(PAGE),
        "engine": joined(ENGINE),
        "kernel": base64.b64encode((SOURCES / "kernel.wasm").read_bytes()).decode(),
        "weights": weights,
    }
    template = (SOURCES / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def joined(names: tuple[str, ...]) -> str:
    """Sources one behind the other, strict as a whole."""
    sources = [(SOURCES / name).read_text(encoding="utf-8").replace('"use strict";\n\n', "") for name in names]
    return '"use strict";\n\n' + "\n".join(sources).strip()
