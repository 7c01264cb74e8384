"""A likelihood and its error have their closed form."""

import numpy as np
import pytest
import torch

from dataset_loader import held_out_windows
from diffusion import orders
from evaluation.likelihood import ordered_likelihood, ratio_estimate
from generation.checkpoint import diffusion_of
from text.corpus import load_corpus
from utils import CPU


def test_ratio_estimate_and_its_error_have_their_closed_form():
    rng = np.random.default_rng(0)
    sizes = rng.integers(5, 50, 4000)
    nats = sizes * 2.0 + rng.normal(0, 3, 4000)
    found = ratio_estimate(nats, sizes, np.arange(4000))
    assert found.bits == pytest.approx(2 / np.log(2), abs=0.02)
    assert found.error == pytest.approx(3 / np.sqrt(4000) / sizes.mean() / np.log(2), rel=0.1)
    merged = ratio_estimate(np.repeat(nats, 2) / 2, np.repeat(sizes, 2) / 2, np.repeat(np.arange(4000), 2))
    assert merged.error == pytest.approx(found.error)  # rows of one document are one observation


@pytest.mark.parametrize("order", [lambda given: orders.LEFT_TO_RIGHT, lambda given: orders.surest(given, 4)])
def test_a_network_that_knows_nothing_takes_log2_of_the_alphabet_in_any_order(tiny_run, order):
    """Each character that is not given counts once, and no other."""
    run = tiny_run(diffusion={"process": "absorbing"})
    corpus = load_corpus(run)
    size = corpus.vocabulary.size
    windows = held_out_windows(corpus.held_out, run.model.context, 9, run.seed, alphabet=size)

    def blind(x_t, sigma, given, *, positions):
        return torch.zeros(int(positions.sum()), 1, size)

    found = ordered_likelihood(diffusion_of(run, corpus.vocabulary), blind, windows, order, CPU)
    assert found.bits == pytest.approx(np.log2(size)) and found.error == pytest.approx(0, abs=1e-12)
    assert found.characters == sum(int((~batch.given).sum()) for batch in windows) > 50
    assert any(batch.given.any() for batch in windows)


def test_of_one_document_no_error_is_known():
    rng = np.random.default_rng(0)
    for nats, size in zip(rng.random((200, 7)), rng.integers(1, 9, size=(200, 7)), strict=True):
        assert ratio_estimate(nats, size, np.zeros(7)).error == 0  # not the trace that rounding leaves


def test_of_few_documents_the_error_has_one_degree_of_freedom_less():
    found = ratio_estimate(np.array([2.0, 4, 9]), np.array([1, 2, 3]), np.arange(3))
    assert found.error * np.log(2) == pytest.approx((3.5 * 3 / 2) ** 0.5 / 6)
