"""What the list of written files knows: without it, with another's or with one cut short, nothing is replaced."""

import json
import os
import stat
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import evaluate
import generate
from command import outputs, places
from command.outputs import OutputRecord
from evaluation.stored import stored_evaluation
from generation.checkpoint import load_checkpoint
from tests.helpers import Killed, tree
from tests.homes import GENERATE, MODEL
from utils import UserError, sha256


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.rename("kept"), lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("command", ["generate", "evaluate"])
def test_without_its_list_a_command_says_so_and_replaces_nothing(home, capsys, command, lose):
    first, arguments = {
        "generate": ("toy_samples.txt", [generate, *MODEL, *GENERATE]),
        "evaluate": ("toy_evaluation.md", [evaluate, *MODEL, "--count", "3"]),
    }[command]
    module, *arguments = arguments
    record = Path(f"outputs/.{first}.written.jsonl")
    assert module.main(arguments) == 0
    whole = record.read_bytes()
    lose(record)
    before = tree(home)
    assert module.main([*arguments, "--seed", "1"]) == 2 and tree(home) == before
    assert capsys.readouterr().err == (
        f"error: outputs/{first}: not known as this program's: the list of what it wrote there, {record.name}, is "
        "missing or empty; name another --output, or replace it with --overwrite\n"
    )
    if command == "evaluate":
        found, why = stored_evaluation(Path("outputs"), "toy", load_checkpoint(Path("models/toy.pt")))
        assert found is None and f"{record.name}, is missing or empty" in why
    record.write_bytes(whole)  # put back, it is believed as before
    assert module.main([*arguments, "--seed", "1"]) == 0
    record.unlink()
    assert module.main([*arguments, "--overwrite"]) == module.main(arguments) == 0


def test_a_list_of_elsewhere_knows_no_file_here_and_one_that_moves_with_its_folder_does(home, capsys):
    arguments = [*MODEL, *GENERATE, "--output"]
    assert generate.main([*arguments, "a/t.txt"]) == generate.main([*arguments, "b/t.txt", "--seed", "1"]) == 0
    Path("b/.t.txt.written.jsonl").write_bytes(Path("a/.t.txt.written.jsonl").read_bytes())
    Path("a").rename("c")
    before = tree(Path("b"))
    assert generate.main([*arguments, "b/t.txt"]) == 2 and tree(Path("b")) == before
    assert "b/t.txt: not written by this program, or changed since" in capsys.readouterr().err
    assert generate.main([*arguments, "c/t.txt", "--seed", "2"]) == 0
    for name in ("t.txt", "t.jsonl"):  # a list that a person renames vouches for no file of another name
        Path("c", name).rename(Path("c", name.replace("t.", "best.")))
    Path("c/.t.txt.written.jsonl").rename("c/.best.txt.written.jsonl")
    before = tree(Path("c"))
    assert generate.main([*arguments, "c/best.txt"]) == 2 and tree(Path("c")) == before


def test_a_list_that_is_moved_away_during_the_work_costs_no_work(home, capsys):
    names, folder = ["t.txt", "t.jsonl"], Path("outputs")

    def written(*contents: bytes, lose: bool = False, change: bytes = b"") -> None:
        found = outputs.Outputs(folder, names, [], overwrite=False)  # before the work
        if lose:
            (folder / ".t.txt.written.jsonl").unlink()
        if change:
            (folder / "t.jsonl").write_bytes(change)
        found.write(*contents)

    written(b"1", b"one")
    written(b"2", b"two", lose=True)
    written(b"3", b"three")
    assert (folder / "t.txt").read_bytes() == b"3"
    with pytest.raises(UserError, match=r"t\.jsonl: not written by this program, or changed since"):
        written(b"4", b"four", lose=True, change=b"mine")
    assert (folder / "t.txt").read_bytes() == b"3" and (folder / "t.jsonl").read_bytes() == b"mine"


def test_a_list_of_a_stranger_knows_files_by_their_bytes_alone(home):
    record, path = Path("outputs/.toy_samples.txt.written.jsonl"), Path("outputs/toy_samples.txt")
    path.parent.mkdir()
    path.write_text("mine", encoding="utf-8")
    names = ["toy_samples.txt", "./toy_samples.txt", "toy_samples.jsonl", "../datasets/toy.txt", "", "*", "/"]
    hashes = [sha256("another"), sha256(""), "0" * 64, "*" * 64, "", sha256("mine").upper()]
    lines = [json.dumps({"path": name, "sha256": found}) for name in names for found in hashes]
    record.write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = tree(home)
    assert generate.main([*MODEL, *GENERATE]) == 2 and tree(home) == before


def test_a_list_without_an_end_is_not_read(home, capsys):
    record = Path("outputs/.toy_samples.txt.written.jsonl")
    assert generate.main([*MODEL, *GENERATE]) == 0
    with record.open("r+b") as file:
        file.truncate(1 << 40)  # takes no room on the disk, but would fill the memory
    assert generate.main([*MODEL, *GENERATE]) == 2
    assert capsys.readouterr().err.endswith(
        f"error: {record}: longer than 1,048,576 bytes, so not written by this program; move it away\n"
    )
    record.rename("outputs/.other.txt.written.jsonl")
    assert generate.main([*MODEL, *GENERATE]) == 2 and "is missing or empty" in capsys.readouterr().err


def test_a_second_name_of_a_record_stays_as_it_is(home):
    arguments, record = [*MODEL, *GENERATE], Path("outputs/.toy_samples.txt.written.jsonl")
    assert generate.main(arguments) == 0
    os.link(record, "backup")  # as backups do that copy by hard links
    before = Path("backup").read_bytes()
    assert generate.main([*arguments, "--seed", "1"]) == 0
    assert Path("backup").read_bytes() == before != record.read_bytes()
    assert generate.main([*arguments, "--seed", "2"]) == 0  # the record knows its files


@pytest.mark.parametrize(
    "line", ["a note of mine", '{"path": "a", "note": "mine"}', '{"path": "a"} mine', "[" * 100_000]
)
def test_a_record_with_lines_of_others_is_left_as_it_is(home, capsys, line):
    arguments, record = [*MODEL, *GENERATE], Path("outputs/.toy_samples.txt.written.jsonl")
    assert generate.main(arguments) == 0
    whole = record.read_text(encoding="utf-8")
    record.write_text(f"{whole}{line}\n", encoding="utf-8")
    before = tree(home)
    for overwrite in ([], ["--overwrite"]):
        assert generate.main([*arguments, "--seed", "1", *overwrite]) == 2 and tree(home) == before
        assert capsys.readouterr().err == f"error: {record}: not written by this program; move it away\n"
    odd = ['{"path": "a", "sha256": 5}', '{"path": "toy_samples.jsonl", "sha256": ""}']
    record.write_text("\n".join([whole, *odd]), encoding="utf-8")
    assert generate.main([*arguments, "--seed", "1"]) == generate.main(arguments) == 0
    for size in range(len(whole.splitlines()[-1])):  # a line that an earlier version was killed in
        record.write_text(f"{whole}\n{whole.splitlines()[-1][:size]}", encoding="utf-8")
        assert not OutputRecord(record).is_foreign("toy_samples.txt")


def test_a_report_is_replaced_until_somebody_changes_it(home, capsys):
    arguments = [*MODEL, "--count", "3"]
    assert evaluate.main(arguments) == evaluate.main([*arguments, "--seed", "1"]) == 0
    for name in ("toy_evaluation.md", "toy_evaluation.json", "toy_evaluation.png"):
        path = Path("outputs", name)
        path.write_bytes(path.read_bytes() + b"my notes\n")
        before = tree(home)
        assert evaluate.main(arguments) == 2
        assert f"{path}: not written by this program, or changed since" in capsys.readouterr().err
        assert tree(home) == before
        assert evaluate.main([*arguments, "--overwrite"]) == evaluate.main(arguments) == 0


def test_an_output_made_read_only_is_replaced_on_request_alone(home, capsys):
    arguments, path = [*MODEL, *GENERATE], Path("outputs/toy_samples.txt")
    assert generate.main(arguments) == 0
    path.chmod(0o444)
    before = tree(home)
    assert generate.main([*arguments, "--seed", "1"]) == 2 and tree(home) == before
    assert f"{path}: is read-only; name another --output, or replace it with --overwrite" in capsys.readouterr().err
    path.chmod(0o644)
    assert generate.main([*arguments, "--seed", "1"]) == 0


def test_outputs_are_known_again_after_a_kill_at_any_write(home, monkeypatch):
    arguments = [*MODEL, *GENERATE, "--seed", "1"]
    assert generate.main([*MODEL, *GENERATE]) == 0
    first = tree(home)
    assert generate.main(arguments) == 0
    second = tree(home)
    for kill in (0, 1, 2):
        assert generate.main([*MODEL, *GENERATE]) == 0 and tree(home) == first
        written: list[Path] = []

        def stop(write, path, *arguments, written=written, kill=kill):
            if len(written) == kill:
                raise Killed
            written.append(path)
            return write(path, *arguments)

        with monkeypatch.context() as patch:
            for name in ("atomic_path", "write_atomic"):
                patch.setattr(outputs, name, partial(stop, getattr(outputs, name)))
            with pytest.raises(Killed):
                generate.main(arguments)
        assert generate.main(arguments) == 0 and tree(home) == second


def test_a_junction_of_windows_is_a_link(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path)
    assert [places.is_link(tmp_path / name) for name in ("link", "", "gone")] == [True, False, False]
    state = SimpleNamespace(st_mode=0o040755, st_reparse_tag=0xA0000003)
    monkeypatch.setattr(Path, "lstat", lambda path: state)
    assert places.is_link(tmp_path)


def test_a_file_that_macos_has_locked_is_not_replaced_even_on_request(tmp_path, monkeypatch):
    path, found = tmp_path / "a.txt", []
    outputs.Outputs(tmp_path, ["a.txt"], [], overwrite=True).write(b"text")
    state = SimpleNamespace(st_mode=0o100644, st_size=4, st_nlink=1, st_flags=stat.UF_IMMUTABLE)
    with monkeypatch.context() as locked:
        locked.setattr(Path, "stat", lambda *_, **__: state)
        found += [places.is_protected(path), places.is_locked(path)]
    with monkeypatch.context() as locked, pytest.raises(UserError, match=r"a.txt: is locked; unlock it"):
        locked.setattr(outputs, "is_locked", lambda path: True)
        outputs.Outputs(tmp_path, ["a.txt"], [], overwrite=True)
    assert found == [True, True] and not places.is_locked(path)
