"""Reading: bytes to lines, whatever their ends and marks; what is no UTF-8 is named or counted."""

import tracemalloc

import numpy as np
import pytest

from command.messages import argument
from tests.helpers import toy_lines
from tests.text.loaded import ALPHABET, everything
from text import reader as reading
from text.corpus import load_corpus
from text.reader import DocumentHasher
from utils import UserError


@pytest.mark.parametrize("chunk", [7, 64])
def test_chunks_do_not_show(tiny_run, monkeypatch, chunk):
    run = tiny_run([*ALPHABET, "é" * 50, *toy_lines(50), "x" * 300])
    whole = everything(load_corpus(run))
    monkeypatch.setattr(reading, "CHUNK_BYTES", chunk)
    assert everything(load_corpus(run.model_copy(update={"seed": 5}))) == whole


@pytest.mark.parametrize("end", ["", " ", "\n", "e\u0301"])
def test_a_stream_without_line_breaks_is_read_by_words(tiny_run, monkeypatch, end):
    """Of one as long as text8 is, a hundred million characters, an array would take gigabytes."""
    text = " ".join(["cafe\u0301", "plain", *ALPHABET] * 30) + end
    run = tiny_run(text.encode(), data={"format": "stream"})

    def chunks() -> list[np.ndarray]:
        return list(reading.read_lines(run.data_file(), run.data, reading.ReadingLog()))

    whole = np.concatenate(chunks())
    monkeypatch.setattr(reading, "CHUNK_BYTES", 64)
    assert np.array_equal(np.concatenate(chunks()), whole) and whole[-1] == ord("\n")
    assert max(map(len, chunks())) <= 2 * 64
    ended = [*reading.with_ends(iter(chunks()))]
    assert all(codes[-1] == ord("\n") for codes in ended)
    assert sum(map(len, ended)) == len(whole) + len(ended) - 1


def test_bom_crlf_and_a_missing_last_newline(tiny_run):
    loaded = load_corpus(tiny_run(b"\xef\xbb\xbf" + "\r\n".join(["first", "second", *ALPHABET, "third"]).encode()))
    assert everything(loaded) == ["first", "second", "third"]


def test_nfc_and_stray_line_breaks_are_counted(tiny_run):
    loaded = load_corpus(tiny_run([*ALPHABET, "cafe\u0301", "plain", "a\rb", "a\u2028b\x85c", "tab\tstays"]))
    assert everything(loaded) == sorted(["café", "plain", "a b", "a b c", "tab\tstays"])
    assert loaded.reading_log.normalised_lines == 1 and loaded.reading_log.folded_breaks == 3


def test_control_characters_are_dropped_and_counted(tiny_run):
    loaded = load_corpus(
        tiny_run([*ALPHABET, "\x1b[31mred", "nul\x00l\x7f", "c\x9bd\x85e", "cafe\x07\u0301", "\x08\x08"])
    )
    assert everything(loaded) == sorted(["[31mred", "null", "cd e", "café"])
    log = loaded.reading_log
    assert log.control_characters == 7 and log.empty == 1
    assert "7 control characters dropped" in log.losses()
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in loaded.vocabulary.characters if c not in "\n\t")


BAD = b"good one\ngood two\nbad \xff\xfe here\ngood three\n"


def test_invalid_bytes_are_an_error_that_names_the_line(tiny_run):
    run = tiny_run(BAD)
    with pytest.raises(UserError) as error:
        load_corpus(run)
    fix = f"python prepare.py {argument(run.data_file())} --name OTHER tells how it reads in other encodings"
    rule = f"byte 0xff is not UTF-8; {fix}; or set data.invalid_utf8 to skip or replace"
    assert str(error.value) == f"{run.data_file()} line 3: {rule}"


def test_invalid_line_number_counts_over_chunks(tiny_run, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK_BYTES", 16)
    with pytest.raises(UserError, match="line 401: byte 0x80"):
        load_corpus(tiny_run("\n".join(toy_lines(400)).encode() + b"\n\x80\n"))


@pytest.mark.parametrize(("policy", "expected"), [("skip", []), ("replace", ["bad \ufffd\ufffd here"])])
def test_invalid_lines_are_skipped_or_replaced_and_counted(tiny_run, policy, expected):
    loaded = load_corpus(tiny_run(BAD + "\n".join(ALPHABET).encode(), data={"invalid_utf8": policy}))
    assert everything(loaded) == sorted(["good one", "good two", "good three", *expected])
    assert loaded.reading_log.invalid_lines == 1


def test_a_line_longer_than_any_document_is_named_before_it_is_held(tiny_run):
    """A line takes some fifty bytes of memory a byte."""
    run = tiny_run(b"one\ntwo\n" + b"x" * (5 << 20) + b"\nthree\n" + b"y" * (20 << 20))
    tracemalloc.start()
    with pytest.raises(UserError) as error:
        load_corpus(run)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    rule = "longer than 4 MB, which no document is; set data.format to stream for continuous text"
    assert str(error.value) == f"{run.data_file()} line 3: {rule}" and most < 100e6
    stream = tiny_run(b"x y" * (3 << 20), data={"format": "stream"})
    assert load_corpus(stream).reading_log.characters == (9 << 20) + 1  # and a newline
    with pytest.raises(UserError, match="its lines end in CR alone"):
        load_corpus(tiny_run(b"some words\r" * (1 << 20)))


def test_document_hashes_tell_documents_apart(tiny_run):
    lines = ["ab", "ba", "a", "b", "", "aab", "aba", "\x00", "\x00\x00"]
    codes = reading.codepoints("".join(line + "\n" for line in lines))
    starts, lengths = reading.spans(codes)
    hashes = DocumentHasher()(codes, starts, lengths)
    assert len(set(hashes.tolist())) == len(lines)
    again = DocumentHasher()(codes[starts[5] :], starts[5:] - starts[5], lengths[5:])
    assert np.array_equal(again, hashes[5:])  # not a function of the place in the file
