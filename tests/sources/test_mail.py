"""Mailboxes: each message is read in its own encoding, and none costs the others or hours."""

import base64
import codecs
import mailbox
import re
import time
from pathlib import Path

import pytest

import prepare
from sources.mail import messages_of
from tests.sources.helpers import CAFE_READS, assert_refused, run

CAFE = "café is “open” today"


def message(headers: str, body: bytes) -> bytes:
    return f"From a\n{headers}".encode("latin-1") + b"\n" + body + b"\n\n"


PLAIN = "Content-Type: text/plain; charset={}\nContent-Transfer-Encoding: {}\n"
MESSAGES = [
    message(PLAIN.format("windows-1252", "8bit"), CAFE.encode("cp1252")),
    message(PLAIN.format("utf-8", "8bit"), CAFE.encode()),
    message(PLAIN.format("utf-8", "base64"), base64.b64encode(CAFE.encode())),
    message(PLAIN.format("utf-16", "base64"), base64.b64encode(CAFE.encode("utf-16"))),
    message(PLAIN.format("gb18030", "8bit"), CAFE.encode("gb18030")),
    message(PLAIN.format('"us-ascii"', "8bit"), CAFE.encode()),  # as many programs send them
    message("", CAFE.encode()),
]  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--encoding", "latin-1"]])
def test_each_message_of_a_mailbox_is_read_in_its_own_encoding(options, capsys):
    Path("a.mbox").write_bytes(b"".join(MESSAGES))
    assert run("a.mbox", *options) == [CAFE] * len(MESSAGES)
    assert "now U+FFFD" not in capsys.readouterr().out


# as a label stands in a message -> what programs write so, and in which encoding
LABELLED = {
    "gb2312": ("朱镕基说话", "gb18030"), "GBK": ("朱镕基说话", "gb18030"), "shift_jis": ("①㈱髙橋", "cp932"),
    "x-sjis": ("①㈱髙橋", "cp932"), "windows-31j": ("日本語です", "cp932"), "euc-kr": ("똠방각하", "cp949"),
    "ks_c_5601-1987": ("똠방각하", "cp949"), "big5": ("香港嘅", "big5hkscs"), "iso-8859-1": (CAFE, "cp1252"),
    "iso-8859-9": ("“şimdi”", "cp1254"), "windows-874": ("ภาษาไทย…", "cp874"), "tis-620": ("“ภาษา”", "cp874"),
    "iso-8859-8-i": ("שלום עולם", "iso8859-8"),
}  # fmt: skip


@pytest.mark.parametrize(("label", "written"), LABELLED.items())
def test_a_label_is_read_as_the_programs_mean_it_that_write_it(label, written):
    """As browsers read it: the standard's own table lacks letters that all programs write under its name."""
    text, encoding = written
    subject = f"Subject: =?{label}?b?{base64.b64encode(text.encode(encoding)).decode()}?=\n"
    Path("a.mbox").write_bytes(message(subject + PLAIN.format(label, "8bit"), text.encode(encoding)))
    assert run("a.mbox") == run("a.mbox", "--column", "subject", name="subjects") == [text]
    Path("a.txt").write_bytes(text.encode(encoding) + b"\n")
    assert run("a.txt", "--encoding", label, name="named") == [text]
    declared = f'<?xml version="1.0" encoding="{label}"?><posts><row Body="{text} {text}"/></posts>'
    Path("a.xml").write_bytes(declared.encode(encoding))
    assert run("a.xml", "--column", "Body", name="declared") == [f"{text} {text}"]


def test_a_mailbox_that_apple_mail_exports_is_a_folder(capsys):
    Path("INBOX.mbox").mkdir()
    Path("INBOX.mbox/mbox").write_bytes(b"".join(MESSAGES[:2]))
    Path("INBOX.mbox/table_of_contents").write_bytes(b"\0\1")
    assert run("INBOX.mbox") == run("INBOX.mbox/mbox") == [CAFE] * 2
    assert "not read: 1 file: INBOX.mbox/table_of_contents" in capsys.readouterr().out


def test_what_a_message_does_not_say_is_asked_for():
    Path("a.mbox").write_bytes(message("", b"hello there") + message("Subject: caf\xe9 latte\n", b"caf\xe9 au lait"))
    what = f"a.mbox message 2: byte 0xe9 is not UTF-8; {CAFE_READS}"
    assert_refused("a.mbox", line=what)
    assert run("a.mbox", "--encoding", "cp1252") == ["hello there", "café au lait"]
    assert run("a.mbox", "--encoding", "cp1252", "--column", "subject") == ["café latte"]


def test_what_does_not_fit_the_encoding_of_a_message_is_counted(capsys):
    Path("a.mbox").write_bytes(message(PLAIN.format("utf-8", "8bit"), b"caf\xe9 au lait"))
    assert run("a.mbox") == ["caf\ufffd au lait"]
    assert "could not be decoded: 1 character of the text, now U+FFFD" in capsys.readouterr().out.splitlines()


def test_what_is_no_mailbox_is_one_line():
    Path("a.mbox").write_bytes(b"Subject: hello\n\nsome words\n")
    assert_refused("a.mbox", line="a.mbox: is no mailbox; one begins with 'From '")


def test_a_mailbox_with_a_mark_is_read():
    Path("a.mbox").write_bytes(codecs.BOM_UTF8 + b"".join(MESSAGES[1:3]))
    assert run("a.mbox") == [CAFE] * 2


def test_a_mailbox_with_messages_that_no_program_reads_counts_them(capsys):
    parts = [
        b"From a\nSubject: s\n\nhello there\n\n",
        b"From a\nContent-Type: text/plain; charset=nix\n\nx y\n\n",
        b"From a\nContent-Type: image/png\n\nxx\n\n",
        b"From a\nContent-Type: multipart/mixed; boundary=\"\n\n--\n\n",
        b"From a\n\n" + b"x" * (5 << 20) + b"\n\n",
        b"From a\n\nmore words\n",
    ]  # fmt: skip
    Path("a.mbox").write_bytes(b"".join(parts))
    assert prepare.main(["a.mbox", "--name", "x"]) == 0
    assert Path("datasets/x.txt").read_text().splitlines() == ["hello there", "x y", "more words"]
    out = " ".join(capsys.readouterr().out.split())
    for left_out in ("1 row empty", "1 row that is no message with text", "1 row of more than 4 MB"):
        assert left_out in out


HEADERS = [
    b"Date: Thu, 1 Jan 2020 00:00:00 +99999999999999999999\n", b"Date: Thu, 1 Jan 99999999999 00:00:00\n",
    b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + b"\n",
]  # fmt: skip
SPOILT = [
    b"Content-Type: text/plain; " + b"(" * 5000 + b"\n", b"Content-Type: message/rfc822\n\n" * 3000,
    b"Content-Type: text/plain; charset=punycode\n", b"Content-Type: " + b"=?utf-8?q?a?= " * 100_000 + b"\n",
]  # fmt: skip


@pytest.mark.parametrize(("headers", "lost"), [*((found, 0) for found in HEADERS), *((found, 1) for found in SPOILT)])
def test_a_message_costs_neither_the_mailbox_nor_hours(headers, lost, capsys):
    Path("a.mbox").write_bytes(b"From a\n\nhello there\n\nFrom a\n" + headers + b"\nmore words\n")
    began = time.process_time()
    assert prepare.main(["a.mbox", "--name", "x"]) == 0
    assert Path("datasets/x.txt").read_text().splitlines() == ["hello there", "more words"][: 2 - lost]
    assert ("left out: 1 row that is no message with text" in capsys.readouterr().out.splitlines()) == bool(lost)
    assert time.process_time() - began < 20


def test_parameters_and_parts_of_a_message_are_not_compared_for_minutes(capsys):
    many = b"From a\nContent-Type: text/plain" + b";" * 8000 + b"\n\nhello there\n\n"
    parts = b"".join(b'Content-Type: multipart/mixed;\n boundary="b%d"\n\n--b%d\n' % (k, k) for k in range(900))
    Path("a.mbox").write_bytes(many * 10 + b"From a\n" + parts + b"\n" + b"a line\n" * 200_000)
    began = time.process_time()
    assert run("a.mbox") == ["hello there"] * 10
    assert "left out: 1 row that is no message with text" in capsys.readouterr().out.splitlines()
    assert time.process_time() - began < 10


SENT = b"From a@b Thu Jan  1 00:00:00 2026\n"
DATES = [
    b"Thu Jan  1 00:00:00 2026", b"Thu Jan  1 00:00:00 +0000 2026", b"Thu, 1 Jan 2026 00:00:00 GMT",
    b"Thu Jan 01 00:00 UTC 2026\r",
]  # fmt: skip


def test_a_line_of_a_text_that_begins_with_from_ends_no_message():
    bodies = [
        b"Dear friend,\n>From now on all is well.\n>>From here\n> From there\n",
        b"second hello there\nFrom here we go on\nto the end\n", b"a\n\nFrom Thu to Fri\nin 2026\n", b"last\nFrom\n",
        b"as of\nFrom a@b Sun Jan 11 00:00:00 2026 it is\n",
    ]  # fmt: skip
    Path("a.mbox").write_bytes(b"".join(SENT + b"Subject: s\n\n" + body + b"\n" for body in bodies))
    first = "Dear friend, From now on all is well. >From here > From there"
    assert run("a.mbox") == [first, *(" ".join(body.decode().split()) for body in bodies[1:])]


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("sender", [b"a@b.org", b"-", b"MAILER-DAEMON", b"a at b.org ", b"???@???", b"123@xxx"])
def test_messages_are_parted_by_lines_of_any_sender_and_date(sender, date):
    Path("a.mbox").write_bytes((b"From %s %s\nSubject: s\n\nhello there\n\n" % (sender, date)) * 3)
    assert run("a.mbox") == ["hello there"] * 3


def test_messages_without_a_blank_line_between_or_without_dates_are_parted():
    one = SENT + b"Subject: s\n\nhello there\n"
    Path("a.mbox").write_bytes(one * 3)
    assert run("a.mbox") == ["hello there"] * 3
    Path("a.mbox").write_bytes(b"From a\n\nhello there\nFrom b\n\n" * 2)
    assert run("a.mbox") == ["hello there From b"] * 2


def test_messages_are_those_of_pythons_mailbox():
    contents = [f"Subject: {n}\n\nhello\n\nFrom here\n>From there\nline {n}\n" + "\n" * (n % 3) for n in range(9)]
    box = mailbox.mbox("a.mbox")
    for content in contents:
        box.add(content)
    box.close()
    with Path("a.mbox").open("rb") as file:
        found = [*messages_of(file)]
    box = mailbox.mbox("a.mbox", create=False)
    assert found == [re.sub(b"^>From", b"From", box.get_bytes(key), flags=re.MULTILINE) for key in box.iterkeys()]


def test_the_text_of_a_message_is_found_in_its_html_and_in_an_encoding_that_nobody_knows():
    parts = "--x\nContent-Type: text/plain\n\n\n--x\nContent-Type: text/html\n\n<p>hello there</p>\n--x--\n"
    mixed = message('Content-Type: multipart/alternative; boundary="x"\n', parts.encode())
    unknown = message("Content-Type: text/plain; charset=unknown-8bit\n", "café au lait".encode())
    Path("a.mbox").write_bytes(mixed + unknown)
    assert run("a.mbox") == ["hello there", "café au lait"]
