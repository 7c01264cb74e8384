"""Cleans a document to one line of plain text: HTML, entities, line breaks, control characters; all of it counted."""

import html
import re
import unicodedata
from functools import partial
from html.entities import html5
from itertools import takewhile

from command.messages import around
from sources.log import MOST_EXAMPLES, SourceLog
from text.vocabulary import CONTROL, LINE_BREAKS

# HTML's own elements alone: vector<int>, a <- b and <3 are no HTML, and a parser of HTML would lose them
INLINE = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|label|mark|q|rp|rt|ruby|s|samp|small|"
    "span|strike|strong|sub|sup|time|tt|u|var|wbr"
)
BLOCK = (
    "address|article|aside|audio|base|blockquote|body|br|button|canvas|caption|center|col|colgroup|dd|details|"
    "dialog|div|dl|dt|embed|fieldset|figcaption|figure|footer|form|frame|frameset|h1|h2|h3|h4|h5|h6|head|header|"
    "hr|html|iframe|img|input|legend|li|link|main|map|meta|nav|noscript|object|ol|optgroup|option|p|param|"
    "picture|pre|progress|section|select|source|summary|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|"
    "track|ul|video"
)
# no piece crosses a <, and each is bounded, so that no text takes long
ATTRIBUTES = r"""(?:\s(?:[^<>"']|"[^"<]{0,2000}"|'[^'<]{0,2000}'){0,2000})?/?"""
# nor is a<b and c>d: an element of one letter has attributes with values, or none; a rare <p hidden> stays
TAG = re.compile(rf"<(?![a-z]\s+[^\s/<>][^<>=]*>)/?(?:(?P<block>{BLOCK})|{INLINE}){ATTRIBUTES}>", re.IGNORECASE)
HIDDEN_PARTS = re.compile(r"<(?P<end>/?)(?P<name>script|style)\b[^<>]{0,2000}>|<!--|-->", re.IGNORECASE)
ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
HALF = re.compile("[\ud800-\udfff]")  # of a pair of UTF-16, or a byte of a command line that is no character
UNFIT = re.compile(rf"{CONTROL.pattern}|{HALF.pattern}")
NO_TEXT = {"Cc": "a control character", "Cs": "a byte that is no character of your terminal's encoding"}
AROUND = 30  # characters shown on either side of a change


def without_tags(text: str) -> str:
    """The text without HTML's tags, comments and scripts; where an element begins a line, a space stands."""
    if "<" not in text:
        return text
    found = TAG.sub(lambda tag: "\n" if tag["block"] else "", without_unshown(text))
    return on_one_line(found) if found != text else text


def without_unshown(text: str) -> str:
    """The text without comments, scripts and styles; one without an end stays."""
    parts, begin, inside = [], 0, None
    for found in HIDDEN_PARTS.finditer(text):
        kind, opens = (found["name"] or "").lower(), found[0] == "<!--" or found["end"] == ""
        if inside is None and opens:
            inside = kind
            parts.append(text[begin : found.start()])
            begin = found.start()
        elif inside == kind and not opens:
            inside, begin = None, found.end()
    return "".join([*parts, text[begin:]])


def without_entities(text: str) -> str:
    """The text with HTML's entities resolved, once.

    Only HTML's own names that end in a semicolon count: ?a&copy=1 and &region; stay.
    """

    def meaning(found: re.Match[str]) -> str:
        entity = found[0]
        return html.unescape(entity) if entity[1] == "#" else html5.get(entity[1:], entity)

    return ENTITY.sub(meaning, text)


def on_one_line(text: str) -> str:
    """The text with a space for its line breaks and the white space around them."""
    return " ".join(filter(None, map(str.strip, text.splitlines())))  # at every LINE_BREAKS of text.vocabulary too


def misfit(line: str) -> str:
    """The first character that a line of a command's arguments cannot hold, and what it is; "" if all fit."""
    for character in line:
        breaks = character == "\n" or character in LINE_BREAKS
        if what := "a line break" if breaks else NO_TEXT.get(unicodedata.category(character), ""):
            return f"{character!r}, {what}"
    return ""


# what is done, in this order -> what is shown as changed
MARKUP = {"HTML removed": without_tags, "entities resolved": without_entities}
LINES = {"line breaks made spaces": on_one_line, "control characters removed": partial(UNFIT.sub, "")}


def cleaned(text: str, log: SourceLog, *, keep_html: bool = False) -> str:
    """A document as one line, without white space around it; the log counts what each step changes."""
    text = text.strip()
    if text.isprintable() and (keep_html or not ("<" in text or "&" in text)):
        return text
    for step, change in (LINES if keep_html else MARKUP | LINES).items():
        before, text = text, change(text).strip()
        if text != before:
            log.changed[step] += 1
            examples = log.examples.setdefault(step, [])
            if len(examples) < MOST_EXAMPLES:
                examples.append(excerpts(before, text))
    return text


def agreement(texts: list[str]) -> str:
    """What all the texts begin with."""
    first, last = min(texts), max(texts)  # in sorted order, these agree least
    return first[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))]


def excerpts(before: str, after: str) -> tuple[str, str]:
    """Both texts around the first place where they differ."""
    same = len(agreement([before, after]))
    return around(before, same, same, AROUND), around(after, same, same, AROUND)
