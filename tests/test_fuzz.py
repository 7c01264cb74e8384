"""Whatever comes in, a command succeeds or says in a line or more what is wrong: no traceback, no half-made file."""

import contextlib
import io
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

import collection
import evaluate
import generate
import train
from config.loader import Config, load_config
from config.schema import RunConfig
from generation.checkpoint import load_checkpoint
from tests.helpers import TINY, Quiet, one_short_line
from text.corpus import load_corpus
from training.trainer import train_model
from utils import UserError

EXAMPLES = settings(suppress_health_check=list(HealthCheck))  # as many as the profile of conftest.py says
KEYS = st.sampled_from([*RunConfig.model_fields, "datasets", "presets", "steps", "file", "learning_rate", "toy", "x"])
LEAVES = st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=8)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
LINES = st.lists(st.text(max_size=12), max_size=12).map(lambda lines: "\n".join(lines).encode("utf-8", "replace"))
OPTIONS = st.sampled_from([
    "--samples", "--seed", "--steps", "--temperature", "--top-p", "--prefix", "--suffix", "--template", "--length",
    "--batch-size", "--size", "--tokens", "--keep", "--title", "--base-uri", "--minutes", "--hours", "--preset",
    "--dataset", "--all", "--check", "--force", "make", "verify", "select", "export",
])  # fmt: skip
FLAGS = st.sampled_from(["--all", "--check", "--force", "make", "verify"])
VALUES = st.sampled_from(["0", "1", "-1", "1e9", "nan", "inf", "", "a_b", "5-3", "\u00e9", "../x", "toy", "\n"])


def one_line_or_success(command, arguments: list[str]) -> None:
    """Status 0 with any output, or another with lines on stderr that are no traceback."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            status = command(arguments)
        except SystemExit as left:  # argparse's own refusals
            status = left.code
    text = errors.getvalue() + out.getvalue()
    assert status in (0, 1, 2) and "Traceback" not in text, (arguments, text)
    assert status == 0 or text.strip(), arguments


def assert_loads_or_is_named(path: Path) -> None:
    """A config is read, or each of its mistakes is a short line that begins with the file."""
    try:
        load_config(path)
    except UserError as error:
        lines = str(error).splitlines()
        assert lines and all(one_short_line(line) and line.startswith(str(path)) for line in lines), error


@EXAMPLES
@given(TREES)
def test_any_config_loads_or_is_named(tree):
    buffer = io.StringIO()
    YAML().dump(tree, buffer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(buffer.getvalue(), encoding="utf-8", errors="replace")
        assert_loads_or_is_named(path)


@EXAMPLES
@given(st.binary(max_size=300))
def test_any_bytes_as_config_load_or_are_named(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_bytes(data)
        assert_loads_or_is_named(path)


@EXAMPLES
@given(
    st.binary(max_size=200) | LINES,
    st.sampled_from(["error", "skip", "replace"]),
    st.sampled_from(["lines", "stream"]),
)
def test_any_dataset_is_encoded_or_named(data, policy, kind):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "toy.txt").write_bytes(data)
        content = {"paths": {"datasets": folder}, "data": {"invalid_utf8": policy, "format": kind, "held_out": 0.3}}
        run = Config(Path("c.yaml"), content).resolve("toy")
        try:
            found = load_corpus(run)
        except UserError as error:
            assert one_short_line(str(error))
            return
        assert found.train.lengths.sum() + found.held_out.lengths.sum() == found.reading_log.characters
        assert len(found.train.lengths) and len(found.held_out.lengths)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A tiny model's file."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "toy.txt").write_text("\n".join(f"some words {k}" for k in range(40)), encoding="utf-8")
    paths = {"datasets": str(folder), "models": str(folder), "outputs": str(folder)}
    run = Config(folder / "c.yaml", {**TINY, "paths": paths}).resolve("toy")
    train_model(run, Quiet())
    return run.model_file()


@EXAMPLES
@given(data=st.data())
def test_any_damage_to_a_model_is_named(model, data):
    content = bytearray(model.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=20)):
        content[place] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "toy.pt"
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        try:
            found = load_checkpoint(path)
        except UserError as error:
            assert one_short_line(str(error)) and str(error).startswith(str(path)), error
            return
        whole = load_checkpoint(model)
        assert (found.run, found.vocabulary, found.metrics) == (whole.run, whole.vocabulary, whole.metrics)
        assert found.weights.keys() == whole.weights.keys()
        assert all(torch.equal(found.weights[name], value) for name, value in whole.weights.items())


@EXAMPLES
@given(arguments=st.lists(st.tuples(OPTIONS, st.just("=") | st.just(" "), VALUES), max_size=4), flags=st.lists(FLAGS))
@pytest.mark.parametrize("command", [generate, collection, train, evaluate])
def test_any_command_line_is_obeyed_or_refused(model, command, arguments, flags, monkeypatch):
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as here:  # left before it goes
        here.chdir(folder)
        (Path(folder) / "config.yaml").write_text("datasets: {}\n", encoding="utf-8")
        pairs = [[f"{option}={value}"] if glue == "=" else [option, value] for option, glue, value in arguments]
        spelled = [part for pair in pairs for part in pair]
        if command is not generate:
            spelled = [*flags, *spelled]
        else:
            spelled += ["--model", str(model), "--samples", "1", "--steps", "1"]
        one_line_or_success(command.main, spelled)
