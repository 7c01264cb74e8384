"""In which encoding a source is read: by its mark, by --encoding, by what it declares, or as UTF-8."""

import codecs
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from sources.files import Found
from utils import UserError

BINARY = ("parquet",)
MIXED = ("mbox",)  # kinds of which each part names its own encoding
BOMS = {  # those of UTF-32 first, for one of them begins with one of UTF-16
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
DECLARATION = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([A-Za-z][\w.-]{0,40})["']""")
ASCII = bytes(range(32, 127)).replace(b"\\", rb"\u0041")  # what Python's escapes and punycode change
# name -> what the programs mean that write it, as browsers read it (WHATWG Encoding Standard): the encoding of the name
# itself lacks letters that they write, or Python does not know the name
MEANT = {
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs",
    "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "windows-874": "cp874", "windows-31j": "cp932", "windows-949": "cp949", "iso-8859-8-i": "iso8859-8",
    "x-sjis": "cp932", "x-gbk": "gb18030", "x-euc-jp": "euc_jp",
}  # fmt: skip
NAME_ENCODING = "name its encoding, for example --encoding cp1252 (Windows, Western Europe)"
OTHERS = (  # of texts that are not UTF-8, in any alphabet; where two read alike, the more frequent stands first
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp874", "koi8-r", "mac-roman",
    "cp932", "euc-jp", "gb18030", "big5", "cp949",
)  # fmt: skip
TRIED, SHOWN = 600, 8  # bytes that must fit an encoding, and characters by which a reader tells whether they are right
BETWEEN = re.compile(rb"""[\n\t ,;"'>]""")  # bytes that are no part of a longer character in any of these encodings


def fix_of(error: UnicodeDecodeError) -> str:
    """What to do about bytes that are not UTF-8: if most non-ASCII text is UTF-8, only a few are damaged."""
    text = error.object.decode("utf-8", "replace")
    mostly = sum(character > "\x7f" for character in text) > 2 * text.count("\ufffd")
    if mostly:
        return "nearly all is UTF-8: --encoding utf-8 makes U+FFFD of the rest, and counts it"
    return readings(error.object, error.start)


def readings(block: bytes, start: int) -> str:
    """What to do about bytes that are not UTF-8 at `start`: the encodings that they fit, with what they read then."""
    begin = max([found.end() for found in BETWEEN.finditer(block, max(0, start - TRIED), start)], default=0)
    sample = block[begin : begin + TRIED]
    words = [] if 0 in sample else [word for word in sample.split() if not word.isascii()]
    read = {name: fitting(words, name) for name in OTHERS}
    if 0 in block:
        read["utf-16-le"] = fitting([block[begin + begin % 2 :][:TRIED]], "utf-16-le")

    def shown(first: int) -> dict[str, str]:
        """What is shown from a word on -> the encoding, the first of those that read it alike."""
        found: dict[str, str] = {}
        for name, texts in read.items():
            found.setdefault(" ".join(texts[first:])[:SHOWN].rstrip(), name)
        return {text: name for text, name in found.items() if not text.isascii()}

    best = max(map(shown, range(max(1, len(words)))), key=len)
    examples = ", ".join(f"{name} '{text}'" for text, name in best.items())
    return f"name the encoding in which it reads right: --encoding {examples}" if examples else NAME_ENCODING


def fitting(words: Sequence[bytes], name: str) -> list[str]:
    """The words as an encoding reads them; none if it cannot, or reads what stands in no text. The last may be cut."""
    try:
        texts = codecs.getincrementaldecoder(meant(name))().decode(b" ".join(words)).split()
    except UnicodeDecodeError:
        return []
    unlikely = any(unicodedata.category(character) in ("Cc", "Cn", "Co") for character in "".join(texts))
    return [] if unlikely else texts


def mark_of(first: bytes) -> str:
    """The encoding that a byte order mark tells; "" without one."""
    return next((name for mark, name in BOMS.items() if first.startswith(mark)), "")


def meant(name: str) -> str:
    """The encoding that programs mean by a name; the name itself where that is the one."""
    try:
        return MEANT.get(codecs.lookup(name).name, name)
    except LookupError:
        return MEANT.get(name.lower(), name)


def encoding_of(found: Found, first: bytes, encoding: str, all_utf8: Callable[[], bool]) -> str:
    """In which encoding a file that begins so is to be read; "" for bytes to be taken as they are.

    Its mark tells; else `encoding`, where that is not "", unless `all_utf8` finds UTF-8; else what the file declares.
    """
    if found.kind in BINARY:
        return ""
    if (mark := mark_of(first)) or found.kind in MIXED:
        return mark
    if encoding:
        return "" if all_utf8() else encoding
    return declared(found, first)


def is_utf8(blocks: Iterator[bytes]) -> bool:
    """Whether all of a file is UTF-8 and holds what is not ASCII: then it is of no other encoding."""
    decoder, plain = codecs.getincrementaldecoder("utf-8")(), True
    try:
        for block in blocks:
            decoder.decode(block)
            plain = plain and block.isascii()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return not plain


def declared(found: Found, first: bytes) -> str:
    """The encoding that a file of XML declares; "" for UTF-8. Raises UserError for one that changes ASCII."""
    said = DECLARATION.match(first) if found.kind == "xml" else None
    name = said[1].decode() if said else "utf-8"
    try:
        fits = ASCII.decode(meant(name)) == ASCII.decode()
    except (LookupError, UnicodeError):
        fits = False
    if not fits:  # its declaration, which is ASCII, would not be there
        what = f"declares the encoding {name!r}, by which it is not to be read"
        start = next((place for place, byte in enumerate(first) if byte > 127), 0)
        raise UserError(f"{found.name}: {what}; {readings(first, start)}")
    return "" if codecs.lookup(meant(name)).name in ("utf-8", "ascii") else name


def decoded(found: Found, blocks: Iterator[bytes], encoding: str, errors: str) -> Iterator[bytes]:
    """The blocks as UTF-8."""
    try:
        for text in codecs.iterdecode(blocks, meant(encoding), errors):
            yield text.encode("utf-8", "replace")
    except UnicodeError as error:
        fix = readings(error.object, error.start) if isinstance(error, UnicodeDecodeError) else NAME_ENCODING
        raise UserError(f"{found.name}: is not {encoding.removesuffix('-sig')}: {error}; {fix}") from None


def unnamed(content: bytes, place: str, encoding: str) -> str:
    """What names no encoding: as UTF-8, or in `encoding` where it is none. Raises UserError if that is ""."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        if not encoding:
            byte = f"byte 0x{content[error.start]:02x} is not UTF-8"
            raise UserError(f"{place}: {byte}; {readings(content, error.start)}") from None
        return content.decode(meant(encoding), "replace")


def check_encoding(name: str) -> None:
    """Raise UserError for an encoding that Python does not know, or that is none of texts."""
    try:
        if name:
            b"a".decode(meant(name), "replace")
            codecs.getincrementaldecoder(meant(name))
    except (LookupError, UnicodeError, ValueError):
        raise UserError(f"--encoding {name}: unknown; for example utf-8, cp1252, latin-1, utf-16, gb18030") from None
