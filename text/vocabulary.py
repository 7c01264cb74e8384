"""The vocabulary: the characters that a model knows, and the conversion of text to ids and back."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

FRAME = 0  # id of the newline, which stands before and after every document and pads it
NEWLINE = ord("\n")
UNICODE_SIZE = 0x110000  # code points
LAST_LETTER = 0x30000  # code points from here on have neither cases nor plainer forms, but for rare Chinese ones
LINE_BREAKS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # some programs end a line at these
# the other control characters but the tab: no text needs them, and a terminal that shows them obeys them
CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f]")
# characters that show nothing though no category says so: Unicode's default ignorable letters, marks and free places
# (fillers, variation selectors), and the empty cell of Braille
IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
# Thai, Lao, Burmese, Khmer, Chinese and Japanese; Korean, whose particles follow a word without a space; the narrow
# forms of Japanese and Korean
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff\uff66-\uffdc"
)
LEFT_OUT = 0.01  # share of a text outside the vocabulary, above which a user is told
ESCAPED = re.compile(r"\\[\\n]")
UNSHOWN = re.compile(f"{CONTROL.pattern}|[{LINE_BREAKS}]")  # reading leaves none of them in a text


@dataclass(frozen=True)
class Vocabulary:
    """Characters in the order of their ids, newline first. If `open`, a last id, `<unk>`, stands for all others."""

    characters: str
    open: bool = True
    rarer: bool = False  # an unknown letter reads as the rarer of its two cases, as in earlier sets

    def __post_init__(self) -> None:
        if not self.characters.startswith("\n") or len(set(self.characters)) != len(self.characters):
            raise ValueError("a vocabulary starts with the newline and names each character once")

    @property
    def unk(self) -> int:
        """The id of `<unk>`."""
        return len(self.characters)

    @property
    def size(self) -> int:
        """The number of ids, with `<unk>` if there is one."""
        return len(self.characters) + self.open

    @cached_property
    def ids_of_codepoints(self) -> np.ndarray:
        """(UNICODE_SIZE,) uint16: the id of every Unicode code point."""
        table = np.full(UNICODE_SIZE, self.unk, dtype=np.uint16)
        table[codepoints(self.characters)] = np.arange(len(self.characters), dtype=np.uint16)
        return table

    @cached_property
    def ids_of_alike(self) -> np.ndarray:
        """(UNICODE_SIZE,) uint16: the id of every code point, or else of a character that reads the same.

        That has another case, width or style, or no accents; it is the small letter if both cases are known. White
        space reads as the space.
        """
        table = self.ids_of_codepoints.copy()
        numbered = sorted(enumerate(self.characters), key=lambda pair: pair[1].islower() and not self.rarer)
        known = {character.casefold(): number for number, character in numbered}  # of both cases, the last
        others = {ord(plain): (plain,) for plain in known if len(plain) == 1}  # where only the capital is known
        for code, readings in (others | plain_readings()).items():
            if table[code] == self.unk:
                table[code] = next((known[plain] for plain in readings if plain in known), self.unk)
        return table

    def encode(self, text: str) -> np.ndarray:
        """Text -> (length,) uint16 ids; a character outside the vocabulary becomes `<unk>`."""
        return self.ids_of_codepoints[codepoints(text)]

    @cached_property
    def symbols(self) -> str:
        """What each id shows as: U+FFFD for `<unk>`, and for control characters, which a foreign model may know."""
        return UNSHOWN.sub("\ufffd", self.characters) + "\ufffd"

    def decode(self, ids: np.ndarray) -> str:
        """(length,) ids -> text."""
        symbols = self.symbols
        return "".join([symbols[i] for i in ids.tolist()])


@cache
def plain_readings() -> dict[int, tuple[str, ...]]:
    """Code points that are not their own plainest form -> what each reads as: in small, and without accents too."""
    found = {}
    for code in range(LAST_LETTER):
        character = chr(code)
        parts = unicodedata.normalize("NFKD", character)
        bare = "".join(part for part in parts if unicodedata.category(part)[0] != "M").casefold()
        readings = (character.casefold(), bare, *" " * character.isspace())
        if readings != (character, character):
            found[code] = readings
    return found


def codepoints(text: str) -> np.ndarray:
    """Text -> (length,) uint32 Unicode code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def text_of_codepoints(codes: np.ndarray) -> str:
    """(length,) code points -> text."""
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def build_vocabulary(counts: np.ndarray, limit: int) -> Vocabulary:
    """(UNICODE_SIZE,) counts -> the newline and the most frequent characters, `limit` at most; ties by code point."""
    counts = counts.copy()
    counts[[0, NEWLINE]] = 0  # NUL ends a text in other programs: no model knows it
    present = np.flatnonzero(counts)
    ranked = present[np.argsort(-counts[present], kind="stable")][: limit - 1]
    return Vocabulary("\n" + "".join(map(chr, ranked)))


def too_small(unknown: int, characters: int, limit: int) -> str:
    """What a vocabulary of `limit` characters loses of a text, and what to do; "" where that is little."""
    if unknown <= LEFT_OUT * characters:
        return ""
    what = f"{unknown / characters:.0%} of the text is outside the vocabulary of {limit}, and the voice never writes it"
    return f"{what}: raise data.vocab_size; --check names a size"


@cache
def many_combining() -> re.Pattern[str]:
    """A long run of characters that combine with the one before."""
    combining = "".join(filter(unicodedata.combining, map(chr, range(UNICODE_SIZE))))
    return re.compile(f"[{re.escape(combining)}]{{64,}}")


def nfc(text: str) -> str:
    """NFC. Long runs of marks are put in order here: unicodedata takes the square of their number to do it."""
    if unicodedata.is_normalized("NFC", text):
        return text
    in_order = many_combining().sub(lambda run: "".join(sorted(run[0], key=unicodedata.combining)), text)
    return unicodedata.normalize("NFC", in_order)


def fold(text: str) -> str:
    """The form in which texts are compared: NFC, and white space of any kind and length as one space."""
    return " ".join(nfc(text).split())


def is_letter(character: str) -> bool:
    """Whether a character is a letter or a part of one, as the signs of Hindi's vowels are."""
    return unicodedata.category(character)[0] in "LM"


@cache
def marks() -> str:
    """Characters that belong to a letter but are none, such as Hindi vowel signs."""
    return "".join(c for c in map(chr, range(0x300, 0x20000)) if unicodedata.category(c)[0] == "M")


def is_visible(character: str) -> bool:
    """Whether a character shows anything: neither white space nor control and format characters nor fillers do."""
    hidden = unicodedata.category(character) in ("Cc", "Cf") or IGNORABLE.match(character)
    return not (character.isspace() or hidden)


def visible(text: str) -> str:
    """The text as compared regardless of case: NFC of the characters that show anything, case-folded."""
    return nfc("".join(filter(is_visible, text))).casefold()


def one_line(text: str) -> str:
    r"""The text as one line, to be looked at: newlines, which texts of a stream may hold, become \n."""
    return text.replace("\n", "\\n")


def as_line(text: str) -> str:
    r"""A text of a stream as a line of a file: a newline becomes \n, a backslash two; `of_line` reads it again."""
    return text.replace("\\", r"\\").replace("\n", r"\n")


def of_line(line: str) -> str:
    """The text of which `as_line` made a line."""
    return ESCAPED.sub(lambda found: "\n" if found[0] == r"\n" else "\\", line)
