"""Model files made to do harm: every field wrong in every way.

Each file loads as something sane or is refused in one short line; nothing takes long, and nothing is run.
"""

import numpy as np
import pytest
import torch
from hypothesis import settings

import generate
from generation.archive import read_archive, write_archive
from generation.checkpoint import load_checkpoint
from generation.notebook_import import import_notebook
from generation.notebook_model import NotebookNetwork
from tests.generation.hostile import ABSENT, changed, outcome
from tests.helpers import NOTEBOOK_SHAPE, THOROUGH, one_short_line
from utils import UserError

ALL = settings.default.max_examples >= THOROUGH  # as the profile of conftest.py says
SHARE = 1 if ALL else 12  # one case of so many is tried
NAN = "the network's output is not a number (NaN or infinite); the model's weights are damaged"


def nested(levels: int) -> list:
    """A value whose few bytes stand for 2 ** levels values."""
    value: list = ["x"]
    for _ in range(levels):
        value = [value, value]
    return value


def endless() -> list:
    value: list = []
    value.append(value)
    return value


VALUES = [
    ABSENT, None, True, False, 0, 1, -1, 7, 2**41, 2**62, 2**63, -(2**63), 2**1000, 0.0, 1.5, -0.5, 1e308, float("nan"),
    float("inf"), -float("inf"), "", "x", "\0", "\ud800", "a\nb", "\x1b[2J", "/etc/passwd", "../up", "con",
    "x" * 50_000, "auto", [], [1, "a"], {}, {"x": 1}, {1: 2}, {"\ud800": 1}, {"a\nb": {}}, (1, 2), nested(60),
    endless(),
]  # fmt: skip
TENSORS = [
    torch.zeros(0), torch.tensor(1.0), torch.zeros(3), torch.zeros(3, 3), torch.tensor([float("nan")] * 3),
    torch.tensor([float("inf")]), torch.tensor([1, 2, 3]), torch.tensor([-1, 5]), torch.tensor([3, 2, 1]),
    torch.tensor([2**62, 2**62 + 1]), torch.tensor([[1, 2]]), torch.tensor([True]), torch.zeros(2, dtype=torch.int8),
    torch.zeros(1).expand(1 << 20, 1 << 20), torch.zeros(1, dtype=torch.int64).expand(1 << 21),
    torch.zeros(1, 2).to_sparse(),
    torch.zeros(4).to(torch.complex64), torch.nn.Parameter(torch.ones(2)),
    torch.zeros(3, device="meta"), torch.arange(8).view(2, 4).t(),
]  # fmt: skip
WORDS = [
    "\n", "a\n", "\n\n", "\na\0", "\na\ud800", "\nab\ud800\udc00", "\na\nb", "abc", "\n" + "a" * 70_000,
    "\n" + "".join(map(chr, range(0x4E00, 0x4E00 + 20_000))), "\na", "\n\U0001f600", "\n ",
]  # fmt: skip


def reweighted(weights: dict) -> list[tuple[tuple, object]]:
    """Each weight in another shape and kind, or with numbers that are none or that no float32 can have."""
    cases: list[tuple[tuple, object]] = []
    for name, value in weights.items():
        spoilt = [torch.full_like(value, number) for number in (float("nan"), float("inf"), -float("inf"), 1e38)]
        spoilt += [
            value[:-1],
            value[..., :-1],
            value.unsqueeze(0),
            value.long(),
            value.bool(),
            value.to(torch.complex64),
        ]
        spoilt += [
            value.half(),
            value.double(),
            value.bfloat16(),
            value.double() * 0 + 1e300,
            value[:1].expand_as(value),
        ]
        spoilt += [torch.zeros(1).expand_as(value), torch.zeros(1 << 20), value.numpy().tolist(), value.tolist()]
        cases += [(("weights", name), wrong) for wrong in spoilt]
    return cases


def every_case(content: dict) -> list[tuple[tuple, object]]:
    """(path of keys, value there) of every wrong file."""
    fields = [(key,) for key in content] + [("stranger",)]
    config = [("config", key) for key in [*content["config"], "stranger"]]
    for section, value in content["config"].items():
        config += [("config", section, key) for key in value] if isinstance(value, dict) else []
    metrics = [("metrics", key) for key in [*content["metrics"], "stranger", "\ud800", 5]]
    weights = [("weights", key) for key in [*content["weights"], "stranger", 3, "a\nb", ("a", 1)]]
    cases = [(place, value) for place in [*fields, *config, *metrics, *weights] for value in VALUES]
    cases += [(place, value) for place in [*fields, *metrics, *weights[:3], *config[:9]] for value in TENSORS]
    cases += [(("vocabulary",), word) for word in WORDS]
    return cases + reweighted(content["weights"])


@pytest.mark.parametrize("part", range(4))
def test_every_field_wrong_in_every_way_loads_or_is_named(model, tmp_path, part):
    content = read_archive(model)
    cases = every_case(content)
    assert len(cases) > 6000  # as docs/reliability.md says
    failures, path = [], tmp_path / "toy.pt"
    for place, value in cases[part :: 4 * SHARE]:
        torch.save(changed(content, place, value), path)
        try:
            outcome(path)
        except Exception as error:
            failures.append(f"{place} {str(value)[:50] if not isinstance(value, list) else 'a list'}: {error!r:.300}")
    assert not failures, "\n".join(failures[:20])


def start_of(name: str) -> dict:
    """A start that has learnt from a text of this name."""
    return {"name": "a", "model_sha256": "0" * 64, "texts": [{"name": name, "sha256": "0" * 64}]}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("weights", "head.bias"), None, "weights.head.bias: None should be an instance of Tensor"),
        (("weights", 3), torch.zeros(1), "weights.3.[key]: 3 should be a valid string"),
        (("weights", "head.bias"), torch.zeros(2), "do not fit the model's config: head.bias has the shape [2]"),
        (("weights", "head.bias"), ABSENT, "the weights do not fit the model's config: head.bias is missing"),
        (("weights",), None, "weights: None should be a valid dictionary"),
        (("lengths",), torch.zeros(0, dtype=torch.int64), "lengths: must be 1 to 1,048,576 numbers, none below 0"),
        (("lengths",), torch.ones(2, 2), "lengths: 2 dimensions of torch.float32, not 1 of whole numbers"),
        (("lengths",), torch.tensor([-1]), "lengths: must be 1 to 1,048,576 numbers, none below 0"),
        (("length_counts",), torch.tensor([1]), "lengths: must be ascending, and as many as length_counts"),
        (("open",), None, "open: None should be a valid boolean"),
        (("open",), "yes", "open: 'yes' should be a valid boolean"),
        (("network",), ["transformer"], "network: ['transformer'] should be a valid string"),
        (("network",), "trans", "network: 'trans' is not one of transformer, notebook; did you mean 'transformer'?"),
        (("format",), torch.zeros(3), "format <Tensor> is not one this version reads (1)"),
        (("vocabulary",), "\na\0", "vocabulary: holds NUL, which is no character of a text"),
        (("vocabulary",), "\na\ud800", "vocabulary: '\\na\\ud800' should be a valid string"),
        (("vocabulary",), "\naa", "a vocabulary starts with the newline and names each character once"),
        (("metrics", "parameters"), "many", "metrics: parameters is 'many', not a number"),
        (("metrics", "characters"), ABSENT, "metrics: no characters"),
        (("data_sha256",), "x", "data_sha256: 'x' is none"),
        (("config", "data", "file"), "a\0", "config.data.file: 'a\\x00' holds a control character"),
        (("config", "sampling", "max_length"), 2**41, "config.sampling.max_length: 2199023255552 should be less than"),
        (("config", "model", "layers"), 48, "the weights do not fit the model's config: "),
        (("config", "sampling"), {"steps": 4096, "overlap": 30, "max_length": 10_000}, "calls for one document, more"),
        (("stranger",), 1, "stranger: no such key"),
        (("start",), {**start_of("x"), "stranger": 1}, "start.stranger: no such key"),
        (("start",), {**start_of("x"), "texts": [{"name": "x", "sha256": "0" * 64, "stranger": 1}]},
         "start.texts.0.stranger: no such key"),
        (("start",), start_of("con"), "start.texts.0.name: 'con' must consist of at most 100 letters a-z"),
        (("start",), start_of("-x"), "start.texts.0.name: '-x' must consist of at most 100 letters a-z"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(model, tmp_path, capsys, place, value, message):
    path = tmp_path / "toy.pt"
    torch.save(changed(read_archive(model), place, value), path)
    assert generate.main(["--model", str(path), "--output", str(tmp_path / "out.txt")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: ") and message in error and error.count("\n") == 1


def test_a_length_that_no_document_had_is_named(model, tmp_path):
    content, path = read_archive(model), tmp_path / "toy.pt"
    counts = content["length_counts"].clone()
    counts[0] = 0
    torch.save(changed(content, ("length_counts",), counts), path)
    with pytest.raises(UserError, match="length_counts: must be 1 or more"):
        load_checkpoint(path)


def test_every_wrong_weight_of_the_notebook_is_named(tmp_path):
    text, source, output = tmp_path / "text.txt", tmp_path / "model.pth", tmp_path / "bard.pt"
    text.write_text("\nab", encoding="utf-8")
    weights = NotebookNetwork(NOTEBOOK_SHAPE, 3, 3).state_dict()
    cases = [((key,), value) for key in [*weights, "stranger", 3, ("a",)] for value in [*VALUES, *TENSORS]]
    cases += [(place[1:], value) for place, value in reweighted(dict(weights))]
    for place, value in cases[:: 9 if ALL else 70]:
        torch.save(changed(dict(weights), place, value), source)
        try:
            import_notebook(source, text, 2, output)
        except UserError as error:
            assert one_short_line(str(error).replace(str(tmp_path), ""))
        else:
            assert outcome(output) in ("", NAN)
            output.unlink()


def test_lengths_and_weights_of_other_kinds_still_load(model, tmp_path):
    """What earlier programs and hands may have written: shorter integers, halved or doubled precision."""
    content = read_archive(model)
    content["lengths"], content["weights"] = (
        content["lengths"].int(),
        {k: v.half() for k, v in content["weights"].items()},
    )
    write_archive(tmp_path / "toy.pt", content)
    assert not outcome(tmp_path / "toy.pt")
    assert np.array_equal(load_checkpoint(tmp_path / "toy.pt").lengths.values, content["lengths"].numpy())
