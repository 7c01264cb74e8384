"""A set survives an interruption, refuses a second process and another recipe, and names what is damaged."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

import collection
from tests.helpers import files_in, tree
from tests.nft.sets import alter, change_tokens, records, select


def test_a_second_process_and_another_recipe_are_refused(studio, capsys):
    _, make = studio
    _, folder = make("set", 3)
    with FileLock(folder / ".lock"):
        status, _ = make("set", 4)
    assert status == 2 and "another process is at work on this set" in capsys.readouterr().err
    for options, rules, what in (
        (["--seed", "1"], {}, "seed (0, not 1)"),
        ([], {"similarity": 0.5}, "rules.similarity (0.9, not 0.5)"),
    ):
        status, _ = make("set", 4, *options, **rules)
        assert (
            status == 2
            and f"its tokens were drawn with another {what}; set that as it was, or give another --out"
            in capsys.readouterr().err
        )
    assert make("set", 2)[0] == 2
    assert "holds 3 tokens already, more than --size" in capsys.readouterr().err
    change_tokens(folder, 2, lambda record: {"seed": record["seed"] + 1})
    assert make("set", 4)[0] == 2
    other = "token 2 was drawn with another model, seed or sampler"
    assert capsys.readouterr().err.endswith(f"error: {folder / 'samples.jsonl'}: {other}\n")


def test_another_list_of_words_is_another_recipe(studio, tmp_path, capsys):
    _, make = studio
    words = tmp_path / "words.txt"
    words.write_text("nobody\n", encoding="utf-8")
    make("set", 1, word_list=str(words))
    words.write_text("nothing\n", encoding="utf-8")
    capsys.readouterr()
    assert make("set", 2, word_list=str(words))[0] == 2
    assert "its tokens were drawn with another word_list_sha256 (" in capsys.readouterr().err


def test_only_make_mends_a_line_cut_short(studio, capsys):
    _, make = studio
    _, folder = make("set", 3)
    data = (folder / "samples.jsonl").read_bytes()
    (folder / "samples.jsonl").write_bytes(data[:-1])
    for command in (["verify", str(folder)], ["export", str(folder)], ["select", str(folder), "--keep", "all"]):
        assert collection.main(command) == 2
        assert "its last line is cut short; run make again" in capsys.readouterr().err
    assert (folder / "samples.jsonl").read_bytes() == data[:-1]
    assert make("set", 3)[0] == 0 and (folder / "samples.jsonl").read_bytes() == data


def test_a_make_that_is_refused_changes_nothing(studio):
    """Though the line break of the last token is missing, or more of it."""
    _, make = studio
    _, folder = make("set", 3)
    data = (folder / "samples.jsonl").read_bytes()
    for content in (data[:-1], data[:-9]):
        (folder / "samples.jsonl").write_bytes(content)
        before = tree(folder)
        for size, options, rules in (
            (4, ["--seed", "5"], {}), (4, ["--title", ""], {}), (4, [], {"similarity": 0.5}), (1, [], {}),
        ):  # fmt: skip
            assert make("set", size, *options, **rules)[0] == 2 and tree(folder) == before, (content[-9:], options)
        (folder / "selection.json").write_bytes(b"{}")
        assert make("set", 4)[0] == 2 and (folder / "samples.jsonl").read_bytes() == content
        (folder / "selection.json").unlink()
        (folder / "images").rename(folder / ".images")
        (folder / "images").write_bytes(b"mine")
        assert make("set", 4)[0] == 2 and (folder / "samples.jsonl").read_bytes() == content
        (folder / "images").unlink()
        (folder / ".images").rename(folder / "images")


def test_make_drops_no_whole_token_and_never_more_than_a_line(studio, capsys):
    """The last token is whole where only its line break is missing; without a line break there may be many."""
    _, make = studio
    _, folder = make("set", 3)
    samples = folder / "samples.jsonl"
    data = samples.read_bytes()
    lines = data.splitlines(keepends=True)
    alter(samples, '"drawn_sha256":"' + records(folder)[2]["drawn_sha256"], '"drawn_sha256":"' + "0" * 64)
    changed = samples.read_bytes()  # which no second draw gives
    for end in (b"", b"\0\0", b"\r"):
        samples.write_bytes(changed[:-1] + end)
        assert make("set", 3)[0] == 0 and samples.read_bytes() in (changed, changed[:-1] + b"\r\n"), end
    for content in (
        data.replace(b"\n", b"\r"),
        data.replace(b"\n", b" ")[9:-1],
        data[:-1] + b"mine",
        data + b"my notes",
    ):
        samples.write_bytes(content)
        before = tree(folder)
        assert make("set", 3)[0] == 2 and tree(folder) == before
        error = capsys.readouterr().err
        assert f"{samples}: damaged: its last line is neither one token nor the beginning of one\n" in error
    for end in (b"", b"{", lines[2][:90], lines[2][:90] + bytes(50)):
        samples.write_bytes(b"".join(lines[:2]) + end)
        assert make("set", 3)[0] == 0 and samples.read_bytes() == data


@pytest.mark.parametrize("name", ["set.json", "samples.jsonl", "selection.json", ".written.jsonl"])
@pytest.mark.parametrize("put", [Path.mkdir, getattr(os, "mkfifo", Path.mkdir)])
def test_what_is_no_file_in_a_set_is_one_line(studio, capsys, name, put):
    _, make = studio
    _, folder = make("set", 2)
    (folder / name).unlink(missing_ok=True)
    put(folder / name)
    for command in (["verify"], ["export"], ["select", "--keep", "all"]):
        assert name[0] == "." or collection.main([*command, str(folder)]) == 2
    assert make("set", 3)[0] == 2
    error = capsys.readouterr().err
    assert error.count("\n") == error.count(f"{folder / name}: not a regular file; move it away\n") > 0


def test_a_folder_of_other_things_is_left_alone(studio, tmp_path, capsys):
    _, make = studio
    (tmp_path / "site/images").mkdir(parents=True)
    (tmp_path / "site/images/holiday.jpg").write_bytes(b"mine")
    for out in ("site", "datasets"):
        before = {path: path.read_bytes() for path in (tmp_path / out).rglob("*.*") if path.is_file()}
        assert make(out, 2)[0] == 2
        assert "holds files but no set; give --out an empty or a new folder" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in before} == before


def test_what_a_system_puts_into_a_folder_is_neither_in_the_way_nor_in_the_set(studio, tmp_path, verify):
    _, make = studio
    litter = [tmp_path / "set" / name for name in ("desktop.ini", "Thumbs.db", ".DS_Store")]
    (tmp_path / "set").mkdir()
    for path in litter:
        path.write_bytes(b"litter")
    status, folder = make("set", 2)
    assert status == 0 and collection.main(["export", str(folder)]) == 0
    assert "everything matches" in verify(folder)[1] and {path.read_bytes() for path in litter} == {b"litter"}
    told = [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path not in litter]
    assert not [data for data in told if b"Thumbs.db" in data or b"desktop.ini" in data]


DAMAGES = {
    "samples.jsonl": ["[]", "{}", "5", '{"token_id":1}', "\x00", '{"text":"\\ud800"}'],
    "set.json": ["{}", "[]", "5", "", '{"format": 2}'],
    "selection.json": ["{}", "[]", '{"kept": ["1"]}', '{"kept": 1}'],
}


# of a set's settings and of its first token: the section and what replaces a part of it
EDITS = {
    "set.json": [
        ("sampler", {"stranger": "1"}), ("identity", {"stranger": "1"}), ("sampler", {"renoise": float("inf")}),
        ("sampler", {"sampler": []}), ("sampler", {"steps": -1}), ("rules", {"words": {}}), ("rules", {"attempts": 0}),
        ("name", "../escaped"), ("copy_bound", -1),
    ],
    "samples.jsonl": [
        ("traits", {"Length": "long"}), ("traits", {"Length": None}), ("traits", {"Characters": 1}), ("traits", {}),
        ("sampler", {"steps": -1}), ("sampler", {"renoise": float("inf")}), ("sampler", []), ("chars", -1),
        ("confidence", float("nan")), ("sha256", "0"),
    ],
}  # fmt: skip


def damages(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and damaged content of a file of this set of two tokens."""
    for name, contents in DAMAGES.items():
        yield from ((name, content) for content in contents)
    for name, edits in EDITS.items():
        first, *others = (folder / name).read_text("utf-8").split("\n") if name == "samples.jsonl" else ["", ""]
        value = json.loads(first or (folder / name).read_text("utf-8"))
        for key, part in edits:
            merged = {**value[key], **part} if isinstance(part, dict) and part else part
            yield name, "\n".join([json.dumps({**value, key: merged}), *others[:-1]])


def test_damaged_files_are_one_line(studio, tmp_path, capsys):
    _, make = studio
    _, folder = make("set", 2)
    keep = tmp_path / "keep.txt"
    keep.write_text("1", encoding="utf-8")
    commands = (["verify", str(folder)], ["export", str(folder)], ["select", str(folder), "--keep", str(keep)])
    for name, content in list(damages(folder)):
        path = folder / name
        before = path.read_bytes() if path.is_file() else None
        path.write_text(content + "\n", encoding="utf-8")
        for command in commands if name != "selection.json" else commands[:2]:  # select writes that file again
            assert collection.main(command) == 2, (name, content)
            error = capsys.readouterr().err
            assert error.count("\n") == 1 and "damaged" in error and name in error, (name, content)
            assert name == "selection.json" or not (folder / "selection.json").exists()
        assert make("set", 2)[0] == 2, (name, content)
        error = capsys.readouterr().err.strip("\n")  # rich ends its bar's line
        assert error.count("\n") == 0 and "damaged" in error and name in error, (name, content)
        path.write_bytes(before) if before else path.unlink()
    assert collection.main(["verify", str(folder)]) == 0
    for options in (["--title", " "], ["--title", "\udcff"]):
        assert collection.main(["export", str(folder), *options]) == 2
        assert "--title" in capsys.readouterr().err


def test_a_set_whose_selected_tokens_were_cut_off_goes_on(studio, capsys):
    """As a power cut leaves it: samples.jsonl has lost its last tokens, selection.json names one of them."""
    _, make = studio
    folder = make("set", 4)[1]
    assert select(folder, "1 4") == 0
    whole = files_in(folder)
    samples = folder / "samples.jsonl"
    samples.write_bytes(b"".join(samples.read_bytes().splitlines(keepends=True)[:2]))
    capsys.readouterr()
    assert make("set", 4)[0] == 0 and files_in(folder) == whole
    published = "selection.json publishes 2 of them; select --keep all publishes all"
    assert published in capsys.readouterr().out.splitlines()
