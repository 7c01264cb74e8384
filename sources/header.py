"""Whether the first row of a table names its columns, or is a row as the others are."""

import re
from collections.abc import Sequence

LABELLED = 0.01  # share of rows with a label of the first row; fewer may hold the name of a column by chance
LONGEST_NAME = 60  # characters of a column's name
DIGIT = re.compile("[0-9]")


def names_columns(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a first row names columns, by itself and by the rows below that are as long."""
    named = is_header(first) or stands_above(first, below) or is_numbered(first, below)
    return named and not stands_again(first, below)


def is_header(first: Sequence[str]) -> bool:
    """Whether a first row names columns: short and no numbers.

    pandas leaves the first name empty, and spreadsheets those of empty columns at the end.
    """
    names = [cell.strip() for cell in first]
    while names and not names[-1]:
        names.pop()
    plain = all(len(name) <= LONGEST_NAME and "\n" not in name and not is_number(name) for name in names)
    return bool(names) and plain and all(names[1:])


def stands_above(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a first row without numbers has a cell without a digit above figures, as times and codes are.

    Then it names columns, though a question of a survey is long, and a name between two others may be empty.
    """
    if len(first) < 2 or any(map(is_number, first)):
        return False
    return any(map(is_above_figures, first, zip(*below, strict=True)))


def is_numbered(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a first row holds 0, 1, 2 and so on, each above what is no number, as pandas names columns."""
    places = [place for place, cell in enumerate(first) if is_number(cell)]
    columns = [[row[place] for row in below if row[place]] for place in places]
    running = [first[place] for place in places] == list(map(str, range(len(places))))
    return bool(places) and running and all(cells and not any(map(is_number, cells)) for cells in columns)


def is_above_figures(name: str, cells: Sequence[str]) -> bool:
    """Whether a cell without a digit stands above figures of several kinds, in half of the rows or more."""
    values = [cell for cell in cells if cell]
    many = len({*values}) > 1 and 2 * len(values) >= len(cells)
    return many and bool(name.strip()) and not DIGIT.search(name) and all(map(is_figure, values))


def is_figure(text: str) -> bool:
    """Whether a text holds digits, and no more letters than them."""
    return sum(map(str.isalpha, text)) <= len(DIGIT.findall(text)) > 0


def stands_again(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a cell of the first row occurs again below it, as a label does and a column's name does not.

    A column that holds its name or nothing is a choice of a survey; a word above numbers is a name.
    """
    labelled = False
    for name, cells in zip(first, zip(*below, strict=True), strict=False):
        values = {*cells} - {""}
        if values and not is_number(name) and all(map(is_number, values)):
            return False
        again = cells.count(name)
        labelled |= bool(name) and len(values) > 1 and again > 0 and again >= LABELLED * len(below)
    return labelled


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
