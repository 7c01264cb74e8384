"""The commands of a set: a new name, a selection, and mistakes as one line."""

import json
import re
import shutil
import sys
import time
from contextlib import nullcontext

import pytest

import collection
from command.options import option
from nft.selection import token_ids
from tests.helpers import files_in, tree
from tests.nft.sets import alter, change_info, info_of, records, select, texts
from utils import UserError


def test_a_new_name_draws_nothing_and_changes_nothing_else(studio):
    run, make = studio
    _, folder = make("set", 6)
    before = files_in(folder)
    run.model_file().unlink()
    assert collection.main(["export", str(folder), "--title", "Toys", "--base-uri", "https://x.org/t/"]) == 0
    assert json.loads((folder / "json/2.json").read_text("utf-8"))["image"] == "https://x.org/t/2.png"
    assert (folder / "samples.jsonl").read_bytes() == before["samples.jsonl"]
    assert (folder / "provenance.json").read_bytes() == before["provenance.json"]
    assert collection.main(["export", str(folder), "--title", "toy", "--base-uri", ""]) == 0
    assert json.loads((folder / "json/2.json").read_text("utf-8"))["image"] == "../images/2.png"
    assert files_in(folder) == before


def test_another_licence_and_source_need_neither_model_nor_text(studio, verify):
    """As where a set was drawn on a machine that is no longer there."""
    run, make = studio
    _, folder = make("set", 3)
    run.model_file().unlink()
    run.data_file().unlink()
    before = (folder / "samples.jsonl").read_bytes()
    assert collection.main(["export", str(folder), "--license", "CC BY 4.0", "--source", "my diaries"]) == 0
    assert (folder / "samples.jsonl").read_bytes() == before
    info = info_of(folder)
    assert (info["license"], info["source"]) == ("CC BY 4.0", "my diaries")
    assert "CC BY 4.0" in (folder / "json/1.json").read_text("utf-8") and verify(folder)[0] == 0
    assert collection.main(["export", str(folder), "--license", "CC \udcff"]) == 2


def test_a_selection_is_recorded_and_shown(studio, tmp_path, capsys):
    _, make = studio
    _, folder = make("set", 6)
    keep = tmp_path / "selection.txt"
    keep.write_text("2\n5 \u2013 6\n", encoding="utf-8")
    assert token_ids(keep) == {2, 5, 6}
    assert select(folder, "2\n5-6\n") == 0
    drawn = texts(folder)
    assert (folder / "toy.txt").read_text("utf-8").splitlines() == [drawn[k] for k in (1, 4, 5)]
    assert sorted(path.name for path in (folder / "json").iterdir()) == ["1.json", "2.json", "3.json", "_metadata.json"]
    proof = json.loads((folder / "provenance.json").read_text("utf-8"))
    assert (proof["curated"], proof["tokens"], proof["chosen_from"]) == (True, 3, 6)
    assert "Chosen by hand" in json.loads((folder / "json/1.json").read_text("utf-8"))["description"]
    assert collection.main(["verify", str(folder), "--tokens", "2"]) == 0
    for named, trouble in (("9", "the set has no token 9"), ("1 5-3", "5-3 must run"), ("1-9999999", "tokens at most")):
        assert select(folder, named) == 2
        assert trouble in capsys.readouterr().err
    keep.write_text("1-6", encoding="utf-8")
    for everything in ("all", str(keep)):  # of which nothing is left out
        assert collection.main(["select", str(folder), "--keep", everything]) == 0
        assert json.loads((folder / "contract.json").read_text("utf-8"))["curated"] is False
        assert "Not chosen by hand." in json.loads((folder / "json/1.json").read_text("utf-8"))["description"]


def test_traits_follow_from_all_accepted_tokens_whatever_is_selected(studio, tmp_path):
    _, make = studio
    _, folder = make("set", 9)

    def attributes(*numbers: int) -> list:
        return [json.loads((folder / f"json/{k}.json").read_text("utf-8"))["attributes"] for k in numbers]

    whole = attributes(2, 5, 6)
    assert select(folder, "2 5-6") == 0
    assert attributes(1, 2, 3) == whole


def test_a_selection_may_name_what_the_rules_left_out(studio, tmp_path, capsys, verify):
    """As a range over a whole set does."""
    _, make = studio
    first = texts(make("first", 3)[1])
    (tmp_path / "words.txt").write_text(first[1], "utf-8")
    status, folder = make("set", 3, words="drop", word_list=str(tmp_path / "words.txt"), attempts=1)
    assert status == 1
    keep = tmp_path / "keep.txt"
    capsys.readouterr()
    assert select(folder, "1-3") == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert (first, last) == (f"{keep}: the rules left out 2", f"2 of 2 tokens kept: {folder}")
    assert (folder / "toy.txt").read_text("utf-8").count("\n") == 2
    assert select(folder, "2") == 2
    assert capsys.readouterr().err == f"error: {keep}: the rules left out 2, and it names no other token\n"
    # the same list elsewhere is the same list, by which marks in a browser are kept and the settings are proven
    before = lasting(folder)
    (tmp_path / "words.txt").rename(tmp_path / "moved.txt")
    assert make("set", 4, words="drop", word_list=str(tmp_path / "moved.txt"), attempts=1)[0] == 1
    assert len(records(folder)) == 4 and "not checked" not in verify(folder)[1]
    assert lasting(folder) == before


def lasting(folder) -> tuple[str, str]:
    """What of a set stays as it is where its list of words is moved."""
    marks = re.search(r'identity = "[0-9a-f]{16}"', (folder / "index.html").read_text("utf-8"))
    assert marks
    return marks[0], json.loads((folder / "provenance.json").read_text("utf-8"))["settings_sha256"]


@pytest.mark.parametrize(
    ("key", "value"), [("title", "a\0b"), ("title", "\x1b[2J"), ("title", " "), ("base_uri", "javascript:alert(1)")]
)
def test_what_the_options_refuse_is_refused_of_a_stored_set_too(studio, verify, capsys, key, value):
    _, make = studio
    _, folder = make("set", 2)
    change_info(folder, **{key: value})
    before = tree(folder)
    for command in (["export"], ["select", "--keep", "1"]):
        capsys.readouterr()
        assert collection.main([*command, str(folder)]) == 2
        assert capsys.readouterr().err.startswith(f"error: set.json: {key} {value!r}: ")
    assert verify(folder)[0] == 1 and tree(folder) == before
    assert collection.main(["export", str(folder), option(key), "ipfs://x"]) == 0
    assert verify(folder)[0] == 0


NO_ADDRESSES = ("bafybeigdyr", "ipfs://cid ", "https:// a", "../images", "C:\\nft\\images", "localhost:8000/x")
NOT_OF_IMAGES = ("https://x.org/cid?key=a", "https://x.org/#set")  # 1.png would stand in their query, or behind the #


@pytest.mark.parametrize("address", NO_ADDRESSES + NOT_OF_IMAGES)
def test_what_is_no_address_is_none_of_images(studio, capsys, address):
    _, make = studio
    assert make("set", 1, "--base-uri", address)[0] == 2
    what = "must be an address without ? and #, as ipfs://CID or https://example.org/set"
    assert capsys.readouterr().err == f"error: --base-uri {address!r}: {what}\n"
    if address not in NOT_OF_IMAGES or "#" in address:
        assert make("set", 1, "--live", address)[0] == 2
        assert capsys.readouterr().err == f"error: --live {address!r}: {what.replace('? and #', '#')}\n"


def test_a_seed_that_json_cannot_hold_begins_no_set(studio, capsys):
    _, make = studio
    assert make("set", 1, "--seed", str(2**53 + 1))[0] == 2
    what = f"more than {2**53}, the last number that every program reads exactly"
    assert capsys.readouterr().err == f"error: --seed {2**53 + 1}: {what}\n"
    assert make("set", 1, "--seed", str(2**53))[0] == 0


def test_a_range_is_read_as_one_or_refused(tmp_path):
    keep = tmp_path / "keep.txt"
    dashes = ("-", " - ", "\u2011", "\u2013", "\u2014", " \u2212 ", "..", "...", "\u2026", " to ", " -- ", "---")
    listed = ("2,3;4", "(2), (3) and #4", "[2], [3] [4]", "tokens: 2 3 and 4", '["2","3", 4]', "2\n3\n4", "2-\n3\n-4")
    for text in (*(f"2{dash}4" for dash in dashes), *listed):
        keep.write_text(text, encoding="utf-8")
        assert token_ids(keep) == {2, 3, 4}, text
    for text in ("2~4", "2:4", "2/4", "2.5", "2-4-6", "2_000", "2e3", "9" * 5000):
        keep.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match="neither token ids nor a range") if text[0] == "2" else nullcontext():
            assert token_ids(keep) == {9_999_999_999}
    keep.write_text("1-3\nof 2026-11-27\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"keep.txt: 'of 2026-11-27' is neither token ids nor a range"):
        token_ids(keep)
    keep.write_text("1, 7-3", encoding="utf-8")
    with pytest.raises(UserError, match="7-3 must run upwards"):
        token_ids(keep)
    keep.write_text("1-600000 600001-1200000", encoding="utf-8")  # of many such the memory would be filled
    with pytest.raises(UserError, match="its ranges name more than 1,000,000 tokens, and no set"):
        token_ids(keep)


NO_LIST = (
    "1 through 5", "1 bis 5", "1 not 2", "2 ~ 4", "2 : 4", "2 / 4", "2 - 4 - 6", "1. 3", "3,a text of 7 words",
    "#2 of 27 November", "2and3", "3 (2 votes)",
)  # fmt: skip
ONE_OR_TWO = (
    "1,234",
    "1'234",
    "2\n7 12,345",
    "1\u00a0234",
    "1\u202f234",
    "1,000,000",
    "1,234-1,236",
    "# a\n5 1,234 # b",
)


def test_what_stands_between_numbers_is_a_separator_or_refused(tmp_path):
    keep = tmp_path / "keep.txt"
    for text in NO_LIST:
        keep.write_text(f"8\n{text}\n9", encoding="utf-8")
        with pytest.raises(UserError, match=re.escape(f"{text!r} is neither token ids nor a range; write 3 7 or 3-7")):
            token_ids(keep)
    for text in ONE_OR_TWO:
        keep.write_text(text, encoding="utf-8")
        line = next(line for line in text.split("\n") if "4" in line or "," in line)
        with pytest.raises(UserError, match=re.escape(f"{line!r} may name one number or two; write 1234, or 1 234")):
            token_ids(keep)
    many = {100, 101, 102}
    for text in ("100,101,102", "[100,101,102]", "100;101;102", '"100","101","102"', "100-101, 102", "100, 101-102"):
        keep.write_text(text, encoding="utf-8")
        assert token_ids(keep) == many, text


def test_no_selection_takes_long_to_read(tmp_path):
    keep = tmp_path / "keep.txt"
    for between in ('and"', "and:", "and", "no.", "id ", "'", '"', ' "and" '):
        keep.write_text("1 " + between * 2000 + "x 2", encoding="utf-8")
        started = time.perf_counter()
        with pytest.raises(UserError, match="neither token ids nor a range"):
            token_ids(keep)
        assert time.perf_counter() - started < 1, between


def test_comments_of_a_selection_name_no_token(tmp_path):
    keep = tmp_path / "keep.txt"
    for text in (
        "# 27 November\n2 3 # of 9\n#\n4\n", "#2, #3 and #4", "Tokens 2, 3 & 4 of my set",
        '[{"id": 2}, {"id": 3}, {"token_id": 4}]',
        "2 (the best)\n3: a fine one\n - 4\n", "keep tokens: 2 to 3, then no. 4", "2 | 3 | 4",
    ):  # fmt: skip
        keep.write_text(text, encoding="utf-8")
        assert token_ids(keep) == {2, 3, 4}, text


def test_one_token_is_no_tokens(studio, tmp_path, capsys):
    _, make = studio
    _, folder = make("set", 1)
    assert select(folder, "1") == 0
    assert collection.main(["export", str(folder)]) == 0
    assert collection.main(["verify", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "1 token: " in out and "1 of 1 token kept" in out and "all files of 1 token written again" in out
    assert "1 text after toy." in json.loads((folder / "contract.json").read_text("utf-8"))["description"]
    assert "1 tokens" not in out and "1 things" not in out


@pytest.mark.skipif(sys.platform == "win32", reason="there no file has such a name")
def test_what_a_set_could_not_hold_is_never_written(studio, tmp_path, capsys):
    """A model's name in bytes that are no UTF-8, and texts of any length: no command could read set.json again."""
    run, make = studio
    odd = tmp_path / "toy\udcff.pt"
    shutil.copy(run.model_file(), odd)
    assert make("odd", 1, "--model", str(odd))[0] == 2
    assert capsys.readouterr().err.startswith("error: set.json cannot hold this model_file: ")
    assert not (tmp_path / "odd/set.json").exists()
    _, folder = make("set", 2)
    before = tree(folder)
    for key, size in (("title", 1001), ("description", 20_001), ("base-uri", 20_001)):
        options = (f"--{key}", "a1://".ljust(size, "x"))
        assert (collection.main(["export", str(folder), *options]), make("new", 1, *options)[0]) == (2, 2)
        assert capsys.readouterr().err.count(f"error: set.json cannot hold this {key.replace('-', '_')}: ") == 2
    for title, what in (("Small\nBirds", "a line break"), ("Small\x1b[31mBirds", "a control character")):
        assert collection.main(["export", str(folder), "--title", title]) == make("new", 1, "--title", title)[0] == 2
        assert capsys.readouterr().err.count(f", {what}\n") == 2
    assert tree(folder) == before and not (tmp_path / "new/set.json").exists()
    assert collection.main(["export", str(folder), "--title", "x" * 1000]) == 0
    alter(folder / "set.json", "x" * 1000, "x" * 2_000_000)
    for command in ("verify", "export"):
        assert collection.main([command, str(folder)]) == 2
        assert capsys.readouterr().err.startswith(f"error: {folder / 'set.json'}: damaged: title: ")


def test_bad_commands_are_one_line(studio, tmp_path, capsys):
    _, make = studio
    for arguments in (
        ["verify", str(tmp_path / "nowhere")],
        ["select", str(tmp_path / "nowhere"), "--keep", "all"],
        ["export", str(tmp_path / "nowhere")],
    ):
        assert collection.main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "nowhere").exists()
    for size in (0, 10**6 + 1, 10**30):
        assert make("set", size)[0] == 2 and not (tmp_path / "set").exists()
        assert capsys.readouterr().err == f"error: --size {size}: must be between 1 and 1000000\n"
