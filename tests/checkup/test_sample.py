"""The sample of a checkup: what is read of a text, what is counted, and what of it is alike."""

from collections import Counter

import numpy as np
import pytest

from checkup import sample
from checkup.sample import read_sample
from text import reader


def by_letters(line: str) -> str:
    """Independently: the letters of a line in small, or the line where it has none."""
    return "".join(c.lower() for c in line if c.isalpha()) or line


def test_a_sample_of_a_small_text_is_all_of_it_and_its_counts_are_those_of_python(tiny_run):
    lines = ["Git 2.1", "git 2.2!", "git 2.2!", "", "  ", "é à", "1.0", "1.1", "1.0", "Other line"]
    found = read_sample(tiny_run(lines))
    distinct = list(dict.fromkeys(line for line in lines if line.strip()))
    assert found.texts == distinct and found.documents == len(distinct) == 6
    groups = Counter(map(by_letters, distinct))
    assert found.alike.tolist() == [groups[by_letters(line)] for line in distinct] == [2, 2, 1, 1, 1, 1]
    assert found.near == len(distinct) - len(groups) == 1
    counted = Counter("".join(line + "\n" for line in lines))
    assert {chr(code): int(found.counts[code]) for code in np.flatnonzero(found.counts)} == counted
    assert found.whole and found.bytes == len(("\n".join(lines) + "\n").encode())


def test_of_many_documents_some_are_kept_as_if_drawn(tiny_run, monkeypatch):
    monkeypatch.setattr(sample, "DOCUMENTS", 200)
    lines = [f"document {number}" for number in range(1000)]
    found = read_sample(tiny_run(lines))
    assert found.documents == 1000 and found.near == 999 and found.texts == read_sample(tiny_run(lines)).texts
    numbers = [int(text.split()[1]) for text in found.texts]
    assert numbers == sorted(numbers) and 80 < len(numbers) <= 200
    # lines that take turns, as in a list of contacts, are seen alike: none of eight turns is missed
    assert {number % 8 for number in numbers} == set(range(8))
    assert 0.35 < sum(number % 2 for number in numbers) / len(numbers) < 0.65
    monkeypatch.setattr(sample, "CHARACTERS", 300)
    assert set(read_sample(tiny_run(lines)).texts) < set(found.texts)


def test_of_a_very_long_document_the_beginning_and_the_end_are_kept(tiny_run):
    begin, end = "the beginning" * 1000, "at the end of it" * 1000
    assert read_sample(tiny_run([begin + end])).texts == [begin[:5000] + end[-5000:]]


@pytest.mark.parametrize("line", ["so often", "again and again", "the same", "once more"])
def test_a_line_that_stands_there_often_is_kept_once(tiny_run, monkeypatch, line):
    monkeypatch.setattr(sample, "DOCUMENTS", 100)
    lines = [f"document {number}" for number in range(80)]
    found = read_sample(tiny_run([*lines, *[line] * 300]))
    assert found.texts == [*lines, line] and found.documents == 81


def test_a_byte_order_mark_of_a_large_file_is_no_character(tiny_run, monkeypatch):
    monkeypatch.setattr(sample, "MOST_BYTES", 4 * 1000)
    monkeypatch.setattr(reader, "CHUNK_BYTES", 1000)
    lines = [f"Zeile {number:04}" for number in range(1000)]
    found = read_sample(tiny_run(b"\xef\xbb\xbf" + "\n".join(lines).encode()))
    assert found.counts[0xFEFF] == 0 and found.texts[0] == lines[0]


def test_of_a_large_file_stretches_are_read_and_their_lines_are_whole(tiny_run, monkeypatch):
    monkeypatch.setattr(sample, "MOST_BYTES", 4 * 1000)
    monkeypatch.setattr(reader, "CHUNK_BYTES", 1000)
    lines = [f"Zeile {number:04} über eine Straße" for number in range(1000)]
    found = read_sample(tiny_run(lines))
    assert set(found.texts) < set(lines) and not found.whole and found.bytes == 4000
    numbers = [int(text.split()[1]) for text in found.texts]
    assert numbers == sorted(numbers) and numbers[0] == 0 and numbers[-1] == 999
    assert 4 * 25 < found.documents == len(found.texts) < 4000 / 30  # of each stretch, all but its first and last line


def test_of_a_line_longer_than_a_stretch_parts_are_read(tiny_run, monkeypatch):
    monkeypatch.setattr(sample, "MOST_BYTES", 4 * 1000)
    monkeypatch.setattr(reader, "CHUNK_BYTES", 1000)
    found = read_sample(tiny_run(["ü€😀" * 10_000, "short"]))
    assert 3 <= len(found.texts) <= 5 and all(set(text) <= set("ü€😀short") for text in found.texts)
