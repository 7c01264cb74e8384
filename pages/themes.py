"""The looks of pictures and pieces: formats, colours, and what stands for noise."""

from dataclasses import dataclass

FULL_INK, CAPTION_INK, NOISE_INK = 255, 105, 60  # how dark text, caption and noise are: 0 is the ground, 255 the ink
Colour = tuple[int, int, int]  # RGB, 0-255
PIECES = ("svg", "html", "gif", "webp", "apng", "mp4")  # files that show a text being written


def css(colour: Colour) -> str:
    """A colour as CSS and SVG write it."""
    return "#" + bytes(colour).hex()


@dataclass(frozen=True)
class Theme:
    """The colours of a set, and how a place looks at which nothing is written yet."""

    ground: Colour
    ink: Colour
    fresh: Colour  # of a character just written, in the page in which a model writes
    noise: str  # blank | block | letters: those of the text itself
    dark: str  # the theme of a page whose viewer prefers dark ones

    @property
    def light(self) -> bool:
        """Whether the ink is lighter than the ground."""
        return sum(self.ink) > sum(self.ground)

    def shade(self, ink: int) -> Colour:
        """The colour of an amount of ink, from 0, the ground, to 255."""
        red, green, blue = (round(g + (i - g) * ink / FULL_INK) for g, i in zip(self.ground, self.ink, strict=True))
        return red, green, blue

    def web(self, ink: int) -> str:
        """The same as CSS and SVG write it."""
        return css(self.shade(ink))

    def noise_of(self, text: str) -> list[str]:
        """What stands at each place of a text before it is written; "" for nothing."""
        letters = [character for character in text if not character.isspace()]
        if self.noise == "letters" and letters:
            return [letters[(place + 1) * SHUFFLE % len(letters)] for place in range(len(text))]
        return ["\u2588" if self.noise == "block" else ""] * len(text)


SHUFFLE = 7919  # a prime larger than most texts: neighbours get letters that lie far apart
THEMES = {
    "paper": Theme((246, 243, 236), (29, 28, 26), (163, 71, 31), "blank", "night"),
    "night": Theme((20, 21, 25), (228, 223, 211), (229, 154, 92), "letters", "night"),
    "frost": Theme((229, 234, 236), (27, 52, 74), (152, 62, 30), "block", "night"),
    "clay": Theme((92, 43, 33), (246, 228, 206), (242, 193, 78), "letters", "clay"),
}
