"""Every field of a set's files, wrong in every way, is named in a line, or nothing that is published changes."""

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from ruamel.yaml import YAML

import collection
from nft.files import RECORD, files
from nft.store import SetFolder, indented_json
from tests.helpers import THOROUGH, TINY, Quiet, files_in, make_run
from tests.nft.sets import texts
from training.trainer import train_model

FEW = 29  # of the edits, `make test` tries every so many
FORGED = 6 if settings.default.max_examples <= THOROUGH else 2  # of those after which all is exported, the slow test
WRONG = [
    None, [], {}, "", "x", "-1", "0" * 64, "\0", "../x", "=1+1", True, False, -1, 0, 1, 2, 0.5, 2**53 + 1, 10**400,
    1e308, float("nan"), float("inf"), [None], ["x"], [1], {"a": 1}, [[[[]]]],
]  # fmt: skip
Place = tuple[str | int, ...]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a set of three tokens, of which the rules dropped one; it has a selection."""
    root = tmp_path_factory.mktemp("edits")
    run = make_run(root, license="CC0-1.0", source="made up")
    train_model(run, Quiet())
    words, config = root / "words.txt", root / "config.yaml"
    words.write_text("nobody\n", encoding="utf-8")
    rules = {"words": "drop", "word_list": words.as_posix(), "attempts": 1, "degenerate": "flag"}
    with config.open("w", encoding="utf-8") as file:
        paths = run.paths.model_dump()
        YAML().dump({**TINY, "paths": paths, "license": "CC0-1.0", "collection": rules, "datasets": {"toy": {}}}, file)
    command = ["make", "--model", str(run.model_file()), "--config", str(config), "--size", "3", "--out"]
    assert collection.main([*command, str(root / "before")]) == 0
    words.write_text(texts(root / "before")[1] + "\n", encoding="utf-8")
    assert collection.main([*command, str(root / "set")]) == 1  # token 2 is dropped
    (root / "selection.txt").write_text("1 3\n", encoding="utf-8")
    assert collection.main(["select", str(root / "set"), "--keep", str(root / "selection.txt")]) == 0
    return root / "set"


@pytest.fixture
def without_model(whole) -> Iterator[None]:
    """The folder of models has another name while a test runs."""
    models = whole.parent / "models"
    models.rename(whole.parent / "moved")
    yield
    (whole.parent / "moved").rename(models)


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """The place of a JSON value and of everything in it, as keys and indices."""
    yield place
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*place, key))


def edited(value: Any, place: Place, new: Any) -> Any:
    """The value with another part at a place."""
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = edited(value[place[0]], place[1:], new)
    return copy


def part_at(value: Any, place: Place) -> Any:
    return part_at(value[place[0]], place[1:]) if place else value


def near(part: Any) -> list[Any]:
    """Values of the same type beside this one, and with one part more or less."""
    if isinstance(part, bool):
        return [not part]
    if isinstance(part, (int, float)):
        return [part + 1, part * 1.0, part / 2, -part]
    if isinstance(part, str):
        return [part + " ", part[:-1], part.swapcase(), part + "\u2588"]
    if isinstance(part, list):
        return [[*part, *part], [*part, 1], [*part, "words"], part[1:]]
    return [{**part, "stranger": 1}, *({k: v for k, v in part.items() if k != key} for key in part)]


def edits(value: Any) -> Iterator[Any]:
    """A JSON value with one part replaced, dropped or added, at every place and in every way."""
    for place in places(value):
        part = part_at(value, place)
        for new in [*WRONG, *near(part)]:
            if json.dumps(new) != json.dumps(part):
                yield edited(value, place, new)


def edited_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and new content of a file of the set, for every edit of it."""
    for name in ("set.json", "selection.json"):
        for value in edits(json.loads((folder / name).read_text("utf-8"))):
            yield name, indented_json(value)
    for number in (0, 1):
        yield from (("samples.jsonl", content) for content in edited_tokens(folder, number))


def edited_tokens(folder: Path, number: int) -> Iterator[str]:
    """The content of samples.jsonl for every edit of one of its lines, as canonical JSON."""
    lines = (folder / "samples.jsonl").read_text("utf-8").splitlines()
    for value in edits(json.loads(lines[number])):
        line = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        yield "\n".join([*lines[:number], line, *lines[number + 1 :]]) + "\n"


def run(arguments: list[str]) -> tuple[int, str, str]:
    """The exit status of a command, what it prints, and its errors."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        status = collection.main(arguments)
    return status, out.getvalue(), errors.getvalue()


def published(folder: Path) -> dict[str, bytes]:
    """What export would write, pictures aside, which follow from the same texts as the SVG files."""
    return {file.path: file.content() for file in files(SetFolder(folder).edition()) if file.exact}


@pytest.mark.parametrize("step", [FEW, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("without_model")
def test_every_edit_of_a_set_is_noticed_or_changes_nothing_published(whole, tmp_path, step):
    """The model and its text are not at hand."""
    folder = tmp_path / "set"
    shutil.copytree(whole, folder)
    before, tried = published(folder), 0
    for name, content in list(edited_files(whole))[::step]:
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
        status, out, errors = run(["verify", str(folder), "--tokens", "0"])
        if status == 0:
            assert published(folder) == before, (name, content)
        elif status == 1:
            assert "does not match: " in out and not errors, (name, content)
        else:
            named = f"{folder / name}" in errors or "selection.json: the set has no token" in errors
            assert status == 2 and errors.count("\n") == 1 and named, (name, content, errors)
        shutil.copy(whole / name, folder / name)
        tried += 1
    assert tried > 3000 / step


@pytest.mark.parametrize("step", [FEW, pytest.param(FORGED, marks=pytest.mark.slow)])
def test_every_forged_token_is_noticed_though_all_files_are_exported_to_fit(whole, tmp_path, step):
    """The model and its text are at hand."""
    folder, config = tmp_path / "set", whole.parent / "config.yaml"
    shutil.copytree(whole, folder)
    before = published(folder)
    for content in list(edited_tokens(whole, 0))[::step]:
        (folder / "samples.jsonl").write_text(content, encoding="utf-8", newline="\n")
        status, _, errors = run(["export", str(folder)])
        assert (status, errors.count("\n")) in ((0, 0), (2, 1)), (content, errors)
        if status == 0:
            status, out, _ = run(["verify", str(folder), "--config", str(config), "--tokens", "3"])
            assert (status == 1 and "does not match: " in out) or published(folder) == before, (content, out)


@pytest.mark.parametrize("step", [FEW, pytest.param(1, marks=pytest.mark.slow)])
def test_no_edit_of_the_list_of_written_files_changes_another_file(whole, tmp_path, step):
    folder = tmp_path / "set"
    shutil.copytree(whole, folder)
    record = folder / RECORD
    first, *others = record.read_text("utf-8").splitlines()
    before = contents(folder)
    for value in list(edits(json.loads(first)))[::step]:
        record.write_text("\n".join([json.dumps(value), *others]) + "\n", encoding="utf-8")
        status, _, errors = run(["export", str(folder)])
        assert status == 0 or (status == 2 and errors.count("\n") == 1), (value, errors)
        assert contents(folder) == before, value


def contents(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in files_in(folder).items() if name != RECORD}
