"""Which languages documents are written in, by the optional library py3langid (requirements-check.txt)."""

import importlib
from collections import Counter
from functools import cache
from typing import Any

# bytes of UTF-8, which tell as much of a text in any script, and the probability, from which a guess is trusted
SHORTEST, SURE = 40, 0.9
READ = 1000  # characters of a document
MISSING = ("languages were not looked for", "to have it done: pip install -r requirements-check.txt")
NAMES = {
    "ar": "Arabic", "bn": "Bengali", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "la": "Latin", "nl": "Dutch",
    "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish",
    "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese", "zxx": "no language",
}  # fmt: skip


@cache
def identifier() -> Any:
    """The library's model of 139 languages, or None where it is not installed."""
    try:
        langid = importlib.import_module("py3langid.langid")
    except ImportError:
        return None
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)


def recognised(texts: list[str]) -> Counter[str] | None:
    """How many documents are in which language (ISO 639 code), of those long and clear enough to tell.

    None where the library is missing.
    """
    if not (model := identifier()):
        return None
    guesses = (model.classify(text[:READ]) for text in texts if len(text.encode()) >= SHORTEST)
    return Counter(code for code, probability in guesses if probability >= SURE)


def name_of(code: str) -> str:
    """The language's name, or its code where it is rarer."""
    return NAMES.get(code, code)
