"""In which encoding a source is read: by its mark, by --encoding, or by what it declares."""

import codecs
import gzip
import re
from pathlib import Path

import pytest

import prepare
from sources import unpack
from sources.encodings import NAME_ENCODING
from tests.sources.helpers import assert_refused, run

CAFE = "café is “open” today"


@pytest.mark.parametrize("options", [[], ["--encoding", "utf-8"], ["--encoding", "cp1252"]])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)  # fmt: skip
def test_a_byte_order_mark_is_no_part_of_a_text_whatever_the_options(mark, encoding, options):
    Path("a.csv").write_bytes(mark + f"text,id\n{CAFE},1\n".encode(encoding))
    assert run("a.csv", "--column", "text", *options) == [CAFE]
    Path("a.txt").write_bytes(mark + f"{CAFE}\n".encode(encoding))
    assert run("a.txt", *options) == [CAFE]


@pytest.mark.parametrize("options", [[], ["--encoding", "cp1252"]])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_xml_is_read_in_the_encoding_that_it_declares(options, quote):
    declared = f"<?xml version={quote}1.0{quote} encoding={quote}windows-1252{quote} ?>"
    Path("a.xml").write_bytes(f'{declared}\n<posts><row Body="{CAFE}"/></posts>'.encode("cp1252"))
    assert run("a.xml", *options) == [CAFE]


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-16", "gb18030", "euc-jp", "iso-2022-jp"])
def test_xml_of_any_encoding_and_mark(encoding):
    text = "今日は良い天気です"
    content = f'<?xml version="1.0" encoding="{encoding}"?><p><row Body="{text}"/></p>'
    Path("a.xml").write_bytes(content.encode(encoding))
    assert run("a.xml") == [text]


def test_a_text_of_utf8_with_a_damaged_byte_is_read_as_utf8(capsys):
    """By cp1252, the likeliest other encoding, all of it would come out wrong, and nobody would be told."""
    rows = [f"{CAFE}, number {n}" for n in range(50)]
    Path("a.txt").write_bytes("\n".join([*rows, ""]).encode() + b"caf\xe9\n")
    fix = "nearly all is UTF-8: --encoding utf-8 makes U+FFFD of the rest, and counts it"
    assert_refused("a.txt", line=f"a.txt line 51: byte 0xe9 is not UTF-8; {fix}")
    assert run("a.txt", "--encoding", "utf-8") == [*rows, "caf\ufffd"]
    assert "could not be decoded: 1 character of the text, now U+FFFD" in capsys.readouterr().out
    Path("b.txt").write_bytes("\n".join([*rows, ""]).encode("cp1252"))
    read = "name the encoding in which it reads right: --encoding cp1252 'café “op', cp1251 'cafй “op', "
    assert_refused("b.txt", starts=f"b.txt line 1: byte 0xe9 is not UTF-8; {read}")


TEXTS = {
    "cp932": "この映画は最高でした", "euc-jp": "この映画は最高でした", "gb18030": "这部电影非常好看",
    "big5": "這部電影非常好看", "cp949": "이 영화는 정말 좋았어요", "cp1251": "Этот фильм очень хороший",
    "koi8-r": "Этот фильм очень хороший", "cp1256": "هذا الفيلم جميل جدا", "cp1255": "הסרט היה טוב מאוד",
    "cp1253": "Η ταινία ήταν πολύ καλή", "cp874": "หนังเรื่องนี้ดีมาก", "cp1254": "Bu film çok güzeldi, şimdi ağladım",
    "cp1250": "Ez egy nagyon jó, új és működő film", "cp1252": "Un été à la “mer”", "mac-roman": "Un été à la “mer”",
    "utf-16-le": "这部电影非常好看，我很喜欢",
}  # fmt: skip
READING = re.compile(r"(?:--encoding|,) ([\w-]+) '([^']+)'")


@pytest.mark.parametrize(("encoding", "text"), TEXTS.items())
def test_of_each_encoding_that_fits_a_text_it_is_shown_how_it_reads(encoding, text, capsys):
    """Only who knows the language sees which is right: nearly any bytes fit a code page of single bytes."""
    rows = [f"{text} {number}" for number in range(99)]
    Path("a.txt").write_bytes("\n".join(rows).encode(encoding))
    assert_refused("a.txt", starts="a.txt line ")
    assert prepare.main(["a.txt", "--name", "x"]) == 2
    read = READING.findall(capsys.readouterr().err)
    assert dict(read)[encoding] in " ".join(word for row in rows for word in row.split() if not word.isascii())
    assert len({words for _, words in read}) == len(read)
    assert run("a.txt", "--encoding", encoding) == rows
    assert f"with --encoding {encoding} it reads: {rows[0]!r}" in capsys.readouterr().out.splitlines()


def test_of_bytes_that_fit_no_encoding_an_example_is_named():
    Path("a.txt").write_bytes(b"\x01\x81 \x01\xff\n")
    assert_refused("a.txt", line=f"a.txt line 1: byte 0x81 is not UTF-8; {NAME_ENCODING}")


@pytest.mark.parametrize("encoding", ["nix", "punycode", "unicode_escape", "hz", "cp037", "rot13", "utf-16"])
def test_xml_that_declares_what_it_is_not_is_one_line(encoding):
    Path("a.xml").write_text(f'<?xml version="1.0" encoding="{encoding}"?><p><row Body="a b"/></p>')
    what = f"declares the encoding {encoding!r}, by which it is not to be read"
    assert_refused("a.xml", line=f"a.xml: {what}; {NAME_ENCODING}")
    assert run("a.xml", "--encoding", "utf-8") == ["a b"]


def test_xml_that_is_not_what_it_declares_is_one_line():
    Path("a.xml").write_bytes(b'<?xml version="1.0" encoding="windows-1252"?><p><row Body="a \x81 b"/></p>')
    assert_refused("a.xml", starts="a.xml: is not windows-1252: ")
    assert run("a.xml", "--encoding", "cp1252") == ["a \ufffd b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_lines_that_end_in_cr_alone_are_lines(encoding, monkeypatch):
    monkeypatch.setattr(unpack, "MOST_LINE", 1 << 13)  # beyond the head by which an encoding is told
    texts = [f"{CAFE} {number}" for number in range(900)]
    table = "id;text\r" + "".join(f'{n};"{text}"\r' for n, text in enumerate(texts))
    files = {"a.csv": table, "b.tsv": table.replace(";", "\t"), "c.txt": "\r".join(texts), "d.md": "\r\r".join(texts)}
    for name, content in files.items():
        Path(name).write_bytes(content.encode(encoding))
        assert run(name, *(["--unit", "paragraph"] if name == "d.md" else [])) == texts
        with gzip.open(f"{name}.gz", "wb") as file:
            file.write(content.encode(encoding))
        assert run(f"{name}.gz", *(["--unit", "paragraph"] if name == "d.md" else [])) == texts


@pytest.mark.parametrize(("name", "head"), [("a.txt", b""), ("a.csv", b"text\n"), ("a.tsv", b"text\tid\n")])
def test_a_cr_inside_a_line_of_today_ends_none(name, head):
    end = b"\t1\n" if b"\t" in head else b"\n"
    Path(name).write_bytes(head + end.join([b"an old\rline", b"and another", b""]))
    assert run(name, *(["--column", "text"] if head else [])) == ["an old line", "and another"]


@pytest.mark.parametrize(("name", "cells"), [("a.txt", 3), ("a.csv", 2), ("a.tsv", 2)])
def test_old_lines_of_which_an_editor_of_today_ended_the_last(name, cells):
    rows = [f"document {number}" for number in range(cells)]
    Path(name).write_bytes("\r".join([*["text"] * name.endswith("sv"), *rows, ""]).encode() + b"\n")
    assert run(name) == rows


def test_a_file_of_utf_8_stays_what_it_is_beside_others():
    Path("k").mkdir()
    Path("k/a.csv").write_bytes(f"text\n{CAFE} one\n".encode())
    Path("k/b.csv").write_bytes(f"text\n{CAFE} two\n".encode("cp1252"))
    Path("k/c.csv").write_bytes(f"text\n{CAFE} three\n".encode("utf-16-le"))
    assert run("k/a.csv", "k/b.csv", "--encoding", "cp1252") == [f"{CAFE} one", f"{CAFE} two"]
    assert run("k/a.csv", "k/c.csv", "--encoding", "utf-16-le") == [f"{CAFE} one", f"{CAFE} three"]
