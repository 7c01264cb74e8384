"""A config.yaml from any hand: read within bounds, and what is wrong with it is said in a few short lines."""

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import train
from config.errors import shown
from config.loader import load_config
from config.yaml_reader import MOST_BYTES, read_yaml
from tests.helpers import one_short_line, pipes
from utils import UserError

SECONDS = 20  # far more than any of this takes, far less than a bomb would
HUGE = "0x" + "f" * 100_000  # a number that has no repr in Python


def bomb(levels: int, copies: int) -> str:
    """A few lines whose aliases stand for copies ** levels values."""
    lines = (f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * copies)}]\n" for k in range(1, levels + 1))
    return "a0: &a0 [x, y]\n" + "".join(lines)


@pytest.fixture
def read(tmp_path):
    """A function: the text of a config file -> what `load_config` says of it, without the path; "" if it loads."""
    path = tmp_path / "c.yaml"

    def said(text: str) -> str:
        path.write_text(text, encoding="utf-8")
        began = time.monotonic()
        try:
            load_config(path).merged("toy", {})
        except UserError as error:
            return str(error).replace(f"{path}: ", "")
        finally:
            assert time.monotonic() - began < SECONDS
        return ""

    return said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: !!bool maybe", "line 1, column 11: 'maybe' is no !!bool"),
        ("seed: 1\nlicense: !!int x", "line 2, column 10: 'x' is no !!int"),
        ("source: !!float x", "line 1, column 9: 'x' is no !!float"),
        ("source: 2020-99-99", "line 1, column 9: '2020-99-99' is no !!timestamp"),
        ("seed: !!python/name:os.system", "could not determine a constructor for the tag"),
        ("paths: {models: &m [*m]}", "line 1, column 17: an alias stands inside what it repeats"),
        ("training: &t {<<: *t}", "line 1, column 11: an alias stands inside what it repeats"),
        (bomb(9, 9), "aliases make more than 1,000,000 characters of the file"),
        (bomb(24, 2), "aliases make more than 1,000,000 characters of the file"),
        (bomb(40, 1), "aliases make more than 32 levels of the file"),
        ("%YAML 1.11\n---\nseed: 1", "%YAML must name version 1.1 or 1.2"),
        ("[" * 5000, "nested too deeply"),
        ("{a: " * 500, "nested too deeply"),
        ("#" * MOST_BYTES + "\n", "longer than 262,144 bytes; no such file needs so many"),
        ('paths: {datasets: "a\\0b"}', "paths.datasets: 'a\\x00b' holds a control character"),
        ('data: {file: "a\\nb.txt"}', "data.file: 'a\\nb.txt' holds a control character"),
        ('license: "\\uD800"', "license: '\\ud800' holds a control character"),
        (f"seed: {HUGE}", "seed: <a number of 400,000 bits> should be less than 9223372036854775808"),
        (f"preset: {HUGE}", "preset: <a number of 400,000 bits> is not one of baby"),
        (f"training: {{max_steps: {HUGE}}}", "<a number of 400,000 bits> is not between -2**63 and 2**63"),
        ("training: {epochs: 1e308}", "training.epochs: 1e+308 should be less than or equal to 1000000000"),
        ("training: {max_minutes: 1e308}", "training.max_minutes: 1e+308 should be less than or equal to 1000000000"),
        ("sampling: {max_length: 2199023255552}", "should be less than or equal to 1000000"),
        ("training: {? [a, b] : 1}", "training.('a', 'b'): ('a', 'b') Keys should be strings"),
        ("training: {2020-01-01: 1}", "Keys should be strings"),
        ("datasets: {null: {}}", "datasets: None is no text; write the name in quotes"),
        (f"datasets: {{{'a' * 101}: {{}}}}", "must consist of at most 100 letters"),
        ('"a\\nb": 1', "'a\\nb': no such key"),
        ("".join(f"k{k}: 1\n" for k in range(1000)), "k0: no such key"),
        (f"data: {{format: {'x' * 10_000}}}", "data.format: 'xxx"),
        (f"preset: [{'x, ' * 10_000}]", "preset: ['x', 'x', 'x', 'x', 'x', 'x', ...] is not one of baby"),
        (f"presets: {{{''.join(f'p{k}: {{}}, ' for k in range(1000))}}}\npreset: none", "981 more"),
        (f"training: {{{'x' * 600}: 1}}", "no such key"),
        ("seed: {? [1, [2, [3]]] : x}", "holds a key or a tag that its value does not fit"),
        (f"datasets: &d {{{'x' * 600}: 1, {'x' * 600}: {'y' * 10_000}}}", "found duplicate key"),
    ],
)  # fmt: skip
def test_a_hostile_config_is_one_short_line(read, text, message):
    said = read(text)
    assert message in said and one_short_line(said)


@pipes
def test_a_pipe_without_an_end_is_read_no_further_than_a_file():
    reading, writing = os.pipe()
    with ThreadPoolExecutor(1) as pool:

        def write_on() -> int:
            """At most 4 MB, so that a reader without a bound would end too; -> bytes that somebody took."""
            taken = 0
            with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb", 0) as file:
                while taken < 16 * MOST_BYTES:
                    taken += file.write(b"y\n" * 1000)
            return taken

        taken = pool.submit(write_on)
        with os.fdopen(reading):
            path = Path(f"/dev/fd/{reading}")  # as --config <(yes) names it
            with pytest.raises(UserError, match=f"^{path}: longer than 262,144 bytes; no such file needs so many$"):
                load_config(path)
        assert taken.result() < 2 * MOST_BYTES


def test_many_mistakes_are_a_hundred_lines_at_most(read, tmp_path, capsys):
    text = f"training: {{{''.join(f'k{k}: 1, ' for k in range(3000))}}}\ndatasets: {{a: , b: , c: }}"
    assert read(text).count("\n") == 99
    path = tmp_path / "c.yaml"
    assert train.main(["--config", str(path), "--all", "--check"]) == 2
    assert capsys.readouterr().err.count("\n") == 100


def test_anchors_and_aliases_of_a_sane_size_are_read(read, tmp_path):
    assert not read("training: &t {epochs: 3}\npresets: {p: {training: {<<: *t, patience: 2}}}\npreset: p\n")
    config = load_config(tmp_path / "c.yaml")
    assert (config.merged("toy", {}).training.epochs, config.merged("toy", {}).training.patience) == (3, 2)


WORDS = st.sampled_from([
    "training", "model", "data", "paths", "datasets", "presets", "preset", "seed", "layers", "epochs", "file", "toy",
    "&a", "&b", "*a", "*b", "<<", "!!bool", "!!int", "!!float", "!!null", "!!timestamp", "!!set", "!!omap", "!!binary",
    "!!map", "!!seq", "!!str", "!x", "!!python/object:os", "!<tag:x>", "{", "}", "[", "]", ":", ": ", ", ", "? ", "- ",
    "\n", "\n  ", "|", ">", "'", '"', "#", "%YAML 1.1", "%TAG ! x", "---", "...", "1", "-1", "0x1f", "1e3", ".nan",
    "~", "yes", "2020-01-01", "1:30", "\\0", "\\uD800", "\t", " ",
])  # fmt: skip


@settings(suppress_health_check=list(HealthCheck))
@given(words=st.lists(WORDS, max_size=25))
def test_any_tags_and_anchors_load_or_are_named(read, words):
    read(" ".join(words))
    read("".join(words))


@settings(suppress_health_check=list(HealthCheck))
@given(
    nodes=st.lists(
        st.tuples(
            st.sampled_from(["", "!!bool ", "!!int ", "!!float ", "!!set ", "!!omap ", "!!null ", "!!binary ", "!x "]),
            st.sampled_from(["[{}]", "{{k: {}}}", "{{<<: {}}}", "{{? {} : 1}}", "{{training: {}}}", "{{a: {}, b: 3}}"]),
            st.lists(st.integers(0, 7) | st.sampled_from(["1", "x", "~", "yes", "''"]), max_size=4),
        ),
        max_size=8,
    ),
    place=st.sampled_from(["training", "model", "paths", "datasets", "presets", "seed", "preset", "x", "datasets: {d"]),
)
def test_any_graph_of_aliases_loads_or_is_named(read, nodes, place):
    lines = []
    for number, (tag, form, inner) in enumerate(nodes):
        parts = ", ".join(f"*a{min(k, number)}" if isinstance(k, int) else k for k in inner)
        lines.append(f"{place if number % 2 else f'k{number}'}: &a{number} {tag}{form.format(parts)}")
    read("\n".join(lines) + "}" * place.count("{"))


def test_shown_is_short_for_any_value():
    nested: list = []
    nested.append(nested)
    for value in (nested, [nested] * 10_000, {"a": "b" * 10_000}, b"x" * 10_000, 1 << 400_000, {1: {2: {3: {4: 5}}}}):
        assert len(shown(value)) <= 100
    assert [shown(value) for value in ("it's", 1.5, None, ["a", 1], {"a": True})] == [
        '"it\'s"', "1.5", "None", "['a', 1]", "{'a': True}",
    ]  # fmt: skip


def test_a_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: no such file"):
        read_yaml(tmp_path / "none.yaml")
