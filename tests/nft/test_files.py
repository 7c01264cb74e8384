"""Writing a set's files again changes and removes its own files alone; what a person put there stays, and is named."""

import contextlib
import json
from pathlib import Path

import pytest

import collection
from command import outputs
from nft.files import RECORD
from tests.helpers import Killed, tree
from tests.nft.sets import select
from utils import sha256


def commands(make, folder: Path, keep: Path) -> dict:
    """Each command that writes a set's files."""
    keep.write_text("2-3", encoding="utf-8")
    return {
        "export": lambda: collection.main(["export", str(folder), "--title", "Toys"]),
        "select": lambda: collection.main(["select", str(folder), "--keep", str(keep)]),
        "make": lambda: make(folder.name, 6)[0],
    }


def test_a_persons_own_files_survive_every_command(studio, tmp_path, capsys):
    _, make = studio
    _, folder = make("set", 4)
    mine = {
        "images/1.png": b"my artwork", "images/4.svg": b"my artwork", "json/notes.txt": b"my notes",
        "erc1155/sub/deep.txt": b"mine", "metaplex/7.json": b"{}", "contract.json": b'{"fee_recipient": "me"}',
        "mint-list.csv": b"my list",
    }  # fmt: skip
    for path, content in mine.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    for name, command in commands(make, folder, tmp_path / "keep.txt").items():
        capsys.readouterr()
        assert command() == 0
        assert {path: (folder / path).read_bytes() for path in mine} == mine, name
        said = capsys.readouterr().out
        assert "left as they are, not written by this program, or changed since (delete one and run export" in said
        assert all(path in said for path in mine if path not in ("mint-list.csv", "erc1155/sub/deep.txt")), name
    assert json.loads((folder / "json/2.json").read_text("utf-8"))["name"] == "Toys #2"
    assert not (folder / "json/3.json").exists()  # of token 4, which is not published now
    assert collection.main(["verify", str(folder), "--tokens", "0"]) == 1
    assert "images/1.png: not the picture of its text" in capsys.readouterr().out
    for path in mine:
        (folder / path).unlink()
    (folder / "erc1155/sub").rmdir()
    assert collection.main(["export", str(folder)]) == 0
    capsys.readouterr()
    assert collection.main(["verify", str(folder), "--tokens", "0"]) == 0


def test_what_was_made_read_only_or_has_a_second_name_stays_as_it_is(studio, tmp_path, capsys):
    _, make = studio
    _, folder = make("set", 3)
    backup = tmp_path / "backup.jsonl"
    backup.hardlink_to(folder / "samples.jsonl")
    kept, protected = backup.read_bytes(), ("tokens.csv", "index.html", "json/1.json", "json/3.json")
    for path in protected:
        (folder / path).chmod(0o444)
    before = {path: (folder / path).read_bytes() for path in protected}
    assert make("set", 4, "--title", "Toys")[0] == 0 and backup.read_bytes() == kept
    said = capsys.readouterr().out
    assert all(path in said and (folder / path).read_bytes() == before[path] for path in protected)
    assert select(folder, "1") == 0
    assert (folder / "json/3.json").exists() and not (folder / "json/2.json").exists()
    commands = {
        "set.json": lambda: collection.main(["export", str(folder), "--title", "Others"]),
        "selection.json": lambda: collection.main(["select", str(folder), "--keep", "all"]),
        "samples.jsonl": lambda: make("set", 5)[0],
    }
    capsys.readouterr()
    for name, command in commands.items():
        (folder / name).chmod(0o444)
        now = tree(folder)
        assert command() == 2 and tree(folder) == now
        assert f"{folder / name}: is read-only; make it writable to have it changed\n" in capsys.readouterr().err
        (folder / name).chmod(0o644)
    for path in protected:
        (folder / path).chmod(0o644)
    assert collection.main(["select", str(folder), "--keep", "all"]) == 0 and make("set", 5)[0] == 0
    capsys.readouterr()
    assert collection.main(["verify", str(folder), "--tokens", "0"]) == 0


def test_of_a_set_without_a_record_the_files_that_its_tokens_make_are_taken_up(studio, tmp_path):
    _, make = studio
    _, expected = make("expected", 4)
    _, folder = make("set", 4)
    (folder / RECORD).unlink()  # as an earlier version left it
    (folder / "images/2.png").write_bytes(b"my artwork")
    for name in ("set", "expected"):
        assert collection.main(["export", str(tmp_path / name), "--title", "Toys"]) == 0
    for path in expected.rglob("*"):
        if path.is_file() and path.name not in ("2.png", RECORD):
            assert (folder / path.relative_to(expected)).read_bytes() == path.read_bytes(), path
    assert (folder / "images/2.png").read_bytes() == b"my artwork"


def test_a_kill_at_any_write_of_a_set_loses_nothing(studio, tmp_path, monkeypatch):
    _, make = studio
    _, folder = make("set", 3)
    (folder / "images/2.png").write_bytes(b"my artwork")
    keep, write, unlink = tmp_path / "keep.txt", outputs.write_atomic, Path.unlink
    steps = [
        lambda: collection.main(["select", str(folder), "--keep", str(keep)]),
        lambda: collection.main(["select", str(folder), "--keep", "all"]),
    ]
    keep.write_text("3", encoding="utf-8")
    ends = []
    for step in steps:
        assert step() == 0
        ends.append(tree(folder))
    killed = 0
    for step, end, other in zip(steps, ends, reversed(steps), strict=True):
        for kill in range(100):
            done: list[str] = []
            unbroken = False

            def count(done=done, kill=kill):
                if len(done) == kill:
                    raise Killed
                done.append("")

            def stop_write(path, data, under=None, count=count):
                count()
                write(path, data, under)

            def stop_unlink(path, missing_ok=False, count=count):
                if not missing_ok:
                    count()
                unlink(path, missing_ok=missing_ok)

            with monkeypatch.context() as patch:
                patch.setattr(outputs, "write_atomic", stop_write)
                patch.setattr(Path, "unlink", stop_unlink)
                with contextlib.suppress(Killed):
                    unbroken = step() == 0
            killed += not unbroken
            assert step() == 0 and tree(folder) == end
            assert other() == 0
            if unbroken:
                break
    assert killed > 20


@pytest.mark.parametrize("name", ["images", "json", "samples.jsonl", RECORD])
def test_no_link_leads_out_of_a_set(studio, tmp_path, capsys, name):
    _, make = studio
    _, folder = make("set", 3)
    elsewhere = tmp_path / "elsewhere"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    before = tree(elsewhere)
    for command in commands(make, folder, tmp_path / "keep.txt").values():
        assert command() == 2
        told = capsys.readouterr().err
        assert str(folder / name) in told and told.count("\n") <= 2
    assert tree(elsewhere) == before


def test_a_forged_record_removes_nothing_but_what_has_the_name_of_a_tokens_file(studio, tmp_path):
    """A stranger who foresees bytes, as of a logo, can name their hash.

    Nothing goes outside, through a link, in a person's folder, of another name, or under a second name.
    """
    _, make = studio
    _, folder = make("set", 2)
    for path in (tmp_path / "other", folder / "images/mine"):
        path.mkdir()
    (folder / "json/link").symlink_to(tmp_path / "other")
    mine = [
        "../mine.txt", "notes.txt", "json/link/LICENSE", "images/mine/LICENSE", "images/logo.png", "json/notes.json",
        "metaplex/1.json.txt", "erc1155/1.json",
    ]  # fmt: skip
    for path in (*mine, "json/9.json"):
        (folder / path).write_bytes(b"mine")
    whole = (folder / "json/1.json").read_bytes()
    nowhere = ["json/\0", "json/\ud800", "json/" + "x" * 5000, "json", ".", ""]
    otherwise = [str(tmp_path / "mine.txt"), "json/../../mine.txt", "json\\..\\..\\mine.txt"]
    named = dict.fromkeys([*mine, *otherwise, *nowhere, "json/9.json"], b"mine")
    named |= dict.fromkeys(("json//1.json", "json/./1.json", "json/1.json/"), whole)
    with (folder / RECORD).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"path": path, "sha256": sha256(data)}) + "\n" for path, data in named.items())
    assert collection.main(["export", str(folder)]) == 0
    assert all((folder / path).read_bytes() == b"mine" for path in mine)
    assert (folder / "json/1.json").read_bytes() == whole and not (folder / "json/9.json").exists()


def test_a_selection_is_not_read_from_the_file_that_it_is_written_to(studio, capsys):
    _, make = studio
    _, folder = make("set", 3)
    for text in ("1-2", "{}"):
        (folder / "selection.json").write_text(text, encoding="utf-8")
        for keep in (str(folder / "selection.json"), "all"):
            assert collection.main(["select", str(folder), "--keep", keep]) == 2
            assert "selection.json" in capsys.readouterr().err
        assert (folder / "selection.json").read_text("utf-8") == text


def test_verify_names_links_in_a_set(studio, verify, tmp_path):
    _, make = studio
    _, folder = make("set", 2)
    for name in ("images", "json/2.json", "tokens.csv"):
        (folder / name).rename(tmp_path / "elsewhere")
        (folder / name).symlink_to(tmp_path / "elsewhere")
        status, out = verify(folder)
        assert status == 1 and out.count("does not match: ") == 1
        assert f"does not match: {name}: a link; a set holds its files itself\n" in out
        (folder / name).unlink()
        (tmp_path / "elsewhere").rename(folder / name)
    assert verify(folder)[0] == 0
