"""Verification names what was changed, and draws tokens again."""

import json
import shutil
from pathlib import Path

import collection
from utils import sha256


def alter(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")


TAMPERINGS = {
    "token 1: its text has another hash": lambda folder: alter(folder / "samples.jsonl", '"text":"', '"text":"x'),
    "token 1: its line of samples.jsonl is not canonical": lambda f: alter(
        f / "samples.jsonl", '"accepted":', '"accepted": '
    ),
    "json/3.json: not what its tokens make of it": lambda f: alter(f / "json/3.json", '"edition": 3', '"edition": 1'),
    "provenance.json: not what its tokens": lambda f: alter(f / "provenance.json", '"tokens": 6', '"tokens": 7'),
    "index.html: missing": lambda folder: (folder / "index.html").unlink(),
    "json/7.json: belongs to no token": lambda folder: shutil.copy(folder / "json/1.json", folder / "json/7.json"),
    "images/2.png: missing": lambda folder: (folder / "images/2.png").unlink(),
}


def test_verify_names_what_does_not_match(studio, capsys):
    run, make = studio
    _, folder = make("set", 6)
    capsys.readouterr()
    assert collection.main(["verify", str(folder), "--tokens", "6"]) == 0
    assert capsys.readouterr().out == "6 tokens drawn again, 6 the same\n6 tokens: hashes and files match\n"
    for what, tamper in TAMPERINGS.items():
        broken = folder.with_name("broken")
        shutil.copytree(folder, broken)
        tamper(broken)
        assert collection.main(["verify", str(broken), "--tokens", "1"]) == 1
        assert what in capsys.readouterr().out
        shutil.rmtree(broken)
    run.model_file().write_bytes(run.model_file().read_bytes() + b"\0")
    assert collection.main(["verify", str(folder)]) in (1, 2)
    captured = capsys.readouterr()
    assert "not the model that this set was drawn with" in captured.out or "damaged" in captured.err


def test_verify_finds_a_text_that_the_model_does_not_write(studio, capsys):
    _, make = studio
    _, folder = make("set", 3)
    lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text("utf-8").splitlines()]
    text = "x" * len(lines[1]["text"])
    lines[1] |= {"text": text, "sha256": sha256(text), "drawn_sha256": sha256(text)}
    canonical = [json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for line in lines]
    (folder / "samples.jsonl").write_text("\n".join(canonical) + "\n", encoding="utf-8", newline="\n")
    assert collection.main(["verify", str(folder), "--tokens", "3"]) == 1
    assert "token 2: drawn again, it is another text" in capsys.readouterr().out
    lines[1] |= {"drawn_sha256": "0" * 64}
    canonical = [json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for line in lines]
    (folder / "samples.jsonl").write_text("\n".join(canonical) + "\n", encoding="utf-8", newline="\n")
    assert collection.main(["verify", str(folder), "--tokens", "0"]) == 1
    assert "token 2: its text is not the one that was drawn" in capsys.readouterr().out


def test_without_the_model_all_else_is_verified(studio, capsys):
    run, make = studio
    _, folder = make("set", 3)
    run.model_file().unlink()
    assert collection.main(["verify", str(folder)]) == 0
    assert "not at hand, so no token was drawn again" in capsys.readouterr().out
    alter(folder / "json/1.json", '"edition": 1', '"edition": 2')
    (folder / "images/.DS_Store").write_bytes(b"litter")
    assert collection.main(["verify", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "json/1.json: not what its tokens make of it" in out and "DS_Store" not in out
