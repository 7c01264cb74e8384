"""A set is the same however it was drawn, survives interruption, proves itself, and shows what was tampered with."""

import csv
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from ruamel.yaml import YAML

import collection
from generation.checkpoint import load_checkpoint
from generation.writer import Writer, write_documents
from nft.commands import token_ids
from nft.contact_sheet import contact_sheet
from nft.draw import write_texts
from nft.image import SIDE, characters_without_glyph, layout
from nft.provenance import merkle_root
from nft.rules import BLOT
from nft.store import Edition
from tests.helpers import ROOT, TINY, Quiet
from training.trainer import train_model
from utils import pick_device, sha256

STRING, URI = {"type": "string", "minLength": 1}, {"type": "string", "minLength": 1}
ATTRIBUTES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["trait_type", "value"],
        "properties": {"trait_type": STRING, "value": {"type": ["string", "number"]}},
        "additionalProperties": False,
    },
}
# after EIP-721, EIP-1155, OpenSea's contract-level metadata, HashLips' output and Metaplex' non-fungible standard
SCHEMAS = {
    "erc721": {
        "type": "object",
        "required": ["name", "description", "image", "edition", "attributes"],
        "properties": {"name": STRING, "description": STRING, "image": URI, "attributes": ATTRIBUTES,
                       "edition": {"type": "integer", "minimum": 1}},
    },
    "erc1155": {
        "type": "object",
        "required": ["name", "decimals", "description", "image", "properties", "attributes"],
        "properties": {"name": STRING, "decimals": {"type": "integer"}, "description": STRING, "image": URI,
                       "properties": {"type": "object"}},
    },
    "metaplex": {
        "type": "object",
        "required": ["name", "symbol", "description", "image", "attributes", "properties"],
        "properties": {
            "name": {"type": "string", "maxLength": 32},
            "symbol": {"type": "string", "maxLength": 10},
            "attributes": ATTRIBUTES,
            "properties": {
                "type": "object",
                "required": ["files", "category"],
                "properties": {
                    "category": {"enum": ["image"]},
                    "files": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["uri", "type"]}},
                },
            },
        },
    },
    "contract": {
        "type": "object",
        "required": ["name", "description", "image", "license", "source"],
        "properties": {"name": STRING, "description": STRING, "image": URI},
    },
}  # fmt: skip


@pytest.fixture
def studio(tmp_path, tiny_run):
    """A tiny trained model and a config for it; -> (run, a function that makes a set with it)."""
    run = tiny_run(license="CC0-1.0", source="made up", collection={"copies": "keep"})
    train_model(run, Quiet())
    config = tmp_path / "config.yaml"

    def make(out: str, size: int, *options: str, **rules) -> tuple[int, Path]:
        sections = {**TINY, "paths": run.paths.model_dump(), "license": run.license, "source": run.source}
        with config.open("w", encoding="utf-8") as file:
            YAML().dump({**sections, "collection": {"copies": "keep", **rules}, "datasets": {"toy": {}}}, file)
        arguments = ["--model", str(run.model_file()), "--config", str(config), "--out", str(tmp_path / out)]
        return collection.main(["make", *arguments, "--size", str(size), *options]), tmp_path / out

    return run, make


def texts(folder: Path) -> list[str]:
    return [json.loads(line)["text"] for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_token_is_the_same_alone_in_small_and_large_sets_and_any_batch(studio):
    run, make = studio
    small, one, seven, large = (
        make(f"set{i}", size, "--batch-size", batch)[1]
        for i, (size, batch) in enumerate([(5, "64"), (16, "1"), (16, "7"), (16, "64")])
    )
    assert (one / "samples.jsonl").read_bytes() == (seven / "samples.jsonl").read_bytes()
    assert (one / "samples.jsonl").read_bytes() == (large / "samples.jsonl").read_bytes()
    assert texts(small) == texts(large)[:5]
    record = json.loads((large / "samples.jsonl").read_text(encoding="utf-8").splitlines()[11])
    writer = Writer.of(load_checkpoint(run.model_file()), pick_device("cpu"))
    [alone] = write_texts(writer, writer.settings(), 0, [(12, record["attempt"])])
    assert alone.text == record["text"]
    assert [write_documents(writer, 0, [11], writer.settings(), attempt=record["attempt"])] == [[record["text"]]]


def test_a_token_says_where_it_comes_from(studio):
    run, make = studio
    _, folder = make("set", 4)
    record = json.loads((folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()[2])
    assert (record["token_id"], record["seed"], record["device"]) == (3, 0, "cpu")
    assert record["sha256"] == hashlib.sha256(record["text"].encode()).hexdigest() and record["chars"] == len(
        record["text"]
    )
    assert record["model_sha256"] == hashlib.sha256(run.model_file().read_bytes()).hexdigest()
    assert record["data_sha256"] == hashlib.sha256(run.data_file().read_bytes()).hexdigest()
    assert record["sampler"]["steps"] == 4 and set(record["traits"]) >= {"Length", "Confidence", "Settling"}
    assert 0 < record["confidence"] <= 1 and 1 <= record["settling"] <= 4 and 0 <= record["novelty"] <= 1


def test_a_set_goes_on_after_an_interruption_at_any_byte(studio):
    _, make = studio
    _, whole = make("whole", 9, "--batch-size", "3")
    data = (whole / "samples.jsonl").read_bytes()
    for cut in (0, 1, len(data) // 3, len(data) // 2 + 7, len(data) - 1, len(data)):
        _, folder = make("cut", 3)
        (folder / "samples.jsonl").write_bytes(data[:cut])
        status, _ = make("cut", 9)
        assert status == 0 and (folder / "samples.jsonl").read_bytes() == data
        shutil.rmtree(folder)


def test_kill_9_in_the_middle_loses_nothing(studio, tmp_path):
    run, make = studio
    _, whole = make("whole", 120, "--batch-size", "2")
    command = [
        sys.executable, str(ROOT / "collection.py"), "make", "--model", str(run.model_file()), "--config",
        str(tmp_path / "config.yaml"), "--out", str(tmp_path / "killed"), "--size", "120", "--batch-size", "2",
    ]  # fmt: skip
    process, samples = subprocess.Popen(command, stderr=subprocess.DEVNULL), tmp_path / "killed/samples.jsonl"
    while not (samples.is_file() and samples.stat().st_size > 5000) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert 0 < samples.stat().st_size < (whole / "samples.jsonl").stat().st_size
    status, killed = make("killed", 120)
    assert status == 0 and samples.read_bytes() == (whole / "samples.jsonl").read_bytes()
    assert (killed / "provenance.json").read_bytes() == (whole / "provenance.json").read_bytes()


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
            status == 2 and f"its tokens were drawn with another {what}; give another --out" in capsys.readouterr().err
        )
    assert make("set", 2)[0] == 2
    assert "holds 3 tokens already, more than --size" in capsys.readouterr().err


@pytest.fixture
def parrot(tiny_run, tmp_path):
    """A model that has learnt its few lines by heart: a canary sentence in some, an e-mail address in others."""
    canary = "the canary sings at noon"
    lines = [f"{canary} {letter}" for letter in "abcdefgh"] + [f"mail jo@example.org {letter}" for letter in "abcdef"]
    rng = np.random.default_rng(0)
    lines += ["".join(rng.choice(list("abcdefgh jklmnop"), 20)) for _ in range(24)]
    run = tiny_run(
        lines, "parrot",
        model={"layers": 2, "heads": 2, "width": 48, "context": 48, "noise_width": 16, "dropout": 0.0},
        diffusion={"process": "absorbing"},
        training={"batch_size": 8, "max_steps": 400, "validations": 1, "learning_rate": 0.01},
        sampling={"steps": 16, "temperature": 0.7},
    )  # fmt: skip
    train_model(run, Quiet())
    config = tmp_path / "parrot.yaml"

    def make(out: str, size: int, **rules) -> list[dict]:
        with config.open("w", encoding="utf-8") as file:
            YAML().dump(
                {**TINY, "paths": run.paths.model_dump(), "collection": rules, "datasets": {"parrot": {}}}, file
            )
        arguments = ["--model", str(run.model_file()), "--config", str(config), "--out", str(tmp_path / out)]
        collection.main(["make", *arguments, "--size", str(size)])
        return [json.loads(line) for line in (tmp_path / out / "samples.jsonl").read_text("utf-8").splitlines()]

    return make


def test_a_planted_canary_an_address_and_a_duplicate_are_caught(parrot):
    free = parrot("free", 40, copies="flag", personal="flag", duplicates="flag", near_duplicates="keep")
    flags = [flag for record in free for flag in record["flags"]]
    assert {"copies", "personal", "duplicates"} <= set(flags)
    assert all("copies" in record["flags"] for record in free if "canary sings at noon" in record["text"])
    assert all("personal" in record["flags"] for record in free if "@example.org" in record["text"])
    strict = parrot("strict", 40, attempts=3)
    kept = [record["text"] for record in strict if record["accepted"]]
    assert not any("canary sings at noon" in text or "@example.org" in text for text in kept)
    assert len(set(kept)) == len(kept)
    assert any(not record["accepted"] and len(record["dropped"]) == 3 for record in strict)  # no endless loop
    masked = parrot("masked", 40, copies="keep", duplicates="keep", near_duplicates="keep", personal="mask")
    assert any(BLOT in record["text"] and record["drawn_sha256"] != record["sha256"] for record in masked)
    assert not any("@example.org" in record["text"] for record in masked)


def test_exports_meet_their_schemas_and_hold_every_token(studio):
    _, make = studio
    _, folder = make("set", 12, "--title", "Toys & <b>more</b>", "--base-uri", "ipfs://cid")
    for number in range(1, 13):
        for path, schema in (f"json/{number}.json", "erc721"), (f"erc1155/{number:064x}.json", "erc1155"):
            found = json.loads((folder / path).read_text(encoding="utf-8"))
            jsonschema.validate(found, SCHEMAS[schema])
            assert found["image"] == f"ipfs://cid/{number}.png"
            assert found["properties"]["machine_generated"] is True and found["properties"]["curated"] is False
            assert "Machine-generated" in found["description"]
        jsonschema.validate(
            json.loads((folder / f"metaplex/{number - 1}.json").read_text("utf-8")), SCHEMAS["metaplex"]
        )
        with Image.open(folder / f"images/{number}.png") as image:
            assert image.size == (SIDE, SIDE) and len(image.convert("L").getcolors()) > 1  # not empty
    contract = json.loads((folder / "contract.json").read_text("utf-8"))
    jsonschema.validate(contract, SCHEMAS["contract"])
    assert (contract["license"], contract["source"], contract["curated"]) == ("CC0-1.0", "made up", False)
    assert len(json.loads((folder / "json/_metadata.json").read_text("utf-8"))) == 12
    assert (folder / "toy.txt").read_text("utf-8").splitlines() == texts(folder)
    with (folder / "tokens.csv").open(encoding="utf-8", newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == texts(folder)
    with (folder / "rarity.csv").open(encoding="utf-8", newline="") as file:
        bits = [float(row["bits"]) for row in csv.DictReader(file)]
    assert len(bits) == 12 and bits == sorted(bits, reverse=True)


def test_a_new_name_draws_nothing_and_changes_nothing_else(studio):
    run, make = studio
    _, folder = make("set", 6)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run.model_file().unlink()
    assert collection.main(["export", str(folder), "--title", "Toys", "--base-uri", "https://x.org/t/"]) == 0
    assert json.loads((folder / "json/2.json").read_text("utf-8"))["image"] == "https://x.org/t/2.png"
    assert (folder / "samples.jsonl").read_bytes() == before[folder / "samples.jsonl"]
    assert (folder / "provenance.json").read_bytes() == before[folder / "provenance.json"]
    assert collection.main(["export", str(folder), "--title", "toy", "--base-uri", ""]) == 0
    assert json.loads((folder / "json/2.json").read_text("utf-8"))["image"] == "../images/2.png"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_selection_is_recorded_and_shown(studio, tmp_path, capsys):
    _, make = studio
    _, folder = make("set", 6)
    keep = tmp_path / "selection.txt"
    keep.write_text("2\n5 \u2013 6\n", encoding="utf-8")
    assert token_ids(keep) == {2, 5, 6}
    keep.write_text("2\n5-6\n", encoding="utf-8")
    assert collection.main(["select", str(folder), "--keep", str(keep)]) == 0
    drawn = texts(folder)
    assert (folder / "toy.txt").read_text("utf-8").splitlines() == [drawn[k] for k in (1, 4, 5)]
    assert sorted(path.name for path in (folder / "json").iterdir()) == ["1.json", "2.json", "3.json", "_metadata.json"]
    proof = json.loads((folder / "provenance.json").read_text("utf-8"))
    assert (proof["curated"], proof["tokens"], proof["chosen_from"]) == (True, 3, 6)
    assert "Chosen by hand" in json.loads((folder / "json/1.json").read_text("utf-8"))["description"]
    assert collection.main(["verify", str(folder), "--tokens", "2"]) == 0
    for named, trouble in (("9", "the set has no token 9"), ("1 5-3", "5-3 must run"), ("1-9999999", "tokens at most")):
        keep.write_text(named, encoding="utf-8")
        assert collection.main(["select", str(folder), "--keep", str(keep)]) == 2
        assert trouble in capsys.readouterr().err
    assert collection.main(["select", str(folder), "--keep", "all"]) == 0
    assert json.loads((folder / "contract.json").read_text("utf-8"))["curated"] is False


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
    "json/7.json: of no token": lambda folder: shutil.copy(folder / "json/1.json", folder / "json/7.json"),
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


def test_a_folder_of_other_things_is_left_alone(studio, tmp_path, capsys):
    _, make = studio
    (tmp_path / "site/images").mkdir(parents=True)
    (tmp_path / "site/images/holiday.jpg").write_bytes(b"mine")
    for out in ("site", "datasets"):
        before = {path: path.read_bytes() for path in (tmp_path / out).rglob("*.*") if path.is_file()}
        assert make(out, 2)[0] == 2
        assert "holds files but no set; give --out an empty or a new folder" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in before} == before


DAMAGES = {
    "samples.jsonl": ["[]", "{}", "5", '{"token_id":1}', "\x00", '{"text":"\\ud800"}'],
    "set.json": ["{}", "[]", "5", "", '{"format": 2}'],
    "selection.json": ["{}", "[]", '{"kept": ["1"]}', '{"kept": 1}'],
}


def test_damaged_files_are_one_line(studio, capsys):
    _, make = studio
    _, folder = make("set", 2)
    info = json.loads((folder / "set.json").read_text("utf-8"))
    strange = [json.dumps({**info, key: {**info[key], "stranger": "1"}}) for key in ("sampler", "identity")]
    for name, contents in DAMAGES.items():
        path = folder / name
        before = path.read_bytes() if path.is_file() else None
        for content in [*contents, *(strange if name == "set.json" else [])]:
            path.write_text(content + "\n", encoding="utf-8")
            for command in (["verify", str(folder)], ["export", str(folder)]):
                assert collection.main(command) == 2, (name, content)
                error = capsys.readouterr().err.strip("\n") + "\n"  # rich ends its bar's line
                assert error.count("\n") == 1 and "damaged" in error
        path.write_bytes(before) if before else path.unlink()
    assert collection.main(["verify", str(folder)]) == 0
    for options in (["--title", " "], ["--title", "\udcff"]):
        assert collection.main(["export", str(folder), *options]) == 2
        assert "--title" in capsys.readouterr().err


def test_names_keep_within_metaplex_bytes(studio):
    _, make = studio
    _, folder = make("set", 2, "--title", "\u3042" * 40)
    found = json.loads((folder / "metaplex/1.json").read_text("utf-8"))
    assert len(found["name"].encode()) <= 32 and found["name"].endswith(" #2")
    assert 0 < len(found["symbol"].encode()) <= 10


def test_the_merkle_root_is_rfc_6962s():
    leaf = [hashlib.sha256(b"\0" + bytes([k])).digest() for k in range(5)]
    node = lambda a, b: hashlib.sha256(b"\1" + a + b).digest()  # noqa: E731
    left = node(node(leaf[0], leaf[1]), node(leaf[2], leaf[3]))
    assert merkle_root([bytes([k]) for k in range(5)]) == node(left, leaf[4]).hex()
    assert merkle_root([b"\0"]) == leaf[0].hex()


def test_a_page_and_a_picture_never_take_text_for_markup(studio):
    _, make = studio
    _, folder = make("set", 3, "--title", "</title><script>alert(1)</script>")
    record = json.loads((folder / "samples.jsonl").read_text("utf-8").splitlines()[0])
    record["text"] = "</script><img src=x onerror=alert(1)> & more"
    info = {**json.loads((folder / "set.json").read_text("utf-8")), "curated": False}
    page = contact_sheet(Edition(info, [record], {}))
    assert page.count("<script>") == 1 and page.count("</script>") == 1 and "<img" not in page
    svg = (folder / "images/1.svg").read_text("utf-8")
    assert "<script" not in svg and "&lt;script&gt;" in svg
    assert "http" not in page.replace("http-equiv", "")  # no network


def test_what_the_face_lacks_is_known():
    assert characters_without_glyph("a naïve\u00a0Ω …\n\u200d🎉日א😀") >= {"🎉", "日", "א"}
    assert not characters_without_glyph("".join(map(chr, range(32, 127))) + "éßñçøāžšΩжк–—“”…€²½")


def test_every_text_fits_its_card():
    for text in ("a", "word " * 10, "x" * 500, "word " * 300, "w" * 9000):
        size, lines = layout(text)
        assert lines and all(len(line) * 0.602 * size <= SIDE - 180 + 1e-6 for line in lines)
        assert len(lines) * 1.5 * size <= SIDE - 180
    assert "".join(layout("x" * 500)[1]) == "x" * 500 and layout("w" * 90_000)[1][-1].endswith("\u2026")


def test_bad_commands_are_one_line(studio, tmp_path, capsys):
    _, make = studio
    for arguments in (
        ["verify", str(tmp_path / "nowhere")],
        ["select", str(tmp_path / "nowhere"), "--keep", "all"],
        ["export", str(tmp_path / "nowhere")],
    ):
        assert collection.main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "nowhere").exists()
    assert make("set", 0)[0] == 2
    assert capsys.readouterr().err == "error: --size 0: must be at least 1\n"
