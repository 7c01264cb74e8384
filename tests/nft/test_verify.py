"""Verification says in words what does not match and what it could not check, and draws tokens again."""

import errno
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

import collection
from generation.aside import set_aside
from nft import commands
from nft.formats import ONE_COMPARISON
from nft.verify import sampled
from tests.helpers import Quiet, files_in, sparse, tree
from tests.nft.sets import alter, change_info, change_tokens, info_of, records, texts
from training.trainer import train_model
from utils import hash_file, sha256

TAMPERINGS = {
    "token 1: its text has another hash": lambda folder: alter(folder / "samples.jsonl", '"text":"', '"text":"x'),
    "token 1: its line of samples.jsonl is not canonical": lambda f: alter(
        f / "samples.jsonl", '"accepted":', '"accepted": '
    ),
    "json/3.json: not what its tokens make of it": lambda f: alter(f / "json/3.json", '"edition": 3', '"edition": 1'),
    "provenance.json: not what its tokens": lambda f: alter(f / "provenance.json", '"tokens": 6', '"tokens": 7'),
    "index.html: missing": lambda folder: (folder / "index.html").unlink(),
}


def test_verify_names_what_does_not_match(studio, verify, capsys, monkeypatch):
    """Also in texts that are compared together with others than the first."""
    monkeypatch.setattr("nft.verify_records.TEXTS_AT_ONCE", 4)
    run, make = studio
    _, folder = make("set", 6)
    status, said = verify(folder)
    addresses, proof = said.splitlines()[1:-1]
    assert status == 0 and said.startswith("6 tokens drawn again, 6 the same\n")
    assert (
        addresses.startswith("pictures are named by relative paths") and hash_file(folder / "provenance.json") in proof
    )
    assert said.endswith("\n6 tokens: everything matches\n")
    for what, tamper in TAMPERINGS.items():
        broken = folder.with_name("broken")
        shutil.copytree(folder, broken)
        tamper(broken)
        status, out = verify(broken, tokens=1)
        assert status == 1 and f"does not match: {what}" in out
        shutil.rmtree(broken)
    run.model_file().write_bytes(run.model_file().read_bytes() + b"\0")
    assert collection.main(["verify", str(folder), "--model", str(run.model_file())]) == 1
    assert "not the model that this set was drawn with" in capsys.readouterr().out


def test_any_token_may_be_drawn_again():
    tokens = [{"token_id": token} for token in range(1, 7)]
    assert {record["token_id"] for _ in range(200) for record in sampled(tokens, 1)} == {1, 2, 3, 4, 5, 6}
    assert sampled(tokens, 9) == tokens


def test_a_token_that_is_named_is_drawn_again(studio, verify, capsys):
    _, make = studio
    _, folder = make("set", 4)
    change_tokens(folder, 3, lambda record: {"confidence": record["confidence"] / 2})
    collection.main(["export", str(folder)])
    for token, found in (("2", "1 token drawn again, 1 the same"), ("3", "token 3: drawn again, it is another text")):
        assert found in verify(folder, "--token", token)[1]
    assert collection.main(["verify", str(folder), "--token", "5"]) == 2
    assert capsys.readouterr().err == f"error: {folder}: the set has no token 5\n"


def test_a_set_without_tokens_is_not_fine(studio, verify):
    _, make = studio
    _, folder = make("set", 2)
    for name in ("samples.jsonl", "courses.jsonl"):
        (folder / name).write_bytes(b"")
    assert collection.main(["export", str(folder)]) == 0
    status, out = verify(folder)
    assert status == 0 and "not checked: tokens: the set publishes none\n" in out and "everything matches" not in out
    assert "image" not in json.loads((folder / "contract.json").read_text("utf-8"))


def test_verify_says_what_it_could_not_check(studio, verify, tmp_path, monkeypatch):
    monkeypatch.setattr("nft.verify.AT_ONCE", 2)  # so that the last token is drawn after the others
    run, make = studio
    _, folder = make("set", 3)
    status, out = verify(folder, tokens=1)
    assert status == 0 and out.startswith(
        "1 token drawn again, 1 the same\nnot checked: the drawing of 2 tokens; --tokens 3 draws all again\n"
    )
    assert out.endswith("\n3 tokens: what was checked matches; 1 thing could not be checked\n")
    data = run.data_file()
    data.rename(tmp_path / "moved.txt")
    status, out = verify(folder)
    without_text = "not checked: copies, novelty, invented words and dropped texts: "
    assert status == 0 and f"{without_text}{data} is not at hand; give the training text's path with --data\n" in out
    assert "3 tokens drawn again, 3 the same\n" in out and out.endswith("; 1 thing could not be checked\n")
    assert verify(folder, "--data", str(tmp_path / "moved.txt"))[1].endswith("everything matches\n")
    data.write_text("another\ntext\n", encoding="utf-8")
    assert f"{without_text}{data} is another text than the model's; give that with --data" in verify(folder)[1]
    status, out = verify(folder, "--data", str(data))
    assert status == 1 and f"does not match: {data}: not the text that the model was trained on" in out


def test_an_original_that_is_named_must_be_a_file(studio, verify, tmp_path, capsys):
    _, make = studio
    _, folder = make("set", 1)
    config = ["--config", str(tmp_path / "config.yaml")]
    for option in ("--model", "--data"):
        for path, why in ((tmp_path, "is a folder, not a file"), (tmp_path / "none", "no such file")):
            assert collection.main(["verify", str(folder), *config, option, str(path)]) == 2
            captured = capsys.readouterr()
            assert captured.err == f"error: {path}: {why}\n" and "at hand" not in captured.out


def test_files_that_other_programs_read_otherwise_are_named(studio, verify):
    """A key that stands twice, of which each program takes another; lines that other programs do not part."""
    _, make = studio
    _, folder = make("set", 3)
    samples, info = folder / "samples.jsonl", folder / "set.json"
    lines, text = samples.read_bytes(), info.read_text("utf-8")
    info.write_text(text.replace('"license":', '"license": "all rights reserved", "license":'), encoding="utf-8")
    status, out = verify(folder)
    assert status == 1 and out.count("does not match: ") == 1
    assert "does not match: set.json: not as its values are written; export writes it again\n" in out
    info.write_text(text, encoding="utf-8")
    selection = folder / "selection.json"
    for kept in ('"kept": [1], "kept": [3, 2]', '"kept": [3, 2]', '"kept": [2, 2, 3]', '"kept": [2, 3]'):
        selection.write_text(f"{{{kept}}}", encoding="utf-8")
        assert collection.main(["export", str(folder)]) == 0
        status, out = verify(folder)
        assert status == 1 and out.count("does not match: ") == 1
        assert "does not match: selection.json: not as its values are written; select writes it again\n" in out
    selection.unlink()
    samples.write_bytes(lines.replace(b"\n", b"\r\n"))
    assert collection.main(["export", str(folder)]) == 0
    assert "token 3: its line of samples.jsonl is not canonical JSON" in verify(folder)[1]
    samples.write_bytes(lines.replace(b"\n", b"\r", 1))
    assert collection.main(["verify", str(folder)]) == 2


@sparse
def test_a_set_whose_model_was_trained_anew_is_as_it_was(studio, verify):
    run, make = studio
    _, folder = make("set", 2)
    model = run.model_file()
    kept, data = set_aside(model), model.with_suffix(".previous.pt").read_bytes()
    model.write_bytes(data + b"\0")
    status, said = verify(folder)
    assert status == 0 and said.startswith("2 tokens drawn again, 2 the same\n") and "everything matches" in said
    kept.unlink()
    status, out = verify(folder)
    assert status == 0 and f"{model} is another model than the set's; give the model's path with --model\n" in out
    status, out = verify(folder, "--model", str(model))
    assert status == 1 and f"does not match: {model}: not the model that this set was drawn with\n" in out


def test_a_model_of_any_size_is_not_read(studio, verify, tmp_path):
    _, make = studio
    _, folder = make("set", 1)
    (tmp_path / "huge.pt").write_bytes(b"")
    os.truncate(tmp_path / "huge.pt", 1 << 42)
    change_info(folder, model_file=str(tmp_path / "huge.pt"))
    assert f"{tmp_path / 'huge.pt'} is not at hand; give the model's path with --model" in verify(folder)[1]


def test_settings_have_one_form_and_one_hash(studio, verify):
    """A number of another type, a zero with a sign, or a default left out: the tokens and their texts are the same."""
    _, make = studio
    _, folder = make("set", 3)
    whole, drawn = info_of(folder), records(folder)
    full, rules = whole["sampler"], whole["rules"]
    for key, value in (
        ("sampler", {**full, "top_p": 1}), ("sampler", {**full, "renoise": -0.0}),
        *(("sampler", {k: v for k, v in full.items() if k != name}) for name in ("renoise", "top_p")),
        ("rules", {"copies": "keep"}), ("rules", {**rules, "similarity": 1}),
    ):  # fmt: skip
        change_info(folder, **{**whole, key: value})
        for record in drawn if key == "sampler" else ():
            change_tokens(folder, record["token_id"], lambda _, value=value: {"sampler": value})
        assert collection.main(["export", str(folder)]) == 0
        status, out = verify(folder)
        assert status == 1 and out.count("does not match: ") == 1, (key, value)
        assert f"does not match: set.json: its {key} lack a setting, or hold one in another form" in out
        for record in drawn:
            change_tokens(folder, record["token_id"], lambda _: {"sampler": full})
    forged = {**whole, "word_list_sha256": "zzz", "rules": {**rules, "words": "keep", "word_list": "/nowhere"}}
    change_info(folder, **forged)
    assert collection.main(["verify", str(folder)]) == 2
    change_info(folder, **whole)
    change_tokens(folder, 1, lambda _: {"corrections": 0, "invented": -0.0})
    assert collection.main(["export", str(folder)]) == 0
    assert "token 1: its line of samples.jsonl is not canonical JSON" in verify(folder)[1]


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="there is no such file")
@pytest.mark.parametrize("digest", ["0" * 64, sha256(b"")])
@pytest.mark.parametrize("name", ["/proc/self/pagemap", "/dev/null", "pipe", "x" * 5000])
def test_a_path_in_a_set_is_no_file_to_read_for_ever(studio, verify, request, name, digest):
    _, make = studio
    _, folder = make("set", 1)
    if name == "pipe":  # into which nobody writes: to read it would wait
        reading, writing = os.pipe()
        name = f"/dev/fd/{reading}"
        request.addfinalizer(lambda: (os.close(reading), os.close(writing)))
    info = info_of(folder)
    info |= {"model_file": name, "word_list_sha256": digest, "rules": {**info["rules"], "word_list": name}}
    info["identity"]["model_sha256"] = digest
    change_info(folder, **info)
    out = verify(folder)[1]
    assert f"{name[-400:]} is not at hand; give the model's path with --model" in out
    assert (f"the rule words, and dropped texts: its list {name[:400]}" in out) == (digest == "0" * 64)


@pytest.mark.skipif(sys.platform == "win32", reason="there no file has such a name")
def test_no_name_in_a_set_steers_the_terminal_or_passes_for_a_line(studio, verify, capsys):
    _, make = studio
    _, folder = make("set", 2)
    forged = "\n9 tokens: everything matches\n\x1b[2J"
    (folder / f"images/a{forged}").write_bytes(b"")
    for key in ("version", "model_file"):
        info = info_of(folder)
        place = info["identity"] if key in info["identity"] else info
        place[key] = "x" + forged
        change_info(folder, **info)
        out = verify(folder)[1]
        for command in (["export"], ["select", "--keep", "all"]):
            assert collection.main([*command, str(folder)]) == 0
        out += capsys.readouterr().out
        assert "\x1b" not in out and "\n9 tokens" not in out and out.count("images/a\\n9 tokens: everything") == 3


def test_a_set_on_a_medium_that_takes_no_writes_is_verified(studio, verify, tmp_path, monkeypatch):
    _, make = studio
    _, folder = make("set", 2)
    (folder / ".lock").unlink(missing_ok=True)
    before, open_file = tree(tmp_path), os.open

    def read_only(path, flags, *rest, **options):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and Path(path).is_relative_to(tmp_path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return open_file(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", read_only)
    status, said = verify(folder)
    assert status == 0 and said.startswith("2 tokens drawn again, 2 the same\n") and "everything matches" in said
    assert collection.main(["export", str(folder)]) == 2
    assert tree(tmp_path) == before


def test_without_the_model_all_else_is_verified(studio, verify):
    run, make = studio
    _, folder = make("set", 3)
    run.model_file().unlink()
    status, out = verify(folder)
    assert status == 0 and out.startswith("not checked: how the tokens were drawn, copies, novelty, invented words")
    assert out.endswith("3 tokens: what was checked matches; 1 thing could not be checked\n")
    alter(folder / "json/1.json", '"edition": 1', '"edition": 2')
    status, out = verify(folder)
    assert status == 1 and "json/1.json: not what its tokens make of it" in out
    assert out.endswith("3 tokens: 1 thing does not match; 1 thing could not be checked\n")


def test_verify_finds_a_text_that_the_model_does_not_write(studio, verify):
    _, make = studio
    _, folder = make("set", 3)
    text = "x" * len(texts(folder)[1])
    change_tokens(folder, 2, lambda _: {"text": text, "sha256": sha256(text), "drawn_sha256": sha256(text)})
    status, out = verify(folder)
    assert status == 1 and "does not match: token 2: drawn again, it is another text" in out
    change_tokens(folder, 2, lambda _: {"drawn_sha256": "0" * 64})
    status, out = verify(folder, tokens=0)
    assert status == 1 and "token 2: its text is not the one that was drawn" in out


@pytest.mark.parametrize("command", ["verify", "draw-courses"])
def test_a_sampler_that_the_model_cannot_have_is_one_line(studio, capsys, command):
    """As a stranger may write into set.json: masks, where the model's noise has none."""
    run, make = studio
    assert run.diffusion.process != "absorbing"
    _, folder = make("set", 3)
    sampler = {"sampler": "surest", "stretch": 4, "revisions": 1, "revised": 0.2, "revision_stretch": 0}
    change_info(folder, sampler={**sampler, "temperature": 1.0, "top_p": 1.0})
    if command == "draw-courses":
        (folder / "courses.jsonl").unlink()
    assert collection.main([command, str(folder), "--model", str(run.model_file())]) == 2
    what = "set.json: the sampler surest fills masks, and the model's process is uniform"
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {what}"


def test_a_text_drawn_by_another_version_is_not_checked_and_the_stored_one_counts(studio, verify):
    _, make = studio
    _, folder = make("set", 2)
    text = texts(folder)[0][::-1]
    change_tokens(folder, 1, lambda _: {"text": text, "sha256": sha256(text), "drawn_sha256": sha256(text)})
    for token in (1, 2):
        change_tokens(folder, token, lambda _: {"version": "0.0.9"})
    change_info(folder, identity={**info_of(folder)["identity"], "version": "0.0.9"})
    assert collection.main(["export", str(folder)]) == 0
    out = verify(folder)[1]
    assert "drawn with version 0.0.9; here a text may come out different, and the stored one counts\n" in out
    assert "not checked: token 1: drawn again, it is another text" in out and "2 tokens drawn again, 1 the same" in out


@pytest.mark.parametrize(
    ("asked", "answer", "device"),
    [
        ("torch.backends.cpu.get_cpu_capability", "SSE0", r"cpu SSE0 float32 \w+"),
        ("platform.system", "Plan9", r"cpu \w+ float32 Plan9"),
    ],
)
def test_a_text_drawn_on_another_machine_is_not_checked(studio, verify, monkeypatch, asked, answer, device):
    _, make = studio
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(asked, lambda: answer)
        _, folder = make("set", 2)
    text = texts(folder)[0][::-1]
    change_tokens(folder, 1, lambda _: {"text": text, "sha256": sha256(text), "drawn_sha256": sha256(text)})
    assert collection.main(["export", str(folder)]) == 0
    out = verify(folder)[1]
    assert re.search(f"drawn with device {device}; here a text may come out different", out)
    assert "not checked: token 1: drawn again, it is another text" in out and "2 tokens drawn again, 1 the same" in out


def test_no_tokens_are_added_on_another_machine(studio, capsys, monkeypatch):
    _, make = studio
    for system in ("Darwin M1", "Darwin M1 Pro"):  # whose name begins like the other's
        monkeypatch.setattr("platform.system", lambda system=system: system)
        status, folder = make("set", 2 + ("Pro" in system))
    assert status == 2 and len(records(folder)) == 2
    what = r"another identity.device \(.* Darwin M1, not .* Darwin M1 Pro\); add to them there, or give another --out"
    assert re.search(what, capsys.readouterr().err)


@pytest.mark.parametrize("words", [1, 3])
def test_a_set_that_names_less_of_its_machine_is_drawn_again_and_goes_on(studio, verify, words):
    """As earlier versions wrote it: the kind of device alone, or no system."""
    _, make = studio
    _, folder = make("set", 2)
    identity = info_of(folder)["identity"]
    less = " ".join(identity["device"].split()[:words])
    assert less != identity["device"]
    change_info(folder, identity={**identity, "device": less})
    for token in (1, 2):
        change_tokens(folder, token, lambda _: {"device": less})
    assert collection.main(["export", str(folder)]) == 0
    assert verify(folder)[1].endswith("2 tokens: everything matches\n")
    make("set", 3)
    assert {record["device"] for record in records(folder)} == {less}


@pytest.fixture
def as_earlier(monkeypatch):
    """Sets are drawn as in the formats before copies were sought as evaluate.py does: their bound is another."""
    monkeypatch.setattr(commands, "SET_FORMAT", ONE_COMPARISON - 1)


@pytest.mark.usefixtures("as_earlier")
def test_pages_of_the_second_format_may_be_of_its_version(studio, verify):
    """Wide characters lay over their neighbours there; a table or a picture was what it is now."""
    _, make = studio
    _, folder = make("set", 2, "--pieces", "svg,html")
    change_info(folder, format=2)
    assert collection.main(["export", str(folder)]) == 0 and verify(folder)[0] == 0
    pages = ["images/1.svg", "images/1.html", "images/2.svg", "images/2.html", "index.html"]
    for name in pages:
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    status, out = verify(folder)
    assert status == 0 and f"not checked: {', '.join(pages)}: written by an earlier version, or changed since" in out
    (folder / "tokens.csv").write_bytes(b" ")
    status, out = verify(folder)
    assert status == 1 and "does not match: tokens.csv: not what its tokens make of it" in out


@pytest.mark.usefixtures("as_earlier")
@pytest.mark.parametrize("version", [3, 4, 5, 6, 10])
def test_the_sheet_of_an_earlier_format_may_be_of_its_version(studio, verify, version):
    _, make = studio
    _, folder = make("set", 2)
    change_info(folder, format=version)
    assert collection.main(["export", str(folder)]) == 0 and verify(folder)[0] == 0
    for name in ("index.html", "images/1.svg"):
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    status, out = verify(folder)
    assert status == 1 and "not checked: index.html: written by an earlier version, or changed since" in out
    assert "does not match: images/1.svg: not what its tokens make of it" in out and "match: index" not in out


@pytest.mark.usefixtures("as_earlier")
def test_a_set_of_the_third_format_keeps_its_ranks_and_verifies(studio, verify):
    """Loops, ranks, Markdown and long titles were otherwise."""
    _, make = studio
    long = "A title of more than sixty characters, which runs out of its pictures"
    _, folder = make("set", 9, "--title", long, degenerate="flag")
    change_info(folder, format=3)
    now = (folder / "images/1.png").read_bytes()
    assert collection.main(["export", str(folder)]) == 0 and (folder / "images/1.png").read_bytes() != now
    assert verify(folder)[1].endswith("9 tokens: everything matches\n")
    before = files_in(folder)
    assert make("set", 9, degenerate="flag")[0] == 0 and files_in(folder) == before
    assert make("set", 10, degenerate="flag")[0] == 0
    assert info_of(folder)["format"] == 3
    assert verify(folder)[1].endswith("10 tokens: everything matches\n")


@pytest.mark.usefixtures("as_earlier")
def test_a_set_of_the_first_format_keeps_its_traits_and_verifies(studio, verify):
    """Texts with punctuation counted as letters alone, and provenance.json did not cover set.json."""
    run, make = studio
    lines = [f"{a}, {b}." for a in "abcdef" for b in "abcdef"]
    run.data_file().write_text("\n".join(lines) + "\n", encoding="utf-8")
    train_model(run, Quiet())
    _, folder = make("set", 4, degenerate="keep")
    kinds = {record["traits"]["Characters"] for record in records(folder)}
    assert "punctuation" in kinds
    change_info(folder, format=1)

    def first_words(record):
        traits = record["traits"]
        return {"traits": {**traits, "Characters": traits["Characters"].replace("punctuation", "letters alone")}}

    for token in range(1, 5):
        change_tokens(folder, token, first_words)
    assert collection.main(["export", str(folder)]) == 0
    assert "settings_sha256" not in json.loads((folder / "provenance.json").read_text("utf-8"))
    for name in ("index.html", "tokens.csv"):
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    status, out = verify(folder)
    assert status == 0 and "not checked: set.json: the provenance of sets of this earlier version does not" in out
    assert "not checked: tokens.csv, index.html: written by an earlier version" in out
    assert "4 tokens drawn again, 4 the same" in out
    assert make("set", 5, degenerate="keep")[0] == 0
    assert info_of(folder)["format"] == 1
    assert "punctuation" not in {record["traits"]["Characters"] for record in records(folder)}
    assert verify(folder)[0] == 0
