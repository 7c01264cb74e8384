"""What preparing a text counts: rows read, rows left out and why, texts changed and how, with examples."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from command.messages import counted

MOST_EXAMPLES = 3  # of each kind


@dataclass
class SourceLog:
    """Counts of preparing a text, and the first examples of each kind."""

    rows: int = 0
    documents: int = 0
    characters: int = 0
    beyond_ascii: str = ""  # the first document that shows by which encoding it was read
    repeated: int = 0  # documents that are equal to an earlier one; training drops them
    replaced: int = 0  # U+FFFD in the text, which stands for what could not be decoded, here or by a program before
    left_out: Counter[str] = field(default_factory=Counter)  # rows, by the reason
    changed: Counter[str] = field(default_factory=Counter)  # rows, by what was done to their text
    not_numbers: dict[str, tuple[int, str]] = field(default_factory=dict)  # by column: how many rows, and one cell
    places: dict[str, list[str]] = field(default_factory=dict)  # of rows that could not be read
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # excerpts before and after

    @property
    def bad_rows(self) -> int:
        """Rows that could not be read, for any reason."""
        return sum(self.left_out[reason] for reason in self.places)

    def add(self, document: str) -> None:
        """Count a document of the text."""
        self.documents += 1
        self.characters += len(document)
        self.replaced += document.count("\ufffd")
        if not (self.beyond_ascii or document.isascii()):
            self.beyond_ascii = document

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count rows that make no document."""
        if count:
            self.left_out[reason] += count

    def bad_row(self, reason: str, place: str) -> None:
        """Count a row that could not be read."""
        self.rows += 1
        self.left_out[reason] += 1
        places = self.places.setdefault(reason, [])
        if len(places) < MOST_EXAMPLES:
            places.append(place)

    def not_number(self, column: str, count: int, example: str) -> None:
        """Count cells that are no numbers, in a column of numbers."""
        before, first = self.not_numbers.get(column, (0, example))
        if count:
            self.not_numbers[column] = (before + count, first)

    def without_number(self) -> Iterator[str]:
        """What --where took for missing, since it is no number that can be compared, in words."""
        for column, (count, example) in self.not_numbers.items():
            what = f"{column!r} is no number ({example!r}, for example), so --where takes it for missing"
            yield f"{counted(count, 'row')}: {what}"
