"""The engine of the page, run by Node.js: draws, logits and documents are those of Python, on both of its paths."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from exporting.proof import Engine, node
from generation.draft import Draft
from generation.prompt import Prompt
from generation.writer import write_documents
from tests.exporting.voices import SUREST, page_with, voice_with
from utils import UserError, numpy_generator

try:
    node()
except UserError as missing:
    pytest.skip(str(missing), allow_module_level=True)

UNIFORM = {"diffusion": {"process": "uniform"}, "sampling": {"sampler": "tweedie", "steps": 6, "overlap": 8}}
SHAPES = {
    "attention in every block": {},
    "attention in the last block": {"layers": 3, "attention_layers": 1},
    "sizes that are no multiples of eight": {"layers": 2, "width": 12, "heads": 3, "noise_width": 9, "conv_width": 3},
    "a noise embedding wider than the rest": {"width": 8, "heads": 1, "noise_width": 100, "conv_width": 1},
}


@pytest.mark.parametrize("place", [(0, 0, 0), (7, 57, 3), (2**62 + 1, 10**6, 1), (10**30, 5, 0)])
def test_draws_are_those_of_numpy(tmp_path, place):
    page, writer = page_with(voice_with(tmp_path), tmp_path)
    seed, index, attempt = place
    rng = numpy_generator(writer.run.name, *place)
    start = numpy_generator(writer.run.name, seed, "lengths").random()
    with Engine(page) as engine:
        found = engine.ask(do="draws", seed=str(seed), index=index, attempt=attempt, count=40)
    expected = rng.random() if attempt else (start + index * (np.sqrt(5) - 1) / 2) % 1
    assert found == {"uniform": expected, "draws": rng.random(40).tolist()}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_logits_are_those_of_torch_and_both_engines_give_the_same_bits(tmp_path, shape):
    page, writer = page_with(voice_with(tmp_path, model=shape), tmp_path)
    generator = torch.Generator().manual_seed(1)
    with Engine(page) as fast, Engine(page, plain=True) as plain:
        assert (fast.name, plain.name) == ("WebAssembly", "JavaScript")
        for length, sigma in ((16, 1e-3), (32, 0.3), (32, 6.0)):
            ids = torch.randint(writer.vocabulary.size + 1, (1, length), generator=generator)
            given = torch.rand(1, length, generator=generator) < 0.3
            positions = [2, 3, 7, 11, length - 1]
            with torch.no_grad():
                expected = writer.network(ids, torch.tensor([sigma]), given)[0, positions]
            task = {"ids": ids[0].tolist(), "given": given[0].int().tolist(), "sigma": sigma, "positions": positions}
            found = [engine.ask(do="logits", **task) for engine in (fast, plain)]
            assert found[0] == found[1]
            assert torch.allclose(torch.tensor(found[0]), expected, atol=2e-4)
            assert expected.std() > 1  # not all alike


CASES = {
    "surest": {},
    "surest, never revised": {"sampling": {**SUREST, "revisions": 0, "top_p": 0.8}},
    "surest, all of it revised but a tenth": {"sampling": {**SUREST, "revised": 0.9, "stretch": 5}},
    "surest, revised in few calls": {"sampling": {**SUREST, "revised": 0.4, "revision_stretch": 3}},
    "gibbs": {"sampling": {**SUREST, "sampler": "gibbs", "revised": 0.4, "temperature": 1.2}},
    "gibbs, all of it revised but a tenth": {
        "sampling": {**SUREST, "sampler": "gibbs", "revised": 0.9, "temperature": 2.0}
    },
    "tweedie, uniform": UNIFORM,
    "tweedie, absorbing": {"sampling": {**UNIFORM["sampling"], "top_p": 0.9}},
    "tweedie, hybrid, noise added again": {
        "diffusion": {"process": "hybrid"},
        "sampling": {**UNIFORM["sampling"], "renoise": 0.4, "grid": "cosine", "greedy_last_step": False},
    },
    "euler, uniform": {**UNIFORM, "sampling": {**UNIFORM["sampling"], "sampler": "euler", "grid": "geometric"}},
    "a stream": {
        "content": "".join(f"l{i % 7}\nof {i}" for i in range(400)).encode(),
        "data": {"format": "stream"},
        "sampling": {**SUREST, "temperature": 3.0},  # else its random network writes the same character everywhere
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_documents_are_those_of_python(tmp_path, case):
    page, writer = page_with(voice_with(tmp_path, **case), tmp_path)
    settings = writer.settings()
    expected = write_documents(writer, 3, range(24), settings)
    with Engine(page) as engine:
        found = [engine.write(3, index) for index in range(24)]
        again = engine.write(3, 5, attempt=2)["text"]
    assert [document["text"] for document in found] == expected
    assert again == write_documents(writer, 3, [5], settings, attempt=2)[0] != expected[5]
    assert len(set(expected)) > 20
    calls = writer.network_calls(settings, Prompt(shortest=len(expected[0]), longest=len(expected[0])))
    assert found[0]["calls"] == calls


@pytest.mark.parametrize("prefix", ["fix the ", "a long document of words " * 5])
def test_a_prefix_is_continued_as_in_python(tmp_path, prefix):
    page, writer = page_with(voice_with(tmp_path), tmp_path)
    expected = write_documents(writer, 0, range(8), writer.settings(), prompt=Prompt(prefix=prefix))
    with Engine(page) as engine:
        assert [engine.write(0, index, prefix=prefix)["text"] for index in range(8)] == expected
    assert all(text.startswith(prefix) and len(text) > len(prefix) for text in expected)


def test_settings_of_the_export_are_those_of_the_page(tmp_path):
    checkpoint = voice_with(tmp_path)
    page, writer = page_with(checkpoint, tmp_path, temperature=1.4, stretch=3)
    settings = replace(writer.settings(), temperature=1.4, stretch=3)
    with Engine(page) as engine:
        texts = [engine.write(0, index)["text"] for index in range(8)]
    assert (
        texts
        == write_documents(writer, 0, range(8), settings)
        != write_documents(writer, 0, range(8), writer.settings())
    )


def test_long_documents_are_among_those_compared(tmp_path):
    _, writer = page_with(voice_with(tmp_path), tmp_path)
    drafts = [Draft(writer, Prompt(), 3, index, 0) for index in range(24)]
    assert sum(len(draft.ids) > 2 * writer.run.model.context for draft in drafts) > 3


def test_weights_that_give_no_numbers_are_named(tmp_path):
    checkpoint = voice_with(tmp_path)
    huge = checkpoint.weights["head.weight"] * 2e38  # sums of such numbers are infinite, and their differences none
    page, _ = page_with(
        replace(checkpoint, weights={**checkpoint.weights, "head.weight": huge.clamp(-3e38, 3e38)}), tmp_path
    )
    with Engine(page) as engine, pytest.raises(UserError, match="the page's engine ended"):
        engine.write(0, 0)
